"""Heat maps: few cells as rectangles that tell their value when pointed at, many as one embedded image."""

import base64
import struct
import zlib

import numpy as np

from llama_gguf.pictures import colour
from llama_gguf.pictures.frame import LETTER, cut, number, room, svg, text, words

SINGLE = 1024
"""Cells at most that are rectangles of their own (about 80 bytes each)."""

MOST = 192, 384
"""Rows and columns at most; more are pooled."""

HATCH = (
    '<defs><pattern id="lg-nan" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="4" height="4" fill="#888888" fill-opacity=".25"/>'
    '<rect width="1.5" height="4" fill="#888888"/></pattern></defs>'
)


def heat_map(array, rows=None, cols=None, title=None, diverging=False, low=None, high=None):
    """A picture of an array (rows, cols), or of one row. `rows`, `cols`: labels. diverging: blue and orange about 0.

    low, high: what the ends of the scale stand for; default: the least and largest finite value.
    """
    array = np.asarray(array)
    array = array.astype(np.float64).reshape(1, -1) if array.ndim < 2 else array.astype(np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"a heat map shows one or two axes with values, not an array of shape {array.shape}")
    odd = oddities(array)
    pooled, factors = pool(array)
    low, high = colour.limits(pooled, diverging, low, high)
    layout = Layout(pooled.shape, picked(rows, array.shape[0], factors[0]), picked(cols, array.shape[1], factors[1]))
    notes = [*odd, *([f"each cell is the mean of {factors[0]} x {factors[1]} values"] if max(factors) > 1 else [])]
    top = 22 if title else 4
    cells = singles if pooled.size <= SINGLE else image
    key, needed = legend(low, high, diverging, notes, layout.bottom(top))
    body = [
        words(0, 14, title, bold=True) if title else "",
        HATCH if np.isnan(pooled).any() else "",
        cells(pooled, low, high, diverging, layout, top),
        layout.labels(top),
        key,
    ]
    label = f"{title or 'heat map'}: {array.shape[0]} x {array.shape[1]} values, {number(low)} to {number(high)}"
    width = max(layout.width, needed, len(title or "") * 7.5)
    return svg(width, layout.bottom(top) + 30, "".join(body), "; ".join([label, *odd]))


class Layout:
    """Where cells and labels stand; labels are thinned out until they fit."""

    def __init__(self, shape, rows, cols):
        self.rows, self.cols = rows, cols
        self.w = min(28.0, max(1.5, 620 / shape[1]))
        self.h = min(20.0, max(1.5, 420 / shape[0]))
        if shape[0] == 1:
            self.h = 24.0
        self.left = room(rows) + 8 if rows else 0
        self.shape, self.inner = shape, (shape[1] * self.w, shape[0] * self.h)
        self.tall = bool(cols) and room(cols, 12) > self.w - 4
        self.below = 0 if not cols else room(cols, 12) * 0.75 + 14 if self.tall else 18
        self.width = self.left + self.inner[0] + (self.below * 0.6 if self.tall else 4)

    def bottom(self, top):
        return top + self.inner[1] + self.below

    def labels(self, top):
        out = []
        every = max(1, int(np.ceil(13 / self.h)))
        for i, label in enumerate(self.rows):
            if i % every == 0:
                out.append(words(self.left - 6, top + (i + 0.5) * self.h + 4, cut(label), "end"))
        every = max(1, int(np.ceil((13 if self.tall else room(self.cols, 12) + 4) / self.w)))
        for i, label in enumerate(self.cols):
            if i % every == 0:
                x, y = self.left + (i + 0.5) * self.w, top + self.inner[1] + 14
                more = {"turn": 45} if self.tall else {"anchor": "middle"}
                out.append(words(x - (3 if self.tall else 0), y - (2 if self.tall else 0), cut(label, 12), **more))
        return "".join(out)


def oddities(array):
    """What of an array is no number, in words."""
    counts = (int(np.isnan(array).sum()), "NaN"), (int(np.isinf(array).sum()), "infinite")
    return [f"{n:,} {name}" for n, name in counts if n]


