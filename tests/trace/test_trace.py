"""What a trace promises: names, copies, edits and their reach, generation, memory."""

import numpy as np
import pytest

from llama_gguf import Model, ModelError, OutOfMemory, memory
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from ..models.goldens import GOLDENS, RECURRENT, exact, golden, nmse

SAME = 1e-9
IDS = [5, 9, 77, 31, 200, 14, 3, 8, 100, 41]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with Model(tiny(tmp_path_factory.mktemp("m") / "t.gguf", context=256), exact=True, n_threads=1) as model:
        yield model


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    file = tiny(tmp_path_factory.mktemp("m") / "q.gguf", type="Q4_K", width=256, ff=512, layers=3)
    with Model(file, n_threads=1) as model:
        yield model


def test_watching_residuals_of_a_packed_model_changes_no_bit_of_its_logits(packed):
    logits, cache = packed.run_with_cache(IDS, "blk.*.resid_post")
    np.testing.assert_array_equal(logits, packed.logits(IDS))
    assert list(cache) == [f"blk.{i}.resid_post" for i in range(3)]
    assert [t.kind for t in packed.trace(IDS, "blk.*.resid_post").graph.tasks] == [t.kind for t in packed.plan.tasks]


@pytest.mark.parametrize("name", ["ffn_act", "ffn_gate", "attn_out", "ffn_out", "attn_k_rope", "attn_pattern"])
def test_only_what_would_hide_a_watched_value_stays_unfused(packed, name):
    with packed.trace(IDS, f"blk.1.{name}") as some, packed.trace(IDS) as every:
        assert len(packed.plan.tasks) <= len(some.graph.tasks) < len(every.graph.tasks)
        assert nmse(some[f"blk.1.{name}"], every[f"blk.1.{name}"]) < 1e-4
        assert nmse(some.logits, every.logits) < 1e-3


def test_an_edit_of_one_value_alone_acts_as_one_where_all_are_watched(packed):
    """What reads a watched value reads what was written, not an 8-bit copy from before."""
    for name in ("blk.1.ffn_act", "blk.0.attn_norm", "blk.1.attn_z", "blk.1.ffn_out"):
        found = []
        for names in (name, None):
            with packed.trace(IDS, names) as t:
                t[name][3:] *= -2
                found.append(t.logits)
        assert nmse(*found) < 1e-3 < nmse(found[0], packed.logits(IDS)), name


def test_names_of_transformer_lens_are_the_same_values_with_heads_apart(model):
    with model.trace(IDS) as t:
        assert t["blocks.1.hook_resid_post"] is t["blk.1.resid_post"]
        q = t["blocks.1.attn.hook_q"]
        assert q.shape == (10, model.h.heads, model.h.head_dim)
        np.testing.assert_array_equal(q.reshape(10, -1), t["blk.1.attn_q"])
        assert t["blocks.*.attn.hook_k"].shape == (2, 10, model.h.kv_heads, model.h.head_dim)
        np.testing.assert_array_equal(t["resid_post", -1], t["blk.1.resid_post"])
        np.testing.assert_array_equal(t["unembed"], t.logits)
        np.testing.assert_array_equal(t["mlp_out", 0], t["blk.0.ffn_out"])
        np.testing.assert_array_equal(t["normalized", 0, "ln2"], t["blk.0.ffn_norm"])


