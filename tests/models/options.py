"""Random files with the options that goldens do not have: what differs from a tiny Llama, by case.

`python -m tests.models.options ORACLE_PYTHON ORACLE` (the oracle is a script around llama.cpp) writes what llama.cpp
makes of them to tests/data/options.npz.
"""

import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from llama_gguf.gguf.values import Typed
from llama_gguf.testing import tiny

LOGITS = Path(__file__).parents[1] / "data" / "options.npz"
IDS = np.random.default_rng(3).integers(0, 256, 48).tolist()
ROWS = slice(-6, None)  # whose logits are kept
WIDTH, FF, HEADS, KV, DIM = 64, 96, 4, 2, 16
LAYER = {"attention.layer_norm_epsilon": 1e-5}


@dataclass
class Case:
    """`keys`: without the architecture; `block`, `ends`: shapes of tensors in every block, and elsewhere; None: not
    there.
    """

    arch: str
    keys: dict = field(default_factory=dict)
    block: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)
    layers: int = 2
    n_ctx: int = 256
    shape: dict = field(default_factory=dict)  # for tiny

    def write(self, path):
        tensors = {f"blk.{i}.{k}": v for i in range(self.layers) for k, v in self.block.items()} | self.ends
        made = {name: random(name, v) if isinstance(v, tuple) else v for name, v in tensors.items()}
        keys = {k if k.startswith("xielu") else f"{self.arch}.{k}": v for k, v in self.keys.items()}
        how = {"layers": self.layers, "seed": 5} | self.shape
        return tiny(path, self.arch, family="llama", metadata=keys, tensors=made, **how)


def random(name, shape):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = rng.standard_normal(shape)
    if "norm" in name or "rope" in name:
        return (("bias" not in name) + ("rope" in name) + 0.1 * values).astype(np.float32)
    return (values / shape[-1] ** 0.5 if len(shape) > 1 else values / 10).astype(np.float32)


def with_bias(*names, width=WIDTH):
    return {f"{n}.{k}": (width,) for n in names for k in ("weight", "bias")}


def without(*names):
    return {f"{n}.weight": None for n in names}


def fused(heads=HEADS, kv_heads=KV, width=WIDTH, bias=False):
    rows = width // heads * (heads + 2 * kv_heads)
    return without("attn_q", "attn_k", "attn_v") | {"attn_qkv.weight": (rows, width)} | (
        {"attn_qkv.bias": (rows,)} if bias else {}
    )


def plain(width=WIDTH):
    """A plain network and biases."""
    biases = {"attn_output.bias": (width,), "ffn_up.bias": (FF,), "ffn_down.bias": (width,)}
    return without("ffn_gate") | biases | with_bias("attn_norm", "ffn_norm", width=width)


