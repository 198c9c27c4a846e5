"""One tensor swapped, the map of sensitivities, and two files in lock-step."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.errors import FormatError, ModelError
from llama_gguf.evaluate.damage import compare
from llama_gguf.gguf import GGUFFile, GGUFWriter
from llama_gguf.quantize.rows import quantize_rows
from llama_gguf.testing import tiny

TEXT = "the cat sat on the mat and looked at the moon"
NAME = "blk.1.ffn_down.weight"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tiny(tmp_path_factory.mktemp("damage") / "tiny.gguf", type="Q8_0", ff=128, layers=3)
    with Model(path) as model:
        yield model


def rewritten(model, path, name, type, raw):
    """A file of its own in which one tensor is another."""
    tensors = [
        (t.name, type if t.name == name else t.type.name, t.shape, raw if t.name == name else t.raw)
        for t in model.tensors.values()
    ]
    GGUFWriter(path, model.metadata.typed(), tensors).write()
    return path


@pytest.mark.parametrize("exact, repack", [(False, True), (False, False), (True, True)])
@pytest.mark.parametrize("name", [NAME, "token_embd.weight", "blk.0.attn_q.weight", "output.weight"])
def test_a_swapped_tensor_is_that_of_a_file_written_so(model, tmp_path, name, exact, repack):
    raw = quantize_rows(model.tensors[name].numpy(), "Q4_0")
    path = rewritten(model, tmp_path / "swapped.gguf", name, "Q4_0", raw)
    how = dict(exact=exact, repack=repack)
    with Model(path, **how) as wanted, Model(model.path, **how) as base:
        before = base.logits(TEXT)
        swapped = base.with_tensor(name, "Q4_0")
        np.testing.assert_array_equal(swapped.logits(TEXT), wanted.logits(TEXT))
        assert str(swapped.tensors[name].type) == "Q4_0" and np.abs(wanted.logits(TEXT) - before).max() > 1e-4
        np.testing.assert_array_equal(base.logits(TEXT), before)
        swapped.close()
        np.testing.assert_array_equal(base.logits(TEXT), before)


def test_only_that_tensor_is_packed(model, monkeypatch):
    from llama_gguf.engine import panels

    packed, real = [], panels.pack
    swapped = model.with_tensor(NAME, "Q4_0")
    monkeypatch.setattr(panels, "pack", lambda jobs, n: packed.extend(jobs) or real(jobs, n))
    swapped.logits(TEXT)
    assert len({id(job[0].base) for job in packed}) <= 1 and sum(job[0].nbytes for job in packed) == (
        swapped.tensors[NAME].n_bytes
    )


def test_values_can_be_given(model):
    zeros = model.with_tensor(NAME, values=np.zeros(model.tensors[NAME].shape))
    assert not zeros.tensors[NAME].numpy().any() and zeros.tensors[NAME].type.name == "Q8_0"
    same = model.with_tensor(NAME)
    np.testing.assert_array_equal(same.logits(TEXT), model.logits(TEXT))
    assert same.tensors[NAME].stats()["mean"] == model.tensors[NAME].stats()["mean"]
    twice = same.with_tensor("blk.0.attn_q.weight", "F32")
    assert twice.tensors["blk.0.attn_q.weight"].type.name == "F32" and twice.generate(TEXT, max_tokens=2).tokens
    np.testing.assert_array_equal(
        twice.tensors["blk.0.attn_q.weight"].numpy(), model.tensors["blk.0.attn_q.weight"].numpy()
    )


@pytest.mark.parametrize(
    "name, how, error",
    [
        ("nothing", {}, KeyError),
        ("blk.*.ffn_down.weight", dict(type="Q4_0"), ValueError),
        (NAME, dict(type="Q9"), ModelError),
        (NAME, dict(type="Q4_K"), FormatError),
        (NAME, dict(values=np.zeros((2, 2))), ValueError),
        (NAME, dict(values=np.full((64, 128), np.nan)), ModelError),
        ("blk.0.attn_norm.weight", dict(type="Q4_0"), ModelError),
    ],
)
def test_what_cannot_be_swapped_is_refused(model, name, how, error):
    with pytest.raises(error):
        model.with_tensor(name, **how)


def test_a_swapped_model_outlives_nothing(tmp_path):
    base = Model(tiny(tmp_path / "tiny.gguf"))
    swapped = base.with_tensor("blk.0.attn_q.weight", "Q8_0")
    base.close()
    with pytest.raises(ModelError, match="closed"):
        swapped.logits(TEXT)


def test_sensitivity_is_the_divergence_of_each_swap(model):
    found = model.sensitivity("Q4_0", TEXT, pattern="blk.*.ffn_*.weight")
    assert set(found.values) == {t for t in model.tensors if ".ffn_" in t and "norm" not in t}
    wanted = model.with_tensor(NAME, "Q4_0").kl_divergence(model, TEXT)
    assert found.values[NAME] == pytest.approx(wanted.kl, rel=1e-6)
    values, layers, kinds = found.matrix()
    assert values.shape == (3, 3) and layers == [0, 1, 2] and "ffn_down" in kinds
    assert values[1, kinds.index("ffn_down")] == found.values[NAME]
    ET.fromstring(found._repr_html_())
    json.dumps(found.to_dict())


def test_sensitivity_by_error_weighs_columns(model):
    tensor = model.tensors[NAME]
    weights = np.linspace(0.1, 3, tensor.shape[1]).astype(np.float32)
    x = tensor.numpy()
    kept = GGUFFile(model.path).tensors[NAME]
    found = model.sensitivity("Q4_0", measure="error", pattern=NAME, weights={NAME: weights}).values[NAME]
    y = model.with_tensor(NAME, "Q4_0", weights=weights).tensors[NAME].numpy().astype(np.float64)
    wanted = np.sqrt((weights * (x - y) ** 2).sum() / (weights * x.astype(np.float64) ** 2).sum())
    assert found == pytest.approx(wanted, rel=1e-6)
    np.testing.assert_array_equal(kept.raw, model.tensors[NAME].raw)


def test_what_does_not_fit_is_left_out_and_said(model):
    with pytest.raises(ModelError, match="not whole blocks of 256"):
        model.sensitivity("Q4_K", TEXT)
    with pytest.raises(ModelError, match="no tensor type"):
        model.sensitivity("Q99", TEXT)
    with pytest.raises(ValueError, match="text"):
        model.sensitivity("Q4_0")


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def test_damage_is_told_layer_by_layer(model):
    """Against whole traces, and logits, compared in NumPy."""
    with Model(model.path, exact=True) as base:
        other = base.with_tensor(NAME, "Q4_0")
        found = other.quant_damage(base, TEXT)
        names = found.names
        a, b = (m.run_with_cache(TEXT, names)[1] for m in (base, other))
        p, q = (log_softmax(m.logits(TEXT)) for m in (base, other))
    for i, name in enumerate(names):
        x, y = a[name].astype(np.float64), b[name].astype(np.float64)
        nx, ny = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
        np.testing.assert_allclose(found.relative[i], np.linalg.norm(x - y, axis=1) / nx, atol=1e-6)
        np.testing.assert_allclose(found.cosine[i], (x * y).sum(1) / nx / ny, atol=1e-6)
    np.testing.assert_allclose(found.kls[-1], (np.exp(p) * (p - q)).sum(1), rtol=1e-3, atol=1e-6)
    assert found.base_top.tolist() == p.argmax(1).tolist() and found.top.tolist() == q.argmax(1).tolist()
    assert [place for place, _, _ in found.flipped] == np.flatnonzero(p.argmax(1) != q.argmax(1)).tolist()
    assert found.relative[: names.index("blk.1.ffn_out")].max() == 0
    assert found.first_divergence(1e-6)[0] == "blk.1.ffn_out" and found.kls[0].max() < 1e-9
    ET.fromstring(found._repr_html_())
    json.dumps(found.to_dict())


def test_files_that_are_the_same_do_not_part(model):
    found = model.quant_damage(model, TEXT, lens=False)
    assert found.first_divergence() is None and not found.flipped and found.kl < 1e-9
    assert np.isnan(found.kls[0]).all()
    ET.fromstring(found._repr_html_())


def test_files_of_different_models_are_refused(model, tmp_path):
    with Model(tiny(tmp_path / "deeper.gguf", layers=4)) as deeper, pytest.raises(ModelError, match="one model"):
        deeper.quant_damage(model, TEXT)


def test_a_file_of_nan_parts_at_once(model):
    damage = model.quant_damage(model, TEXT)
    assert damage.first_divergence() is None
    damage.relative[2:] = np.nan
    assert damage.first_divergence()[0] == damage.names[2]
    json.dumps(damage.to_dict(), allow_nan=False)


def test_values_that_are_zero_in_both_do_not_part():
    some = np.array([[0, 0], [0, 0], [3, 4]], np.float32)
    relative, _ = compare(some, np.array([[0, 0], [1, 0], [3, 3]], np.float32))
    np.testing.assert_allclose(relative, [0, np.inf, 0.2])
