"""Words of latent attention: parts and heads, a matrix for each head, values that are part of the keys."""

from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import nn
from llama_gguf.cache import KV_TYPES
from llama_gguf.errors import ModelError
from llama_gguf.hparams import Rope
from llama_gguf.testing import random_matrix

from . import cached
from .words import Rows, both, close

EXACT = 1e-12
SUMS = 1e-11  # of up to 700 terms in another order
TYPED = 1e-8  # activations in two terms of 8 bits


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("heads", "head", "start", "size"), [(1, 40, 32, 8), (3, 20, 0, 5), (4, 24, 8, 16), (5, 7, 6, 1)]
)
def test_heads_part(isa, heads, head, start, size):
    engine, twin = both(lambda g, w, x: nn.heads_part(x, heads, start, size), normal(9, heads * head))
    np.testing.assert_array_equal(engine, twin)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("heads", "first", "second"), [(1, 32, 8), (3, 5, 4), (4, 16, 24)])
def test_heads_join(isa, heads, first, second, shared):
    def build(g, w, x):
        b = nn.heads_part(x, 1, 0, second) if shared else nn.heads_part(x, heads, first, second)
        return nn.heads_join(nn.heads_part(x, heads, 0, first), b, heads, "joined", shared)

    engine, twin = both(build, normal(9, heads * (first + second)))
    np.testing.assert_array_equal(engine, twin)


@pytest.mark.parametrize("repack", [True, False])
@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("shape", [(1, 16, 32), (4, 16, 24), (3, 20, 7), (5, 1, 3), (2, 3, 1100), (2, 48, 33)], ids=str)
def test_heads_matmul(isa, shape, n, repack):
    """Rows of two heads may share a panel."""
    x, w = normal(n, shape[0] * shape[2]), {"w": normal(*shape)}
    for exact in (True, False):
        found = both(lambda g, w, x: nn.heads_matmul(w.w, x), x, w, dtype=np.float64, exact=exact, repack=repack)
        close(*found, EXACT)


@pytest.mark.parametrize("repack", [True, False])
@pytest.mark.parametrize("type", ["Q8_0", "Q4_0", "Q5_1", "F16", "Q4_K"])
def test_heads_matmul_of_every_kind_of_type(isa, type, repack):
    shape = (3, 20, 256)
    raw = random_matrix(type, shape[0] * shape[1], shape[2], np.random.default_rng(0))
    tensors = {"w": Rows("w", raw.view(np.uint8), type, shape)}
    for n in (1, 5, 70):
        x = normal(n, shape[0] * shape[2])
        found = both(lambda g, w, x: nn.heads_matmul(w.w, x), x, tensors, exact=False, repack=repack)
        close(*found, TYPED)
        x = normal(n, shape[0] * 512)
        found = both(lambda g, w, x: nn.heads_matmul(w.w, nn.heads_part(x, 3, 256, 256)), x, tensors, exact=False)
        close(*found, TYPED)


def test_heads_matmul_refuses_what_does_not_fit():
    x = normal(2, 60)
    for shape in ((20, 60), (4, 20, 20), (3, 5, 21)):
        with pytest.raises(ModelError, match=r"w\.weight"):
            both(lambda g, w, x: nn.heads_matmul(w.w, x), x, {"w": normal(*shape)})


def one_latent(n, heads, k_dim, v_dim, kv_type="F32", window=0, **how):
    """(engine, twin) of attention whose values are the first v_dim of its only key head."""
    rng = np.random.default_rng([heads, k_dim])
    tensors = {n: rng.integers(-50, 50, (size, 24)) / 128 for n, size in {"q": heads * k_dim, "k": k_dim}.items()}
    h = {"heads": heads, "kv_heads": 1, "head_dim": k_dim, "value_dim": v_dim, "attention_scale": 3 * k_dim**-0.5}
    x = np.random.default_rng(n).integers(-128, 128, (n, 24)).astype(np.float32) / 64
    edits = {"k": lambda x: cached.kept(kv_type, x, k_dim, min(512, v_dim & -v_dim))}

    def build(g, w, x):
        return nn.attend(w.q @ x, w.k @ x, None, SimpleNamespace(**h), 1, window=window)

    return both(build, x, tensors, kv_type=kv_type, edits=edits, dtype=np.float64, **h, **how)


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize(("k_dim", "v_dim"), [(48, 32), (576, 512), (64, 32), (20, 12), (24, 7), (1024, 1024), (33, 1)])
def test_values_may_be_part_of_the_keys(isa, k_dim, v_dim, kv_type):
    for steps in ([70], [33, 1, 1]):
        close(*one_latent(sum(steps), 4, k_dim, v_dim, kv_type, steps=steps), SUMS)
    close(*one_latent(40, 4, k_dim, v_dim, kv_type, visible=64), SUMS)


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("heads", [1, 3, 16, 33, 71])
def test_many_heads_read_one_latent(isa, heads, kv_type):
    for window in (0, 20):
        close(*one_latent(150, heads, 48, 32, kv_type, window, steps=[147, 1, 2]), SUMS)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_share_heads_and_pages(isa, n_threads):
    one = one_latent(90, 5, 80, 64, "F16", steps=[80, 1, 9])[0]
    np.testing.assert_array_equal(one_latent(90, 5, 80, 64, "F16", steps=[80, 1, 9], n_threads=n_threads)[0], one)


@pytest.mark.parametrize("lite", [True, False])
@pytest.mark.parametrize("form", ["absorbed", "unfolded"])
def test_latent_attention(isa, form, lite):
    """Also, that both forms compute the same: keys and values of each head are products of the latent."""
    heads, plain, dim, rank, value, width = 3, 12, 8, 20, 10, 40
    rng = np.random.default_rng(1)
    shapes = {
        "attn_kv_a_mqa": (rank + dim, width), "attn_kv_a_norm": (rank,), "attn_output": (width, heads * value),
        "k_b": (heads, plain, rank), "v_b": (heads, value, rank), "attn_q_a": (16, width), "attn_q_a_norm": (16,),
        "attn_q_b": (heads * (plain + dim), 16), "attn_q": (heads * (plain + dim), width),
    }
    t = {n: rng.standard_normal(s).astype(np.float32) / np.float32(s[-1] ** 0.5) for n, s in shapes.items()}
    k_b, v_b = t.pop("k_b"), t.pop("v_b")
    forms = {
        "absorbed": {"attn_k_b": k_b.transpose(0, 2, 1).copy(), "attn_v_b": v_b},
        "unfolded": {"attn_kv_b": np.concatenate([k_b, v_b], 1).reshape(-1, rank)},
    }
    for name in ("attn_q_a", "attn_q_a_norm", "attn_q_b") if lite else ("attn_q",):
        del t[name]
    h = {"heads": heads, "rank": rank, "key_dim": plain + dim, "rope": Rope("norm", dim, 10000.0)}
    sizes = {
        "absorbed": {"kv_heads": 1, "head_dim": rank + dim, "value_dim": rank},
        "unfolded": {"kv_heads": heads, "head_dim": plain + dim, "value_dim": value},
    }

    def run(form, **how):
        all_h = SimpleNamespace(**h, **sizes[form], attention_scale=0.5)
        build = lambda g, w, x: nn.latent_attention(w, x, all_h, 1)  # noqa: E731
        return both(build, normal(50, width), t | forms[form], dtype=np.float64, **vars(all_h), **how)

    close(*run(form, steps=[40, 1, 9]), SUMS)
    close(*run(form, visible=64), SUMS)
    close(run("absorbed")[0], run("unfolded")[0], SUMS)
