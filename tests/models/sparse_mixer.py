"""Phi 3.5 MoE: what transformers makes of a random file, some of whose experts are nearly as good as others.

    python -m tests.models.sparse_mixer        # with torch and transformers; writes tests/data/phimoe.npz
"""

import tempfile
from pathlib import Path

import numpy as np

from llama_gguf import GGUFFile
from llama_gguf.testing import tiny

LOGITS = Path(__file__).parents[1] / "data" / "phimoe.npz"
IDS = np.random.default_rng(31).integers(0, 256, 50).tolist()
LAYERS, EXPERTS, FF = 2, 6, 48
NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate_inp": "mlp.router",
}


def write(path):
    rng, tensors = np.random.default_rng(32), {}
    for i in range(LAYERS):
        router = rng.standard_normal((EXPERTS, 64)) / 8
        router[3], router[5] = 1.012 * router[1], 0.97 * router[2]
        tensors[f"blk.{i}.ffn_gate_inp.weight"] = router
    tensors["token_embd.weight"] = rng.standard_normal((269, 64))
    return tiny(path, "phimoe", layers=LAYERS, experts=EXPERTS, ff=FF, expert_ff=FF, tensors=tensors)


def state_of(tensors):
    """transformers' names and shapes."""
    t = {name: x.numpy() for name, x in tensors.items()}
    ends = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    state = {f"{ends[n.split('.')[0]]}.{n.split('.')[1]}": x for n, x in t.items() if not n.startswith("blk.")}
    for i in range(LAYERS):
        block = {n.split(".", 2)[2]: x for n, x in t.items() if n.startswith(f"blk.{i}.")}
        for n, x in block.items():
            stem, kind = n.split(".")
            if stem in NAMES:
                state[f"model.layers.{i}.{NAMES[stem]}.{kind}"] = x
        both = np.concatenate([block["ffn_gate_exps.weight"], block["ffn_up_exps.weight"]], 1)
        state[f"model.layers.{i}.mlp.experts.gate_up_proj"] = both
        state[f"model.layers.{i}.mlp.experts.down_proj"] = block["ffn_down_exps.weight"]
    return state


def record():
    import torch
    from transformers import PhimoeConfig, PhimoeForCausalLM

    with tempfile.TemporaryDirectory() as folder, GGUFFile(write(Path(folder, "t.gguf"))) as file:
        state = {k: torch.from_numpy(v.copy()) for k, v in state_of(file.tensors).items()}
    config = PhimoeConfig(
        vocab_size=269, hidden_size=64, intermediate_size=FF, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=EXPERTS, num_experts_per_tok=2, max_position_embeddings=256,
        attention_bias=True, lm_head_bias=True, sliding_window=None, rms_norm_eps=1e-5, rope_theta=10000.0,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    model = PhimoeForCausalLM(config).eval()
    print(model.load_state_dict(state))
    with torch.no_grad():
        np.savez_compressed(LOGITS, transformers=model(torch.tensor([IDS])).logits[0].numpy())


if __name__ == "__main__":
    record()
