"""Whole files: what llama-quantize writes, streamed, and written whole or not at all."""

import os
import subprocess
import sys
import time

import gguf
import numpy as np
import pytest

from llama_gguf.errors import Cancelled, ModelError
from llama_gguf.gguf import GGUFFile, Typed, write_gguf
from llama_gguf.quantize import Imatrix, Recipe, plan_file, quantize_file
from llama_gguf.quantize.targets import recipe_for_size
from llama_gguf.testing import tiny


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("quantize") / "tiny.gguf", width=256, ff=512, tied=True)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.gguf"


def tensors_of(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("file_type", ["F16", "BF16", "Q8_0", "Q4_1"])
def test_gguf_py_reads_what_is_no_worse_than_its_own(file_type, source, out):
    quantize_file(source, out, Recipe(file_type, pure=True))
    was, now = tensors_of(source), tensors_of(out)
    types = [t.tensor_type.name for t in now.values()]
    assert was.keys() == now.keys() and {"F32", file_type} <= set(types) and types.count("F32") == 5
    for name, t in now.items():
        theirs = gguf.quants.dequantize(gguf.quants.quantize(was[name].data, t.tensor_type), t.tensor_type)
        ours = gguf.quants.dequantize(t.data, t.tensor_type)
        assert np.linalg.norm(ours - was[name].data) <= np.linalg.norm(theirs - was[name].data)


def plain(path):
    """Metadata as {key: (kind, value or list)}."""
    with GGUFFile(path) as file:
        items = file.metadata.typed().items()
        return {k: (t.kind, list(t.value) if hasattr(t.value, "kind") else t.value) for k, t in items}


def test_metadata_is_the_sources_with_what_llama_quantize_sets(source, out):
    quantize_file(source, out, "Q5_0", overrides={"general.name": "new", "tokenizer.ggml.model": None})
    before = {k: v for k, v in plain(source).items() if k not in ("general.name", "tokenizer.ggml.model")}
    new = {"general.quantization_version": ("u32", 2), "general.file_type": ("u32", 8), "general.name": ("str", "new")}
    assert list(plain(out).items()) == list((before | new).items())


def test_the_model_runs_and_is_as_large_as_planned(source, out):
    from llama_gguf import Model

    plan = plan_file(source, "Q8_0", errors=True)
    result = quantize_file(source, out, "Q8_0")
    assert sum(t.n_bytes for t in GGUFFile(out).tensors.values()) == plan.n_bytes
    assert os.path.getsize(out) == result.bytes_after
    assert {bool(t.error) for t in plan.changing} == {True} and max(t.error for t in plan.changing) < 0.01
    with Model(source) as exact, Model(out) as model:
        a, b = exact.logits([1, 2, 3]), model.logits([1, 2, 3])
        assert np.abs(a - b).max() < 0.1 * np.abs(a).max()


def test_predicted_error_is_the_error_of_the_file(source, out):
    plan = plan_file(source, "Q4_0", errors=True)
    assert "bits per weight" in repr(plan) and "blk.1.ffn_up.weight" in plan._repr_html_()
    quantize_file(source, out, "Q4_0")
    was = {t.name: t.data for t in gguf.GGUFReader(source).tensors}
    for t in gguf.GGUFReader(out).tensors:
        planned = next(p for p in plan.tensors if p.name == t.name)
        if planned.changes:
            x, y = was[t.name], gguf.quants.dequantize(t.data, t.tensor_type)
            assert planned.error == pytest.approx(np.linalg.norm(x - y) / np.linalg.norm(x), rel=0.02)


def test_each_expert_has_importance_of_its_own(tmp_path, out):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 8, 64)).astype(np.float32)
    path = tmp_path / "experts.gguf"
    write_gguf(path, {"general.architecture": "llama", "llama.expert_count": 2},
               [("blk.0.ffn_up_exps.weight", "F32", values.shape, values)])
    weights = np.ones((2, 64))
    weights[0, :8] = weights[1, -8:] = 1e4
    quantize_file(path, out, "Q4_0", Imatrix.of({"blk.0.ffn_up_exps.weight": (weights, [1, 1])}))
    (tensor,) = gguf.GGUFReader(out).tensors
    error = np.square(gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(2, 8, 64) - values).mean(1)
    assert error[0, :8].mean() < error[1, :8].mean() and error[1, -8:].mean() < error[0, -8:].mean()


def test_impossible_wishes_are_refused_before_anything_is_written(source, out, tmp_path):
    for recipe in ("IQ2_XXS", Recipe("Q8_0", token_embedding_type="IQ1_S")):
        with pytest.raises(ModelError, match="useless without importance"):
            quantize_file(source, out, recipe)
    strange = Imatrix.of({"blk.0.attn_q.weight": (np.ones(64), 1)})
    with pytest.raises(ModelError, match="another model"):
        quantize_file(source, out, "Q8_0", strange)
    assert not os.listdir(tmp_path)
    quantize_file(source, out, "Q8_0")
    with pytest.raises(ModelError, match=r"Q8_0 already.*--allow-requantize"):
        quantize_file(out, tmp_path / "again.gguf", "Q4_0")
    quantize_file(out, tmp_path / "again.gguf", "Q4_0", requantize=True)
    with pytest.raises(ModelError, match="Q8_0 already"):
        recipe_for_size(out, bits_per_weight=6)
    quantize_file(out, tmp_path / "wide.gguf", "F16")  # loses nothing
    quantize_file(out, tmp_path / "same.gguf", "COPY")
    assert (tmp_path / "same.gguf").read_bytes() == out.read_bytes()


