"""Whole models agree with transformers, with their reference, and with themselves in any order of steps."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.errors import ModelError
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from .goldens import GOLDENS, RECURRENT, closest, exact, golden, nmse, reference

SAME = 1e-10  # two orders of the same float32 sums
OUTSIDE = 1e-12  # another engine's float32; 5e-14 is usual
TABLE = 1e-6  # llama.cpp takes GELU from a table of halves, and the tanh form where a model has the exact one
RAMP = 1e-8  # llama.cpp rounds YaRN's ramp to whole pairs where the model does not
GELU = (
    "bloom", "falcon", "gemma", "gemma2", "gemma3", "gemma4", "gemma4-moe", "gpt2", "gptneox", "mpt", "phi2",
    "starcoder", "starcoder2",
)
CACHED = {  # keys and values rounded to F16 (2**-11 each): llama.cpp's own error, where scores are large or layers many
    "baichuan-alibi": 4.9e-8 * 1.1, "gemma3": 7.4e-8, "gemma4": 1.7e-7, "gemma4-moe": 1.0e-7, "glm4": 8.0e-8,
    "nemotron": 3.1e-8, "olmo2": 1.8e-7, "gemma3n": 7.4e-8 * 1.1,  # this one NumPy's, with keys and values as halves
}
SMALL_SCORES = 1e-8  # the same for the other models
FLIPPED = 1e-4  # a last bit may tip an 8-bit code, 1 / 127 of its block; the codes themselves cost 3e-4


@pytest.mark.parametrize("name", GOLDENS)
@pytest.mark.parametrize("peer", ["transformers", "llama_cpp"])
def test_logits_equal_those_of_others(isa, name, peer):
    ids, logits = golden(name)
    with exact(name) as model:
        limit = {"gpt-oss": RAMP, **dict.fromkeys(GELU, TABLE)}.get(name, OUTSIDE) if peer == "llama_cpp" else OUTSIDE
        if peer in logits:
            assert nmse(model.logits(ids), logits[peer]) <= limit


@pytest.mark.parametrize("name", GOLDENS)
def test_logits_equal_those_of_the_reference(isa, name):
    with exact(name) as model:
        assert nmse(model.logits(golden(name)[0]), reference(name)) <= SAME


@pytest.mark.parametrize("name", GOLDENS)
def test_the_reference_equals_transformers(name):
    assert nmse(reference(name), closest(name)) <= OUTSIDE


@pytest.mark.parametrize("name", GOLDENS)
def test_the_default_cache_costs_little(isa, name):
    """F16 keys and values, and kernels that fuse what they can."""
    with exact(name, exact=False) as model:
        error = nmse(model.logits(golden(name)[0]), closest(name))
    assert error <= CACHED.get(name, SMALL_SCORES)


@pytest.mark.parametrize("name", GOLDENS)
def test_prefill_equals_token_by_token(isa, name):
    ids = golden(name)[0]
    with exact(name) as model:
        whole = model.logits(ids)
        session = model.session()
        single = np.concatenate([session.forward([i]) for i in ids])
    assert nmse(single, whole) <= SAME


@pytest.mark.parametrize("name", GOLDENS)
def test_the_last_row_alone_is_the_last_of_every_row(isa, name):
    ids = golden(name)[0]
    with exact(name) as model:
        whole = model.logits(ids)
        assert nmse(model.session().forward(ids), whole[-1:]) <= SAME
        rows = model.session().step(ids, [0] * len(ids), wanted=[5, 0, 47])
        assert nmse(rows, whole[[5, 0, 47]]) <= SAME


@pytest.mark.parametrize("name", GOLDENS)
def test_four_sequences_decoded_in_one_batch_equal_each_alone(isa, name):
    ids = golden(name)[0]
    texts = [ids[i : i + n] for i, n in ((0, 40), (3, 25), (9, 30), (20, 18))]
    with exact(name) as model:
        alone = [model.logits(text) for text in texts]
        session = model.session(n_seq=4)
        for s, text in enumerate(texts):
            session.forward(text[:-10], seq=s)
        for back in range(10, 0, -1):
            rows = session.step([text[-back] for text in texts], [0, 1, 2, 3])
            for row, logits in zip(rows, alone, strict=True):
                assert nmse(row, logits[-back]) <= SAME


@pytest.mark.parametrize("name", GOLDENS)
def test_two_plans_of_half_the_layers_chained_equal_the_whole(isa, name):
    ids = golden(name)[0]
    with exact(name) as model:
        for cut in range(1, model.h.layers):
            if reads_across(model.h, cut):
                with pytest.raises(ModelError, match=r"blk\.\d+ reads keys and values of blk\.\d+"):
                    model.session(layers=range(cut, model.h.layers))
                continue
            first = model.session(layers=range(cut))
            second = model.session(layers=range(cut, model.h.layers))
            prefill = second.forward(first.forward(ids[:40]), every=True)
            decode = [second.forward(first.forward([i])) for i in ids[40:]]
            assert nmse(np.concatenate([prefill, *decode]), model.logits(ids)) <= SAME


def reads_across(h, cut):
    """Does a layer behind a cut read keys of one before it?"""
    return any(source < cut <= layer for layer, source in enumerate(getattr(h.extra, "sources", ())))


@pytest.mark.parametrize("name", ["llama", "mistral"])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("value", ["resid_pre", "resid_mid", "resid_post", "attn_out", "ffn_out", "attn_q", "attn_z"])
def test_writing_a_value_equals_doing_so_in_the_reference(isa, name, layer, value):
    """Activation patching: the engine's own memory is written between two records."""
    ids, key = golden(name)[0][:20], f"blk.{layer}.{value}"
    rng = np.random.default_rng(0)
    with exact(name) as model:
        clean = Reference(model)
        clean.logits(ids)
        noise = rng.standard_normal(clean[key].shape).astype(np.float32) * clean[key].std()
        edited = Reference(model, edits={key: lambda x: x + noise})
        want = edited.logits(ids)
        with model.trace(ids) as t:
            t[key][:] += noise
            assert nmse(t.logits, want) <= SAME
        assert nmse(want, clean["logits"]) > 1e-3
        assert nmse(model.logits(ids), clean["logits"]) <= SAME


