"""Numbers of a safetensors file as NumPy arrays, and as the bytes of a GGUF type.

NumPy has no BF16 and no 8-bit floats: they stay raw (uint16, uint8) as long as rows and columns are only moved about.
"""

import numpy as np

from ..errors import ModelError

NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1",
         "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1",
         "BOOL": "u1"}
SAME = {"F32": "F32", "F16": "F16", "BF16": "BF16"}
"""GGUF types whose bytes are those of a dtype: such tensors are copied."""


def array(stored):
    """The values as stored, read-only, without a copy; see NUMPY for what stands for BF16 and 8-bit floats."""
    if stored.dtype not in NUMPY:
        raise ModelError(f"tensor {stored.name!r} has the dtype {stored.dtype}, which no GGUF type can hold",
                         path=stored.path, tensor=stored.name)
    return stored.raw.view(NUMPY[stored.dtype]).reshape(stored.shape)


def to_float32(values, dtype):
    """float32 of an array as `array` gives it; exact but for F64 and large integers."""
    if dtype == "BF16":
        return (values.astype("<u4") << 16).view("<f4")
    if dtype in _TABLES:
        return _TABLES[dtype]()[values]
    return values.astype(np.float32)


def to_type(values, dtype, type):
    """The bytes of rows as F32, F16 or BF16, as uint8 (rows, row_bytes); `values` as `array` gives them, 2-D."""
    if SAME.get(dtype) != type:
        values = _ENCODE[type](to_float32(values, dtype))
    return np.ascontiguousarray(values).view(np.uint8)


def to_bf16(values):
    """uint16: float32 rounded to the nearest, ties to even; a NaN stays one and turns quiet."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    nan = (bits & 0x7FFFFFFF) > 0x7F800000
    return np.where(nan, (bits >> 16) | 64, rounded).astype("<u2")


def _to_f16(values):
    with np.errstate(over="ignore"):  # what becomes infinite is counted and told by the caller
        return values.astype("<f2")


_ENCODE = {"F32": lambda values: values.astype("<f4", copy=False), "F16": _to_f16, "BF16": to_bf16}


def _eight_bits(exponent_bits, bias, last_is_nan):
    """float32 of all 256 codes: sign, exponent, fraction (OCP 8-bit floating point, OFP8)."""
    codes = np.arange(256)
    fraction_bits = 7 - exponent_bits
    exponent = (codes >> fraction_bits) & ((1 << exponent_bits) - 1)
    fraction = (codes & ((1 << fraction_bits) - 1)) / (1 << fraction_bits)
    values = np.where(exponent == 0, fraction * 2.0 ** (1 - bias), (1 + fraction) * 2.0 ** (exponent - bias))
    top = exponent == (1 << exponent_bits) - 1
    if last_is_nan:  # E4M3FN: no infinity, one NaN a sign
        values[(codes & 127) == 127] = np.nan
    else:
        values[top] = np.where(fraction[top] == 0, np.inf, np.nan)
    return np.where(codes < 128, values, -values).astype(np.float32)


_TABLES = {
    "F8_E4M3": lambda: _eight_bits(4, 7, last_is_nan=True),
    "F8_E5M2": lambda: _eight_bits(5, 15, last_is_nan=False),
    "F8_E8M0": lambda: np.append(2.0 ** np.arange(-127, 128), np.nan).astype(np.float32),
}
