"""What no model file states is refused by name, in every architecture: it would give wrong answers.

Files are those that llama_gguf.testing.tiny makes, with one thing changed.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import Model, ModelError
from llama_gguf.forward import IGNORED
from llama_gguf.gguf.values import Typed
from llama_gguf.models import registry
from llama_gguf.testing import FAMILIES, tiny

from .refusing import ARCHITECTURES, TURNING, few

MIXED = [a for a in ARCHITECTURES if "experts" in FAMILIES[a].sizes]
DENSE = sorted(set(ARCHITECTURES) - set(MIXED))
LOCAL = [a for a in ARCHITECTURES if "window" in FAMILIES[a].sizes]
RECURRENT = [a for a in ARCHITECTURES if "state" in FAMILIES[a].sizes]
ATTENDING = [a for a in ARCHITECTURES if not a.startswith("mamba")]
WITHOUT = {"output", "exp_probs_b", "ssm_norm", "token_types", "ffn_gate_inp_shexp"}  # other files lack them
MAY_LACK = {"jina-bert-v2": {"ffn_gate"}, "gemma4": {"layer_output_scale"}}
HAS = {"bitnet": ("attn_sub_norm", "ffn_sub_norm")}  # what other architectures have not
KEYS_AND_VALUES = {"attn_k", "attn_v", "attn_k_norm"}  # that layers which read others' may lack
LONGER = {"token_embd", "position_embd", "token_types"}  # tables, whose rows are not a width


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", [
    "blk.0.attn_sub_norm.weight", "blk.1.ffn_sub_norm.weight", "blk.1.altup_proj.weight", "per_layer_token_embd.weight",
    "blk.0.attn_rel_b.weight", "blk.0.layer_output_scale.weight", "blk.7.attn_norm.weight", "output_norm.scale",
])
def test_a_tensor_that_no_model_file_reads(arch, name, refused):
    if any(part in name for part in HAS.get(arch, ())):
        name = name.replace("0.", "9.").replace("1.", "9.")  # it has such tensors, but not so many layers
    assert refused(arch, tensors={name: np.ones(64)}).tensor == name


@pytest.mark.parametrize("arch", TURNING)
def test_an_unknown_way_to_stretch_positions(arch, refused):
    for scaling in ("dynamic", "su", "llama3", ""):
        assert refused(arch, {".rope.scaling.type": scaling}).key == f"{arch}.rope.scaling.type"
    assert refused(arch, {".rope.freq_base": 0.0}).key == f"{arch}.rope.freq_base"
    assert refused(arch, {".rope.scaling.factor": float("nan")}).key == f"{arch}.rope.scaling.factor"
    assert refused(arch, {".rope.dimension_count": 7}).key == f"{arch}.rope.dimension_count"


@pytest.mark.parametrize("arch", MIXED)
def test_an_unknown_choice_of_experts(arch, refused):
    how = {"experts": 4} if not FAMILIES[arch].sizes["experts"] else {}
    for key, value in (
        ("expert_gating_func", 9), ("expert_used_count", 0), ("expert_used_count", 100), ("expert_used_count", None),
        ("expert_group_count", 3), ("expert_weights_scale", float("inf")), ("expert_count", 5000),
    ):
        assert refused(arch, {f".{key}": value}, **how).key == f"{arch}.{key}", key
    error = refused(arch, {".expert_count": 6}, **how)
    assert ".ffn_" in error.tensor or "exp_probs_b" in error.tensor


@pytest.mark.parametrize("arch", DENSE)
def test_experts_where_a_family_has_none(arch, refused):
    error = refused(arch, {".expert_count": 4, ".expert_used_count": 2})
    assert error.key == f"{arch}.expert_count" or "ffn" in error.tensor


@pytest.mark.parametrize("arch", ATTENDING)
def test_heads_that_do_not_divide(arch, refused):
    """A count that the tensors contradict as well may be named by one of them."""
    for key, value in (
        ("head_count_kv", 3), ("head_count_kv", -1), ("head_count_kv", 100), ("head_count", 0), ("head_count", -4),
        ("head_count", 9000), ("key_length", 0), ("key_length", 1 << 30),
    ):
        error = refused(arch, {f".attention.{key}": value})
        assert (error.key or "").startswith(f"{arch}.attention.") or "attn" in error.tensor, (key, value, str(error))


@pytest.mark.parametrize("arch", LOCAL)
def test_windows_out_of_domain(arch, refused):
    how = {} if FAMILIES[arch].sizes["window"] else {"window": 8}
    window = ".attention.sliding_window"
    assert refused(arch, {window: -1}, **how).key == arch + window
    assert refused(arch, {window: "8"}, **how).key == arch + window


@pytest.mark.parametrize("arch", [a for a in LOCAL if a not in ("phi3", "phimoe")])
def test_patterns_of_windows_out_of_domain(arch, refused):
    how = {} if FAMILIES[arch].sizes["window"] else {"window": 8}
    key = ".attention.sliding_window_pattern"
    for wrong in (-1, 5000, 0.5, Typed([1] * 50, "i32"), Typed([2] * 4, "i32"), Typed([], "i32")):
        assert refused(arch, {key: wrong}, layers=4, **how).key == arch + key, wrong


@pytest.mark.parametrize("arch", RECURRENT)
def test_states_out_of_domain(arch, refused):
    for key in ("conv_kernel", "inner_size", "state_size", "time_step_rank"):
        for value in (None, 0, -1, 1 << 30, "4"):
            assert refused(arch, {f".ssm.{key}": value}).key == f"{arch}.ssm.{key}", (key, value)
        error = refused(arch, {f".ssm.{key}": 3})
        assert "ssm" in (error.key or error.tensor) or "attn" in error.tensor, (key, str(error))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_tokens_without_rows_and_rows_without_tokens(arch, refused, tmp_path):
    with Model(tiny(tmp_path / "whole.gguf", arch, **few(arch)), vocab_only=True) as model:
        texts = list(model.metadata["tokenizer.ggml.tokens"])
    for wrong in (texts[:-1], [*texts, "<one more>"]):
        error = refused(arch, {"tokenizer.ggml.tokens": Typed(wrong, "str")})
        assert error.key == "tokenizer.ggml.tokens" and str(len(wrong)) in str(error)


@pytest.mark.parametrize(("arch", "key", "value"), [
    ("gemma3n", ".altup.num_inputs", None), ("gemma3n", ".altup.active_idx", 4), ("gemma3n", ".altup.active_idx", None),
    ("gemma3n", ".activation_sparsity_scale", None), ("gemma3n", ".activation_sparsity_scale", Typed([1.0], "f32")),
    ("gemma3n", ".activation_sparsity_scale", Typed([float("nan")] * 6, "f32")),
    ("gemma3n", ".attention.shared_kv_layers", None), ("gemma3n", ".embedding_length_per_layer_input", None),
    ("gemma4", ".embedding_length_per_layer_input", None), ("gemma4", ".attention.key_length_swa", None),
    ("gemma4", ".attention.value_length_swa", 5), ("gemma4", ".rope.dimension_count_swa", 3),
    ("gemma4", ".rope.dimension_count_swa", None),
    *((arch, key, value) for arch in ("gemma3n", "gemma4") for key, value in (
        (".attention.shared_kv_layers", 5), (".attention.shared_kv_layers", 6), (".attention.sliding_window", None),
        (".attention.sliding_window_pattern", None), (".attention.sliding_window_pattern", 2),
        (".final_logit_softcapping", -1.0), (".rope.freq_base_swa", 0.0),
    )),
])
def test_what_only_gemma_3n_and_4_have(arch, key, value, refused):
    assert refused(arch, {key: value}).key == arch + key


def test_factors_that_rotation_needs(refused):
    assert refused("gemma4", tensors={"rope_freqs.weight": None}).tensor == "rope_freqs.weight"
    assert refused("gemma4", tensors={"rope_freqs.weight": np.ones(5)}).tensor == "rope_freqs.weight"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_what_every_model_has_must_be_stated(arch, refused):
    norm = f".attention.layer_norm_{'rms_' if FAMILIES[arch].norm == 'rms' else ''}epsilon"
    keys = (".block_count", ".embedding_length", ".attention.head_count", ".context_length", norm)
    for key in keys:
        error = refused(arch, {key: None, ".attention.layer_norm_epsilon": None} if key == norm else {key: None})
        assert error.key == arch + key or (key == norm and "epsilon" in error.key), key
    for key in (".block_count", ".embedding_length", ".context_length", norm):
        for value in (0, -1, "1", float("nan")):
            assert refused(arch, {key: value}).key == arch + key, (key, value)


def stem(name):
    return name.rsplit(".", 1)[0].split(".", 2)[-1] if name.startswith("blk.") else name.rsplit(".", 1)[0]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_tensor_is_needed_in_its_own_shape(arch, tmp_path):
    """Each one taken away, and each with a row or column more, is refused before anything is computed."""
    with Model(tiny(tmp_path / "t.gguf", arch, **few(arch)), n_threads=1) as model:
        whole = dict(model.tensors)
        for name, tensor in whole.items():
            if name in IGNORED:  # read with the hyperparameters
                continue
            for axis in range(stem(name) in LONGER, len(tensor.shape)):
                shape = tuple(n + (i == axis) for i, n in enumerate(tensor.shape))
                model.tensors = whole | {name: Odd(tensor, shape)}
                with pytest.raises(ModelError) as error:
                    model.trace_graph()
                assert error.value.tensor, (name, shape)
            optional = stem(name) in WITHOUT | MAY_LACK.get(arch, set()) or reads_others(model.h, name)
            if optional or not_in_a_set(name, whole, arch):
                continue
            model.tensors = {n: t for n, t in whole.items() if n != name}
            with pytest.raises(ModelError) as error:
                model.trace_graph()
            assert error.value.tensor, name


def not_in_a_set(name, whole, arch):
    """May a bias be missing, since no other layer has it and the family does not state it?"""
    others = [n for n in whole if n != name and n.startswith("blk.") and n.endswith(name.split(".", 2)[-1])]
    always = getattr(registry()[arch], "BIASES", "").split()
    return name.endswith("bias") and stem(name) not in always and not (name.startswith("blk.") and others)


@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if hasattr(registry()[a], "BIASES")])
def test_biases_that_a_family_always_has(arch, tmp_path):
    with Model(tiny(tmp_path / "t.gguf", arch), n_threads=1) as model:
        whole = dict(model.tensors)
        stems = {stem(name) for name in whole if name.endswith(".weight")} & set(registry()[arch].BIASES.split())
        assert len(stems) > 1
        for lacking in stems:
            model.tensors = {n: t for n, t in whole.items() if not (n.endswith("bias") and stem(n) == lacking)}
            with pytest.raises(ModelError, match=rf"{lacking}\.bias is missing"):
                model.trace_graph()


@pytest.mark.parametrize(("arch", "how", "stems", "named"), [
    ("qwen2", {}, ["attn_k"], "attn_k.bias is missing, beside"),
    ("llama", {"biases": True}, ["attn_q", "attn_v"], "attn_q.bias is missing, beside"),
    ("qwen2moe", {}, ["ffn_gate_inp_shexp"], "ffn_gate_inp_shexp.weight is missing"),
    ("qwen35moe", {}, ["ffn_gate_inp_shexp"], "ffn_gate_inp_shexp.weight is missing"),
    ("qwen2moe", {}, ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"], "ffn_up_shexp.weight is missing"),
    ("minimax-m2", {}, ["exp_probs_b"], "exp_probs_b.bias is missing"),
    ("glm4moe", {}, ["exp_probs_b"], "exp_probs_b.bias is missing"),
])
def test_half_a_set_in_every_layer(arch, how, stems, named, tmp_path):
    with Model(tiny(tmp_path / "t.gguf", arch, **how), n_threads=1) as model:
        lacking = "bias" if how or "attn" in stems[0] else ""
        model.tensors = {n: t for n, t in model.tensors.items() if not (stem(n) in stems and n.endswith(lacking))}
        with pytest.raises(ModelError, match=named):
            model.trace_graph()


def reads_others(h, name):
    """Is this a tensor that makes keys or values, in a layer that reads those of another?"""
    layer = layer_of(name) if stem(name) in KEYS_AND_VALUES and hasattr(h.extra, "sources") else None
    return layer is not None and h.sources[layer] != layer


def layer_of(name):
    return int(name.split(".")[1])


class Odd(SimpleNamespace):
    """A tensor that says it has another shape."""

    def __init__(self, tensor, shape):
        super().__init__(name=tensor.name, type=tensor.type, shape=shape)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_what_is_not_finite_is_found_in_every_tensor(arch, refused, tmp_path):
    """The last number of a matrix, of all experts' matrices, of a norm."""
    with Model(tiny(tmp_path / "whole.gguf", arch, **few(arch)), n_threads=1) as model:
        last = {}
        for name, tensor in model.tensors.items():
            last[len(tensor.shape)] = name, tensor.numpy().copy()
    for name, values in last.values():
        values.flat[-1] = np.inf
        assert refused(arch, tensors={name: values}, check_tensors=True).tensor == name
