"""What commands that write files share: sizes as people write them, --force."""

import re

import click

UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}

force = click.option("--force", is_flag=True, help="Replace a file that is there.")


class Size(click.ParamType):
    """2G, 500MB, 1.5GiB, or a number of bytes. Decimal unless it says i."""

    name = "size"

    def convert(self, value, param, ctx):
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", value.strip(), re.IGNORECASE)
        n_bytes = int(float(found[1]) * UNITS.get(found[2].lower(), 0)) if found else 0
        if not n_bytes:
            self.fail(f"{value!r} is no size; write it as 500M, 2G or 1.5GiB", param, ctx)
        return n_bytes
