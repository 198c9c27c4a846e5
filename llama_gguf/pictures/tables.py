"""Tables: text to the left, numbers to the right."""

from numbers import Number

from llama_gguf.pictures.colour import SERIES
from llama_gguf.pictures.frame import FONT, Picture, number, text

MOST = 512
LINE = "border-bottom:1px solid #8885"


def table(rows, columns=None, title=None, most=MOST):
    """Rows (sequences, or mappings from which `columns` picks) as a table; a Picture in a cell is put in as it is."""
    rows = list(rows)
    if columns is None:
        columns = list(rows[0]) if rows and hasattr(rows[0], "keys") else None
    body = "".join(row_of(cells(row, columns)) for row in rows[:most])
    head = ""
    if columns is not None:
        right = [is_right(c) for c in cells(rows[0], columns)] if rows else [False] * len(columns)
        names = (cell("th", text(name), at, "font-weight:600") for name, at in zip(columns, right, strict=True))
        head = f"<thead><tr>{''.join(names)}</tr></thead>"
    more = f'<div style="opacity:.7;{FONT}">and {len(rows) - most:,} more rows</div>' if len(rows) > most else ""
    caption = f'<caption style="text-align:left;font-weight:600;padding:2px 0">{text(title)}</caption>' if title else ""
    style = f"{FONT};border-collapse:collapse;font-variant-numeric:tabular-nums"
    return Picture(
        f'<div style="overflow-x:auto"><table style="{style}">{caption}{head}<tbody>{body}</tbody></table>{more}</div>'
    )


def share(part, width=90):
    """A bar for a share of 0 ... 1 with its percentage, to stand in a table."""
    part = min(1.0, max(0.0, float(part)))
    return Picture(
        f'<span style="display:inline-block;width:{width}px;height:8px;background:#8883">'
        f'<span style="display:block;width:{100 * part:.1f}%;height:8px;background:{SERIES[0]}"></span></span>'
        f" {100 * part:.1f}%"
    )


def cells(row, columns):
    return [row[c] for c in columns] if hasattr(row, "keys") else list(row)


def is_right(value):
    return isinstance(value, Number) and not isinstance(value, bool)


def row_of(values):
    return f"<tr>{''.join(cell('td', shown(v), is_right(v)) for v in values)}</tr>"


def cell(tag, body, right, more=""):
    align = f"text-align:{'right' if right else 'left'};"  # notebooks align cells to the right by themselves
    return f'<{tag} style="{align}padding:2px 12px 2px 0;{LINE};{more}">{body}</{tag}>'


def shown(value):
    if isinstance(value, Picture):
        return str(value)
    if value is None:
        return ""
    return number(value) if is_right(value) else text(value)