@pytest.mark.parametrize("name", GOLDENS)
def test_every_watched_value_is_that_of_the_reference(isa, name):
    ids = golden(name)[0][:30]
    with exact(name) as model:
        ref = Reference(model)
        ref.logits(ids)
        with model.trace(ids) as t:
            names = [n for n in t.names if n in ref.names]
            assert {"blk.0.resid_post", "blk.1.attn_out", "logits"} <= set(names)
            if name not in RECURRENT:
                assert {"blk.0.attn_pattern", "blk.1.ffn_act"} <= set(names)
            for n in names:
                if not n.endswith("attn_scores"):
                    assert nmse(t[n], ref[n]) <= SAME, n
                else:
                    seen = np.isfinite(ref[n])
                    np.testing.assert_array_equal(np.isfinite(t[n]), seen)
                    assert nmse(t[n][seen], ref[n][seen]) <= SAME


def in_all_ways(model, ids):
    """Logits of a prefill, of decoding, and of a batch of three sequences."""
    session = model.session(n_seq=3)
    session.forward(ids[:20], seq=1)
    session.forward(ids[:33], seq=2)
    batch = [session.step([ids[i], ids[20 + i], ids[33 + i]], [0, 1, 2]) for i in range(10)]
    single = model.session()
    return [model.logits(ids), np.concatenate([single.forward([i]) for i in ids]), np.concatenate(batch)]


