"""config.json and README.md from the metadata of a GGUF file: the tables of keys.py and card.py, read backwards."""

import numpy as np

from ..errors import ModelError
from .card import LISTS, SAMPLING, TEXTS
from .families.parts import LLAMA3, llama3_factors
from .keys import GATING

MADE = ("rope_freqs", "rope_factors_long", "rope_factors_short")
"""Tensors that are made from config.json."""
NAMES = {  # where a table has a function, or tries a rarer name first
    ".block_count": "num_hidden_layers", ".embedding_length": "hidden_size", ".rope.freq_base": "rope_theta",
    ".feed_forward_length": "intermediate_size", ".rope.freq_base_swa": "rope_local_base_freq",
    ".attention.sliding_window": "sliding_window", ".attention.scale": "attention_multiplier",
    ".embedding_scale": "embedding_multiplier", ".residual_scale": "residual_multiplier",
    ".logit_scale": "logits_scaling", ".attention.head_count": "num_attention_heads",
    ".attention.head_count_kv": "num_key_value_heads", ".context_length": "max_position_embeddings",
    ".vocab_size": "vocab_size", ".full_attention_interval": "full_attention_interval",
    ".expert_weights_norm": "norm_topk_prob", ".expert_shared_count": "n_shared_experts",
    ".expert_shared_feed_forward_length": "shared_intermediate_size",
    ".leading_dense_block_count": "first_k_dense_replace",
    ".ssm.conv_kernel": "conv_kernel", ".ssm.state_size": "state_size", ".ssm.group_count": "n_groups",
    ".ssm.time_step_rank": "time_step_rank",
}
SCALING = {
    ".rope.scaling.type": "rope_type",
    ".rope.scaling.factor": "factor",
    ".rope.scaling.original_context_length": "original_max_position_embeddings",
    ".rope.scaling.yarn_ext_factor": "extrapolation_factor",
    ".rope.scaling.yarn_attn_factor": "attention_factor",
    ".rope.scaling.yarn_beta_fast": "beta_fast",
    ".rope.scaling.yarn_beta_slow": "beta_slow",
    ".rope.scaling.yarn_log_multiplier": "mscale_all_dim",
    ".attention.temperature_scale": "llama_4_scaling_beta",
}


def stem(name):
    """A tensor's name without its layer, without .weight and .bias."""
    part = name.split(".", 2)[2] if name.startswith("blk.") else name
    return part.removesuffix(".weight").removesuffix(".bias")


def plain(value):
    """A metadata value for JSON; a float32 as the shortest number that is it."""
    if hasattr(value, "tolist"):
        return [plain(v) for v in value.tolist()]
    return float(str(np.float32(value))) if isinstance(value, float) else value


def config(metadata, tensors, family):
    """config.json as a dict."""
    arch, keys = metadata.arch, family.keys
    stated = {key: plain(metadata[arch + key]) for key in keys if key.startswith(".") and arch + key in metadata}
    found = {"architectures": family.classes.split()[:1], "model_type": family.model_type}
    for key, value in stated.items():
        names = keys[key].split() if isinstance(keys[key], str) else ()
        name = NAMES.get(key) if callable(keys[key]) or NAMES.get(key) in names else names[0] if names else None
        if name and key not in SCALING:
            found[name] = value
    if ".nextn_predict_layers" in stated:
        found["num_hidden_layers"] -= stated[".nextn_predict_layers"]
    if "head_dim" in family.defaults and ".attention.key_length" not in stated:
        found["head_dim"] = None  # or a conversion would state what follows from the width
    if isinstance(pattern := stated.get(".attention.sliding_window_pattern"), list):
        found["layer_types"] = ["sliding_attention" if here else "full_attention" for here in pattern]
    if arch + ".expert_gating_func" in metadata:
        found["scoring_func"] = {v: k for k, v in GATING.items()}.get(stated.get(".expert_gating_func"), "softmax")
    found |= _rope(stated, tensors, found)
    for name, value in family.export.items():
        *parents, last = name.split(".")
        place = found.get(parents[0]) if parents else found
        if place is not None:
            place[last] = value(stated) if callable(value) else value
    if "tokenizer.ggml.token_type_count" in metadata:
        found["type_vocab_size"] = metadata["tokenizer.ggml.token_type_count"]
    tokens = metadata.get("tokenizer.ggml.tokens")
    found["vocab_size"] = tensors["token_embd.weight"].shape[0] if tokens is None else len(tokens)
    found["tie_word_embeddings"] = "output.weight" not in tensors
    for role, key in (("bos", "bos_token_id"), ("eos", "eos_token_id"), ("pad", "padding_token_id")):
        if f"tokenizer.ggml.{key}" in metadata:
            found[f"{role}_token_id"] = metadata[f"tokenizer.ggml.{key}"]
    return found


