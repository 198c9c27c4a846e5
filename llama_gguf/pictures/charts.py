"""Bars, histograms and lines."""

import numpy as np

from llama_gguf.pictures.colour import INFINITE, SERIES
from llama_gguf.pictures.frame import cut, log_ticks, number, room, rule, svg, text, ticks, words

WIDTH, HEIGHT = 520, 190
MOST_BARS, MOST_POINTS = 64, 512
DASHES = "", "7 3", "2 3", "9 3 2 3", "4 4", "1 2"


def drawable(values):
    """float64 (n,), finite ones so near zero that their differences stay finite."""
    values = np.asarray(values, np.float64).reshape(-1)
    return np.where(np.isfinite(values), values.clip(-1e300, 1e300), values)


def bars(values, labels=None, title=None):
    """Horizontal bars; negative ones go left. Of many, the first are shown."""
    values = drawable(values)
    labels = [str(i) for i in range(len(values))] if labels is None else list(labels)
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} labels do not name {len(values)} bars")
    more, values, labels = len(values) - MOST_BARS, values[:MOST_BARS], labels[:MOST_BARS]
    finite = values[np.isfinite(values)]
    low, high = min(0.0, finite.min(initial=0.0)), max(0.0, finite.max(initial=0.0))
    left, span = room(labels) + 10, max(high - low, 1e-300)
    zero, top = left - low / span * 360, 24 if title else 4
    body = [words(0, 14, title, bold=True) if title else ""]
    for i, (value, label) in enumerate(zip(values, labels, strict=True)):
        y = top + 18 * i
        body.append(words(left - 8, y + 13, cut(label), "end"))
        shown = value if np.isfinite(value) else 0.0
        x, width = zero + min(0.0, shown) / span * 360, abs(shown) / span * 360
        fill = SERIES[0] if shown >= 0 else SERIES[1]
        body.append(
            f'<rect x="{x:.1f}" y="{y + 2}" width="{max(width, 0.5):.1f}" height="14" rx="1.5" fill="{fill}">'
            f"<title>{text(label)}: {number(float(value))}</title></rect>"
        )
        body.append(words(max(zero, x + width) + 6, y + 13, number(float(value)), faint=True))
    bottom = top + 18 * len(values)
    body.append(rule(zero, top, zero, bottom, 0.5))
    if more > 0:
        body.append(words(left, bottom + 15, f"and {more:,} more", faint=True))
        bottom += 18
    return svg(left + 360 + 80, bottom + 6, "".join(body), f"{title or 'bars'}: {len(values)} values")


def histogram(values, edges=None, title=None, bins=48, log=False):
    """How often values occur; with `edges` (n + 1), `values` are n counts already. log: heights by logarithm."""
    notes = []
    if edges is None:
        values = drawable(values)
        finite = values[np.isfinite(values)]
        counts = {"NaN": int(np.isnan(values).sum()), "infinite": int(np.isinf(values).sum())}
        notes = [f"{n:,} {name}" for name, n in counts.items() if n]
        counts, edges = np.histogram(finite, bins) if finite.size else (np.zeros(1), np.array([0.0, 1.0]))
    else:
        counts, edges = np.asarray(values, np.float64), np.asarray(edges, np.float64)
    if len(edges) != len(counts) + 1:
        raise ValueError(f"{len(counts)} counts need {len(counts) + 1} edges, not {len(edges)}")
    heights = np.log1p(counts) if log else counts
    top, left = 24 if title else 6, 8
    tallest, span = heights.max(initial=0) or 1.0, float(edges[-1] - edges[0]) or 1.0
    body = [words(0, 14, title, bold=True) if title else ""]
    for n, height, a, b in zip(counts, heights, edges, edges[1:], strict=False):
        x, w = left + (a - edges[0]) / span * WIDTH, max(0.5, (b - a) / span * WIDTH - 0.6)
        h = height / tallest * (HEIGHT - 60)
        body.append(
            f'<rect x="{x:.1f}" y="{top + HEIGHT - 60 - h:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{SERIES[0]}">'
            f"<title>{number(float(a))} to {number(float(b))}: {int(n):,}</title></rect>"
        )
    base = top + HEIGHT - 60
    body.append(rule(left, base, left + WIDTH, base, 0.5))
    for tick in ticks(float(edges[0]), float(edges[-1]), 6):
        x = left + (tick - edges[0]) / span * WIDTH
        body += [rule(x, base, x, base + 4, 0.5), words(x, base + 17, number(tick), "middle", faint=True)]
    notes += ["heights by logarithm"] if log else []
    if notes:
        body.append(words(left, base + 34, "  ·  ".join(notes), faint=True))
    ends = f"{number(float(edges[0]))} to {number(float(edges[-1]))}"
    label = f"{title or 'histogram'}: {int(counts.sum()):,} values, {ends}"
    return svg(left + WIDTH + 20, base + (40 if notes else 24), "".join(body), "; ".join([label, *notes]))