def test_writing_to_a_value_with_heads_apart_counts(model):
    def zero_head(value, hook):
        value[:, 2] = 0

    heads, size = model.h.heads, model.h.head_dim
    edited = Reference(model, edits={
        "blk.0.attn_z": lambda z: np.where(np.arange(heads * size) // size == 2, np.float32(0), z)
    })
    found = model.run_with_hooks(IDS, [("blocks.0.attn.hook_z", zero_head)])
    assert nmse(found, edited.logits(IDS)) <= SAME


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt-oss", "deepseek2"])
@pytest.mark.parametrize("value", ["attn_pattern", "attn_scores"])
def test_attention_can_be_written_to(name, value):
    """A head that looks at the first token only: by weights, or by scores with their mask."""
    def only_first(x):
        x = x.copy()
        x[1, 1:] = 0 if value == "attn_pattern" else -np.inf
        x[1, 1:, 0] = 1
        return x

    ids, key = golden(name)[0][:12], f"blk.1.{value}"
    with exact(name) as model:
        want = Reference(model, {key: only_first}).logits(ids)
        for names in (None, key):
            with model.trace(ids, names) as t:
                t[key][:] = only_first(t[key])
                assert nmse(t.logits, want) <= SAME
        assert nmse(model.logits(ids), want) > 1e-6


def test_hooks_may_replace_values_and_see_each_others_edits(model):
    seen = []
    logits = model.run_with_hooks(IDS, [
        ("blk.1.resid_post", lambda value, hook: seen.append((hook.name, float(value.std())))),
        ("blk.*.resid_pre", lambda value, hook: value * 0 if hook.layer == 1 else None),
        (lambda name: name == "blk.1.resid_pre", lambda value, hook: value + 1),
    ])
    edited = Reference(model, edits={"blk.1.resid_pre": np.ones_like})
    assert nmse(logits, edited.logits(IDS)) <= SAME
    assert [name for name, _ in seen] == ["blk.1.resid_post"]
    np.testing.assert_array_equal(model.run_with_hooks(IDS, []), model.logits(IDS))


def test_unknown_names_say_what_is_near(model):
    with model.trace(IDS) as t:
        with pytest.raises(KeyError, match=r"near it: .*blk.1.resid_post"):
            t["blk.1.residpost"]
        with pytest.raises(KeyError, match=r"near it: .*blocks.1.hook_resid_p"):
            t["blocks.1.hook_resid_pst"]
        with pytest.raises(KeyError, match=r"layers have .*attn_pattern"):
            t["something else"]
        for name in ("blk.2.resid_post", "blocks.2.hook_resid_post", "blocks.0.mlp.hook_expert_weights"):
            with pytest.raises(KeyError):
                t[name]
    with pytest.raises(KeyError, match="not watched"), model.trace(IDS, "blk.*.resid_post") as t:
        t["blk.0.attn_out"]


@pytest.mark.parametrize("name", GOLDENS)
def test_every_architecture_has_the_standard_names(name):
    with exact(name) as model:
        names = model.trace(golden(name)[0][:3]).session.names
        for layer in range(model.h.layers):
            found = {n.split(".", 2)[2] for n in names if n.startswith(f"blk.{layer}.")}
            assert {"resid_pre", "resid_post"} <= found
            if name != "nemotron_h":  # whose layers are one or the other
                assert "attn_out" in found
                assert {"ffn_out", "ffn_act"} <= found or name in ("mamba", "mamba2", "falcon-mamba")
            assert ("ffn_out" in found) == ("ffn_act" in found)
            assert ("attn_pattern" in found) == ("attn_z" in found)
            if name not in RECURRENT:
                assert {"attn_q", "attn_q_b"} & found or "attn_z" in found
                for hook in ("hook_resid_mid", "hook_attn_out", "hook_mlp_out", "attn.hook_pattern", "mlp.hook_post"):
                    assert f"blocks.{layer}.{hook}" in names


@pytest.mark.parametrize("name", ["bert", "nomic-bert", "jina-bert-v2", "modern-bert", "gemma-embedding"])
def test_encoders_have_them_too_and_what_is_added_adds_up(name):
    ids = [i % 70 for i in IDS]
    with exact(name) as model, model.trace(ids) as t:
        for layer in range(model.h.layers):
            first = f"blk.{layer}."
            assert {first + "attn_out", first + "ffn_out", first + "attn_pattern"} <= set(t.names)
            assert nmse(t[first + "resid_pre"] + t[first + "attn_out"], t[first + "resid_mid"]) <= 1e-12
        assert t["blk.0.attn_pattern"].shape == (model.h.heads, 10, 10)
        np.testing.assert_allclose(t["blk.0.attn_pattern"].sum(-1), 1, rtol=1e-5)
        assert (t["blk.0.attn_pattern"][:, 0, 1:8] > 0).any()  # the first token sees later ones


@pytest.mark.parametrize("name", ["llama", "gemma3", "mamba2", "lfm2", "qwen35", "mixtral"])
@pytest.mark.parametrize("names", [None, "blk.*.resid_post"], ids=["all", "some"])
def test_decode_steps_are_watched_and_edited_and_what_they_leave_is_read_later(name, names):
    """Against one pass of NumPy over the whole text, with the same edits."""
    ids = golden(name)[0][:24]
    with exact(name) as model:
        noise = np.random.default_rng(0).standard_normal(model.h.width).astype(np.float32)
        reference = Reference(model, edits={"blk.0.resid_post": lambda x: x + np.outer(np.arange(24) == 21, noise)})
        want = reference.logits(ids)
        with model.trace(ids[:20], names, max_tokens=4) as t:
            assert nmse(t.logits, want[:20]) <= SAME
            for at in range(20, 24):
                step = t.extend([ids[at]])
                if at == 21:
                    step["blk.0.resid_post"][:] += noise
                last = f"blk.{model.h.layers - 1}.resid_post"
                assert nmse(step[last][0], reference[last][at]) <= SAME
                assert nmse(step.logits[0], want[at]) <= SAME
                if names is None:  # gone by: the step runs again, from the states that it began with
                    first = step["blk.0.resid_pre"]
                    assert nmse(first[0], reference["blk.0.resid_pre"][at]) <= SAME
                    assert nmse(step.logits[0], want[at]) <= SAME
            if "blk.1.attn_pattern" in step.names:
                assert step["blk.1.attn_pattern"].shape == (model.h.layer(1).heads, 1, 24)


def test_generation_follows_the_model_and_its_edits(model):
    plain = model.generate(IDS, max_tokens=6).tokens
    with model.trace(IDS, max_tokens=6) as t:
        steps = list(t.generate(ends=False))
    assert [step.token for step in steps] == plain
    assert "".join(step.text for step in steps)
    with model.trace(IDS, "logits", max_tokens=6) as t:
        t["logits"][-1, 77] += 1000
        found = []
        for step in t.generate():
            step["logits"][0, 78 + len(found)] += 1000
            found.append(step.token)
    assert found == [77, 78, 79, 80, 81, 82]


def test_there_is_no_more_room_than_asked_for_and_a_pass_that_is_over_stays_over(model):
    with model.trace(IDS, max_tokens=2) as t:
        kept = t["blk.0.resid_post"]
        assert len(list(t.generate(ends=False))) == 2
        assert t["blk.0.resid_post"] is kept
        with pytest.raises(ModelError, match="a later one has begun"):
            t["blk.1.resid_post"]
    with pytest.raises(ModelError, match="max_tokens"):
        model.trace(IDS).generate()
    with pytest.raises(ValueError, match="max_tokens"):
        model.trace(IDS, max_tokens=-1)
    with pytest.raises(ModelError, match="a step takes"):
        model.trace(IDS, max_tokens=3).extend([])


def test_what_is_kept_can_be_edited_while_it_is_the_last_made(model):
    with model.trace(IDS, ["blk.0.resid_post", "blk.1.resid_post"]) as t:
        t["blk.1.resid_post"][:] = 0
        with pytest.raises(ValueError, match="read-only"):
            t["blk.0.resid_post"][:] = 0
        assert np.ptp(t.logits, axis=-1).max() < 1e-6
        t.restart()
        assert nmse(t.logits, model.logits(IDS)) <= SAME
        assert t["blk.1.resid_post"].std() > 0


def test_memory_is_stated_and_refused_before_it_is_taken(model, monkeypatch):
    few, many = model.trace(IDS, "blk.0.resid_post"), model.trace(IDS * 20, "blk.*.resid_post")
    assert 4 * 10 * model.h.width < few.nbytes < many.nbytes
    assert f"{many.nbytes / 1e9:.3f} GB" in repr(many)
    monkeypatch.setattr(memory, "available", lambda: 50_000)
    with pytest.raises(OutOfMemory, match=r"needs .* GB for 200 tokens and 2 kept values, and 0.0 GB are free"):
        model.trace(IDS * 20, "blk.*.resid_post")


def test_attention_of_more_tokens_than_any_memory_holds_is_refused(model):
    with pytest.raises(OutOfMemory, match="watch fewer values"):
        model.trace(IDS * 20_000)


def test_values_are_selected_by_names_patterns_functions_and_several_of_them(model):
    def kept(names):
        return [value.name for value in model.trace(IDS, names).kept]

    both = ["blk.0.resid_post", "blk.1.resid_post"]
    assert kept("blk.*.resid_post") == kept(tuple(both)) == kept(both) == kept(["*.resid_post", both[0]]) == both
    assert kept(("resid_post", -1)) == kept([("resid_post", 1)]) == both[1:]
    assert kept(lambda name: name.endswith("1.resid_post")) == kept("blocks.1.hook_resid_post") == both[1:]
    assert kept([]) == kept(()) == kept(None) == []


def test_the_plan_of_a_trace_prints(model):
    with model.trace(IDS) as t:
        assert "blk.1.attn_pattern" in repr(t.graph) and "llama.py:" in str(t.graph)
        assert "10 tokens through llama" in repr(t) and "0 edited" in repr(t)
        assert {"blk.0.attn_q", "blocks.0.attn.hook_q"} <= set(t._ipython_key_completions_())


def test_a_cache_of_values_is_a_mapping(model):
    logits, cache = model.run_with_cache(IDS)
    assert nmse(logits, model.logits(IDS)) <= SAME
    assert cache["pattern", 1].shape == (model.h.heads, 10, 10)
    assert cache["blk.*.resid_post"].shape == (2, 10, model.h.width)
    assert "blocks.1.hook_resid_mid" in cache and "nothing" not in cache and len(cache) == len(list(cache))
    cache["resid_post", 0][:] = 0  # it is the caller's
    assert str(len(cache)) in repr(cache)
    _, few = model.run_with_cache(IDS, "blk.0.resid_post")
    with pytest.raises(KeyError, match="was not kept"):
        few["blk.1.resid_post"]


def test_a_model_that_was_traced_runs_the_plan_that_it_ran_before(packed):
    """Whoever does not look pays nothing: the plan is the same one, and no step of it has changed."""
    before, table = packed.plan, str(packed.plan)
    packed.run_with_cache(IDS)
    with packed.trace(IDS) as t:
        assert t["blk.0.resid_post"].size
        packed.generate(IDS, max_tokens=2)
    assert packed.plan is before and str(packed.session().planned) == table