def yarn(**more):
    return {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": 32} | {f"rope.scaling.{k}": v for k, v in more.items()}


QKV_BIASES = {"attn_q.bias": (64,), "attn_k.bias": (32,), "attn_v.bias": (32,)}
OUT = with_bias("output_norm")
TABLE = {"position_embd.weight": (256, WIDTH)}
AROUND = {"post_attention_norm.weight": (WIDTH,), "post_ffw_norm.weight": (WIDTH,)}
BEHIND = AROUND | without("attn_norm", "ffn_norm")
EACH = {"attn_q_norm.weight": (HEADS, DIM), "attn_k_norm.weight": (KV, DIM)}
LONG = {"rope_factors_long.weight": (8,), "rope_factors_short.weight": (8,)}
LONG_KEYS = {"rope.scaling.type": "longrope", "rope.scaling.original_context_length": 300, "context_length": 512,
             "rope.scaling.attn_factor": 1.2}
FOUR, ONE, TIED, QK = {"kv_heads": 4}, {"kv_heads": 1}, {"tied": True}, {"qk_norms": True}
NEXTN = {"blk.2.nextn.eh_proj.weight": (64, 128), "blk.2.nextn.enorm.weight": (64,), "blk.2.nextn.hnorm.weight": (64,)}
COHERE = LAYER | {"logit_scale": 0.8, "attention.sliding_window": 8}
XIELU = {"alpha_n": [0.3, 0.2], "alpha_p": [0.5, -0.2], "beta": [0.5, 0.4], "eps": [-1e-6, -1e-6]}

CASES = {
    "llama, fused": Case("llama", block=fused() | QKV_BIASES),
    "llama, short factors": Case("llama", LONG_KEYS, ends=LONG),
    "llama, long factors": Case("llama", LONG_KEYS, ends=LONG, n_ctx=512),
    "qwen": Case("qwen", {"feed_forward_length": 2 * FF}, block=fused(kv_heads=4, bias=True), shape=FOUR),
    "qwen2, bias of logits": Case("qwen2", block=QKV_BIASES, ends={"output.bias": (269,)}),
    "qwen3, yarn": Case("qwen3", yarn(), shape=QK),
    "qwen3, yarn and a factor": Case("qwen3", yarn(attn_factor=1.3), shape=QK),
    "minicpm": Case("minicpm", {"embedding_scale": 3.0, "residual_scale": 0.4, "logit_scale": 2.0}),
    "granite without positions": Case("granite", {"logit_scale": 4.0, "rope.scaling.finetuned": False,
                                                  "embedding_scale": 5.0}, shape={"biases": True}),
    "exaone4": Case("exaone4", block=BEHIND, shape=QK),
    "exaone4, local": Case("exaone4", {"attention.sliding_window": 16}, BEHIND, layers=64, shape=QK),
    "exaone4, nextn": Case("exaone4", {"nextn_predict_layers": 1}, BEHIND, NEXTN, layers=3, shape=QK),
    "mistral3": Case("mistral3", yarn(yarn_beta_fast=20.0, yarn_beta_slow=2.0, yarn_log_multiplier=0.7)
                     | {"attention.temperature_scale": 0.1, "rope.scaling.original_context_length": 16}),
    "mistral3, plain positions": Case("mistral3", {"attention.temperature_scale": 0.3,
                                                   "rope.scaling.original_context_length": 10}),
    "hunyuan, alpha": Case("hunyuan-dense", {"rope.scaling.alpha": 50.0}, shape=QK),
    "stablelm, one norm": Case("stablelm", LAYER | {"rope.dimension_count": 4},
                               with_bias("attn_norm") | QKV_BIASES | EACH | without("ffn_norm"), OUT),
    "falcon, two norms": Case("falcon", LAYER, fused() | with_bias("attn_norm", "attn_norm_2")
                              | without("ffn_norm", "ffn_gate"), OUT),
    "gptneox, one after the other": Case("gptneox", LAYER | {"use_parallel_residual": False, "rope.dimension_count": 8},
                                         plain() | fused(kv_heads=4, bias=True), OUT, shape=FOUR),
    "mpt, clamped": Case("mpt", LAYER | {"attention.clamp_kqv": 0.7, "attention.max_alibi_bias": 6.0},
                         plain() | fused(kv_heads=4, bias=True), OUT, shape=FOUR),
    "mpt, learned positions": Case("mpt", LAYER, plain() | fused(kv_heads=4), OUT | TABLE, shape=FOUR),
    "mpt, 12 heads": Case("mpt", LAYER | {"attention.max_alibi_bias": 8.0}, plain(96) | fused(12, 12, 96),
                          with_bias("output_norm", width=96), shape={"heads": 12, "kv_heads": 12, "width": 96}),
    "bloom, 6 heads": Case("bloom", LAYER, plain(96) | fused(6, 6, 96, bias=True),
                           with_bias("output_norm", "token_embd_norm", width=96),
                           shape={"heads": 6, "kv_heads": 6, "width": 96}),
    "command-r, normed heads": Case("command-r", LAYER | {"logit_scale": 0.8}, EACH | without("ffn_norm"), layers=64,
                                    shape=TIED),
    "cohere2, array": Case("cohere2", COHERE | {"attention.sliding_window_pattern": Typed([True, False, True], "bool")},
                           without("ffn_norm"), layers=3, shape=TIED),
    "cohere2, number": Case("cohere2", COHERE | {"attention.sliding_window_pattern": 2}, without("ffn_norm"), layers=3,
                            shape=TIED),
    "olmo, clamped": Case("olmo", LAYER | {"attention.clamp_kqv": 0.6}, without("attn_norm", "ffn_norm"),
                          without("output_norm")),
    "olmo3": Case("olmo2", yarn(attn_factor=1.1) | {"attention.sliding_window": 8},
                  BEHIND | {"attn_q_norm.weight": (64,), "attn_k_norm.weight": (32,)}, layers=5),
    "glm4, sections": Case("glm4", {"rope.dimension_count": 8,
                                    "rope.dimension_sections": Typed([2, 1, 1, 0], "i32")},
                           AROUND | without("ffn_gate") | {"ffn_up.weight": (2 * FF, WIDTH)}),
    "gemma2, 27B": Case("gemma2", {"attention.sliding_window": 8, "attn_logit_softcapping": 3.0,
                                   "final_logit_softcapping": 4.0}, AROUND, layers=46,
                        shape=TIED | {"head_dim": 20}),
    "gemma2, little stated": Case("gemma2", {"rope.freq_base_swa": 500.0}, AROUND, shape=TIED),
    "gemma3, capped": Case("gemma3", {"attention.sliding_window": 8, "final_logit_softcapping": 2.0,
                                      "rope.scaling.type": "linear", "rope.scaling.factor": 8.0,
                                      "attention.sliding_window_pattern": 3}, AROUND, layers=4, shape=QK),
    "nemotron": Case("nemotron", LAYER | {"rope.dimension_count": 8}, plain() | QKV_BIASES, OUT),
    "arcee, divided frequencies": Case("arcee", block=without("ffn_gate"), ends={"rope_freqs.weight": (8,)},
                                       shape=TIED),
    "smollm3": Case("smollm3", layers=8),
    "starcoder": Case("starcoder", LAYER, plain() | fused(kv_heads=1, bias=True), OUT | TABLE, shape=ONE),
    "gpt2, groups": Case("gpt2", LAYER, plain() | fused(bias=True), OUT | TABLE),
    "baichuan, 7B": Case("baichuan", layers=32, shape=FOUR),
    "apertus": Case("apertus", {f"xielu.{k}": Typed(v, "f32") for k, v in XIELU.items()}, without("ffn_gate"),
                    shape=QK),
}


def record(python, oracle):
    found, text = {}, ",".join(map(str, IDS))
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            file, out = case.write(Path(folder) / "t.gguf"), Path(folder) / "out.npz"
            command = [python, oracle, "logits", file, "--tokens", text, "-o", out, "--ctx", str(case.n_ctx)]
            if subprocess.run(command, check=False).returncode:
                sys.exit(f"refused: {name}")
            found[name] = np.load(out)["logits"][ROWS]
    np.savez_compressed(LOGITS, **found)


if __name__ == "__main__":
    record(*sys.argv[1:])
