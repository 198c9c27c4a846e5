"""Colours, computed in OKLab, where equal steps look equal (Ottosson, bottosson.github.io/posts/oklab)."""

from functools import cache

import numpy as np

STEPS = 256
SERIES = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
"""Okabe and Ito's palette, in an order whose neighbours differ in lightness too."""

INFINITE = "#e6007e"
TO_LMS = [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
TO_RGB = [
    [4.0767416621, -3.3077115913, 0.2309699292],
    [-1.2684380046, 2.6097574011, -0.3413193965],
    [-0.0041960863, -0.7034186147, 1.7076147010],
]


def linear(lightness, chroma, hue):
    """Linear RGB (n, 3), perhaps outside 0 ... 1; hue in degrees."""
    angle = np.radians(hue)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    return (lab @ np.transpose(TO_LMS)) ** 3 @ np.transpose(TO_RGB)


def srgb(lightness, chroma, hue):
    """uint8 (n, 3); where a screen cannot show a colour, its chroma is lowered until it can."""
    low, high = np.zeros_like(chroma), chroma
    for _ in range(12):
        middle = (low + high) / 2
        rgb = linear(lightness, middle, hue)
        shown = ((rgb >= 0) & (rgb <= 1)).all(axis=-1)
        low, high = np.where(shown, middle, low), np.where(shown, high, middle)
    rgb = linear(lightness, low, hue).clip(0, 1)
    curve = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    return (255 * curve + 0.5).astype(np.uint8)


@cache
def scale(diverging=False):
    """uint8 (STEPS, 3): from indigo over teal to yellow; diverging: blue, nearly white, orange."""
    t = np.linspace(0, 1, STEPS)
    if not diverging:
        return srgb(0.24 + 0.69 * t, 0.11 + 0.05 * t, 290 - 185 * t**1.15)
    away = np.abs(2 * t - 1)
    return srgb(0.97 - 0.5 * away**1.1, 0.17 * away**0.8, np.where(t < 0.5, 255.0, 52.0))


def hexed(rgb):
    return "#{:02x}{:02x}{:02x}".format(*map(int, rgb))


def ink(rgb):
    """Black or white, whichever reads better on a colour (WCAG's relative luminance)."""
    part = np.asarray(rgb) / 255
    light = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    return "#000000" if light > 0.179 else "#ffffff"


def limits(values, diverging=False, low=None, high=None):
    """(low, high) of the finite values, about zero if diverging; given ones count."""
    finite = values[np.isfinite(values)]
    if diverging:
        most = float(np.abs(finite).max(initial=0.0))
        low, high = -most if low is None else low, most if high is None else high
    low = float(finite.min(initial=np.inf)) if low is None else low
    high = float(finite.max(initial=-np.inf)) if high is None else high
    return (low, high) if low <= high else (0.0, 0.0)


def steps(values, low, high):
    """Index into a scale of each finite value; the others count as 0."""
    at = np.where(np.isfinite(values), values, low).astype(np.float64)
    width = high / 2 - low / 2  # halves: the difference of two large floats may overflow
    part = (at / 2 - low / 2) / width if width > 0 else np.full(at.shape, 0.5)
    return (part.clip(0, 1) * (STEPS - 1) + 0.5).astype(np.uint8)
