"""What all commands share for output: JSON, tables, sizes, and text that is safe to print."""

import os
import sys

import click

CONTROLS = {c: 0x2400 + c for c in range(32) if chr(c) not in "\n\t\r"}
CONTROLS |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def printable(text):
    """`text` with control characters made visible: a token may carry a terminal's escape codes."""
    return text.translate(CONTROLS)


def write(text):
    """Part of the payload, at once; a carriage return could overwrite a terminal's line."""
    text = printable(text)
    sys.stdout.write(text.replace("\r", "") if sys.stdout.isatty() else text)
    sys.stdout.flush()


def note(text):
    """A line for the reader, on stderr."""
    click.echo(printable(text), err=True)


def emit_json(value):
    """One document, ASCII, so that no terminal or code page can spoil it."""
    import json

    click.echo(json.dumps(value, indent=2))


def heading(text):
    """Bold on a terminal that wants it; NO_COLOR and pipes get plain text."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    click.echo(text if plain or not sys.stdout.isatty() else click.style(text, bold=True))


def table(rows, titles, right=()):
    """Aligned columns, never cut; the columns numbered in `right` are right-aligned."""
    rows = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]

    def line(cells):
        pairs = enumerate(zip(cells, widths, strict=True))
        return "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in pairs).rstrip()

    heading(line(titles))
    for row in rows:
        click.echo(line(row))


def human_size(n_bytes):
    """1.2 GB: decimal units, as the Hub and disks count."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} bytes"
