"""The lens: every number against another way to it, with NumPy or with an edited pass."""

import numpy as np
import pytest

from llama_gguf import Model, ModelError, lens
from llama_gguf.lens.attention import keys_of
from llama_gguf.lens.head import best, divergence, entropy, log_softmax
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from ..models.goldens import GOLDENS, MIXTURES, exact, golden, nmse

IDS = [5, 9, 77, 31, 200, 14, 3, 8]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with Model(tiny(tmp_path_factory.mktemp("m") / "t.gguf", layers=3), exact=True, n_threads=1) as model:
        yield model


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "phi2", "command-r", "granite", "mamba2", "mixtral"])
def test_the_head_of_any_residual_is_the_end_of_the_model(name):
    """The last residual gives the logits; another one, what the reference gives where all later layers are put out."""
    ids = golden(name)[0][:12]
    with exact(name) as model:
        head, last = lens.Head(model), f"blk.{model.h.layers - 1}.resid_post"
        logits, cache = model.run_with_cache(ids, ["blk.0.resid_post", last])
        assert nmse(head.logits(cache[last]), logits) <= 1e-9
        early = Reference(model, {last: lambda x: cache["blk.0.resid_post"]}).logits(ids)
        assert nmse(head.logits(np.repeat(cache["blk.0.resid_post"], 30, 0))[::30], early) <= 1e-9


def test_logit_lens_equals_its_definition(model):
    found = lens.logit_lens(model, IDS, top=4)
    ref = Reference(model)
    final = softmax(ref.logits(IDS))
    residuals = [ref["blk.0.resid_pre"], *(ref[f"blk.{i}.resid_post"] for i in range(3))]
    for i, x in enumerate(residuals):
        p = softmax(Reference(model, {"blk.2.resid_post": lambda _, x=x: x}).logits(IDS))
        np.testing.assert_array_equal(found.ids[i], np.argsort(-p, -1)[:, :4])
        np.testing.assert_allclose(found.probs[i], -np.sort(-p, -1)[:, :4], rtol=1e-4)
        np.testing.assert_allclose(found.entropy[i], -(p * np.log(p)).sum(-1), rtol=1e-5)
        np.testing.assert_allclose(found.kl[i], (final * np.log(final / p)).sum(-1), atol=1e-6)
        order = np.argsort(np.argsort(-p, -1), -1)
        np.testing.assert_array_equal(found.rank[i], order[np.arange(len(IDS)), final.argmax(-1)])
    assert (found.rank[-1] == 0).all() and (found.kl[-1] < 1e-9).all()
    assert "<table" in found._repr_html_() and "KL from" in found._repr_html_()


def test_top_tokens_are_those_of_the_logits(model):
    found, p = lens.top_tokens(model, IDS, k=3), softmax(model.logits(IDS))
    np.testing.assert_array_equal(found.ids, np.argsort(-p, -1)[:, :3])
    np.testing.assert_allclose(found.probs, -np.sort(-p, -1)[:, :3], rtol=1e-5)
    assert len(found.texts[0]) == 3 and "<table" in found._repr_html_()


def test_impossible_tokens_do_not_spoil_entropy():
    log_p = log_softmax(np.array([0.0, 0.0, -np.inf, -np.inf]))
    assert entropy(log_p) == pytest.approx(np.log(2))
    assert divergence(log_p, log_softmax(np.zeros(4))) == pytest.approx(np.log(2))
    np.testing.assert_array_equal(best(np.array([1.0, 3.0, 3.0, 2.0]), 3), [1, 2, 3])


NO_SUMS = ("gemma3n", "gemma4", "gemma4-moe")  # whose layers scale or mix what they leave


@pytest.mark.parametrize("name", NO_SUMS)
def test_no_attribution_where_the_residual_is_no_sum(name):
    with exact(name) as model, pytest.raises(ModelError, match="not the sum of its branches"):
        lens.attribution(model, golden(name)[0][:12], token=40)


@pytest.mark.parametrize("by", ["layer", "head", "neuron"])
@pytest.mark.parametrize("name", [name for name in GOLDENS if name not in NO_SUMS])
def test_attributions_add_up_to_the_logit(name, by):
    """Without a cap or scale after the head they are the logits themselves."""
    ids = golden(name)[0][:12]
    with exact(name) as model:
        found = lens.attribution(model, ids, token=40, against=50, row=7, by=by)
        logits = model.logits(ids)[7].astype(np.float64)
        cap = getattr(model.h.extra, "logit_cap", 0)
        logits = cap * np.arctanh(logits / cap) if cap else logits
        want = logits[40] - logits[50]
        assert found.total == pytest.approx(want, abs=2e-4 * max(1, np.abs(logits).max()))
        assert found.logit == pytest.approx(want, abs=1e-4 * max(1, np.abs(logits).max()))
        layers = {int(part.split(".")[1]) for part in found.parts}
        assert layers == set(range(model.h.layers))


