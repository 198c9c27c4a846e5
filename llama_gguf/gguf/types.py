"""Every tensor type of the GGUF format: one row each, the single source of truth.

Ids, block sizes and bytes follow `ggml.h` and `ggml-common.h` of llama.cpp b11434.
"""

from dataclasses import dataclass

ROLES = ("matmul", "embedding", "norm", "bias")
"""What a tensor can be in a model: the right side of `x @ w`, a looked-up table, a norm, a bias."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """`block` consecutive elements of a row are stored in `bytes` bytes.

    `roles` is empty for what a model cannot compute with (integers, F64) and for the layouts
    that only activations take while running (Q8_1, Q8_K): such tensors can still be shown.
    `dtype` names the NumPy type with the same bytes, where there is one.
    """

    id: int
    name: str
    block: int
    bytes: int
    roles: frozenset
    dtype: str | None = None

    @property
    def bits_per_weight(self):
        return 8 * self.bytes / self.block

    @property
    def is_quantized(self):
        return self.block > 1

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

_TABLE = (
    # id, name, elements per block, bytes per block, roles, NumPy type
    (0, "F32", 1, 4, _FLOAT, "float32"),
    (1, "F16", 1, 2, _FLOAT, "float16"),
    (2, "Q4_0", 32, 18, _QUANT),
    (3, "Q4_1", 32, 20, _QUANT),
    (6, "Q5_0", 32, 22, _QUANT),
    (7, "Q5_1", 32, 24, _QUANT),
    (8, "Q8_0", 32, 34, _QUANT),
    (9, "Q8_1", 32, 36, _NONE),
    (10, "Q2_K", 256, 84, _QUANT),
    (11, "Q3_K", 256, 110, _QUANT),
    (12, "Q4_K", 256, 144, _QUANT),
    (13, "Q5_K", 256, 176, _QUANT),
    (14, "Q6_K", 256, 210, _QUANT),
    (15, "Q8_K", 256, 292, _NONE),
    (16, "IQ2_XXS", 256, 66, _QUANT),
    (17, "IQ2_XS", 256, 74, _QUANT),
    (18, "IQ3_XXS", 256, 98, _QUANT),
    (19, "IQ1_S", 256, 50, _QUANT),
    (20, "IQ4_NL", 32, 18, _QUANT),
    (21, "IQ3_S", 256, 110, _QUANT),
    (22, "IQ2_S", 256, 82, _QUANT),
    (23, "IQ4_XS", 256, 136, _QUANT),
    (24, "I8", 1, 1, _NONE, "int8"),
    (25, "I16", 1, 2, _NONE, "int16"),
    (26, "I32", 1, 4, _NONE, "int32"),
    (27, "I64", 1, 8, _NONE, "int64"),
    (28, "F64", 1, 8, _NONE, "float64"),
    (29, "IQ1_M", 256, 56, _QUANT),
    (30, "BF16", 1, 2, _FLOAT),
    (34, "TQ1_0", 256, 54, _QUANT),
    (35, "TQ2_0", 256, 66, _QUANT),
    (39, "MXFP4", 32, 17, _QUANT),
    (40, "NVFP4", 64, 36, _QUANT),
    (41, "Q1_0", 128, 18, _QUANT),
    (42, "Q2_0", 64, 18, _QUANT),
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
