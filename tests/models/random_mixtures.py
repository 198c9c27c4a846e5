"""Small random mixtures of experts of every family: files that llama.cpp takes, too.

    python -m tests.models.random_mixtures FOLDER        # writes NAME.gguf of each, for oracle.py logits

What llama.cpp gives for TOKENS stands in tests/data/goldens/mixtures.npz, one array a name.
"""

import sys
from pathlib import Path

import numpy as np

from llama_gguf.testing import tiny

WIDTH, FF, COUNT, USED, HEADS, HEAD = 64, 48, 8, 3, 4, 16
TOKENS = [0, *range(20, 60, 2), 41, 200, 7]
LARGE = 8.0  # embeddings as large as what layers add to them: rounding is not blown up by norms


class Mixture:
    """Keys and tensors of one file, drawn one after the other."""

    def __init__(self, arch, seed, layers=3, dense=0, kv_heads=2):
        self.arch, self.layers, self.dense, self.kv_heads = arch, layers, dense, kv_heads
        self.rng, self.tensors = np.random.default_rng(seed), {}
        self.keys = {
            f"{arch}.{key}": value
            for key, value in {
                "expert_count": COUNT, "expert_used_count": USED, "expert_feed_forward_length": FF,
                "leading_dense_block_count": dense or None, "feed_forward_length": 96,
            }.items()
        }
        self.tensors["token_embd.weight"] = LARGE * self.matrix(269, WIDTH)
        for i in range(layers):
            if i >= dense:
                self.experts(i)

    def matrix(self, *shape):
        return self.rng.standard_normal(shape) / shape[-1] ** 0.5

    def set(self, key, value):
        self.keys[f"{self.arch}.{key}"] = value
        return self

    def experts(self, i):
        self.tensors |= {f"blk.{i}.ffn_{name}.weight": None for name in ("gate", "up", "down")}
        shapes = {"gate_inp": (COUNT, WIDTH), "gate_exps": (COUNT, FF, WIDTH), "up_exps": (COUNT, FF, WIDTH)}
        for name, shape in (shapes | {"down_exps": (COUNT, WIDTH, FF)}).items():
            self.tensors[f"blk.{i}.ffn_{name}.weight"] = self.matrix(*shape) * (2 if name == "gate_inp" else 1)

    def add(self, name, make, layers=None):
        """A tensor of each layer (by default of those with experts)."""
        for i in range(self.dense, self.layers) if layers is None else layers:
            self.tensors[f"blk.{i}.{name}"] = make()
        return self

    def shared(self, ff=FF):
        for name, shape in (("gate", (ff, WIDTH)), ("up", (ff, WIDTH)), ("down", (WIDTH, ff))):
            self.add(f"ffn_{name}_shexp.weight", lambda shape=shape: self.matrix(*shape))
        return self

    def bias(self):
        return self.add("exp_probs_b.bias", lambda: 0.3 * self.rng.standard_normal(COUNT))

    def norm(self, name, size):
        return self.add(name, lambda: 1 + 0.2 * self.rng.standard_normal(size), range(self.layers))

    def renamed(self, old, new):
        self.add(old, lambda: None, range(self.layers))
        return self.norm(new, WIDTH)

    def write(self, path):
        return tiny(
            path, self.arch, family="llama", layers=self.layers, width=WIDTH, heads=HEADS, kv_heads=self.kv_heads,
            head_dim=HEAD, metadata=self.keys, tensors=self.tensors,
        )


def deepseek():
    return Mixture("deepseek", 1, dense=1).shared(2 * FF).set("expert_shared_count", 2)


def bailingmoe():
    ling = Mixture("bailingmoe", 2).shared().set("expert_shared_count", 1).set("expert_weights_norm", True)
    return ling.set("expert_weights_scale", 1.5)


def bailingmoe2():
    ling = Mixture("bailingmoe2", 3, dense=1).shared().bias().norm("attn_q_norm.weight", HEAD)
    ling.norm("attn_k_norm.weight", HEAD).set("expert_shared_count", 1).set("expert_gating_func", 2)
    ling.set("expert_weights_norm", True).set("expert_weights_scale", 2.5).set("rope.dimension_count", 8)
    ling.set("expert_group_count", 4).set("expert_group_used_count", 2)
    for name in ("attn_q.weight", "attn_k.weight", "attn_v.weight"):
        ling.add(name, lambda: None, range(3))
    return ling.add("attn_qkv.weight", lambda: ling.matrix(WIDTH + 4 * HEAD, WIDTH), range(3))


def dots1():
    dots = Mixture("dots1", 4, dense=1, kv_heads=HEADS).shared(2 * FF).bias().set("expert_shared_count", 2)
    dots.set("expert_gating_func", 2).norm("attn_q_norm.weight", HEAD).norm("attn_k_norm.weight", HEAD)
    return dots.set("expert_weights_norm", True).set("expert_weights_scale", 2.5)


def minimax_m2():
    minimax = Mixture("minimax-m2", 5).bias().set("expert_gating_func", 2).set("rope.dimension_count", 8)
    minimax.set("feed_forward_length", FF)
    return minimax.norm("attn_q_norm.weight", WIDTH).norm("attn_k_norm.weight", 2 * HEAD)


def glm4moe():
    glm = Mixture("glm4moe", 6, dense=1).shared().bias().renamed("ffn_norm.weight", "post_attention_norm.weight")
    glm.norm("attn_q_norm.weight", HEAD).norm("attn_k_norm.weight", HEAD).set("expert_shared_count", 1)
    for name, rows in (("attn_q.bias", WIDTH), ("attn_k.bias", 2 * HEAD), ("attn_v.bias", 2 * HEAD)):
        glm.add(name, lambda rows=rows: 0.1 * glm.rng.standard_normal(rows), range(3))
    return glm.set("expert_weights_norm", True).set("expert_weights_scale", 1.5).set("rope.dimension_count", 8)


def llama4():
    llama = Mixture("llama4", 7, layers=4).shared().set("interleave_moe_layer_step", 2).set("expert_used_count", 1)
    for i in (0, 2):
        llama.tensors = {n: t for n, t in llama.tensors.items() if not n.startswith(f"blk.{i}.ffn")}
    return llama


def ernie4_5_moe():
    ernie = Mixture("ernie4_5-moe", 8, dense=1).shared(96).bias().set("interleave_moe_layer_step", 1)
    return ernie.set("expert_shared_feed_forward_length", 96)


def hunyuan_moe():
    hunyuan = Mixture("hunyuan-moe", 9).shared(96).set("expert_shared_feed_forward_length", 96)
    hunyuan.set("feed_forward_length", FF)
    return hunyuan.norm("attn_q_norm.weight", HEAD).norm("attn_k_norm.weight", HEAD)


MAKERS = {
    make.__name__: make
    for make in (deepseek, bailingmoe, bailingmoe2, dots1, minimax_m2, glm4moe, llama4, ernie4_5_moe, hunyuan_moe)
}


def main(folder):
    for name, make in MAKERS.items():
        make().write(Path(folder, f"{name}.gguf"))


if __name__ == "__main__":
    main(sys.argv[1])
