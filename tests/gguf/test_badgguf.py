"""Every malformed file ends in one typed error: no crash, no hang, no memory bomb."""

import json
import subprocess
import sys
from contextlib import suppress

import pytest

OPEN_ALL = """
import json, resource, sys, time
from pathlib import Path
from llama_gguf.errors import FormatError, ModelError
from llama_gguf.gguf import GGUFFile, LazyArray

def used(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))

limit = used("VmSize") + (256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(Path(sys.argv[1]).glob("*.gguf")):
    start, error = time.monotonic(), None
    try:
        with GGUFFile(path) as file:
            for value in file.metadata.values():
                value.tolist() if isinstance(value, LazyArray) else value
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    seconds = time.monotonic() - start
    print(json.dumps([path.name, error, seconds]))
print(json.dumps(["peak", None, used("VmHWM")]))
"""


@pytest.fixture(scope="module")
def outcomes(badgguf):
    """name -> (error or None, seconds), all from one process that must survive."""
    if sys.platform != "linux":
        pytest.skip("memory is limited and measured as Linux does it")
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, str(badgguf)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return {name: (error, number) for name, error, number in rows}


def index(badgguf):
    return json.loads((badgguf / "index.json").read_text())


def test_every_file_ends_as_the_index_says(badgguf, outcomes):
    """A fault of a later stage (hyperparameters, tokenizer, template) leaves the file sound."""
    wrong = {}
    for name, entry in index(badgguf).items():
        refuse = entry["expect"] == "error" and entry["stage"] in ("container", "split")
        error = outcomes[name][0]
        typed = error and error.startswith(("FormatError", "ModelError"))
        if bool(typed) != refuse or (error and not typed):
            wrong[name] = error
    assert not wrong


def test_errors_name_the_file_and_are_one_line(badgguf, outcomes):
    for name, (error, _) in outcomes.items():
        if error:
            assert str(badgguf) in error and "\n" not in error, name


def test_no_file_takes_two_seconds_or_256_megabytes(outcomes):
    assert outcomes["peak"][1] < 256 << 20
    assert max(seconds for name, (_, seconds) in outcomes.items() if name != "peak") < 2


@pytest.mark.parametrize("name", ["tensor_offset_gap.gguf", "tensor_offsets_swapped_order.gguf"])
def test_harmless_faults_only_warn_when_not_strict(badgguf, name):
    from llama_gguf.gguf import GGUFFile

    with pytest.warns(UserWarning, match="tensor"), GGUFFile(badgguf / name, strict=False) as file:
        assert len(file.tensors) == 21


def test_overlap_is_refused_even_when_not_strict(badgguf):
    from llama_gguf.errors import FormatError
    from llama_gguf.gguf import GGUFFile

    with pytest.warns(UserWarning), pytest.raises(FormatError, match="overlap"):
        GGUFFile(badgguf / "tensor_offset_overlap_full.gguf", strict=False)


def test_sizing_and_editing_end_in_typed_errors_too(badgguf, tmp_path):
    """Whatever a header says, what is made of it is a number or one of our errors; a key can be set where it opens."""
    from llama_gguf import GGUFFile, edit, sizing
    from llama_gguf.errors import LlamaGGUFError

    sized = edited = 0
    for path in sorted(badgguf.glob("*.gguf")):
        with suppress(LlamaGGUFError):
            with GGUFFile(path, alone=True) as file:
                keys = dict(file.metadata.typed())
                with suppress(LlamaGGUFError):
                    sized += sizing.estimate(file, n_ctx=64).total > 0
            edit.set_value(path, "general.name", "x", out=tmp_path / "x.gguf", force=True)
            with GGUFFile(tmp_path / "x.gguf", alone=True) as file:
                new = file.metadata.typed()
                edited += new.keys() == keys.keys() | {"general.name"} and new["general.name"].value == "x"
    assert sized > 20 and edited > 60
