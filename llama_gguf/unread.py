"""Keys under the architecture's name that nothing read: what may be passed over, and what is refused by name.

A key that could change what a model computes and that no model file reads belongs to some other structure, which
would run as this one and give wrong answers. Three kinds of keys are none of that: those that only describe, those
whose value is what a model does anyway, and those that a family's WITHOUT_EFFECT names, with the reason beside it.
"""

import math

from .gguf.values import LazyArray

DESCRIBING = {  # what they describe is read from elsewhere, or is no part of a forward pass over text
    "vocab_size", "pooling_type", "classifier.output_labels", "decoder_start_token_id", "suppress_tokens",
    "tensor_data_layout", "rope.scaling.finetuned",  # of Granite alone the last says more than where a model is from
    # shapes of tensors, and which layers have them, are the tensors' own
    "leading_dense_block_count", "interleave_moe_layer_step", "moe_every_n_layers", "expert_shared_count",
    "expert_feed_forward_length", "expert_shared_feed_forward_length", "attention.q_lora_rank",
    "attention.value_length_mla", "dense_2_feat_in", "dense_2_feat_out", "dense_3_feat_in", "dense_3_feat_out",
    "attention.recurrent_layers",
    "expert_group_used_count",  # read wherever there are groups
    "n_deepstack_layers", "deepstack_mapping",  # where features of pictures are added
}
OTHER_PARTS = ("vision.", "audio.", "mm.")  # beginnings of what only encoders of pictures and sounds have
LIKE = {  # keys that say of local layers what another says of all
    "rope.freq_base_swa": "rope.freq_base", "rope.dimension_count_swa": "rope.dimension_count",
    "attention.key_length_swa": "attention.key_length", "attention.value_length_swa": "attention.value_length",
    "embedding_length_out": "embedding_length",
}
ONE = ("scale", "factor", "scale_linear", "num_loops", "group_count", "rope_pattern")  # ends of keys; 1 is idle

DUMP = ("swin_norm", "rescale_every_n_layers", "time_mix_extra_dim")
"""Keys of three families that have nothing in common: a file with all of them is from llama.cpp's own saver (as after
its finetuning), which writes the keys of all families, most of them as they stood by default.
"""
SAVED = {  # those of them that stand there, in a model that has no such thing, and are not idle
    "activation.situ_beta": 1.0, "attention.indexer.kpool_select_tail": True, "attn_logit_softcapping": 50.0,
    "expert_group_scale": 0.05, "final_logit_softcapping": 30.0, "kda.gate_lower_bound": -math.inf,
    "router_logit_softcapping": 30.0, "token_shift_count": 2,
    "attention.max_alibi_bias": 8.0, "attention.temperature_scale": 0.1,  # what BLOOM, what Llama 4 does
}


def check(meta, family, h):
    """ModelError for the first key that the metadata has, nobody asked for, and that says something. h: HParams."""
    prefix = f"{meta.arch}."
    saved = SAVED if all(prefix + key in meta for key in DUMP) else {}
    passed = DESCRIBING | getattr(family, "WITHOUT_EFFECT", {}).keys()
    for full in meta:
        key = full.removeprefix(prefix)
        if key == full or full in meta.asked or key in passed or key.startswith(OTHER_PARTS):
            continue
        if (h.rope is None and key.startswith("rope.")) or (h.routing is None and key.startswith("expert_")):
            continue
        if not idle(meta, key, meta[full], h) and not (key in saved and like(meta[full], saved[key])):
            raise meta.error(full, f"is {shown(meta[full])}, which {meta.arch} models as llama-gguf knows them do not "
                             "read: the file is some other structure and may give wrong answers")


def idle(meta, key, value, h):
    """Does a value say what happens without it, too?"""
    if isinstance(value, LazyArray):
        return all(idle(meta, key, x, h) for x in value)
    if key == "attention.causal":
        return value is True  # encoders read it
    if key == "attention.sliding_window":
        return not 0 < value < h.context
    if key == "rope.scaling.yarn_attn_factor":  # what YaRN does by itself, or a number that stands for nothing
        return value == 1 or abs(value / h.rope.magnitude - 1) < 1e-5
    if key in LIKE:
        return value in (0, meta.get(meta.full(f".{LIKE[key]}"), {"rope.freq_base_swa": 10000.0}.get(key)))
    return value in (0, "") or (value == 1 and key.endswith(ONE))


def like(value, number):
    """Are they the same, as float32?"""
    return isinstance(value, int | float) and math.isclose(value, number, rel_tol=1e-6)


def shown(value):
    return f"an array of {len(value)} {value.kind}" if isinstance(value, LazyArray) else repr(value)[:80]
