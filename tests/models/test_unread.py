"""A key that no model file reads is refused by name, unless it says what happens anyway."""

import pytest

from llama_gguf import Model
from llama_gguf.gguf.values import Typed
from llama_gguf.models import registry
from llama_gguf.testing import tiny

from .refusing import ARCHITECTURES, TURNING, few

DECODERS = [a for a in ARCHITECTURES if not getattr(registry()[a], "ENCODER", False)]
KEYS = [  # what other models are known to have, and what nobody has
    (".attention.value_scale", 0.5), (".router_logit_softcapping", 30.0), (".hyper_connection.count", 4),
    (".rope.pattern_of_turns", "every"), (".attention.indexer.top_k", 64), (".ssm.group_size", 7), (".new_idea", True),
    (".swiglu_clamp_exp", Typed([7.0, 7.0], "f32")), (".swin_norm", True),
]
IDLE = {  # as without them
    ".attention.value_scale": 1.0, ".router_logit_softcapping": 0.0, ".num_loops": 1, ".swin_norm": False,
    ".hyper_connection.count": 0, ".swiglu_clamp_exp": Typed([0.0, 0.0], "f32"), ".rope.scaling.finetuned": False,
    ".tensor_data_layout": "Meta AI original pth", ".vision.block_count": 27, ".classifier.output_labels":
    Typed(["yes", "no"], "str"),
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_key_that_no_model_file_reads(arch, refused, tmp_path):
    for key, value in KEYS:
        if arch in TURNING or not key.startswith(".rope"):
            error = refused(arch, {key: value})
            assert error.key == arch + key and ("array of 2" if "clamp" in key else repr(value)) in str(error)
    keys = IDLE | ({".attention.causal": True} if arch in DECODERS else {})
    path = tiny(tmp_path / "idle.gguf", arch, metadata={arch + k: v for k, v in keys.items()}, **few(arch))
    Model(path, n_threads=1).close()
    error = refused(arch, {".attention.causal": arch not in DECODERS})
    assert error.key == f"{arch}.attention.causal"


def test_what_a_key_says_may_be_so_anyway(tmp_path, refused):
    """A window as wide as the context, a base of local layers that all have, the sharpening of YaRN itself."""
    yarn = {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 8.0}
    for key, other, same in (
        (".attention.sliding_window", 255, 256), (".rope.freq_base_swa", 1e6, 1e4),
        (".attention.key_length_swa", 8, 16), (".rope.scaling.yarn_attn_factor", 1.3, 1.2079441541679836),
    ):
        Model(tiny(tmp_path / "same.gguf", metadata=yarn | {f"llama{key}": same}), n_threads=1).close()
        assert refused("llama", yarn | {key: other}).key == f"llama{key}"


def test_mistral_may_state_the_length_by_which_queries_grow_once_more(tmp_path, refused):
    keys = {"mistral3.attention.temperature_length": 8}
    Model(tiny(tmp_path / "same.gguf", "mistral3", metadata=keys), n_threads=1).close()
    assert refused("mistral3", {".attention.temperature_length": 9}).key == "mistral3.attention.temperature_length"


DUMP = {  # what llama.cpp's saver (b11434) wrote of a tiny model of these keys, which other families have
    ".swin_norm": False, ".rescale_every_n_layers": 0, ".time_mix_extra_dim": 0, ".attn_logit_softcapping": 50.0,
    ".router_logit_softcapping": 30.0, ".final_logit_softcapping": 30.0, ".attention.layer_norm_epsilon": 0.0,
    ".rope.scaling.yarn_ext_factor": -1.0, ".activation.situ_beta": 1.0, ".attention.indexer.kpool_select_tail": True,
    ".expert_group_scale": 0.05, ".kda.gate_lower_bound": float("-inf"), ".token_shift_count": 2,
    ".attention.recurrent_layers": Typed([0, 0], "u32"),
}


def test_what_llama_cpp_saves_is_opened(tmp_path):
    """Its saver writes the keys of all families, with the numbers that stand there by default."""
    Model(tiny(tmp_path / "t.gguf", metadata={f"llama{k}": v for k, v in DUMP.items()}), n_threads=1).close()


@pytest.mark.parametrize(("key", "value"), [
    (".attn_logit_softcapping", 20.0), (".router_logit_softcapping", 29.9), (".final_logit_softcapping", float("nan")),
    (".activation.situ_beta", "1.0"), (".attention.indexer.kpool_select_tail", Typed([1.0], "f32")),
    (".kda.gate_lower_bound", -5.0), (".token_shift_count", 3), (".swin_norm", True), (".new_idea", True),
    (".attention.value_scale", 0.5),
])
def test_what_llama_cpp_saves_of_another_structure_is_refused(key, value, refused):
    assert refused("llama", DUMP | {key: value}).key == f"llama{key}"


@pytest.mark.parametrize("key", [".swin_norm", ".rescale_every_n_layers", ".time_mix_extra_dim"])
def test_defaults_of_other_families_are_passed_over_in_saved_files_only(key, refused):
    assert refused("llama", DUMP | {key: None}).key == "llama.attn_logit_softcapping"
