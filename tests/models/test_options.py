"""Every option of the dense families, on random files: as llama.cpp reads them, and as the reference does."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.errors import ModelError
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from .goldens import nmse
from .options import CASES, IDS, LOGITS, ROWS, Case, without
from .test_models import GELU, OUTSIDE, SAME, TABLE


@pytest.mark.parametrize("name", CASES)
def test_an_option_gives_what_llama_cpp_gives(isa, name, tmp_path):
    case = CASES[name]
    with Model(case.write(tmp_path / "t.gguf"), exact=True, n_threads=1, n_ctx=case.n_ctx) as model:
        logits = model.logits(IDS)
        limit = TABLE if case.arch in GELU else OUTSIDE * max(1, case.layers / 8)
        assert nmse(logits[ROWS], np.load(LOGITS)[name]) <= limit
        assert nmse(logits, Reference(model).logits(IDS)) <= SAME
        session = model.session()
        assert nmse(np.concatenate([session.forward([i]) for i in IDS]), logits) <= SAME
        with model.trace(IDS) as t:
            assert nmse(t.logits, logits) <= SAME


@pytest.mark.parametrize("name", ["qwen", "falcon, two norms", "mpt, learned positions", "apertus", "olmo3"])
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_change_a_bit(isa, name, threads, tmp_path):
    """Also where weights are packed and kernels fuse what they can."""
    file, found = CASES[name].write(tmp_path / "t.gguf"), []
    for n in (1, threads):
        with Model(file, n_threads=n) as model:
            session = model.session()
            found.append([model.logits(IDS), *(session.forward([i]) for i in IDS[:20])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("arch", "keys", "named"), [
    ("phi3", {"rope.scaling.type": "longrope"}, "rope_factors_short.weight"),
    ("llama", {"rope.scaling.type": "su"}, "llama.rope.scaling.type"),
    ("gptneox", {}, "gptneox.use_parallel_residual"),
    ("glm4", {"rope.dimension_sections": [2, 2, 2, 2]}, "glm4.rope.dimension_sections"),
    ("gemma2", {"attention.sliding_window_pattern": [True]}, "gemma2.attention.sliding_window_pattern"),
    ("apertus", {"xielu.alpha_n": [0.5]}, "xielu.alpha_n"),
])
def test_what_is_missing_or_unheard_of_is_named(arch, keys, named, tmp_path):
    file = Case(arch, keys).write(tmp_path / "t.gguf")
    with pytest.raises(ModelError) as error:
        Model(file)
    assert named in str(error.value) and named in (error.value.key, error.value.tensor)


@pytest.mark.parametrize(("arch", "block", "extra"), [
    ("llama", {"attn_q_norm.weight": (64,), "attn_k_norm.weight": (16,)}, "blk.0.attn_k_norm.weight"),
    ("gpt2", without("ffn_gate"), "token_embd"),
    ("qwen2", {"attn_sinks.weight": (3,)}, "blk.0.attn_sinks.weight"),
    ("command-r", {}, "blk.0.ffn_norm.weight"),
])
def test_a_structure_of_another_family_is_refused(arch, block, extra, tmp_path):
    with pytest.raises(ModelError, match=r"tensor .*is missing|is not part of|shape") as error:
        Model(Case(arch, {"attention.layer_norm_epsilon": 1e-5}, block).write(tmp_path / "t.gguf"))
    assert (error.value.tensor or "").startswith(extra) or arch == "gpt2"


def test_a_context_ends_with_the_learned_positions(tmp_path):
    case = CASES["gpt2, groups"]
    case.write(tmp_path / "t.gguf")
    with Model(tmp_path / "t.gguf") as model:
        assert model.n_ctx == 256
        assert model.logits([1] * 256).shape == (256, model.n_vocab)
        with model.trace([1] * 256) as t:
            assert t.logits.shape == (256, model.n_vocab)
    with pytest.raises(ValueError, match=r"n_ctx must be in 1 \.\.\. 256"):
        Model(tmp_path / "t.gguf", n_ctx=257)


def test_windows_keep_no_more_than_they_see(tmp_path):
    """A local layer has a ring of pages, however long the context is."""
    with Model(CASES["cohere2, number"].write(tmp_path / "t.gguf"), n_ctx=4096) as model:
        cache = model.session().cache
    k = [keys.nbytes for keys, _ in cache._memory.values()]
    assert [spec.window for spec in cache.specs.values()] == [8, 0, 8]
    assert k[0] == k[2] < k[1] / 8


def test_exact_tiny_files_of_old_minicpm_take_the_scales_of_the_paper(tmp_path):
    """12, 1.4 / sqrt(layers), and logits divided by width / 256, where a file states none."""
    stated = {"minicpm.embedding_scale": 12.0, "minicpm.residual_scale": 1.4 / 2**0.5, "minicpm.logit_scale": 0.25}
    logits = []
    for i, keys in enumerate(({}, stated)):
        with Model(tiny(tmp_path / f"{i}.gguf", "minicpm", family="llama", metadata=keys), exact=True) as model:
            logits.append(model.logits(IDS))
    assert nmse(*logits) <= 1e-12
