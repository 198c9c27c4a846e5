"""The page docs/types.md, from the table: python -m llama_gguf.cli._types_page > docs/types.md"""

from llama_gguf.cli.types import cells, describe

INTRODUCTION = """\
# Tensor types

Each row of a matrix is cut into blocks of equally many weights, and each block is stored in equally many bytes. This
page is made from the table in `llama_gguf/gguf/types.py` by `python -m llama_gguf.cli._types_page`; `llama-gguf types
--json` prints the same.

* **Roles** are what a tensor of the type may be in a model. A file that uses a type in another role is refused as it is
  loaded, and the error names tensor and type. Types without roles can be read and shown.
* **Activations** are what products with the type multiply it with: 8-bit codes in blocks of 32 with one scale each, or
  single-precision numbers. With `exact=True` they are always the latter.
* **Kernels**: types with *panels* are turned at load into the layout that the kernels multiply from
  ([how it works](how_it_works.md), section 5). Kernel bodies are written once, so a type has panels in all instruction
  sets (AVX-512, AVX2, NEON and plain C) or in none. Rows of the others are dequantized as they are used.

How large the error of each type's products is, beside llama.cpp's: [accuracy.md](accuracy.md), "Error per type".
"""

TITLES = ("type", "id", "weights", "bytes", "bits per weight", "roles", "activations", "kernels")


def page():
    """The whole page as Markdown."""
    rows = describe()
    return "\n".join([INTRODUCTION, *_table(rows), "", "## What a block holds", "", *_holds(rows)])


def _table(rows):
    yield _line(TITLES)
    yield _line(["---"] + ["---:"] * 4 + ["---"] * 3)
    yield from (_line(cells(row)) for row in rows)


def _holds(rows):
    """Scales and minimums are half-precision numbers where nothing else is said."""
    yield "Scales and minimums are half-precision numbers where no other size is given. IQ types look their codes up in"
    yield "tables of points (codebooks); the points are in `pyx/iq_tables.pxi`."
    yield ""
    yield from (f"* **{row['name']}**: {row['holds']}" for row in rows)
    yield ""


def _line(values):
    return f"| {' | '.join(map(str, values))} |"


if __name__ == "__main__":
    print(page(), end="")