def _rope(stated, tensors, config):
    """`rope_scaling` and the part of a head that turns."""
    found, scaling = {}, {name: stated[key] for key, name in SCALING.items() if key in stated}
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    head_dim = config.get("head_dim") or (width // heads if width and heads and isinstance(heads, int) else None)
    turned = stated.get(".rope.dimension_count")
    if turned and head_dim and turned != head_dim:
        found["partial_rotary_factor"] = turned / head_dim
    if "rope_freqs.weight" in tensors:
        found["rope_scaling"] = _llama3(tensors["rope_freqs.weight"].numpy(), config, head_dim)
    elif "rope_factors_long.weight" in tensors:
        lists = {f"{n}_factor": plain(tensors[f"rope_factors_{n}.weight"].numpy()) for n in ("long", "short")}
        found["rope_scaling"] = {"rope_type": "longrope", **lists}
        found["original_max_position_embeddings"] = scaling.get("original_max_position_embeddings")
    elif scaling.get("rope_type", "none") != "none":
        found["rope_scaling"] = scaling
    elif "original_max_position_embeddings" in scaling:
        found["original_max_position_embeddings"] = scaling["original_max_position_embeddings"]
    return found


def _llama3(factors, config, head_dim):
    """The scaling whose factors these are: found by trying contexts, since a file has the factors only."""
    for exponent in range(4, 22):
        scaling = LLAMA3 | dict(rope_type="llama3", factor=plain(float(factors.max())),
                                original_max_position_embeddings=1 << exponent)
        tried = _Rope(scaling | {"rope_theta": config.get("rope_theta", 10000.0)}, head_dim)
        if np.array_equal(llama3_factors(tried)["rope_freqs.weight"], factors):
            return scaling
    raise ModelError("rope_freqs.weight is not made by Llama 3's rule, the only one that config.json can state",
                     tensor="rope_freqs.weight")


class _Rope:
    """As much of a Config as the factors of Llama 3 ask for."""

    rope_type = "llama3"

    def __init__(self, main_rope, head_dim):
        self.main_rope, self.head_dim = main_rope, head_dim


def card(metadata):
    """README.md with a card, and generation_config.json, where the metadata have what belongs there."""
    import yaml

    stated = {key.removeprefix("general."): value for key, value in metadata.items() if key.startswith("general.")}
    front = {names.split()[0]: stated[key] for key, names in TEXTS.items() if key in stated}
    front |= {names[0]: list(stated[key]) for key, names in LISTS.items() if key in stated}
    for prefix, name in (("base_model", "base_model"), ("dataset", "datasets")):
        entries = [_entry(stated, f"{prefix}.{i}.") for i in range(stated.get(f"{prefix}.count", 0))]
        front |= {name: entries} if entries else {}
    text = f"---\n{yaml.safe_dump(front, allow_unicode=True, sort_keys=False)}---\n" if front else ""
    files = {"README.md": text + "\nWeights exported from a GGUF file by llama-gguf.\n"}
    sampling = {name: plain(metadata[f"general.sampling.{key}"]) for key, name in SAMPLING.items()
                if f"general.sampling.{key}" in metadata}
    return files | ({"generation_config.json": sampling} if sampling else {})


def pooling(metadata):
    """The modules of sentence-transformers that say how embeddings are pooled."""
    mode = {1: "pooling_mode_mean_tokens", 2: "pooling_mode_cls_token", 3: "pooling_mode_lasttoken"}.get(
        metadata.get(metadata.arch + ".pooling_type"))
    if mode is None:
        return {}
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"))
    modules = [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
               for i, (path, kind) in enumerate(kinds)]
    return {"modules.json": modules, "1_Pooling/config.json": {mode: True}}


def _entry(stated, start):
    return {key.removeprefix(start): value for key, value in stated.items() if key.startswith(start)}
