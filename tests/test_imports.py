"""The shape of the house: who imports whom, what is public, how long things may be."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import llama_gguf

ROOT = Path(__file__).parents[1]
PYTHON = sorted(ROOT.glob("llama_gguf/**/*.py"))
CYTHON = sorted([*ROOT.glob("pyx/**/*.p[yx]*"), *ROOT.glob("llama_gguf/engine/*.pxd")])

# A module imports from its own row and the rows above it; from `engine` anyone may.
LAYERS = (
    "errors pictures",
    "gguf blocks",
    "engine",
    "vocab hparams unread sets rope routing weights graph forward nn reference models",
    "cache lowering planner",
    "memory session sizing estimate sampling generation trace lens embedding chat shown",
    "catalogue elsewhere pypi transfer hub remote shelf",
    "quantize evaluate",
    "model",
    "convert checks testing edit cards",
    "make makeable",
    "panels ipython",
    "cli __main__",
)
ROW = {name: row for row, names in enumerate(LAYERS) for name in names.split()}

# More than 300 lines in a file or 60 in a function need a reason.
LONG_FILES = {
    "llama_gguf/engine/blocks.pxd": "one packed struct per tensor type",
    "llama_gguf/blocks/twins.py": "one twin per tensor type",
    "pyx/iq_tables.pxi": "constants of the format",
}
LONG_FUNCTIONS = {
    "pyx/dequant.pxi::type_row": "two lines per tensor type",
}

PUBLIC = {
    "Model",
    "GGUFFile",
    "LlamaGGUFError",
    "FormatError",
    "ModelError",
    "TemplateError",
    "ContextOverflow",
    "OutOfMemory",
    "NameNotFound",
    "HubUnreachable",
    "__version__",
}
HEAVY = {"numpy", "huggingface_hub", "tokenizers", "jinja2", "ipywidgets", "tqdm"}


def part(path):
    """The name in LAYERS that a source file belongs to; "" for the package itself."""
    inside = path.relative_to(ROOT).with_suffix("").parts
    name = "engine" if inside[0] == "pyx" else inside[1]
    return "" if name == "__init__" else name


def imported_parts(path):
    """Names in LAYERS that a Python file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if "gguf." in alias.name)
        elif isinstance(node, ast.ImportFrom):
            yield from parts_of(node, path)


def parts_of(node, path):
    package = list(path.relative_to(ROOT).parts[: -node.level or None]) if node.level else []
    whole = package + (node.module or "").split(".")
    whole = [word for word in whole if word]
    if whole[0] != "llama_gguf":
        return
    if len(whole) > 1:
        yield whole[1]
    else:
        home = {**llama_gguf.LAZY, "__version__": "llama_gguf.errors"}
        yield from (home.get(a.name, f"llama_gguf.{a.name}").split(".")[1] for a in node.names)


def functions(path):
    """(name, lines) of every function of a Python or Cython file, nested ones too."""
    lines = path.read_text().splitlines()
    for start, line in enumerate(lines):
        found = re.match(r"( *)(?:async )?(?:def|cpdef|cdef(?! class))\b[^=(]*?(\w+)\(", line)
        if found:
            yield found[2], body_length(lines, start, len(found[1]))


def body_length(lines, start, indent):
    """Lines from a `def` to the last one that is indented deeper."""
    last = start
    closing = indent * " " + ")"  # a signature over several lines closes at the def's own indent
    for number, line in enumerate(lines[start + 1 :], start + 1):
        if line.strip() and not line.startswith((" " * (indent + 1), closing)):
            break
        last = number if line.strip() else last
    return last - start + 1


def test_imports_point_up_the_list_only():
    wrong = []
    for path in PYTHON:
        for name in imported_parts(path):
            assert name in ROW, f"{path} imports llama_gguf.{name}: give it a row in LAYERS"
            if part(path) and name != "engine" and ROW[name] > ROW[part(path)]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_every_module_has_a_row():
    assert {part(path) for path in PYTHON} - {""} <= set(ROW)


def test_the_engine_imports_nothing_above_it():
    for path in CYTHON:
        names = re.findall(r"^\s*(?:from|c?import) llama_gguf\.(\w+)", path.read_text(), re.M)
        assert set(names) <= {"engine", "gguf", "errors"}, path


def test_no_architecture_is_named_outside_models():
    """In a comparison, that is. quantize/filetypes.py has tables by architecture, which recipes.py looks up: the rules
    are llama-quantize's, and hold for files that nothing here runs, too.
    """
    named = re.compile(r"\barch(?:itecture)?\b[\"'\])]*\s*(?:==|!=|in|not in)\s*[(\[{\"']")
    outside = [p for p in (*PYTHON, *CYTHON) if part(p) != "models"]
    assert not [p for p in outside if named.search(p.read_text())]


def test_long_files_have_a_reason():
    sizes = {path: len(path.read_text().splitlines()) for path in (*PYTHON, *CYTHON)}
    long = {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 300}
    assert long.keys() <= LONG_FILES.keys(), long


def test_long_functions_have_a_reason():
    long = {
        f"{path.relative_to(ROOT)}::{name}": size
        for path in (*PYTHON, *CYTHON)
        for name, size in functions(path)
        if size > 60
    }
    assert long.keys() <= LONG_FUNCTIONS.keys(), long


def test_public_names_are_these():
    assert set(llama_gguf.__all__) == PUBLIC
    assert set(dir(llama_gguf)) == PUBLIC
    for name in PUBLIC:
        assert getattr(llama_gguf, name)
    with pytest.raises(AttributeError):
        llama_gguf.no_such_name  # noqa: B018


def test_version_is_that_of_the_project():
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{llama_gguf.__version__}"' in project


@pytest.mark.parametrize("statement", ["import llama_gguf", "main(['--help'])"])
def test_start_up_imports_nothing_heavy(statement):
    code = f"""if 1:
        import atexit, json, sys
        atexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr))
        from llama_gguf.cli import main
        {statement}"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(json.loads(done.stderr))


def test_the_module_is_the_program():
    command = [sys.executable, "-m", "llama_gguf", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Usage: llama-gguf" in done.stdout
