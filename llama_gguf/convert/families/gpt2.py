"""GPT-2, whose matrices are stored transposed, and StarCoder (GPT BigCode), where all heads share one key."""

from ..family import Family
from ..rules import To
from ..transforms import transposed

TENSORS = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "lm_head": "output",
    "h.#.ln_1": "attn_norm",
    "h.#.ln_2": "ffn_norm",
    "h.#.attn.c_attn": "attn_qkv",
    "h.#.attn.c_proj": "attn_output",
    "h.#.mlp.c_fc": "ffn_up",
    "h.#.mlp.c_proj": "ffn_down",
}
TRANSPOSED = {f"{name}.weight": To(f"{ours}.weight", transposed) for name, ours in TENSORS.items() if ".c_" in name}
KEYS = {
    ".block_count": "n_layer",
    ".context_length": "n_positions n_ctx",
    ".embedding_length": "n_embd",
    ".feed_forward_length": lambda c: 4 * c.width,
    ".attention.head_count": "n_head",
    ".attention.layer_norm_epsilon": "layer_norm_epsilon",
}
DEFAULTS = dict(n_positions=1024, layer_norm_epsilon=1e-5)

FAMILIES = (
    Family("gpt2", "GPT2LMHeadModel", TENSORS | TRANSPOSED, KEYS | {".context_length": "n_ctx n_positions"},
           defaults=DEFAULTS, model_type="gpt2", root="transformer.",
           export=dict(n_positions=lambda s: s[".context_length"])),
    Family("starcoder", "GPTBigCodeForCausalLM", TENSORS, KEYS | {".attention.head_count_kv": 1}, defaults=DEFAULTS,
           model_type="gpt_bigcode", root="transformer.", export=dict(multi_query=True)),
)