def test_a_heads_share_is_what_its_removal_takes_from_the_last_layer(model):
    """After the last layer only the norm's scale stands between a head and the logit: put it back to compare."""
    found = lens.attribution(model, IDS, token=40, by="head")
    size = model.h.head_dim
    edited = Reference(model)
    edited.logits(IDS)
    z, w = edited["blk.2.attn_z"][-1], model.tensors["blk.2.attn_output.weight"].numpy()
    norm = model.tensors["output_norm.weight"].numpy()
    head = w[:, size : 2 * size] @ z[size : 2 * size]
    x = edited["blk.2.resid_post"][-1]
    rows = model.tensors["output.weight"] if "output.weight" in model.tensors else model.tensors["token_embd.weight"]
    want = (head / np.sqrt((x**2).mean() + model.h.eps) * norm) @ rows.numpy()[40]
    assert found.parts["blk.2.attn_out.heads"][1] == pytest.approx(want, rel=1e-3)
    assert found.parts["blk.2.attn_out.heads"].shape == (model.h.heads,)
    assert lens.attribution(model, IDS, by="neuron").parts["blk.1.ffn_out.neurons"].shape == (model.h.ff,)
    assert found.top(3)[0][2] == max((v for *_, v in found.top(999)), key=abs)
    for by in ("layer", "head", "neuron"):
        assert "<svg" in lens.attribution(model, IDS, by=by)._repr_html_()


def test_tokens_to_attribute_to_are_ids_or_texts_of_one_token(model):
    one = lens.attribution(model, IDS, model.detokenize([40]))
    assert one.logit == pytest.approx(lens.attribution(model, IDS, 40).logit)
    with pytest.raises(ValueError, match="one is wanted"):
        lens.attribution(model, IDS, model.detokenize([40]) + "?" + model.detokenize([41]))
    with pytest.raises(ValueError, match="by is one of"):
        lens.attribution(model, IDS, by="word")
    for row in (8, -9):
        with pytest.raises(ValueError, match="one of 8 tokens"):
            lens.attribution(model, IDS, row=row)
    with pytest.raises(ModelError, match="not in 0"):
        lens.attribution(model, IDS, 10**6)


def test_head_scores_count_the_keys_they_should():
    ids = [1, 7, 8, 9, 7, 8]
    for name, want in {
        "first": {(i, 0) for i in range(1, 6)},
        "previous": {(i, i - 1) for i in range(1, 6)},
        "current": {(i, i) for i in range(1, 6)},
        "duplicate": {(4, 1), (5, 2)},
        "induction": {(4, 2), (5, 3)},
    }.items():
        assert {tuple(map(int, at)) for at in np.argwhere(keys_of(ids, name))} == want, name


def test_attention_maps_are_those_of_the_trace(model):
    ids = [1, 7, 8, 9, 7, 8]
    found = lens.attention(model, ids)
    ref = Reference(model)
    ref.logits(ids)
    np.testing.assert_allclose(found.pattern, [ref[f"blk.{i}.attn_pattern"] for i in range(3)], atol=1e-6)
    np.testing.assert_allclose(found.scores["induction"], found.pattern[:, :, [4, 5], [2, 3]].mean(-1), rtol=1e-5)
    np.testing.assert_allclose(found.scores["previous"], found.pattern[:, :, range(1, 6), range(5)].mean(-1), rtol=1e-5)
    layer, head, score = found.top("previous", 1)[0]
    assert score == found.scores["previous"].max() == found.scores["previous"][layer, head]
    assert "<svg" in found._repr_html_() and "<svg" in found.map(1, 2)
    assert np.isnan(lens.attention(model, [5, 6, 7]).scores["induction"]).all()


def test_induction_heads_of_a_trained_model_are_found(smollm2):
    with Model(smollm2) as model:
        found = lens.induction(model, n=16)
        assert found.top("induction", 1)[0][2] > 0.5 > np.nanmedian(found.scores["induction"]) * 5
        assert len(found.tokens) == 32 + len(model.tokenize(""))


def test_norms_and_statistics_are_numpys(model):
    ref = Reference(model)
    ref.logits(IDS)
    found = lens.norms(model, IDS)
    names = "blk.0.resid_pre", *(f"blk.{i}.resid_post" for i in range(3))
    want = [np.sqrt((ref[name].astype(float) ** 2).mean(-1)) for name in names]
    np.testing.assert_allclose(found.resid, want, rtol=1e-4)
    row, x = lens.statistics(model, IDS)["blk.1.ffn_act"], ref["blk.1.ffn_act"].astype(float)
    assert row["mean"] == pytest.approx(x.mean(), abs=1e-6) and row["std"] == pytest.approx(x.std(), rel=1e-4)
    assert row["max"] == pytest.approx(np.abs(x).max(), rel=1e-4)
    assert (row["token"], row["channel"]) == np.unravel_index(np.abs(x).argmax(), x.shape)
    assert row["kurtosis"] == pytest.approx((((x - x.mean()) / x.std()) ** 4).mean() - 3, abs=1e-3)
    worst = lens.statistics(model, IDS, "blk.*.attn_scores").worst("max", 1)[0]
    assert worst["nan"] == 4 * 28  # what is not to be seen: heads times the pairs above the diagonal
    assert "<table" in lens.statistics(model, IDS)._repr_html_() and "<svg" in found._repr_html_()