@pytest.mark.parametrize("how", ["exact", "default", "mapped"])
@pytest.mark.parametrize("type", ["F32", "F16", "Q4_0", "Q8_0"])
def test_the_number_of_threads_does_not_change_a_bit(isa, type, how, tmp_path):
    file = tiny(tmp_path / "t.gguf", type=type, width=160, heads=5, kv_heads=1, ff=224, biases=True)
    ids = np.random.default_rng(0).integers(0, 256, 50).tolist()
    options = {"exact": {"exact": True}, "default": {}, "mapped": {"repack": False}}[how]
    with Model(file, n_threads=1, **options) as model:
        one = in_all_ways(model, ids)
    for n in (2, 3):
        with Model(file, n_threads=n, **options) as model:
            for a, b in zip(in_all_ways(model, ids), one, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("type", ["F32", "Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q6_K"])
def test_fused_equals_unfused(isa, type, tmp_path):
    """A plan that fuses nothing and shows attention gives the same logits."""
    file = tiny(tmp_path / "t.gguf", type=type, width=256, ff=512, biases=True, qk_norms=True)
    ids = np.random.default_rng(0).integers(0, 256, 70).tolist()
    with Model(file, n_threads=1, n_ctx=128) as model:
        fused, session = model.logits(ids), model.session(kv_type="F16")
        fused_tasks, session.planned = session.planned.tasks, session.build(visible=True, keys=128)
        assert len(session.planned.tasks) > len(fused_tasks)
        limit = SAME if type == "F32" else FLIPPED
        assert nmse(session.forward(ids, every=True), fused) <= limit


@pytest.mark.parametrize("shape", [
    {"layers": 1}, {"tied": True}, {"biases": True}, {"qk_norms": True}, {"heads": 4, "kv_heads": 4},
    {"heads": 4, "kv_heads": 1}, {"head_dim": 20}, {"head_dim": 8, "heads": 7, "kv_heads": 7},
    {"width": 100, "head_dim": 10},
    {"ff": 1}, {"ff": 33}, {"eps": 0.1}, {"rope_base": 1e6}, {"heads": 1, "kv_heads": 1, "head_dim": 256},
], ids=str)
def test_shapes_of_every_kind_equal_the_reference(isa, shape, tmp_path):
    with Model(tiny(tmp_path / "t.gguf", **shape), exact=True, n_threads=2) as model:
        ids = np.random.default_rng(0).integers(0, 256, 40).tolist()
        session, want = model.session(), Reference(model).logits(ids)
        prefill = session.forward(ids[:30], every=True)
        decode = [session.forward([i]) for i in ids[30:]]
        assert nmse(np.concatenate([prefill, *decode]), want) <= SAME


@pytest.mark.parametrize("scaling", [
    {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0},
    {"llama.rope.scale_linear": 4.0},
    {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0,
     "llama.rope.scaling.original_context_length": 64},
    {"llama.rope.dimension_count": 8},
], ids=["linear", "old-linear", "yarn", "partial"])
def test_rope_variants_equal_the_reference_and_differ_from_plain(isa, scaling, tmp_path):
    ids = np.random.default_rng(0).integers(0, 256, 40).tolist()
    with Model(tiny(tmp_path / "t.gguf", metadata=scaling), exact=True) as model:
        found = model.logits(ids)
        assert nmse(found, Reference(model).logits(ids)) <= SAME
    with Model(tiny(tmp_path / "plain.gguf"), exact=True) as model:
        assert nmse(model.logits(ids), found) > 1e-6


def test_an_f32_cache_is_taken_on_request(isa):
    ids = golden("llama")[0]
    with exact("llama", exact=False) as model:
        half = nmse(model.session(kv_type="F16").forward(ids, every=True), reference("llama"))
        full = nmse(model.session(kv_type="F32").forward(ids, every=True), reference("llama"))
    assert full <= SAME < half <= SMALL_SCORES


def test_the_smaller_the_cache_the_larger_the_error():
    """All types, through a model: prompt and single tokens, and a trace."""
    ids, errors = golden("llama")[0], []
    for kv_type in ("f32", "F16", "q8_0", "Q4_0"):
        with exact("llama", kv_type=kv_type) as model:
            found = model.logits(ids)
            assert model.main.cache.kv_type == kv_type.upper()
            with model.trace(ids) as t:
                assert nmse(t.logits, found) <= SAME
                pattern = t["blk.0.attn_pattern"]
            np.testing.assert_allclose(pattern.sum(-1), 1, rtol=1e-5)
            session = model.session()
            assert nmse(np.concatenate([session.forward([i]) for i in ids]), found) <= SAME
        errors.append(nmse(found, reference("llama")))
    assert errors == sorted(errors)
    assert errors[1] < errors[2] / 10 and errors[2] < errors[3] / 10, errors


def test_the_plan_prints_as_a_table_with_the_model_files_lines():
    with exact("llama") as model:
        text = str(model.plan)
    assert "blk.0.attn_q" in text and "llama.py:" in text
