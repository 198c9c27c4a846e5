"""Notebooks run from top to bottom, and what is committed of them is their source's, small, and without errors."""

import re
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("*.py"))
LARGEST = 300_000
SECONDS = 240


def cells(notebook):
    return [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]


def test_there_are_notebooks():
    assert SOURCES and {p.stem for p in SOURCES} == {p.stem for p in FOLDER.glob("*.ipynb")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_both_forms_are_the_same(source):
    """`jupytext --to ipynb --execute notebooks/NAME.py` makes the second of the first."""
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert cells(notebook) == cells(jupytext.read(source))
    parameters = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(parameters) == 1 and 'MODEL = "' in parameters[0].source


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_outputs_are_there_and_small(source):
    path = source.with_suffix(".ipynb")
    text = path.read_text(encoding="utf-8")
    assert len(text) < LARGEST
    assert not re.search(r"/(root|home|tmp|opt|work)/|<script", text)
    code = [c for c in nbformat.reads(text, as_version=4).cells if c.cell_type == "code"]
    assert all(c.execution_count for c in code)
    assert not [o for c in code for o in c.outputs if o.output_type == "error"]


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_notebook_runs(source, smollm2, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))  # the kernel is to import what the tests do
    notebook = jupytext.read(source)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace('MODEL = "smollm2"', f"MODEL = {str(smollm2)!r}")
    how = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=how).execute()