def pool(array):
    """Means over whole neighbourhoods, so few that they fit; NaN or infinity anywhere in one shows."""
    factors = tuple(-(-size // most) for size, most in zip(array.shape, MOST, strict=True))
    if max(factors) == 1:
        return array, factors
    with np.errstate(invalid="ignore", over="ignore"):
        for axis, factor in enumerate(factors):
            starts = np.arange(0, array.shape[axis], factor)
            sizes = np.diff([*starts, array.shape[axis]])
            array = np.add.reduceat(array, starts, axis=axis) / (sizes[:, None] if axis == 0 else sizes)
    return array, factors


def picked(labels, n, factor):
    """The labels of pooled rows: of the first of each."""
    if labels is None:
        return []
    labels = list(labels)
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels do not name {n} rows or columns")
    return labels[::factor]


def singles(array, low, high, diverging, layout, top):
    """A rectangle for each cell, with its value."""
    palette, out = [colour.hexed(c) for c in colour.scale(diverging)], []
    at = colour.steps(array, low, high)
    for (i, j), value in np.ndenumerate(array):
        fill = palette[at[i, j]] if np.isfinite(value) else odd_fill(value)
        where = ", ".join(str(labels[k]) for labels, k in ((layout.rows, i), (layout.cols, j)) if labels)
        x, y = layout.left + j * layout.w, top + i * layout.h
        out.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{layout.w:.1f}" height="{layout.h:.1f}" fill="{fill}">'
            f"<title>{text(where + ': ' if where else '')}{number(float(value))}</title></rect>"
        )
    return f'<g shape-rendering="crispEdges">{"".join(out)}</g>'


def odd_fill(value):
    return "url(#lg-nan)" if np.isnan(value) else colour.INFINITE


def image(array, low, high, diverging, layout, top):
    """All cells as one indexed PNG over a hatched ground, which shows where NaN leaves a hole."""
    at = colour.steps(array, low, high)
    at = np.minimum(at, 253)  # the last two places are for what is no number
    at[np.isinf(array)], at[np.isnan(array)] = 254, 255
    palette = colour.scale(diverging).copy()
    palette[254] = tuple(bytes.fromhex(colour.INFINITE[1:]))
    data = base64.b64encode(png(at, palette, hole=255)).decode()
    where = f'x="{layout.left:.1f}" y="{top}" width="{layout.inner[0]:.1f}" height="{layout.inner[1]:.1f}"'
    ground = f'<rect {where} fill="url(#lg-nan)"/>' if np.isnan(array).any() else ""
    return (
        f'{ground}<image {where} preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{data}"/>'
    )


def png(indices, palette, hole):
    """A PNG of 8-bit indices into a palette, one of them transparent (RFC 2083)."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = indices.shape
    lines = np.hstack([np.zeros((height, 1), np.uint8), indices]).tobytes()
    return b"".join((
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        chunk(b"PLTE", palette.tobytes()),
        chunk(b"tRNS", bytes(0 if i == hole else 255 for i in range(len(palette)))),
        chunk(b"IDAT", zlib.compress(lines, 9)),
        chunk(b"IEND", b""),
    ))


def legend(low, high, diverging, notes, top):
    """The scale with its ends, and what else there is to know; and its width."""
    palette = colour.scale(diverging)[:: colour.STEPS // 32]
    left = len(number(low)) * LETTER + 6
    out = [words(0, top + 22, number(low), faint=True)]
    for i, rgb in enumerate(palette):
        out.append(f'<rect x="{left + 4 * i:.1f}" y="{top + 13}" width="4.3" height="10" fill="{colour.hexed(rgb)}"/>')
    end = left + 4 * len(palette) + 6
    tail = "  ·  ".join([number(high), *notes])
    return f'<g>{"".join(out)}{words(end, top + 22, tail, faint=True)}</g>', end + len(tail) * LETTER
