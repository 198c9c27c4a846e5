"""DeepSeek V2 with experts in groups, of which the best single expert counts: what transformers makes of a random file.

    python -m tests.models.deepseek_groups        # with torch and transformers; writes groups.npz beside the goldens

llama.cpp is no witness here: for every model it takes the two best experts of a group, as only V3 does.
"""

import tempfile
from pathlib import Path

import numpy as np

from llama_gguf import GGUFFile
from llama_gguf.testing import tiny

LOGITS = Path(__file__).parents[1] / "data" / "goldens" / "deepseek2" / "groups.npz"
IDS = np.random.default_rng(11).integers(0, 256, 60).tolist()
SIZES = {"layers": 3, "experts": 16, "experts_used": 4, "groups": 8, "expert_ff": 24, "shared_ff": 48, "eps": 1e-6}
USED_GROUPS, SCALE = 3, 2.5
NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_output": "self_attn.o_proj",
    "attn_q_a": "self_attn.q_a_proj", "attn_q_a_norm": "self_attn.q_a_layernorm", "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa", "attn_kv_a_norm": "self_attn.kv_a_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "ffn_gate_inp": "mlp.gate",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj", "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj",
}


def write(path):
    layers = range(SIZES["layers"])
    keys = {"expert_group_used_count": USED_GROUPS, "expert_gating_func": 1, "expert_weights_norm": False,
            "expert_weights_scale": SCALE}
    rng = np.random.default_rng(12)  # routers that tell experts apart
    routers = {f"blk.{i}.ffn_gate_inp.weight": rng.standard_normal((16, 64)) / 2 for i in layers if i}
    routers["token_embd.weight"] = rng.standard_normal((269, 64))  # as large as what layers add: norms blow up nothing
    return tiny(path, "deepseek2", seed=4, metadata={f"deepseek2.{k}": v for k, v in keys.items()}, **SIZES,
                tensors=routers | {f"blk.{i}.exp_probs_b.bias": None for i in layers})


def state_of(tensors):
    """transformers' names and shapes."""
    t = {name: x.numpy() for name, x in tensors.items()}
    state = {"model.embed_tokens.weight": t["token_embd.weight"], "model.norm.weight": t["output_norm.weight"],
             "lm_head.weight": t["output.weight"]}
    for i in range(SIZES["layers"]):
        block = {n.split(".")[2]: x for n, x in t.items() if n.startswith(f"blk.{i}.")}
        own = {NAMES[n]: x for n, x in block.items() if n in NAMES}
        k, v = block["attn_k_b"].transpose(0, 2, 1), block["attn_v_b"]
        own["self_attn.kv_b_proj"] = np.concatenate([k, v], 1).reshape(-1, k.shape[2])
        state |= {f"model.layers.{i}.{n}.weight": x for n, x in own.items()}
        if i:
            both = np.concatenate([block["ffn_gate_exps"], block["ffn_up_exps"]], 1)
            state |= {f"model.layers.{i}.mlp.experts.gate_up_proj": both,
                      f"model.layers.{i}.mlp.experts.down_proj": block["ffn_down_exps"]}
    return state


def record():
    import torch
    from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

    with tempfile.TemporaryDirectory() as folder, GGUFFile(write(Path(folder, "t.gguf"))) as file:
        state = {k: torch.from_numpy(v.copy()) for k, v in state_of(file.tensors).items()}
    config = DeepseekV2Config(
        vocab_size=269, hidden_size=64, intermediate_size=96, moe_intermediate_size=24, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=4, n_shared_experts=2, n_routed_experts=16, num_experts_per_tok=4,
        n_group=8, topk_group=USED_GROUPS, topk_method="group_limited_greedy", routed_scaling_factor=SCALE,
        norm_topk_prob=False, first_k_dense_replace=1, q_lora_rank=32, kv_lora_rank=32, qk_rope_head_dim=8,
        qk_nope_head_dim=16, v_head_dim=16, max_position_embeddings=256, rms_norm_eps=1e-6, rope_theta=10000.0,
    )
    model = DeepseekV2ForCausalLM(config).eval()
    print(model.load_state_dict(state))
    with torch.no_grad():
        np.savez_compressed(LOGITS, transformers=model(torch.tensor([IDS])).logits[0].numpy())


if __name__ == "__main__":
    record()