def lines(series, x=None, title=None, x_label=None, y_label=None, log=False):
    """Lines of {name: values}; a gap where there is NaN, a mark at the edge for infinity. log: powers of ten."""
    series = {name: drawable(y) for name, y in series.items()}
    longest = max(map(len, series.values()), default=0)
    if not longest:
        raise ValueError("there is nothing to draw: no line has a value")
    x = np.arange(longest, dtype=np.float64) if x is None else np.asarray(x, np.float64)
    factor = -(-longest // MOST_POINTS)
    chart = Axes(x, series, log, top=24 if title else 8)
    body = [words(0, 14, title, bold=True) if title else "", chart.grid(x_label, y_label)]
    for i, (name, y) in enumerate(series.items()):
        body.append(chart.line(x[: len(y)], y, SERIES[i % len(SERIES)], DASHES[i % len(DASHES)], name, factor))
    body.append(chart.names(series))
    notes = [f"every point is the mean of {factor}"] if factor > 1 else []
    notes += [f"{sum(int(np.isnan(y).sum()) for y in series.values()):,} NaN"] * chart.gaps
    if notes:
        body.append(words(chart.left, chart.bottom + 48, "  ·  ".join(notes), faint=True))
    label = f"{title or 'lines'}: {', '.join(map(str, series))}; {longest} points"
    return svg(chart.right + 14 + room(series), chart.bottom + (54 if notes else 38), "".join(body), label)


class Axes:
    """From numbers to places."""

    def __init__(self, x, series, log, top):
        self.log, self.top, self.left = log, top, 58
        self.right, self.bottom = self.left + WIDTH, top + HEIGHT
        values = np.concatenate([self.turned(y) for y in series.values()])
        self.gaps = bool(np.isnan(np.concatenate(list(series.values()))).any())
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
        self.y, self.x = (low - room, high + room), (float(x.min()), float(x.max()))

    def turned(self, y):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log10(y) if self.log else y

    def at_x(self, x):
        return self.left + (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0) * WIDTH

    def at_y(self, y):
        return self.bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * HEIGHT

    def grid(self, x_label, y_label):
        out = []
        for tick in (log_ticks if self.log else ticks)(*self.y):
            shown = number(10.0**tick) if self.log else number(tick)
            y = self.at_y(tick)
            out += [rule(self.left, y, self.right, y, 0.15), words(self.left - 6, y + 4, shown, "end", faint=True)]
        for tick in ticks(*self.x, 8):
            out.append(words(self.at_x(tick), self.bottom + 16, number(tick), "middle", faint=True))
        out.append(rule(self.left, self.bottom, self.right, self.bottom, 0.5))
        out.append(words(self.right, self.bottom + 32, x_label, "end", faint=True) if x_label else "")
        out.append(words(12, self.top + HEIGHT / 2, y_label, "middle", faint=True, turn=-90) if y_label else "")
        return "".join(out)

    def line(self, x, y, stroke, dash, name, factor):
        if factor > 1:
            starts = np.arange(0, len(y), factor)
            sizes = np.diff([*starts, len(y)])
            x, y = np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes
        high = np.isinf(y)
        y, path, pen, marks = self.turned(y), [], "M", []
        for xi, yi, endless in zip(x, y, high, strict=True):
            if not np.isfinite(yi):
                pen = "M"
                if endless:
                    edge = self.top + 3 if yi > 0 else self.bottom - 3
                    marks.append(f'<circle cx="{self.at_x(xi):.1f}" cy="{edge:.1f}" r="3" fill="{INFINITE}"/>')
                continue
            path.append(f"{pen}{self.at_x(xi):.1f} {self.at_y(yi):.1f}")
            pen = "L"
            if len(y) <= 64:
                told = f"{name} at {number(float(xi))}: {number(float(10.0**yi if self.log else yi))}"
                marks.append(
                    f'<circle cx="{self.at_x(xi):.1f}" cy="{self.at_y(yi):.1f}" r="2.4" fill="{stroke}">'
                    f"<title>{text(told)}</title></circle>"
                )
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        drawn = f'<path d="{"".join(path)}" fill="none" stroke="{stroke}" stroke-width="1.8"{dashed}/>' if path else ""
        return drawn + "".join(marks)

    def names(self, series):
        """Each name beside its line's end, moved apart where they would overlap."""
        ends = []
        for i, (name, y) in enumerate(series.items()):
            finite = self.turned(y)[np.isfinite(self.turned(y))]
            ends.append((self.at_y(finite[-1]) if finite.size else self.top, i, name))
        out, last = [], -100.0
        for y, i, name in sorted(ends):
            last = y = max(y, last + 14)
            colour = SERIES[i % len(SERIES)]
            out.append(f'<rect x="{self.right + 5}" y="{y - 4:.1f}" width="4" height="8" fill="{colour}"/>')
            out.append(words(self.right + 12, y + 4, cut(name)))
        return "".join(out)