def test_a_weight_that_is_not_finite_is_named(tmp_path, out):
    bad = np.ones((256, 256), np.float32)
    bad[7, 3] = np.nan
    path = tiny(tmp_path / "bad.gguf", width=256, ff=256, tensors={"blk.1.ffn_down.weight": bad})
    with pytest.raises(ModelError, match=r"blk\.1\.ffn_down\.weight"):
        quantize_file(path, out, "Q8_0")
    assert sorted(os.listdir(tmp_path)) == ["bad.gguf"]


def test_progress_counts_bytes_and_a_cancel_leaves_the_old_file(source, out):
    told = []
    quantize_file(source, out, "Q8_0", progress=lambda *step: told.append(step))
    done, total, name = told[-1]
    assert done == total == plan_file(source, "Q8_0").n_bytes and name.startswith("blk.1.")
    old = out.read_bytes()
    with pytest.raises(Cancelled):
        quantize_file(source, out, "Q4_0", force=True, cancel=lambda: len(told) > 1)
    assert out.read_bytes() == old and os.listdir(out.parent) == ["out.gguf"]


def test_shards_are_joined_or_kept(source, tmp_path, out):
    tensors = list(GGUFFile(source).tensors.values())
    half = len(tensors) // 2
    for i, part in enumerate((tensors[:half], tensors[half:])):
        keys = {"split.no": Typed(i, "u16"), "split.count": Typed(2, "u16"),
                "split.tensors.count": Typed(len(tensors), "i32")}
        keys = (GGUFFile(source).metadata.typed() if i == 0 else {}) | keys
        write_gguf(tmp_path / f"s-0000{i + 1}-of-00002.gguf", keys, [(t.name, t.type, t.shape, t) for t in part])
    first = tmp_path / "s-00001-of-00002.gguf"
    quantize_file(source, out, "Q8_0")
    quantize_file(first, tmp_path / "joined.gguf", "Q8_0")
    assert (tmp_path / "joined.gguf").read_bytes() == out.read_bytes()
    result = quantize_file(first, tmp_path / "kept.gguf", "Q8_0", keep_split=True)
    assert [os.path.basename(p) for p in result.paths] == ["kept-00001-of-00002.gguf", "kept-00002-of-00002.gguf"]
    whole, kept = GGUFFile(out).tensors, GGUFFile(result.paths[0]).tensors
    assert {n: bytes(t.raw) for n, t in kept.items()} == {n: bytes(t.raw) for n, t in whole.items()}
    with pytest.raises(FileExistsError, match="also an input"):
        quantize_file(first, first, "Q8_0", force=True)


def test_the_input_is_never_the_output(source, tmp_path):
    os.link(source, tmp_path / "hard.gguf")
    for name in (source, tmp_path / "hard.gguf"):
        with pytest.raises(FileExistsError, match="also an input"):
            quantize_file(source, name, "Q8_0", force=True)


def test_an_unwritable_folder_is_named(source, tmp_path):
    with pytest.raises(OSError) as caught:
        quantize_file(source, tmp_path / "absent" / "out.gguf", "Q8_0")
    assert "absent" in str(caught.value)


KILLED = """
import sys
from llama_gguf.quantize import quantize_file
print("ready", flush=True)
quantize_file(sys.argv[1], sys.argv[2], "Q8_0", force=True, cancel=lambda: __import__("time").sleep(0.01))
"""


def test_killed_at_any_moment_the_old_file_stays(source, out):
    """Fourteen slabs with a pause each; killed while they are written, at different times."""
    out.write_bytes(b"old")
    for delay in (0.0, 0.05, 0.1):
        child = subprocess.Popen([sys.executable, "-c", KILLED, source, out], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay)
        child.kill()
        child.communicate()
        assert out.read_bytes() == b"old"
    quantize_file(source, out, "Q8_0", force=True)  # sweeps what the killed ones left
    assert os.listdir(out.parent) == ["out.gguf"] and GGUFFile(out).tensors


FULL = """
import resource, signal, sys
from llama_gguf.quantize import quantize_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
quantize_file(sys.argv[1], sys.argv[2], "Q8_0", force=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file-size limits")
def test_a_full_disk_leaves_the_old_file_and_names_what_is_missing(source, out):
    out.write_bytes(b"old")
    for room in (10, 100_000):
        child = subprocess.run([sys.executable, "-c", FULL, source, out, str(room)], capture_output=True, text=True)
        assert child.returncode == 1 and "bytes are needed" in child.stderr and "out.gguf" in child.stderr
        assert out.read_bytes() == b"old" and os.listdir(out.parent) == ["out.gguf"]
