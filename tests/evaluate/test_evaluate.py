"""Perplexity, divergence and scores are what NumPy makes of the logits in double precision, and llama.cpp's numbers."""

import json
import pickle
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.errors import ContextOverflow, FormatError, ModelError
from llama_gguf.evaluate import base_file, divergence, perplexity
from llama_gguf.evaluate.rows import kl_of_logits
from llama_gguf.testing import tiny

TEXT = "the cat sat on the mat and looked at the moon over the old town, " * 6


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two files of one model, the second with fewer bits."""
    folder = tmp_path_factory.mktemp("evaluate")
    paths = [tiny(folder / f"{kind}.gguf", type=kind, ff=128) for kind in ("F32", "Q4_0")]
    with Model(paths[0], exact=True) as base, Model(paths[1], exact=True) as other:
        yield base, other


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def windows(model, n_ctx):
    """(log p (scored, n_vocab), targets) of each window, by the rule of llama-perplexity, one `logits` call each."""
    ids = model.tokenize(TEXT, special=False)
    for start in range(0, len(ids) - n_ctx + 1, n_ctx):
        part = ids[start : start + n_ctx]
        seen = [model.tokenizer.bos, *part[1:]] if model.tokenizer.add_bos else part
        first = n_ctx // 2
        yield log_softmax(model.logits(seen))[first : n_ctx - 1], part[first + 1 :]


def surprises(model, n_ctx):
    return np.concatenate([-p[np.arange(len(t)), t] for p, t in windows(model, n_ctx)])


@pytest.mark.parametrize("n_ctx", [3, 17, 64])
def test_perplexity_is_that_of_the_logits(models, n_ctx):
    found, wanted = models[0].perplexity(TEXT, n_ctx=n_ctx), surprises(models[0], n_ctx)
    np.testing.assert_allclose(found.surprises, wanted, rtol=1e-5, atol=1e-5)
    n = len(wanted)
    assert found.tokens == n and found.chunks == len(models[0].tokenize(TEXT)) // n_ctx
    assert found == pytest.approx(np.exp(wanted.mean()), rel=1e-5)
    error = np.sqrt((np.mean(wanted**2) - wanted.mean() ** 2) / (n - 1)) * np.exp(wanted.mean())
    assert found.error == pytest.approx(error, rel=1e-4)
    assert found.running[-1] == pytest.approx(found)


def test_every_window_begins_as_the_vocabulary_says(tmp_path):
    """The first token of each window is replaced, and predicted none the less by the one before it in its own."""
    keys = {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 1}
    with Model(tiny(tmp_path / "bos.gguf", metadata=keys), exact=True) as model:
        assert model.tokenizer.add_bos
        np.testing.assert_allclose(model.perplexity(TEXT, n_ctx=32).surprises, surprises(model, 32), rtol=1e-5)


def test_a_short_text_is_scored_whole(models):
    ids = models[0].tokenize("the cat sat")
    found = models[0].perplexity("the cat sat")
    wanted = -log_softmax(models[0].logits(ids))[np.arange(len(ids) - 1), ids[1:]]
    np.testing.assert_allclose(found.surprises, wanted, rtol=1e-5)
    assert float(found) == pytest.approx(models[0].score("the cat sat").perplexity, rel=1e-6)


def test_perplexity_tells_progress_and_can_be_stopped(models):
    seen = []
    models[0].perplexity(TEXT, n_ctx=32, chunks=3, progress=lambda result, total: seen.append((result.chunks, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    stream = perplexity.stream(models[0], TEXT, 32)
    assert next(stream).chunks == 1
    stream.close()


@pytest.mark.parametrize("text, how", [("", {}), ([5], {}), ("hello", dict(n_ctx=4096))])
def test_a_text_too_short_is_refused(models, text, how):
    with pytest.raises((ModelError, ContextOverflow), match="tokens"):
        models[0].perplexity(text, **how)
    with pytest.raises(ValueError, match="window"):
        models[0].perplexity(TEXT, n_ctx=1)


def test_divergence_is_that_of_the_logits(models):
    base, other = models
    p, q = (np.concatenate([rows for rows, _ in windows(m, 32)]) for m in models)
    found = other.kl_divergence(base, TEXT, n_ctx=32)
    kls = (np.exp(p) * (p - q)).sum(axis=1)
    np.testing.assert_allclose(found.kls, kls, rtol=1e-4, atol=1e-7)
    told = json.loads(json.dumps(found.to_dict()))
    a, b, n = surprises(other, 32), surprises(base, 32), len(kls)
    change = np.exp(-a) - np.exp(-b)
    expected = {
        "kl": (kls.mean(), kls.std() / np.sqrt(n - 1)),
        "perplexity": (np.exp(a.mean()), np.exp(a.mean()) * a.std() / np.sqrt(n - 1)),
        "log_ratio": ((a - b).mean(), (a - b).std() / np.sqrt(n - 1)),
        "mean_change": (change.mean(), change.std() / np.sqrt(n - 1)),
        "same_top": ((p.argmax(1) == q.argmax(1)).mean(), None),
        "rms_change": (np.sqrt((change**2).mean()), None),
    }
    for name, (value, error) in expected.items():
        assert told[name][0] == pytest.approx(value, rel=1e-3, abs=1e-7), name
        assert error is None or told[name][1] == pytest.approx(error, rel=1e-3, abs=1e-7), name
    assert told["kl_quantiles"]["median"] == pytest.approx(np.median(kls), rel=1e-3)
    assert told["kl_quantiles"]["99%"] == pytest.approx(np.quantile(kls, 0.99), rel=1e-3)
    assert told["correlation"] == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-3)


def test_a_model_does_not_diverge_from_itself(models):
    found = models[0].kl_divergence(models[0], TEXT, n_ctx=32)
    assert found.kl < 1e-9 and found.same_top == 1


def test_other_vocabularies_cannot_be_compared(models, tmp_path):
    with Model(tiny(tmp_path / "other.gguf", tokens=300)) as other, pytest.raises(ModelError, match="vocabular"):
        other.kl_divergence(models[0], TEXT)


def read_base(path):
    """(n_ctx, tokens, log p (scored, n_vocab)) of a file, by the published format."""
    data = Path(path).read_bytes()
    assert data[:8] == b"_logits_"
    n_ctx, n_vocab, count = struct.unpack("<Iii", data[8:20])
    tokens = np.frombuffer(data, "<i4", n_ctx * count, 20)
    words = np.frombuffer(data, "<u2", offset=20 + tokens.nbytes).reshape(-1, (n_vocab + 1) // 2 * 2 + 4)
    scale, least = words[:, :4].copy().view("<f4").astype(np.float64).T
    return n_ctx, tokens, scale[:, None] * words[:, 4 : 4 + n_vocab] + least[:, None]


def test_a_base_file_holds_log_probabilities(models, tmp_path):
    base, path = models[0], tmp_path / "base.bin"
    base.save_base(TEXT, path, n_ctx=32)
    n_ctx, tokens, found = read_base(path)
    wanted = np.concatenate([rows for rows, _ in windows(base, 32)])
    assert n_ctx == 32 and tokens.tolist() == base.tokenize(TEXT)[: len(tokens)]
    assert found.shape == wanted.shape
    close = np.maximum(wanted, wanted.max(axis=1, keepdims=True) - 16)
    np.testing.assert_allclose(found, close, atol=16 / 65535)
    assert base_file.is_base_file(path) and not base_file.is_base_file(base.path)
    with pytest.raises(FileExistsError):
        base.save_base(TEXT, path, n_ctx=32)


def test_divergence_from_a_file_is_that_from_the_model(models, tmp_path):
    base, other = models
    base.save_base(TEXT, tmp_path / "base.bin", n_ctx=32, chunks=3)
    found = other.kl_divergence(tmp_path / "base.bin")
    wanted = other.kl_divergence(base, TEXT, n_ctx=32, chunks=3)
    np.testing.assert_allclose(found.kls, wanted.kls, atol=3e-4)
    np.testing.assert_allclose(found.base_surprises, wanted.base_surprises, atol=3e-4)
    np.testing.assert_allclose(found.surprises, wanted.surprises, rtol=1e-6)
    assert found.chunks == 3 and len(other.kl_divergence(tmp_path / "base.bin", chunks=1).kls) == 15


@pytest.mark.parametrize("n", [3, 4, 21])
def test_a_short_text_is_one_window_of_a_base_file(models, tmp_path, n):
    base, ids = models[0], models[0].tokenize(TEXT)[:n]
    base.save_base(ids, tmp_path / "base.bin")
    n_ctx, tokens, found = read_base(tmp_path / "base.bin")
    assert (n_ctx, tokens.tolist()) == (n, ids) and len(found) == n - 1 - n // 2
    rows = base.logits(ids)[n // 2 : -1].astype(np.float64)
    wanted = rows - np.log(np.exp(rows).sum(1, keepdims=True))
    np.testing.assert_allclose(found, np.maximum(wanted, wanted.max(1, keepdims=True) - 16), atol=1e-3)
    assert len(models[1].kl_divergence(tmp_path / "base.bin").kls) == len(found)
    with pytest.raises(ModelError, match="too short"):
        base.save_base(ids[:2], tmp_path / "two.bin")


@pytest.mark.parametrize("how", [dict(text_or_ids=TEXT), dict(n_ctx=32), dict(chunks=0)])
def test_what_a_base_file_says_itself_cannot_be_said_again(models, tmp_path, how):
    models[0].save_base(TEXT, tmp_path / "base.bin", n_ctx=32, chunks=2)
    with pytest.raises(ValueError):
        models[1].kl_divergence(tmp_path / "base.bin", **how)


def test_results_are_json_where_there_are_no_numbers(models):
    """Of one scored token there is no error; infinite perplexity; a first token that nothing predicts."""
    base, other = models
    for result in (
        base.perplexity([5, 6, 7], chunks=1, n_ctx=3), perplexity.Perplexity([900.0], 512, 1),
        other.kl_divergence(base, [5, 6, 7], 3), base.score([5]),
    ):
        json.dumps(result.to_dict(), allow_nan=False)
    assert "nan" in str(other.kl_divergence(base, [5, 6, 7], 3))


def test_results_of_a_stream_stay_as_they_are(models):
    found = list(divergence.stream(models[1], models[0], TEXT, 32, 3))
    assert [len(result.running) for result in found] == [1, 2, 3]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:10], lambda b: b"_lagits_" + b[8:], lambda b: b[:-1], lambda b: b[:8] + bytes(12) + b[20:]]
)
def test_a_broken_base_file_is_refused(models, tmp_path, damage):
    models[0].save_base(TEXT, tmp_path / "base.bin", n_ctx=32, chunks=1)
    (tmp_path / "bad.bin").write_bytes(damage((tmp_path / "base.bin").read_bytes()))
    with pytest.raises(FormatError, match=r"bad\.bin"):
        models[0].kl_divergence(tmp_path / "bad.bin")


def test_scores_are_those_of_the_logits(models):
    model, ids = models[0], models[0].tokenize(TEXT)[:40]
    log_p = log_softmax(model.logits(ids))
    found = model.score(ids, top=3)
    assert np.isnan(found.log_probs[0]) and found.ranks[0] == -1 and found.top[0] == []
    for i in range(1, len(ids)):
        row = log_p[i - 1]
        assert found.log_probs[i] == pytest.approx(row[ids[i]], abs=1e-5)
        assert found.entropies[i] == pytest.approx(-(np.exp(row) * row).sum(), abs=1e-5)
        assert found.ranks[i] == (row > row[ids[i]] + 1e-6).sum()
        assert [t for t, _ in found.top[i]] == np.argsort(-row, kind="stable")[:3].tolist()
    told = json.loads(json.dumps(found.to_dict()))
    assert told["tokens"][0]["log_prob"] is None and len(told["tokens"]) == 40
    with pytest.raises(ModelError, match="no tokens"):
        model.score([])


def test_results_show_themselves(models):
    base, other = models
    for result in (
        base.perplexity(TEXT, n_ctx=32), other.kl_divergence(base, TEXT, n_ctx=32), base.score("the <cat>"), base,
        base.score("the cat").table(), base.generate("the", max_tokens=2),
    ):
        html = result._repr_html_()
        ET.fromstring(html)
        assert "<script" not in html
    assert "±" in str(other.kl_divergence(base, TEXT, n_ctx=32)) and repr(base.perplexity(TEXT)).startswith("<Perp")


def test_surprises_of_smollm2_are_llama_cpps(smollm2):
    """llama.cpp's logits on four windows of 16 tokens, and on all 64; it ran the file's weights turned into F32, and so
    was exact: of quantized ones it rounds activations to 8 bits, and single surprises change by up to 0.6.
    """
    data = Path(__file__).parents[1] / "data"
    golden, ids = np.load(data / "smollm2_surprise.npz"), np.load(data / "smollm2_llama_cpp.npz")["tokens"].tolist()
    with Model(smollm2, exact=True) as model:
        found = model.perplexity(ids, n_ctx=16)
        np.testing.assert_allclose(found.surprises, golden["windows"], atol=1e-3)
        assert found.nll == pytest.approx(golden["windows"].mean(dtype=np.float64), abs=1e-4)
        whole = model.score(ids)
        np.testing.assert_allclose(-whole.log_probs[1:], golden["whole"], atol=1e-3)
        assert -whole.total / 63 == pytest.approx(golden["whole"].mean(dtype=np.float64), abs=1e-4)


def test_a_broken_model_is_infinitely_surprised_and_says_so():
    found = perplexity.Perplexity([900.0, 800.0], 512, 1)
    assert np.isinf(found) and found.nll == 850
    again = pickle.loads(pickle.dumps(found))
    assert again == found and again.n_ctx == 512 and again.surprises.tolist() == [900, 800]
    ET.fromstring(found._repr_html_())
    kl, _, _ = kl_of_logits(np.array([0, np.nan], np.float32), np.zeros(2, np.float32))
    assert np.isnan(kl)
