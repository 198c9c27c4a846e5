"""What every picture is made of: escaped text, numbers, an SVG with a text alternative, a page to save it in."""

import contextlib
import errno
import html
import math
import os
import re

FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px"
MONO = "font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"
LETTER = 7.4
"""A wide letter at 12 pixels: labels must not be cut."""

CONTROLS = {c: 0x2400 + c for c in range(32)} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
CONTROLS |= dict.fromkeys([*range(0xD800, 0xE000), 0xFFFE, 0xFFFF], 0xFFFD)


class Picture(str):
    """A string of HTML that a notebook shows as what it is; `save(path)` makes a page of it."""

    __slots__ = ()

    def _repr_html_(self):
        return str(self)

    def __repr__(self):
        """What it says to those who cannot see it: a notebook keeps this beside the picture."""
        label = re.search(r'aria-label="([^"]*)"', self)
        return f"<Picture: {html.unescape(label[1]) if label else f'{len(self):,} characters'}>"

    def save(self, path, title="llama-gguf", force=False):
        """Write a whole page that follows the reader's light or dark setting; a file stays unless `force`."""
        path = os.fspath(path)
        if os.path.lexists(path) and not force:
            raise FileExistsError(errno.EEXIST, "it exists already; --force (force=True) replaces it", path)
        temp = f"{path}.{os.getpid()}.tmp"  # gguf.atomic does more, but stands above pictures
        try:
            with open(temp, "w", encoding="utf-8") as file:
                file.write(page(self, title))
            os.replace(temp, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temp)


def page(body, title="llama-gguf"):
    """An HTML document around a picture, itself well-formed XML."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>{text(title)}</title>'
        '<meta name="color-scheme" content="light dark"/>'
        "<style>:root{color-scheme:light dark}body{margin:2rem;max-width:70rem;line-height:1.4}</style></head>"
        f'<body style="{FONT}">{body}</body></html>\n'
    )


def markup(body):
    """Markup that is put in as it is where text would be escaped: a cell of a table."""
    return Picture(body)


def together(*pictures):
    """Pictures one below the other."""
    return Picture("<div>" + "".join(f'<div style="margin:0 0 .9em">{p}</div>' for p in pictures if p) + "</div>")


def text(value):
    """Escaped for text and attributes; what XML cannot hold or nobody could see is made visible."""
    return html.escape(str(value).translate(CONTROLS), quote=True)


def number(value):
    """Short, and never in the way: 12, 0.003141, -1.5e-07, nan."""
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e7):
        return f"{int(value):,}"
    return f"{value:.4g}"


def cut(label, most=28):
    """A label of at most so many letters: its end tells names of tensors apart."""
    label = str(label)
    return label if len(label) <= most else "…" + label[1 - most :]


def svg(width, height, body, label):
    """An SVG of so many pixels that shrinks with its page; `label` is its text alternative."""
    return Picture(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{text(label)}" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" fill="currentColor" '
        f'style="{FONT};max-width:100%;height:auto;display:block">{body}</svg>'
    )


def words(x, y, value, anchor="start", faint=False, bold=False, turn=None):
    """Text in an SVG. turn: degrees about its place."""
    more = ' opacity=".7"' if faint else ""
    more += ' font-weight="600"' if bold else ""
    more += f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    start = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{start}{more}>{text(value)}</text>'


def rule(x1, y1, x2, y2, opacity=0.25):
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="currentColor" stroke-opacity="{opacity}"/>'
    )


def room(labels, most=28):
    """Pixels that the longest label takes."""
    return max((len(cut(label, most)) for label in labels), default=0) * LETTER


def log_ticks(low, high):
    """Logarithms of round numbers within 10**low ... 10**high: powers of ten, and twos and fives if those are few."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    some = [float(p) for p in powers if low <= p <= high]
    if len(some) < 3:
        some = [p + math.log10(f) for p in powers for f in (1, 2, 5) if low <= p + math.log10(f) <= high]
    return some[:: max(1, len(some) // 6)] or [low]


def ticks(low, high, count=5):
    """Round numbers within low ... high, about `count` of them."""
    width = high - low
    if not (math.isfinite(width) and width > 0):
        return [low]
    step = 10.0 ** math.floor(math.log10(width / count))
    step *= next(f for f in (1, 2, 5, 10) if width / (step * f) <= count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12 - math.floor(math.log10(step))) for i in range(first, last + 1)]
