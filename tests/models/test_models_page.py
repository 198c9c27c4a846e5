"""docs/models.md is what the model files and the measured figures make of it."""

import json
from pathlib import Path

from llama_gguf.cli import _models_page
from llama_gguf.models import registry

ROOT = Path(__file__).parents[2]


def test_the_page_is_that_of_the_files_and_figures():
    figures = json.loads((ROOT / "tests/data/models.json").read_text())
    how = "run python -m llama_gguf.cli._models_page tests/data/models.json > docs/models.md"
    assert (ROOT / "docs/models.md").read_text() == _models_page.page(figures), how


def test_every_figure_is_within_the_contract():
    """Float arithmetic agrees with others; packed kernels are nearer to the truth than llama.cpp's."""
    for name, told in json.loads((ROOT / "tests/data/models.json").read_text()).items():
        assert told["arch"] in registry(), name
        assert told.get("transformers", 0) <= 1e-9 and told.get("llama_cpp", 0) <= 1e-6, name
        assert all(told[kind]["ours"] <= told[kind]["llama_cpp"] for kind in ("Q8_0", "Q4_K") if told[kind]), name
