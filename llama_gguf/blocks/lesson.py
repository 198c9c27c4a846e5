"""A block as a picture that teaches its format: bytes, parts, groups, and one value bit by bit."""

import numpy as np

from llama_gguf.pictures import Picture, bars, heat_map, lines, markup, table, together
from llama_gguf.pictures.frame import FONT, MONO, number, text

COLOURS = {  # background and ink of what a part holds; light, so that black reads on all of them
    "d": "#f4b942", "m": "#9bd0f5", "s": "#f7dfa5", "q": "#b9e3c6", "h": "#7cc79a", "p": "#d8c6ee", "x": "#f5bcb0",
    "n": "#d0d0d0",
}
MARK = "#0b3d91"
SHOWN = 32
"""Codes that the table of groups shows of each."""


def lesson(block, value=0):
    """The whole page of a block; `value`: which weight is taken apart bit by bit."""
    return together(
        heading(block),
        strip(block),
        parts(block),
        groups(block),
        one(block, value),
        heat_map(block.values.reshape(-1, min(block.group, 32)), title="Values", diverging=True),
        errors(block),
    )


def heading(block):
    kind, c = block.kind, block.columns
    return Picture(
        f'<div style="{FONT}"><b>Block {block.index} of {text(block.tensor.name)}</b>, {kind}: row {block.row}, '
        f"columns {c.start} to {c.stop - 1}. {kind.block} weights in {kind.bytes} bytes, "
        f"{kind.bits_per_weight:.4g} bits each."
        f'<br/><span style="opacity:.75">{text(kind.holds)}</span></div>'
    )


def strip(block):
    """All bytes in hexadecimal, coloured by what they hold."""
    out = []
    for part in block.parts():
        fill = COLOURS[part["holds"]]
        for i in range(part["start"], part["start"] + part["bytes"]):
            hint = f"byte {i}, {part['name']}: {block.raw[i]:08b}"
            out.append(
                f'<span title="{hint}" style="background:{fill};color:#000;padding:1px 2px;margin:0 1px 1px 0">'
                f"{block.raw[i]:02x}</span>"
            )
    style = f"{MONO};font-size:11px;line-height:1.7;display:flex;flex-wrap:wrap;max-width:46rem"
    return Picture(f'<div style="{style}">{"".join(out)}</div>')


def parts(block):
    """What each part holds, with the numbers of those that are one number."""
    rows = []
    for part in block.parts():
        last = part["start"] + part["bytes"] - 1
        where = f"{part['start']}" if part["bytes"] == 1 else f"{part['start']} to {last}"
        chip = f'<span style="background:{COLOURS[part["holds"]]};color:#000;padding:0 6px">{part["name"]}</span>'
        rows.append([markup(chip), where, part["reads"], stands_for(block, part)])
    return table(rows, ["part", "bytes", "holds", "here"])


def stands_for(block, part):
    raw = block.raw[part["start"] : part["start"] + part["bytes"]].tobytes()
    if part["holds"] not in "dm":
        return None
    if part["bytes"] == 1:
        return f"2^{raw[0] - 127}"
    return number(float(np.frombuffer(raw, "<f2" if len(raw) == 2 else "<f4")[0]))


def groups(block):
    """Scale, minimum, codes and range of each group."""
    codes = block.codes.reshape(-1, block.group)
    values = block.values.reshape(-1, block.group)
    rows = []
    for i, (some, made) in enumerate(zip(codes, values, strict=True)):
        shown = " ".join(str(c) for c in some[:SHOWN]) + (f" … {len(some) - SHOWN} more" if len(some) > SHOWN else "")
        row = {"group": i, "scale": float(block.scale[i])}
        if block.minimum is not None:
            row["minimum"] = float(block.minimum[i])
        row["codes"] = markup(f'<span style="{MONO};font-size:11px">{shown}</span>')
        rows.append(row | {"least": float(made.min()), "largest": float(made.max())})
    plus = " + minimum" if block.minimum is not None else ""
    title = f"value = scale x code{plus}; {block.group} values share a scale"
    return table(rows, title=title)


def one(block, value):
    """One value: the bits it is made of, marked, and the sum that makes it."""
    value = range(len(block.values))[value]
    group, rows = value // block.group, []
    for name, masks in block.bits(value).items():
        made = {"code": block.codes[value], "scale": block.scale[group]}.get(name)
        made = block.minimum[group] if made is None else made
        shown = "  ".join(marked(block.raw[i], mask, i) for i, mask in list(masks.items())[:12])
        more = f" … {len(masks) - 12} more bytes" if len(masks) > 12 else ""
        rows.append([name, markup(f'<span style="{MONO};font-size:12px">{shown}{more}</span>'), number(made.item())])
    plus = f" + {number(block.minimum[group].item())}" if block.minimum is not None else ""
    total = f"{number(block.scale[group].item())} x {block.codes[value]}{plus} = {number(block.values[value].item())}"
    title = f"Weight {value} of the block (column {block.columns[value]}), bit by bit: {total}"
    return table(rows, ["part", "bits (the marked ones; lowest to the right)", "is"], title=title)


def marked(byte, mask, at):
    """A byte in binary with some bits marked."""
    out = []
    for bit in range(7, -1, -1):
        digit = str(byte >> bit & 1)
        here = mask >> bit & 1
        style = f"background:{MARK};color:#fff" if here else "opacity:.45"
        out.append(f'<span style="{style}">{digit}</span>')
    return f'<span title="byte {at}" style="white-space:nowrap;margin-right:8px">{"".join(out)}</span>'


def errors(block):
    """The same weights in other files: numbers, and where they differ."""
    if not block.others:
        return ""
    told = block.errors()
    names = [f"{e['type']} {i + 1}" if len(told) > 1 else e["type"] for i, e in enumerate(told)]
    rows = [{"against": n, "rmse": e["rmse"], "largest": e["largest"], "relative error": e["relative"]}
            for n, e in zip(names, told, strict=True)]
    series = {f"{block.kind} - {n}": block.values - v for n, (_, v) in zip(names, block.others, strict=True)}
    return together(
        table(rows, title="The same weights in other files"),
        lines(series, title="Differences", x_label="weight of the block"),
        bars([e["relative"] for e in told], names, title="Relative error") if len(told) > 1 else "",
    )
