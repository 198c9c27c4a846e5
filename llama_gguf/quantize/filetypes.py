"""The named file types of llama-quantize: which tensor type each kind of matrix gets.

A file type has a base type and exceptions for some roles. An exception is a list of choices, "condition:TYPE" or "TYPE"
alone; the first whose conditions (joined by "+") hold wins, and none means the base type. recipes.py names the roles
and conditions. Choices, ids and texts follow llama-quant.cpp of llama.cpp b11434; its snapshots of twelve models are
the test. The tables by architecture stand here and not in models/, for they are llama-quantize's: what a family gets
depends on its file types, and architectures that nothing here runs can be quantized.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileType:
    """`id` is general.file_type in the metadata; `head` what the output matrix gets (also a table that serves as one),
    `table` what a table that is only looked up gets; `low` marks the mixtures below 3 bits.
    """

    name: str
    id: int
    base: str
    head: str = "Q6_K"
    table: str | None = None
    low: bool = False
    roles: dict = field(default_factory=dict)

    def choices(self, role):
        """[(conditions, type), ...] for a role, most special first."""
        split = (choice.rpartition(":") for choice in self.roles.get(role, "").split())
        return [(tuple(filter(None, conditions.split("+"))), kind) for conditions, _, kind in split]


def _plain(name, id, base=None, **more):
    return FileType(name, id, base or name, **more)


def _mix(name, id, base, *, head="Q6_K", table=None, **roles):
    """A mixture; models of eight experts, small beside them, get more bits for attention everywhere."""
    attention = {"attn_v": "experts8:Q8_0 ", "attn_k": "experts8:Q8_0 "}
    return FileType(name, id, base, head, table, False,
                    roles | {role: first + roles.get(role, "") for role, first in attention.items()})


def _low(name, id, base, better, table, output):
    """A mixture below 3 bits: `better` goes to values and to the first ffn_down, `output` to attn_output."""
    roles = {"attn_v": f"gqa4:Q4_K experts4:Q4_K {better}", "attn_k": "experts8:Q4_K",
             "ffn_down": f"eighth:{better}", "attn_output": f"experts8:Q5_K {output}"}
    return FileType(name, id, base, "Q5_K", table, True, roles)


_K8 = "experts8:Q5_K "  # attn_output of eight experts, in the mixtures that have it

_ALL = (
    _plain("F32", 0), _plain("F16", 1), _plain("BF16", 32),
    _plain("Q8_0", 7, head="Q8_0"),
    _mix("Q1_0", 40, "Q1_0"), _mix("Q2_0", 41, "Q2_0", table="Q4_K"),
    _mix("TQ1_0", 36, "TQ1_0", table="Q4_K"), _mix("TQ2_0", 37, "TQ2_0", table="Q4_K"),
    _plain("MXFP4_MOE", 38, "MXFP4", head="Q8_0", table="Q8_0"),
    _mix("Q4_0", 2, "Q4_0", ffn_down="imatrix+eighth:Q4_1"), _mix("Q4_1", 3, "Q4_1"),
    _mix("Q5_0", 8, "Q5_0", ffn_down="imatrix+eighth:Q5_1"), _mix("Q5_1", 9, "Q5_1"),
    _mix("Q2_K", 10, "Q2_K", attn_v="gqa4:Q4_K Q3_K", ffn_down="Q3_K", attn_output=_K8 + "Q3_K"),
    _mix("Q2_K_S", 21, "Q2_K", attn_v="gqa4:Q4_K", ffn_down="eighth:Q4_K"),
    _mix("Q3_K_S", 11, "Q3_K", attn_output=_K8),
    _mix("Q3_K_M", 12, "Q3_K", attn_v="first2:Q5_K Q4_K", ffn_down="sixteenth:Q5_K Q4_K", attn_output=_K8 + "Q4_K"),
    _mix("Q3_K_L", 13, "Q3_K", attn_v="Q5_K", ffn_down="Q5_K", attn_output="no_experts8:Q5_K"),
    _mix("Q4_K_S", 14, "Q4_K", attn_v="first4:Q5_K", ffn_down="eighth:Q5_K", attn_output=_K8),
    _mix("Q4_K_M", 15, "Q4_K", attn_v="more:Q6_K", ffn_down="more:Q6_K", attn_output=_K8),
    _mix("Q5_K_S", 16, "Q5_K"),
    _mix("Q5_K_M", 17, "Q5_K", attn_v="more:Q6_K", ffn_down="more:Q6_K"),
    _mix("Q6_K", 18, "Q6_K"),
    _low("IQ1_S", 24, "IQ1_S", "Q2_K", "Q2_K", "IQ2_XXS"),
    _low("IQ1_M", 31, "IQ1_M", "Q2_K", "Q2_K", "IQ2_XXS"),
    _low("IQ2_XXS", 19, "IQ2_XXS", "Q2_K", "Q2_K", ""),
    _low("IQ2_XS", 20, "IQ2_XS", "Q2_K", "Q2_K", ""),
    _low("IQ2_S", 28, "IQ2_XS", "IQ3_S", "IQ3_S", "IQ3_S"),
    _low("IQ2_M", 29, "IQ2_S", "IQ3_S", "IQ3_S", "IQ3_S"),
    _mix("IQ3_XXS", 23, "IQ3_XXS", head="Q5_K", table="IQ3_S", attn_v="gqa4:Q4_K imatrix:IQ3_XXS IQ3_S",
         attn_k="IQ2_S", attn_q="IQ2_S", ffn_down="no_imatrix+eighth:Q4_K no_imatrix:Q3_K", attn_output=_K8 + "IQ3_S"),
    _mix("IQ3_XS", 22, "IQ3_S", attn_v="gqa4:Q4_K", attn_k="IQ3_XXS", attn_q="IQ3_XXS", ffn_gate="middle:IQ3_XXS",
         ffn_up="middle:IQ3_XXS", attn_output=_K8),
    _mix("IQ3_S", 26, "IQ3_S", attn_v="gqa4:Q4_K", attn_output=_K8),
    _mix("IQ3_M", 27, "IQ3_S", attn_v="Q4_K", ffn_down="eighth:Q4_K experts8+more:Q4_K", attn_output=_K8 + "Q4_K"),
    _mix("IQ4_NL", 25, "IQ4_NL", attn_v="gqa4:Q5_K", ffn_down="no_imatrix+eighth:Q5_K", attn_output=_K8),
    _mix("IQ4_XS", 30, "IQ4_XS", attn_v="gqa4:Q5_K", ffn_down="no_imatrix+eighth:Q5_K", attn_output=_K8),
)

FILE_TYPES = {t.name: t for t in _ALL}
ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
COPY = "COPY"
"""Every tensor as it is: to merge shards, or to write a file with other metadata."""

FAMILY_RULES = {  # architectures whose mixtures, but for the low ones, differ: {file type or *: {role: choices}}
    "falcon": {
        "*": {"attn_output": ""},
        "Q3_K_M": {"ffn_down": "sixteenth:Q5_K more:Q4_K"},
        "Q3_K_L": {"ffn_down": "Q4_K", "attn_output": "Q4_K"},
        "Q4_K_M": {"ffn_down": "sixteenth:Q6_K more:Q5_K"},
        "Q4_K_S": {"ffn_down": ""},
    }
}

FAMILY_FLOORS = {  # tensors that no mixture takes below Q8_0: parts of their names
    "glm5-next": ("attn_q_a", "attn_q_b", "nextn.eh_proj"),
}
EIGHT_BIT_HEADS = ("falcon",)  # architectures whose output matrix is Q8_0 in every mixture

SEVENTY_B = {"llama": 80, "deci": 80, "olmo": 80, "qwen2": 80, "jais2": 68}
"""Layers of the models of 70 billion weights, where attn_v is small and gets Q5_K for Q3_K and Q4_K."""

FALLBACKS = {  # of widths that are no multiple of 256; F16 where 32 does not divide them either
    "IQ1_S": "IQ4_NL", "IQ1_M": "IQ4_NL", "IQ2_XXS": "IQ4_NL", "IQ2_XS": "IQ4_NL", "IQ2_S": "IQ4_NL",
    "IQ3_XXS": "IQ4_NL", "IQ3_S": "IQ4_NL", "IQ4_XS": "IQ4_NL", "Q2_0": "Q4_0", "Q2_K": "Q4_0", "Q3_K": "Q4_0",
    "TQ1_0": "Q4_0", "TQ2_0": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}

KEPT = (  # parts of the names of matrices that are never quantized: small, or not used in a product
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
    "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight", "time_mix_first.weight",
    "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight",
    "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight",
    "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight",
    "attn_rel_b.weight", ".position_embd", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd",
    ".patch_merger", "a.rvq.codebook", "mm.a.code_embd",
)
KEPT_NAMES = ("position_embd.weight", "token_types.weight")  # the same, whole names
FAMILY_KEPT = {
    "glm5-next": (
        "hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate",
        "indexer_compressor_ape", "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight", "ssm_g_b.weight",
        "ssm_beta.weight", "attn_kv_a_mqa.weight", "attn_k_b.weight", "attn_v_b.weight",
    )
}
EXPERTS_ONLY = ("bailingmoe3",)  # of MXFP4_MOE: 3-D tensors of other kinds are no experts
