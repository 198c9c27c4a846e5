"""Steering vectors: what they do to logits (llama.cpp does the same), their training, their files."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from llama_gguf import FormatError, Model, ModelError
from llama_gguf.gguf import write_gguf
from llama_gguf.lens import SteeringVector, train_steering
from llama_gguf.lens.steering import principal
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from ..models.goldens import GOLDENS, exact, golden, nmse

STEERED = Path(__file__).parent.parent / "data" / "steered.npz"
IDS = [5, 9, 77, 31, 200, 14, 3, 8]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with Model(tiny(tmp_path_factory.mktemp("m") / "t.gguf", layers=4), exact=True, n_threads=1) as model:
        yield model


def random_vector(model, layers, seed=0):
    rng = np.random.default_rng(seed)
    return SteeringVector({i: rng.standard_normal(model.h.width) for i in layers})


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2", "mixtral", "phi2"])
def test_a_control_vector_steers_as_in_llama_cpp(name):
    """Prefill and token by token; llama.cpp's own distance to the plain logits is the measure."""
    want = {key: np.load(STEERED)[f"{name}/{key}"] for key in ("ids", "directions", "logits")}
    ids, tokens = want["ids"].tolist(), golden(name)
    apart = nmse(tokens[1]["llama_cpp"][:12], Reference(exact(name)).logits(ids))
    with exact(name) as model:
        vector = SteeringVector(dict(enumerate(want["directions"], 1)))
        with model.steer(vector):
            found, session = model.logits(ids), model.session()
            single = np.concatenate([session.forward([i]) for i in ids])
        assert nmse(found, want["logits"]) <= max(4 * apart, 1e-9)
        assert nmse(single, found) <= 1e-9
        assert nmse(model.logits(ids), want["logits"]) > 1e-2


@pytest.mark.parametrize("name", GOLDENS)
def test_every_architecture_adds_it_to_what_leaves_the_layer(name):
    """Against NumPy; what reads the residual in 8 bits, or normed, reads the sum."""
    ids = golden(name)[0][:10]
    with exact(name) as model:
        vector = random_vector(model, range(model.h.layers))
        edits = {f"blk.{i}.resid_post": lambda x, v=v: x + np.tile(v, model.h.streams)
                 for i, v in vector.directions.items()}
        with model.steer(vector):
            assert nmse(model.logits(ids), Reference(model, edits).logits(ids)) <= 1e-9


def test_packed_weights_are_steered_in_the_same_plan(tmp_path):
    """One short record more for each layer; values that are read in 8 bits follow."""
    with Model(tiny(tmp_path / "t.gguf", "olmo2", type="Q4_0", layers=3), n_threads=1) as model:
        vector, plain = random_vector(model, [0, 2]), model.plan
        edits = {f"blk.{i}.resid_post": lambda x, v=v: x + v for i, v in vector.directions.items()}
        want = Reference(model, edits).logits(IDS)
        unsteered = nmse(model.logits(IDS), Reference(model).logits(IDS))
        with model.steer(vector):
            kinds = [t.kind for t in model.plan.tasks]
            assert sorted(kinds) == sorted([*(t.kind for t in plain.tasks), "add", "add"])
            assert nmse(model.logits(IDS), want) < 3 * unsteered
        assert model.plan is plain


def test_strength_scales_and_vectors_add_up(model):
    a, b = random_vector(model, [1, 2]), random_vector(model, [2, 3], 1)
    with model.steer(a * 2 + b):
        want = model.logits(IDS)
    with model.steer(a, 2.0), model.steer(b):
        np.testing.assert_allclose(model.logits(IDS), want, atol=1e-5)
        model.generate(IDS, max_tokens=2)
    with model.steer(-a, -2), model.steer(b):
        np.testing.assert_allclose(model.logits(IDS), want, atol=1e-5)
    with model.steer(a, 0.0):
        np.testing.assert_allclose(model.logits(IDS), plain := model.logits(IDS), atol=1e-6)
    assert nmse(want, plain) > 1e-2 and model.steering == {}


def test_traces_within_see_the_steered_residual(model):
    vector = random_vector(model, [1])
    with model.trace(IDS) as t:
        before = t["blk.1.resid_post"]
    with model.steer(vector), model.trace(IDS) as t:
        np.testing.assert_allclose(t["blk.1.resid_post"], before + vector.at(1), atol=1e-5)


def test_an_error_inside_ends_the_steering(model):
    plain = model.logits(IDS)
    with pytest.raises(RuntimeError), model.steer(random_vector(model, [1])):
        raise RuntimeError
    np.testing.assert_array_equal(model.logits(IDS), plain)


@pytest.mark.parametrize("pairs", [True, False])
def test_the_principal_component_is_the_planted_direction(pairs):
    """Pairs of texts that differ along one axis, among differences between texts that are larger in all others."""
    rng = np.random.default_rng(0)
    axis = np.eye(20)[3]
    texts = rng.standard_normal((40, 20)) * (5 if pairs else 0.3)
    has, lacks = texts + 1.5 * axis, texts - 1.5 * axis + 0.1 * rng.standard_normal((40, 20))
    found, share = principal(has, lacks if pairs else lacks[:30])
    assert found @ axis / np.linalg.norm(found) > 0.99
    np.testing.assert_allclose(np.linalg.norm(found), 3, rtol=0.1)
    assert 0.5 < share <= 1


