"""Encoders: states, vectors and scores are those of llama.cpp."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.errors import ContextOverflow, ModelError
from llama_gguf.reference import Reference

from .encoders import CONTEXT, NAMES, TEXTS, WIDTH, write
from .goldens import exact, nmse, path

SAME = 1e-11  # two orders of the same float32 sums; layer norms take differences
TABLE = 1e-6  # llama.cpp takes GELU, in its tanh form, from a table of halves
NO_TABLE = {"nomic-bert": 1e-12}
F16 = 1e-5  # keys and values rounded, where norms divide by what is left


def golden(name):
    """(tokens, states, vector or scores) of each text."""
    arrays = np.load(path(name).with_name("golden.npz"))
    return [tuple(arrays[f"{what}{i}"] for what in ("tokens", "states", "pooled")) for i in range(len(TEXTS))]


@pytest.mark.parametrize("name", NAMES)
def test_states_and_vectors_are_those_of_llama_cpp(isa, name):
    limit = NO_TABLE.get(name, TABLE)
    with exact(name) as model:
        for text, (tokens, states, pooled) in zip(TEXTS, golden(name), strict=True):
            assert model.tokenize(text) == tokens.tolist()
            assert nmse(model.embed(text, "none", normalize=False), states) <= limit
            how = "rank" if name == "bert-rank" else "mean"
            assert nmse(model.embed(text, how, normalize=False), pooled) <= limit


@pytest.mark.parametrize("name", NAMES)
def test_states_are_those_of_the_reference(isa, name):
    with exact(name) as model, Model(path(name)) as packed:
        for text in TEXTS:
            want = Reference(model).hidden(model.tokenize(text))
            assert nmse(model.embed(text, "none", normalize=False), want) <= SAME
            assert nmse(packed.embed(text, "none", normalize=False), want) <= F16


@pytest.mark.parametrize("name", NAMES)
def test_texts_embedded_together_equal_each_alone(isa, name):
    texts = [*TEXTS, *TEXTS[:2]] * 4
    with exact(name) as model:
        for how in ("mean", "cls", "last"):
            together = model.embed(texts, how)
            assert together.shape == (len(texts), WIDTH) and together.dtype == np.float32
            for text, row in zip(texts[:6], together, strict=False):
                assert nmse(model.embed(text, how), row) <= SAME


@pytest.mark.parametrize("name", NAMES)
def test_every_watched_value_of_an_encoder_is_that_of_the_reference(isa, name):
    with exact(name) as model:
        ids, ref = model.tokenize(TEXTS[1]), Reference(model)
        ref.hidden(ids)
        with model.trace(ids) as t:
            names = [n for n in t.names if n in ref.names]
            assert {"blk.0.attn_pattern", "blk.1.attn_out", "blk.1.ffn_act", "states"} <= set(names)
            assert "logits" not in names
            for n in names:
                seen = np.isfinite(ref[n])
                assert nmse(t[n][seen], ref[n][seen]) <= SAME, n


@pytest.mark.parametrize("name", ["bert", "modern-bert", "jina-bert-v2"])
@pytest.mark.parametrize("type", ["F16", "Q8_0", "Q4_0"])
def test_quantized_encoders_stay_near(isa, name, type, tmp_path):
    """Against the same weights in float arithmetic; the number of threads changes no bit."""
    file = write(name, tmp_path / "e.gguf", type)
    with Model(file, exact=True) as model:
        want = model.embed(list(TEXTS), "mean", normalize=False)
    found = []
    for n in (1, 2, 3):
        with Model(file, n_threads=n) as model:
            found.append(model.embed(list(TEXTS), "mean", normalize=False))
        np.testing.assert_array_equal(found[0], found[-1])
    assert nmse(found[0], want) <= (F16 if type == "F16" else 3e-3)


def test_the_file_says_how_to_pool():
    for name, how in (("bert", "cls"), ("nomic-bert", "mean"), ("bert-rank", "rank")):
        with exact(name) as model:
            np.testing.assert_array_equal(model.embed(TEXTS[0]), model.embed(TEXTS[0], how))


def test_vectors_have_length_1_unless_asked():
    with exact("nomic-bert") as model:
        plain = model.embed(TEXTS[1], normalize=False)
        assert abs(np.linalg.norm(plain) - 1) > 0.1
        np.testing.assert_allclose(model.embed(TEXTS[1]), plain / np.linalg.norm(plain), rtol=1e-6)
        assert model.embed([]).shape == (0, WIDTH)
        assert model.embed([TEXTS[1]]).shape == (1, WIDTH)
        assert model.embed(model.tokenize(TEXTS[1])).shape == (WIDTH,)


def test_an_encoder_makes_no_text():
    with exact("bert") as model:
        for call in (model.logits, model.generate, model.stream):
            with pytest.raises(ModelError, match="bert models make vectors of texts"):
                call("the cat")
        with pytest.raises(ModelError, match="without tokens"):
            model.embed([[]])
        with pytest.raises(ModelError, match="no head that ranks"):
            model.embed("the cat", "rank")
        with pytest.raises(ValueError, match="pooling is one of"):
            model.embed("the cat", "middle")
        with pytest.raises(ContextOverflow, match=f"the context holds {CONTEXT}"):
            model.embed([5] * (CONTEXT + 1))


@pytest.mark.parametrize("name", ["llama", "deepseek3"])
def test_a_decoder_embeds_too(isa, name):
    """Mean and last of the states before the output matrix."""
    with exact(name) as model:
        ids = list(range(5, 60))
        states = Reference(model).hidden(ids)
        assert nmse(model.embed(ids, "last", normalize=False), states[-1]) <= SAME
        assert nmse(model.embed(ids, normalize=False), states.mean(0)) <= SAME
        together = model.embed([ids, ids[:3], ids * 4], "mean", normalize=False)
        assert nmse(together[0], states.mean(0)) <= SAME
        assert nmse(model.logits(ids), Reference(model).logits(ids)) <= SAME


@pytest.mark.parametrize("bad", [
    ({"bert.attention.causal": True}, r"bert\.attention\.causal"),
    ({"bert.pooling_type": 9}, r"bert\.pooling_type"),
], ids=["causal", "pooling"])
def test_what_an_encoder_cannot_be_is_refused(bad, tmp_path):
    metadata, match = bad
    with pytest.raises(ModelError, match=match), Model(write("bert", tmp_path / "b.gguf", metadata=metadata)) as model:
        model.embed("the cat")
