"""A text as its tokens, coloured one by one."""

import numpy as np

from llama_gguf.pictures import colour
from llama_gguf.pictures.frame import FONT, MONO, Picture, number, text

MOST = 2048
PLAIN = [colour.hexed(c) for c in colour.srgb(np.full(4, 0.86), np.full(4, 0.07), np.array([250.0, 70, 330, 150]))]


def coloured_tokens(pieces, values=None, ids=None, title=None, diverging=None, notes=None):
    """Tokens as boxes; `pieces` are texts or bytes. With `values`, their colour is a value, else neighbours differ.

    ids, notes: shown with the value when one points at a token. diverging: blue and orange about 0; None: where there
    are negative values. Line ends and tabs are shown as signs.
    """
    pieces = list(pieces)
    if any(given is not None and len(given) != len(pieces) for given in (values, ids, notes)):
        raise ValueError(f"values, ids and notes need one for each of {len(pieces)} tokens")
    fills, bar = [(PLAIN[i % len(PLAIN)], "#000000") for i in range(min(len(pieces), MOST))], ""
    if values is not None:
        values = np.asarray(values, np.float64)
        fills, bar = shades(values[:MOST], diverging)
    told = [tip(i, values, ids, notes) for i in range(len(fills))]
    spans = [box(piece, *fill, hint) for piece, fill, hint in zip(pieces, fills, told, strict=False)]
    more = f" … and {len(pieces) - MOST:,} more" if len(pieces) > MOST else ""
    head = f'<div style="font-weight:600">{text(title)}</div>' if title else ""
    return Picture(
        f'<div style="{FONT}">{head}<div style="{MONO};font-size:13px;line-height:1.9;white-space:pre-wrap;'
        f'overflow-wrap:anywhere">{"".join(spans)}{more}</div>{bar}</div>'
    )


def shades(values, diverging):
    """(background, ink) of each value, and the scale in words and colour.

    Colours are seen through: the page's own shows where a value is low, and its ink can be read on all of them.
    """
    if diverging is None:
        diverging = bool((values[np.isfinite(values)] < 0).any())
    low, high = colour.limits(values, diverging)
    part = (colour.steps(values, low, high) / (colour.STEPS - 1)).tolist()
    fills = [(veil(2 * p - 1 if diverging else p), "inherit") for p in part]
    for i in np.flatnonzero(~np.isfinite(values)):
        nan = "repeating-linear-gradient(45deg,#bbbbbb 0 3px,#eeeeee 3px 6px)"
        fills[i] = (nan, "#000000") if np.isnan(values[i]) else (colour.INFINITE, "#ffffff")
    stops = ",".join([veil(-1)] * diverging + [veil(0), veil(1)])
    odd = [f"{n:,} {name}" for n, name in ((np.isnan(values).sum(), "NaN"), (np.isinf(values).sum(), "infinite")) if n]
    bar = (
        f'<div style="opacity:.85">{number(low)} <span style="display:inline-block;width:120px;height:9px;'
        f'background:linear-gradient(90deg,{stops})"></span> {"  ·  ".join([number(high), *odd])}</div>'
    )
    return fills, bar


def veil(part):
    """Orange, or blue for a negative part, as thick as the part of 1."""
    return f"rgba({'0,114,178' if part < 0 else '222,110,10'},{0.8 * abs(part):.2f})"


def tip(i, values, ids, notes):
    parts = [f"#{i}"]
    parts += [f"id {ids[i]}"] if ids is not None else []
    parts += [number(float(values[i]))] if values is not None else []
    parts += [str(notes[i])] if notes is not None else []
    return "  ".join(parts)


def box(piece, fill, ink, hint):
    shown = piece.decode("utf-8", "replace") if isinstance(piece, bytes) else str(piece)
    breaks = "\n" * shown.endswith("\n")
    shown = text(shown.replace("\n", "↵").replace("\t", "⇥")) or "∅"
    return (
        f'<span title="{text(hint)}" style="background:{fill};color:{ink};border-radius:3px;padding:1px 0;'
        f'margin-right:1px">{shown}</span>{breaks}'
    )
