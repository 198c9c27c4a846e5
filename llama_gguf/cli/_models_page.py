"""The page docs/models.md, from the model files and the measured figures:

    python -m llama_gguf.cli._models_page tests/data/models.json > docs/models.md
"""

import json
import sys
from pathlib import Path

from llama_gguf.models import registry

INTRODUCTION = """\
# Models

Each family is one short file in `llama_gguf/models/`; what it says of itself is in the table. This page is made from
those files and from figures that `python benchmarks/models.py --peer-python VENV/bin/python --write` measured, by
`python -m llama_gguf.cli._models_page tests/data/models.json > docs/models.md`.

A file of another architecture is refused by name, and so is one of these with a tensor that the family's file does not
read, with a shape that does not fit, or with a hyperparameter outside its domain: nothing runs as if it were llama.

How fast mixtures and recurrent models run is in [performance.md](performance.md#mixtures-and-recurrent-models).
"""

MEASURED = """\
## Verified with

Goldens are tiny random models with the logits that other engines gave for them; they lie in `tests/data/goldens`. The
tests run each in float and packed kernels, with every instruction set, as a prompt, token by token, in batches and in
halves of layers. Architectures that are not in this table have random files that are made when a test runs, and what
llama.cpp made of the same files (`tests/models/more_families.py`, `random_mixtures.py`, `random_models.py`,
`more_vectors.py`): NMSE of 1e-12 at most, 1e-6 where llama.cpp takes GELU from a table. Phi 3.5 MoE and the groups of
DeepSeek V2's experts, which llama.cpp reads otherwise, have transformers' (`sparse_mixer.py`, `deepseek_groups.py`).

* **transformers**, **llama.cpp**: NMSE of float arithmetic (`exact=True`) against those logits. llama.cpp takes some
  functions (GELU) from tables of halves; families without a figure of transformers have llama.cpp's alone, and Gemma
  3n, which llama.cpp runs in its published sizes only, that of transformers.
* **Q8_0**, **Q4_K**: all matrices in that type; NMSE of our packed kernels and of llama.cpp against the same model in
  NumPy on the dequantized weights, and their ratio: below 1, ours is nearer to the truth.
"""


def page(figures):
    """The whole page as Markdown; `figures`: golden name -> what benchmarks/models.py found."""
    modules = {module: module.NAMES for module in registry().values()}
    return "\n".join([INTRODUCTION, *_families(modules), "", MEASURED, *_goldens(figures), ""])


def _families(modules):
    yield _line(("family", "`general.architecture`", "what is unusual"))
    yield _line(("---",) * 3)
    for module, names in sorted(modules.items(), key=lambda item: item[0].__name__):
        file = module.__name__.rpartition(".")[2]
        yield _line((f"[{file}](../llama_gguf/models/{file}.py)", ", ".join(names), " ".join(module.__doc__.split())))


def _goldens(figures):
    titles = ["golden", "architecture", "transformers", "llama.cpp"]
    titles += [f"{kind} {who}" for kind in ("Q8_0", "Q4_K") for who in ("ours", "llama.cpp", "ratio")]
    yield _line(titles)
    yield _line(["---"] * 2 + ["---:"] * (len(titles) - 2))
    for name, told in sorted(figures.items(), key=lambda item: (item[1]["arch"], item[0])):
        cells = [name, told["arch"], *(_number(told.get(k)) for k in ("transformers", "llama_cpp"))]
        for kind in ("Q8_0", "Q4_K"):
            ours, theirs = (told.get(kind, {}).get(k) for k in ("ours", "llama_cpp"))
            cells += [_number(ours), _number(theirs), f"{ours / theirs:.2f}" if ours and theirs else "-"]
        yield _line(cells)


def _number(value):
    return "-" if value is None else f"{value:.1e}"


def _line(values):
    return f"| {' | '.join(map(str, values))} |"


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