@pytest.mark.parametrize("method", ["mean", "pca"])
def test_steering_moves_residuals_towards_the_texts_it_was_trained_on(model, method):
    rng = np.random.default_rng(0)
    texts = [rng.integers(5, 250, 9).tolist() for _ in range(8)]
    vector = train_steering(model, [[*t, 40] for t in texts], [[*t, 90] for t in texts], method=method, layers=[2])

    def lean():
        return float(model.run_with_cache(IDS, "blk.2.resid_post")[1]["blk.2.resid_post"][-1] @ vector.at(2))

    plain = lean()
    with model.steer(vector, 2):
        np.testing.assert_allclose(lean() - plain, 2 * vector.at(2) @ vector.at(2), rtol=1e-4)


def test_the_mean_is_the_difference_of_means(model):
    vector = train_steering(model, [[5, 6], [7, 8]], [[9, 10]], position="mean")
    rows = {}
    for ids in ([5, 6], [7, 8], [9, 10]):
        rows[ids[0]] = model.run_with_cache(ids, "blk.2.resid_post")[1]["blk.2.resid_post"][1]
    np.testing.assert_allclose(vector.at(2), (rows[5] + rows[7]) / 2 - rows[9], atol=1e-5)
    assert sorted(vector.directions) == [1, 2, 3]


def test_files_are_those_of_llama_cpp(model, tmp_path):
    """As gguf-py reads them: names, types and keys that common_control_vector_load wants."""
    vector, path = random_vector(model, [1, 3]), tmp_path / "v.gguf"
    vector.model_hint = "llama"
    vector.save(path)
    reader = gguf.GGUFReader(path)
    assert [t.name for t in reader.tensors] == ["direction.1", "direction.3"]
    assert all(t.tensor_type == gguf.GGMLQuantizationType.F32 and list(t.shape) == [64] for t in reader.tensors)
    np.testing.assert_array_equal(reader.tensors[1].data, vector.at(3))
    fields = {k: f.contents() for k, f in reader.fields.items() if "." in k and not k.startswith("GGUF")}
    assert fields == {
        "general.architecture": "controlvector", "controlvector.model_hint": "llama", "controlvector.layer_count": 2
    }
    assert reader.fields["controlvector.layer_count"].types == [gguf.GGUFValueType.INT32]
    again = SteeringVector.load(path)
    assert again.model_hint == "llama" and sorted(again.directions) == [1, 3]
    np.testing.assert_array_equal(again.at(1), vector.at(1))
    with pytest.raises(FileExistsError):
        vector.save(path)


def test_bad_vectors_and_files_are_refused(model, tmp_path):
    with pytest.raises(ModelError, match="no direction for layer 0"):
        random_vector(model, [0, 1]).save(tmp_path / "zero.gguf")
    with pytest.raises(ModelError, match="layers up to 4"), model.steer(random_vector(model, [4])):
        pass
    with pytest.raises(ModelError, match="32 values"), model.steer(SteeringVector({1: np.ones(32)})):
        pass
    with pytest.raises(ValueError, match="not finite"):
        SteeringVector({1: [1.0, np.nan]})
    with pytest.raises(ValueError, match="one width"):
        SteeringVector({1: [1.0], 2: [1.0, 2.0]})
    keys = {"general.architecture": "controlvector"}
    row = np.ones(4, np.float32).tobytes()
    for name, tensors in {
        "none": [],
        "zero": [("direction.0", "F32", (4,), row)],
        "other": [("blk.0.x", "F32", (4,), row)],
        "flat": [("direction.1", "F32", (2, 2), row)],
        "half": [("direction.1", "F16", (8,), row)],
    }.items():
        write_gguf(tmp_path / f"{name}.gguf", keys, tensors)
        with pytest.raises(FormatError, match=name + ".gguf"):
            SteeringVector.load(tmp_path / f"{name}.gguf")
    with pytest.raises(FormatError, match="no control vector"):
        SteeringVector.load(model.path)
    with pytest.raises(ValueError, match="method"):
        train_steering(model, ["a"], ["b"], method="magic")
    with pytest.raises(ValueError, match="lists of texts"):
        train_steering(model, "a", ["b"])


def test_embeddings_are_steered_too():
    with exact("bert") as model:
        plain = model.embed("abc")
        with model.steer(random_vector(model, [1])):
            assert np.abs(model.embed("abc") - plain).max() > 1e-3
        np.testing.assert_array_equal(model.embed("abc"), plain)


def test_steering_of_two_threads_ends_in_any_order(model):
    """A in, B in, A out, B out: each takes its own away."""
    a, b, plain = random_vector(model, [1]), random_vector(model, [1, 2], 1), model.logits(IDS)
    first, second = model.steer(a), model.steer(b, 2.0)
    first.__enter__()
    second.__enter__()
    with model.with_tensor("blk.0.attn_q.weight") as other:
        assert np.array_equal(other.logits(IDS), plain)
    first.__exit__(None, None, None)
    alone = model.logits(IDS)
    second.__exit__(None, None, None)
    assert np.array_equal(model.logits(IDS), plain) and not model.steering
    with model.steer(b, 2.0):
        assert np.array_equal(model.logits(IDS), alone)
