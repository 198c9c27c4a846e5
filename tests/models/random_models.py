"""Small random models of recurrent families, whose goldens have llama.cpp's logits alone.

    python -m tests.models.random_models NAME FILE        # then oracle.py logits FILE (see goldens.py)

Keys and tensors are those that llama.cpp asks for; steps and decays are spread so that a state forgets some things
within a few tokens and keeps others.
"""

import sys
from functools import partial

import numpy as np

from llama_gguf.gguf import write_gguf
from llama_gguf.gguf.values import Typed
from llama_gguf.testing import vocabulary_keys, words

WIDTH, FF, HEADS, KV_HEADS, HEAD, EXPERTS, USED = 64, 48, 4, 2, 16, 6, 2
TOKENS = [0, *range(20, 60, 2), 41, 200, 7]


class Maker:
    """Tensors of one model, drawn one after the other."""

    def __init__(self, seed):
        self.rng, self.tensors = np.random.default_rng(seed), {}

    def matrix(self, name, rows, cols):
        self.tensors[f"{name}.weight"] = self.rng.standard_normal((rows, cols)) / cols**0.5

    def norm(self, name, *shape):
        self.tensors[f"{name}.weight"] = 1 + 0.2 * self.rng.standard_normal(shape)

    def vector(self, name, *shape, mean=0.0, spread=0.2):
        self.tensors[name] = mean + spread * self.rng.standard_normal(shape)

    def rates(self, name, *shape):
        """Negative rates of decay."""
        self.tensors[name] = -np.exp(self.rng.uniform(-2, 1.5, shape))

    def conv(self, name, channels, taps, bias=True):
        self.tensors[f"{name}.weight"] = self.rng.standard_normal((channels, taps)) / taps**0.5
        if bias:
            self.vector(f"{name}.bias", channels)

    def ends(self, tied=True):
        self.matrix("token_embd", len(words()), WIDTH)
        self.tensors["token_embd.weight"] *= 8  # as large as what layers add: rounding is not blown up by norms
        self.norm("output_norm", WIDTH)
        if not tied:
            self.matrix("output", len(words()), WIDTH)

    def attention(self, at, heads=HEADS, kv_heads=KV_HEADS, gated=False):
        self.matrix(f"{at}attn_q", heads * HEAD * (1 + gated), WIDTH)
        self.matrix(f"{at}attn_k", kv_heads * HEAD, WIDTH)
        self.matrix(f"{at}attn_v", kv_heads * HEAD, WIDTH)
        self.matrix(f"{at}attn_output", WIDTH, heads * HEAD)
        self.tensors[f"{at}attn_output.weight"] /= 2  # keys and values are rounded in some tests

    def mlp(self, at, gated=True):
        for name in ("ffn_gate", "ffn_up") if gated else ("ffn_up",):
            self.matrix(f"{at}{name}", FF, WIDTH)
        self.matrix(f"{at}ffn_down", WIDTH, FF)

    def moe(self, at, gated=True, bias=False, shared=None):
        """shared: the width of an expert for all tokens, with a weight of its own if it has a gate."""
        self.matrix(f"{at}ffn_gate_inp", EXPERTS, WIDTH)
        for name, rows, cols in (("gate", FF, WIDTH), ("up", FF, WIDTH), ("down", WIDTH, FF))[not gated :]:
            self.tensors[f"{at}ffn_{name}_exps.weight"] = self.rng.standard_normal((EXPERTS, rows, cols)) / cols**0.5
        if bias:
            self.vector(f"{at}exp_probs_b.bias", EXPERTS)
        if shared:
            wide = ("gate", shared, WIDTH), ("up", shared, WIDTH), ("down", WIDTH, shared)
            for name, rows, cols in wide[not gated :]:
                self.matrix(f"{at}ffn_{name}_shexp", rows, cols)

    def mamba2(self, at, s, norm=True):
        channels = s["inner_size"] + 2 * s["group_count"] * s["state_size"]
        self.matrix(f"{at}ssm_in", channels + s["inner_size"] + s["time_step_rank"], WIDTH)
        self.conv(f"{at}ssm_conv1d", channels, s["conv_kernel"])
        self.vector(f"{at}ssm_dt.bias", s["time_step_rank"], mean=-1.0, spread=1.0)
        self.rates(f"{at}ssm_a", s["time_step_rank"], 1)
        self.vector(f"{at}ssm_d", s["time_step_rank"], 1, mean=1.0)
        if norm:
            self.norm(f"{at}ssm_norm", s["group_count"], s["inner_size"] // s["group_count"])
        self.matrix(f"{at}ssm_out", WIDTH, s["inner_size"])

    def mamba(self, at, s, normed=False):
        inner, state, rank = s["inner_size"], s["state_size"], s["time_step_rank"]
        self.matrix(f"{at}ssm_in", 2 * inner, WIDTH)
        self.conv(f"{at}ssm_conv1d", inner, s["conv_kernel"])
        self.matrix(f"{at}ssm_x", rank + 2 * state, inner)
        self.matrix(f"{at}ssm_dt", inner, rank)
        self.vector(f"{at}ssm_dt.bias", inner, mean=-1.0, spread=1.0)
        if normed:
            for name, size in (("dt", rank), ("b", state), ("c", state)):
                self.norm(f"{at}ssm_{name}_norm", size)
        self.rates(f"{at}ssm_a", inner, state)
        self.vector(f"{at}ssm_d", inner, mean=1.0)
        self.matrix(f"{at}ssm_out", WIDTH, inner)

    def delta_net(self, at, s):
        keys, heads = s["group_count"] * s["state_size"], s["time_step_rank"]
        self.matrix(f"{at}attn_qkv", 2 * keys + s["inner_size"], WIDTH)
        self.matrix(f"{at}attn_gate", s["inner_size"], WIDTH)
        self.conv(f"{at}ssm_conv1d", 2 * keys + s["inner_size"], s["conv_kernel"], bias=False)
        self.vector(f"{at}ssm_dt.bias", heads, mean=-1.0, spread=1.0)
        self.rates(f"{at}ssm_a", heads)
        self.matrix(f"{at}ssm_beta", heads, WIDTH)
        self.matrix(f"{at}ssm_alpha", heads, WIDTH)
        self.norm(f"{at}ssm_norm", s["state_size"])
        self.matrix(f"{at}ssm_out", WIDTH, s["inner_size"])

    def write(self, path, arch, keys, layers):
        common = {
            "block_count": layers, "context_length": 256, "embedding_length": WIDTH, "feed_forward_length": FF,
            "attention.head_count": HEADS, "attention.layer_norm_rms_epsilon": 1e-5, "vocab_size": len(words()),
        }
        own = {f"{arch}.{k}": v for k, v in (common | keys).items()}
        data = [(n, "F32", t.shape, np.ascontiguousarray(t, np.float32)) for n, t in self.tensors.items()]
        write_gguf(path, {"general.architecture": arch, **own, **vocabulary_keys(words())}, data, force=True)


def sizes(state, rank, groups, inner=2 * WIDTH):
    return {"conv_kernel": 4, "inner_size": inner, "state_size": state, "time_step_rank": rank, "group_count": groups}


def ssm(s):
    return {f"ssm.{k}": v for k, v in s.items()}


def mixture(**more):
    return {"expert_count": EXPERTS, "expert_used_count": USED, "expert_feed_forward_length": FF} | more


def ints(*values):
    return Typed(list(values), "i32")


def mamba2(path):
    m, s = Maker(1), sizes(state=16, rank=4, groups=2)
    m.ends()
    for i in range(2):
        m.norm(f"blk.{i}.attn_norm", WIDTH)
        m.mamba2(f"blk.{i}.", s)
    m.write(path, "mamba2", ssm(s) | {"attention.head_count": 0, "feed_forward_length": 0}, layers=2)


def granitehybrid(path, experts=False):
    m, s = Maker(2), sizes(state=24, rank=8, groups=1)
    m.ends()
    for i in range(3):
        m.norm(f"blk.{i}.attn_norm", WIDTH)
        m.attention(f"blk.{i}.") if i == 1 else m.mamba2(f"blk.{i}.", s)
        m.norm(f"blk.{i}.ffn_norm", WIDTH)
        m.moe(f"blk.{i}.", shared=40) if experts else m.mlp(f"blk.{i}.")
    scales = {"embedding_scale": 3.0, "residual_scale": 0.4, "logit_scale": 2.5, "attention.scale": 0.2}
    turns = {"rope.scaling.finetuned": True, "rope.dimension_count": HEAD, "rope.freq_base": 10000.0}
    keys = ssm(s) | scales | turns | {"attention.head_count_kv": ints(0, KV_HEADS, 0)}
    keys |= mixture(expert_shared_feed_forward_length=40) if experts else {}
    m.write(path, "granitehybrid", keys, layers=3)


def qwen35(path, experts=False):
    m, s = Maker(3), sizes(state=16, rank=6, groups=2, inner=96)
    m.ends()
    for i in range(4):
        at = f"blk.{i}."
        m.norm(f"{at}attn_norm", WIDTH)
        if i < 2:
            m.delta_net(at, s)
        else:
            m.attention(at, gated=True)
            m.norm(f"{at}attn_q_norm", HEAD)
            m.norm(f"{at}attn_k_norm", HEAD)
        m.norm(f"{at}post_attention_norm", WIDTH)
        if experts:
            m.moe(at, shared=40)
            m.vector(f"{at}ffn_gate_inp_shexp.weight", WIDTH)
        else:
            m.mlp(at)
    m.matrix("blk.3.nextn.eh_proj", WIDTH, 2 * WIDTH)
    for name in ("enorm", "hnorm", "shared_head_norm"):
        m.norm(f"blk.3.nextn.{name}", WIDTH)
    turns = {"rope.dimension_count": 8, "rope.dimension_sections": ints(2, 1, 1, 0), "rope.freq_base": 1e6}
    heads = {"attention.head_count_kv": KV_HEADS, "attention.key_length": HEAD, "attention.value_length": HEAD}
    order = {"nextn_predict_layers": 1, "full_attention_interval": 3}
    more = mixture(expert_shared_feed_forward_length=40) if experts else {}
    m.write(path, "qwen35moe" if experts else "qwen35", ssm(s) | turns | heads | order | more, layers=4)


def falcon_mamba(path):
    """The norms have no weights here."""
    m, s = Maker(4), sizes(state=16, rank=4, groups=1)
    m.ends()
    for i in range(2):
        m.norm(f"blk.{i}.attn_norm", WIDTH)
        m.mamba(f"blk.{i}.", s)
    keys = ssm(s) | {"attention.head_count": 0, "feed_forward_length": 0, "ssm.dt_b_c_rms": True}
    m.write(path, "mamba", keys, layers=2)


def jamba(path, experts=False):
    m, s = Maker(5), sizes(state=16, rank=4, groups=1)
    m.ends()
    for i in range(2):
        m.norm(f"blk.{i}.attn_norm", WIDTH)
        m.attention(f"blk.{i}.") if i else m.mamba(f"blk.{i}.", s, normed=True)
        m.norm(f"blk.{i}.ffn_norm", WIDTH)
        m.moe(f"blk.{i}.") if experts and i else m.mlp(f"blk.{i}.")
    keys = ssm(s) | {"attention.head_count_kv": ints(0, KV_HEADS)} | (mixture() if experts else {})
    m.write(path, "jamba", keys, layers=2)


def nemotron_h(path, experts=False):
    m, s = Maker(6), sizes(state=16, rank=6, groups=2, inner=120)
    m.ends(tied=False)
    kinds = "m*-m"
    for i, kind in enumerate(kinds):
        m.norm(f"blk.{i}.attn_norm", WIDTH)
        if kind == "m":
            m.mamba2(f"blk.{i}.", s)
        elif kind == "*":
            m.attention(f"blk.{i}.")
        elif experts:
            m.moe(f"blk.{i}.", gated=False, bias=True, shared=40)
        else:
            m.mlp(f"blk.{i}.", gated=False)
    keys = {
        "attention.head_count_kv": ints(*(KV_HEADS * (k == "*") for k in kinds)),
        "feed_forward_length": ints(*(FF * (k == "-") for k in kinds)),
        "attention.layer_norm_epsilon": 1e-5, "attention.key_length": HEAD, "attention.value_length": HEAD,
    }
    more = {"expert_weights_norm": True, "expert_weights_scale": 1.5, "expert_shared_feed_forward_length": 40}
    keys |= mixture(expert_shared_count=1, **more) if experts else {}
    m.write(path, "nemotron_h_moe" if experts else "nemotron_h", ssm(s) | keys, layers=len(kinds))


def falcon_h1(path):
    m, s = Maker(7), sizes(state=16, rank=3, groups=1, inner=96)
    m.ends(tied=False)
    for i in range(2):
        m.norm(f"blk.{i}.attn_norm", WIDTH)
        m.mamba2(f"blk.{i}.", s, norm=i == 1)
        m.attention(f"blk.{i}.")
        m.norm(f"blk.{i}.ffn_norm", WIDTH)
        m.tensors[f"blk.{i}.ffn_norm"] = m.tensors.pop(f"blk.{i}.ffn_norm.weight")
        m.mlp(f"blk.{i}.")
    heads = {"attention.head_count_kv": KV_HEADS, "attention.key_length": HEAD, "attention.value_length": HEAD}
    m.write(path, "falcon-h1", ssm(s) | heads | {"rope.freq_base": 1e5}, layers=2)


def lfm2moe(path):
    m = Maker(8)
    m.ends()
    m.tensors["token_embd_norm.weight"] = m.tensors.pop("output_norm.weight")
    for i in range(3):
        m.norm(f"blk.{i}.attn_norm", WIDTH)
        if i == 1:
            m.attention(f"blk.{i}.")
            m.norm(f"blk.{i}.attn_q_norm", HEAD)
            m.norm(f"blk.{i}.attn_k_norm", HEAD)
        else:
            m.matrix(f"blk.{i}.shortconv.in_proj", 3 * WIDTH, WIDTH)
            m.conv(f"blk.{i}.shortconv.conv", WIDTH, 3, bias=False)
            m.matrix(f"blk.{i}.shortconv.out_proj", WIDTH, WIDTH)
        m.norm(f"blk.{i}.ffn_norm", WIDTH)
        m.moe(f"blk.{i}.", bias=True) if i else m.mlp(f"blk.{i}.")
    keys = {"shortconv.l_cache": 3, "attention.head_count_kv": ints(0, KV_HEADS, 0), "rope.freq_base": 1e6}
    more = mixture(leading_dense_block_count=1, expert_gating_func=2)
    m.write(path, "lfm2moe", keys | more, layers=3)


MODELS = {f.__name__.replace("_h1", "-h1").replace("_m", "-m"): f for f in (
    mamba2, granitehybrid, qwen35, falcon_mamba, jamba, nemotron_h, falcon_h1,
)}
# not stored: made anew, with llama.cpp's logits of TOKENS in recurrent_mixtures.npz
MIXTURES = {"lfm2moe": lfm2moe} | {
    f"{f.__name__}-moe": partial(f, experts=True) for f in (granitehybrid, qwen35, jamba, nemotron_h)
}

if __name__ == "__main__":
    (MODELS | MIXTURES)[sys.argv[1]](sys.argv[2])
