"""Every tensor type of the GGUF format: one row each, the single source of truth.

Ids, block sizes and bytes follow `ggml.h` and `ggml-common.h` of llama.cpp b11434.
"""

from dataclasses import dataclass

ROLES = ("matmul", "embedding", "norm", "bias")
"""What a tensor can be in a model: the right side of `x @ w`, a looked-up table, a norm, a bias."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """`block` consecutive elements of a row are stored in `bytes` bytes; `holds` says how.

    `roles` is empty for what a model cannot compute with (integers, F64) and for the layouts
    that only activations take while running (Q8_1, Q8_K): such tensors can still be shown.
    `dtype` names the NumPy type with the same bytes, where there is one.
    """

    id: int
    name: str
    block: int
    bytes: int
    roles: frozenset
    holds: str
    dtype: str | None = None

    @property
    def bits_per_weight(self):
        return 8 * self.bytes / self.block

    @property
    def is_quantized(self):
        return self.block > 1

    @property
    def activations(self):
        """What a product with this type multiplies it with: "float", "8-bit" (blocks of 32 with
        one scale each), or None where no model may multiply."""
        if "matmul" not in self.roles:
            return None
        return "8-bit" if self.is_quantized else "float"

    def row_bytes(self, n_cols):
        """Bytes of a row of `n_cols` elements; ValueError where it is not whole blocks."""
        blocks, rest = divmod(n_cols, self.block)
        if rest:
            raise ValueError(f"{self.name} rows hold multiples of {self.block} elements,"
                             f" not {n_cols}")
        return blocks * self.bytes

    def __str__(self):
        return self.name


_FLOAT = frozenset(ROLES)
_QUANT = frozenset(("matmul", "embedding"))
_NONE = frozenset()

# Scales and minimums are half-precision numbers where nothing else is said.
_TABLE = (
    # id, name, elements per block, bytes per block, roles, what a block holds, NumPy type
    (0, "F32", 1, 4, _FLOAT, "A single-precision number.", "float32"),
    (1, "F16", 1, 2, _FLOAT, "A half-precision number.", "float16"),
    (2, "Q4_0", 32, 18, _QUANT, "A scale and 32 codes of 4 bits: scale * (code - 8)."),
    (3, "Q4_1", 32, 20, _QUANT, "A scale, a minimum and 32 codes of 4 bits: scale * code + minimum."),
    (6, "Q5_0", 32, 22, _QUANT,
     "A scale and 32 codes of 5 bits, the fifth bits apart: scale * (code - 16)."),
    (7, "Q5_1", 32, 24, _QUANT,
     "A scale, a minimum and 32 codes of 5 bits, the fifth bits apart: scale * code + minimum."),
    (8, "Q8_0", 32, 34, _QUANT, "A scale and 32 signed bytes: scale * code."),
    (9, "Q8_1", 32, 36, _NONE,
     "A scale, the sum of the values, and 32 signed bytes; only activations take it."),
    (10, "Q2_K", 256, 84, _QUANT,
     "16 groups of 16 codes of 2 bits, each group with a scale and a minimum of 4 bits; a scale for "
     "the scales and one for the minimums."),
    (11, "Q3_K", 256, 110, _QUANT,
     "16 groups of 16 codes of 3 bits, less 4, each group with a signed scale of 6 bits; a scale for "
     "the scales."),
    (12, "Q4_K", 256, 144, _QUANT,
     "8 groups of 32 codes of 4 bits, each group with a scale and a minimum of 6 bits; a scale for "
     "the scales and one for the minimums."),
    (13, "Q5_K", 256, 176, _QUANT,
     "8 groups of 32 codes of 5 bits, each group with a scale and a minimum of 6 bits; a scale for "
     "the scales and one for the minimums."),
    (14, "Q6_K", 256, 210, _QUANT,
     "16 groups of 16 codes of 6 bits, less 32, each group with a signed scale of 8 bits; a scale for "
     "the scales."),
    (15, "Q8_K", 256, 292, _NONE,
     "A single-precision scale, 256 signed bytes and their sums by 16; only activations take it."),
    (16, "IQ2_XXS", 256, 66, _QUANT,
     "32 groups of 8, each a point of a codebook of 256 with 7 bits for 8 signs (an even number is "
     "negative); 4 bits of scale for 32; a scale for the scales."),
    (17, "IQ2_XS", 256, 74, _QUANT,
     "32 groups of 8, each a point of a codebook of 512 with 7 bits for 8 signs; 4 bits of scale for "
     "16; a scale for the scales."),
    (18, "IQ3_XXS", 256, 98, _QUANT,
     "64 groups of 4, each a point of a codebook of 256; 7 bits for the signs of 8; 4 bits of scale "
     "for 32; a scale for the scales."),
    (19, "IQ1_S", 256, 50, _QUANT,
     "32 groups of 8, each a point of a codebook of 2048 with coordinates -1, 0 and 1; for 32, 3 bits "
     "of scale and whether an eighth is added or taken off; a scale for the scales."),
    (20, "IQ4_NL", 32, 18, _QUANT,
     "A scale and 32 codes of 4 bits, each the name of one of 16 points, closer together near zero."),
    (21, "IQ3_S", 256, 110, _QUANT,
     "64 groups of 4, each a point of a codebook of 512; all signs; 4 bits of scale for 32; a scale "
     "for the scales."),
    (22, "IQ2_S", 256, 82, _QUANT,
     "32 groups of 8, each a point of a codebook of 1024; all signs; 4 bits of scale for 16; a scale "
     "for the scales."),
    (23, "IQ4_XS", 256, 136, _QUANT,
     "8 groups of 32 codes of 4 bits for the points of IQ4_NL, each group with a signed scale of 6 "
     "bits; a scale for the scales."),
    (24, "I8", 1, 1, _NONE, "An integer.", "int8"),
    (25, "I16", 1, 2, _NONE, "An integer.", "int16"),
    (26, "I32", 1, 4, _NONE, "An integer.", "int32"),
    (27, "I64", 1, 8, _NONE, "An integer.", "int64"),
    (28, "F64", 1, 8, _NONE, "A double-precision number.", "float64"),
    (29, "IQ1_M", 256, 56, _QUANT,
     "32 groups of 8, each a point of the codebook of IQ1_S and whether an eighth is added or taken "
     "off; 3 bits of scale for 16; a scale for the scales, its bits spread over four words."),
    (30, "BF16", 1, 2, _FLOAT, "The upper half of a single-precision number."),
    (34, "TQ1_0", 256, 54, _QUANT,
     "A scale and 256 codes -1, 0 or 1: five to a byte, the last sixteen four to a byte."),
    (35, "TQ2_0", 256, 66, _QUANT, "A scale and 256 codes of 2 bits, less 1: -1, 0, 1 (and 2)."),
    (39, "MXFP4", 32, 17, _QUANT,
     "A power of two as scale, of 8 bits, and 32 floating-point numbers of 4 bits (E2M1)."),
    (40, "NVFP4", 64, 36, _QUANT,
     "4 groups of 16 floating-point numbers of 4 bits (E2M1), each group with a scale of 8 bits (E4M3 "
     "without a sign)."),
    (41, "Q1_0", 128, 18, _QUANT, "A scale and 128 signs."),
    (42, "Q2_0", 64, 18, _QUANT, "A scale and 64 codes of 2 bits, less 1: -1, 0, 1, 2."),
)

BY_ID = {row[0]: TensorType(*row) for row in _TABLE}
TYPES = {t.name: t for t in BY_ID.values()}

REMOVED = {4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8",
           36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8"}
"""Ids that once had a meaning; llama.cpp no longer reads them and neither do we."""


def explain_unknown(type_id):
    """One clause on a type id that is not in the table, for error messages."""
    if type_id in REMOVED:
        return (f"type {REMOVED[type_id]} (id {type_id}), which was removed from the format;"
                " quantize the model anew")
    return f"the unknown type id {type_id} (the highest known is {max(BY_ID)})"