@pytest.mark.parametrize("name", [name for name in MIXTURES if name != "deepseek2"])
def test_routing_is_that_of_the_reference(name):
    ids = golden(name)[0][:10]
    with exact(name) as model:
        found, ref = lens.routing(model, ids), Reference(model)
        ref.logits(ids)
        for layer in found.layers:
            np.testing.assert_array_equal(found.ids[layer], ref[f"blk.{layer}.ffn_moe_topk"])
            assert nmse(found.weights[layer], ref[f"blk.{layer}.ffn_moe_weights"]) <= 1e-9
        np.testing.assert_allclose(found.load.sum(-1), 1)
        assert "load of the experts" in found._repr_html_() and found.load.shape[1] == model.h.routing.count


def test_models_without_experts_have_no_routing(model):
    with pytest.raises(ModelError, match="no experts"):
        lens.routing(model, IDS)


@pytest.mark.parametrize("name", ["llama", "lfm2"])
def test_sweeps_equal_passes_that_are_edited_one_by_one(name):
    """What a sweep does not run again has no effect: windows, states and caches are as they were."""
    ids, other = golden(name)[0][:6], golden(name)[0][6:12]
    with exact(name) as model:
        found = lens.patch(model, ids, other)
        theirs, source = model.run_with_cache(other, "blk.*.resid_pre")
        ours = model.logits(ids)
        a, b = int(theirs[-1].argmax()), int(ours[-1].argmax())
        for layer in range(model.h.layers):
            for at in range(6):
                with model.trace(ids, f"blk.{layer}.resid_pre") as t:
                    t[f"blk.{layer}.resid_pre"][at] = source["resid_pre", layer][at]
                    want = t.logits[-1]
                assert found.effect[layer, at] == pytest.approx(want[a] - want[b], abs=1e-4)
        assert lens.patch(model, ids, other, "resid_post").restored[-1, -1] == pytest.approx(1, abs=1e-4)
        assert found.before == pytest.approx(ours[-1, a] - ours[-1, b], abs=1e-5)
        assert "<svg" in found._repr_html_() and "resid_pre" in repr(found)


def test_ablation_equals_a_pass_without(model):
    metric = lambda logits: float(logits[-1, 40])  # noqa: E731
    with pytest.raises(ValueError, match="'median'"):
        lens.ablate(model, IDS, with_="median")
    found = lens.ablate(model, IDS, "ffn_out", metric=metric, with_="mean")
    ref = Reference(model)
    ref.logits(IDS)

    def without(x):
        x = x.copy()
        x[4] = x.mean(0)
        return x

    want = metric(Reference(model, {"blk.1.ffn_out": without}).logits(IDS))
    assert found.effect[1, 4] == pytest.approx(want, abs=1e-4) != found.before
    heads = lens.ablate_heads(model, IDS, metric=metric)
    columns = np.arange(model.h.heads * model.h.head_dim) // model.h.head_dim == 2
    want = metric(Reference(model, {"blk.1.attn_z": lambda z: np.where(columns, np.float32(0), z)}).logits(IDS))
    assert heads.effect[1, 2] == pytest.approx(want, abs=1e-4) and heads.tokens is None
    assert lens.ablate(model, IDS).before < 0
    with pytest.raises(ModelError, match="give a metric"):
        lens.patch(model, IDS, IDS)
    with pytest.raises(ModelError, match="must match"):
        lens.patch(model, IDS, IDS[:3])


def test_models_without_weights_and_texts_without_tokens_are_refused(model):
    with Model(model.path, vocab_only=True) as bare:
        for look in (lens.logit_lens, lens.attribution, lens.attention, lens.norms, lens.statistics, lens.routing,
                     lens.ablate, lens.top_tokens, lambda m, ids: lens.train_steering(m, [ids], [ids])):
            with pytest.raises(ModelError, match="vocab_only"):
                look(bare, IDS)
    for look in (lens.logit_lens, lens.attention, lens.norms, lens.statistics, lens.ablate, lens.top_tokens):
        with pytest.raises(ModelError, match="no tokens"):
            look(model, [])


def test_encoders_have_no_predictions_but_attention():
    with exact("bert") as model:
        ids = [i % 70 for i in IDS]
        assert np.isfinite(lens.attention(model, ids).pattern).all()
        assert np.isfinite(lens.norms(model, ids).resid).all()
        with pytest.raises(ModelError, match="use embed"):
            lens.logit_lens(model, ids)
        with pytest.raises(ModelError, match="use embed"):
            lens.attribution(model, ids)


def test_metrics_take_ids_and_texts_of_tokens(model):
    logits = model.logits(IDS)
    p = softmax(logits)
    assert lens.log_probability(model, 40)(logits) == pytest.approx(np.log(p[-1, 40]), rel=1e-6)
    text = model.detokenize([40])
    assert lens.logit_difference(model, text, 41, row=2)(logits) == pytest.approx(logits[2, 40] - logits[2, 41])
