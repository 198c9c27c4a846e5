"""The NumPy twin of each dequantizer: what a block means, in a few lines.

A twin takes blocks as uint8 (n_blocks, bytes) and returns Fields, so that in float32

    value = scale * code + minimum

A twin is written for reading; its values are those of the compiled kernel, bit for bit. Layouts
and order of operations as in `ggml-common.h` and `gguf-py` of llama.cpp b11434.
"""

from typing import NamedTuple

import numpy as np

from llama_gguf.gguf.types import BY_ID


class Fields(NamedTuple):
    """Arrays of (n_blocks, groups, values of a group); scale and minimum have one per group."""

    scale: np.ndarray
    code: np.ndarray
    minimum: np.ndarray | None = None

    def values(self):
        """float32 (n_blocks, values of a block)."""
        values = self.scale * self.code.astype(np.float32)
        if self.minimum is not None:
            values = values + self.minimum
        return values.reshape(len(values), -1)


def dequantize(raw, type_id, n_cols):
    """float32 (rows, n_cols) from uint8 (rows, row_bytes), as `engine.quants.dequantize`."""
    kind, raw = BY_ID[type_id], np.ascontiguousarray(raw)
    if raw.shape[1] != kind.row_bytes(n_cols):
        raise ValueError(f"{n_cols} columns of {kind} are not {raw.shape[1]} bytes")
    if raw.size == 0:
        return np.empty((len(raw), n_cols), dtype=np.float32)
    if kind.name == "BF16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if kind.dtype:
        return raw.view(np.dtype(kind.dtype).newbyteorder("<")).astype(np.float32)
    with np.errstate(all="ignore"):
        return TWINS[kind.name](raw.reshape(-1, kind.bytes)).values().reshape(len(raw), n_cols)


# ---- pieces of blocks


def half(blocks, at):
    """The half-precision number at byte `at`, as float32 (n_blocks, 1, 1)."""
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float32)[:, :, None]


def words(raw, dtype):
    return np.ascontiguousarray(raw).view(dtype)


def layers(raw, bits):
    """Numbers of `bits` bits, first the lowest of all bytes: (..., n) -> (..., 8 / bits * n)."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    pieces = raw[..., None, :] >> shifts & np.uint8(2**bits - 1)
    return pieces.reshape(*raw.shape[:-1], -1)


def digits(raw, bits, count=None):
    """Numbers of `bits` bits, byte after byte (or word after word): lowest bits first."""
    shifts = np.arange(count or 8 * raw.itemsize // bits, dtype=raw.dtype) * raw.dtype.type(bits)
    pieces = raw[..., None] >> shifts & raw.dtype.type(2**bits - 1)
    return pieces.reshape(*raw.shape[:-1], -1)


def grouped(codes, size, dtype=np.int16):
    return codes.astype(dtype).reshape(len(codes), -1, size)


def points(name, index):
    """Rows of a codebook, joined: (n_blocks, n) indices -> (n_blocks, n * width) int16."""
    from llama_gguf.engine.quants import codebook

    return codebook(name)[index].reshape(len(index), -1).astype(np.int16)


def signs(bits):
    """1 or -1 for each bit of bytes, lowest first."""
    return 1 - 2 * digits(bits, 1).astype(np.int16)


def even_signs(seven):
    """Bytes of seven stored signs, with an eighth that makes their number even."""
    seven = seven.astype(np.uint8) & np.uint8(127)
    parity = digits(seven[..., None], 1).sum(axis=-1, dtype=np.uint8) & np.uint8(1)
    return seven | parity << np.uint8(7)


# ---- one scale, perhaps one minimum


def q1_0(blocks):
    return Fields(half(blocks, 0), 2 * grouped(digits(blocks[:, 2:], 1), 128) - 1)


def q2_0(blocks):
    return Fields(half(blocks, 0), grouped(digits(blocks[:, 2:], 2), 64) - 1)


def q4_0(blocks):
    return Fields(half(blocks, 0), grouped(layers(blocks[:, 2:], 4), 32) - 8)


def q4_1(blocks):
    return Fields(half(blocks, 0), grouped(layers(blocks[:, 4:], 4), 32), half(blocks, 2))


def fifth_bits(blocks, at):
    return digits(blocks[:, at : at + 4], 1) << 4


def q5_0(blocks):
    codes = layers(blocks[:, 6:], 4) | fifth_bits(blocks, 2)
    return Fields(half(blocks, 0), grouped(codes, 32) - 16)


def q5_1(blocks):
    codes = layers(blocks[:, 8:], 4) | fifth_bits(blocks, 4)
    return Fields(half(blocks, 0), grouped(codes, 32), half(blocks, 2))


def q8_0(blocks):
    return Fields(half(blocks, 0), grouped(blocks[:, 2:].view(np.int8), 32))


def q8_1(blocks):
    return Fields(half(blocks, 0), grouped(blocks[:, 4:].view(np.int8), 32))


def iq4_nl(blocks):
    return Fields(half(blocks, 0), grouped(points("iq4", layers(blocks[:, 2:], 4)), 32))


def mxfp4(blocks):
    """E2M1 codes, doubled, so the power of two that scales them is halved."""
    e = blocks[:, :1].astype(np.int32)
    scale = np.ldexp(np.float32(1), e - 128).astype(np.float32)
    return Fields(scale[:, :, None], grouped(points("fp4", layers(blocks[:, 1:], 4)), 32))


def nvfp4(blocks):
    """As MXFP4 with a UE4M3 scale for 16 values; its NaN, 0x7f, counts as 0."""
    exponent, mantissa = blocks[:, :4].astype(np.int32) >> 3 & 15, blocks[:, :4] & 7
    whole = np.where(exponent > 0, 8 + mantissa, mantissa).astype(np.float32)
    scale = np.ldexp(whole, np.maximum(exponent, 1) - 11)
    scale[blocks[:, :4] == 0x7F] = 0
    codes = points("fp4", layers(blocks[:, 4:].reshape(-1, 4, 8), 4).reshape(-1, 64))
    return Fields(scale[:, :, None], grouped(codes, 16))


# ---- super-blocks with quantized scales


def q2_k(blocks):
    small, codes = blocks[:, :16], layers(blocks[:, 16:80].reshape(-1, 2, 32), 2)
    scale = half(blocks, 80) * (small & 15).astype(np.float32)[:, :, None]
    minimum = half(blocks, 82) * (small >> 4).astype(np.float32)[:, :, None]
    return Fields(scale, grouped(codes, 16), -minimum)


def q3_k(blocks):
    low, high = layers(blocks[:, 96:104], 4), layers(blocks[:, 104:108], 2)
    scale = half(blocks, 108) * ((low | high << 4).astype(np.float32) - 32)[:, :, None]
    codes = layers(blocks[:, 32:96].reshape(-1, 2, 32), 2).reshape(len(blocks), -1)
    codes = codes | layers(blocks[:, :32], 1) << 2
    return Fields(scale, grouped(codes, 16) - 4)


def k4_scales(blocks):
    """Eight scales and eight minimums of six bits in bytes 4..16, with d and dmin before them."""
    a, b, c = np.split(blocks[:, 4:16], 3, axis=1)
    scales = np.concatenate([a & 63, c & 15 | a >> 6 << 4], axis=1).astype(np.float32)
    minimums = np.concatenate([b & 63, c >> 4 | b >> 6 << 4], axis=1).astype(np.float32)
    return half(blocks, 0) * scales[:, :, None], half(blocks, 2) * minimums[:, :, None]


def q4_k(blocks):
    scale, minimum = k4_scales(blocks)
    codes = layers(blocks[:, 16:].reshape(-1, 4, 32), 4)
    return Fields(scale, grouped(codes, 32), -minimum)


def q5_k(blocks):
    scale, minimum = k4_scales(blocks)
    codes = layers(blocks[:, 48:].reshape(-1, 4, 32), 4).reshape(len(blocks), -1)
    codes = codes | layers(blocks[:, 16:48], 1) << 4
    return Fields(scale, grouped(codes, 32), -minimum)


def q6_k(blocks):
    low = layers(blocks[:, :128].reshape(-1, 2, 64), 4)
    high = layers(blocks[:, 128:192].reshape(-1, 2, 32), 2)
    scale = half(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)[:, :, None]
    return Fields(scale, grouped(low | high << 4, 16) - 32)


def q8_k(blocks):
    scale = words(blocks[:, :4], "<f4")[:, :, None]
    return Fields(scale, grouped(blocks[:, 4:260].view(np.int8), 256))


def tq1_0(blocks):
    """Base-3 digits: a byte is a fraction of 256, whose integer part after times three is one."""
    powers = np.array([1, 3, 9, 27, 81], dtype=np.uint8)[:, None]
    parts = blocks[:, :32], blocks[:, 32:48], blocks[:, 48:52]
    bytes_ = [part[:, None] * powers[: 5 if i < 2 else 4] for i, part in enumerate(parts)]
    digits_ = [(part.astype(np.int16) * 3 >> 8).reshape(len(blocks), -1) for part in bytes_]
    return Fields(half(blocks, 52), grouped(np.concatenate(digits_, axis=1), 256) - 1)


def tq2_0(blocks):
    codes = layers(blocks[:, :64].reshape(-1, 2, 32), 2)
    return Fields(half(blocks, 64), grouped(codes, 256) - 1)


# ---- super-blocks that name points of a codebook


def iq1(scale, points_, negative):
    """value = d * (point +- 1/8): codes count eighths."""
    shift = np.where(negative, -1, 1).repeat(8, axis=1)
    codes = (8 * points_ + shift).reshape(*scale.shape[:2], -1)
    return Fields(scale * np.float32(0.125), codes)


def iq1_s(blocks):
    high = words(blocks[:, 34:50], "<u2")
    scale = half(blocks, 0) * (2 * (high >> 12 & 7) + 1).astype(np.float32)[:, :, None]
    index = blocks[:, 2:34] | digits(high, 3, 4) << 8
    return iq1(scale, points("iq1", index), (high >> 15).repeat(4, axis=1))


def iq1_m(blocks):
    """The half-precision scale lies scattered over the top nibbles of the four scale words."""
    small, high = words(blocks[:, 48:56], "<u2"), digits(blocks[:, 32:48], 4)
    d = (small >> 12 << np.arange(0, 16, 4, dtype=np.uint16)).sum(axis=1, dtype=np.uint16)
    d = d.view("<f2").astype(np.float32)[:, None, None]
    scale = d * (2 * digits(small, 3, 4) + 1).astype(np.float32)[:, :, None]
    index = blocks[:, :32] | (high & 7).astype(np.uint16) << 8
    return iq1(scale, points("iq1", index), high >> 3)


def codebook_scale(d, nibbles, unit):
    """d * (1/2 + nibble) * unit, float32 (n_blocks, groups, 1), rounded in this order."""
    return d * (np.float32(0.5) + nibbles.astype(np.float32))[:, :, None] * np.float32(unit)


def iq2_xxs(blocks):
    pairs = words(blocks[:, 2:], "<u4").reshape(-1, 8, 2)
    index, tail = words(pairs[..., 0], np.uint8), pairs[..., 1]
    codes = points("iq2_xxs", index) * signs(even_signs(digits(tail, 7, 4)))
    return Fields(codebook_scale(half(blocks, 0), tail >> 28, 0.25), grouped(codes, 32))


def iq2_xs(blocks):
    q = words(blocks[:, 2:66], "<u2")
    codes = points("iq2_xs", q & 511) * signs(even_signs(q >> 9))
    scale = codebook_scale(half(blocks, 0), digits(blocks[:, 66:], 4), 0.25)
    return Fields(scale, grouped(codes, 16))


def iq2_s(blocks):
    index = blocks[:, 2:34] | digits(blocks[:, 66:74], 2).astype(np.uint16) << 8
    codes = points("iq2_s", index) * signs(blocks[:, 34:66])
    scale = codebook_scale(half(blocks, 0), digits(blocks[:, 74:], 4), 0.25)
    return Fields(scale, grouped(codes, 16))


def iq3_xxs(blocks):
    tail = words(blocks[:, 66:], "<u4")
    codes = points("iq3_xxs", blocks[:, 2:66]) * signs(even_signs(digits(tail, 7, 4)))
    return Fields(codebook_scale(half(blocks, 0), tail >> 28, 0.5), grouped(codes, 32))


def iq3_s(blocks):
    index = blocks[:, 2:66] | digits(blocks[:, 66:74], 1).astype(np.uint16) << 8
    codes = points("iq3_s", index) * signs(blocks[:, 74:106])
    scale = half(blocks, 0) * (1 + 2 * digits(blocks[:, 106:], 4).astype(np.float32))[:, :, None]
    return Fields(scale, grouped(codes, 32))


def iq4_xs(blocks):
    low, high = digits(blocks[:, 4:8], 4), digits(words(blocks[:, 2:4], "<u2"), 2)
    scale = half(blocks, 0) * ((low | high << 4).astype(np.float32) - 32)[:, :, None]
    codes = points("iq4", layers(blocks[:, 8:].reshape(-1, 8, 16), 4).reshape(-1, 256))
    return Fields(scale, grouped(codes, 32))


SMALL = (q1_0, q2_0, q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, iq4_nl, mxfp4, nvfp4)
SUPERS = (q2_k, q3_k, q4_k, q5_k, q6_k, q8_k, tq1_0, tq2_0)
BOOKS = (iq1_s, iq1_m, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, iq4_xs)
TWINS = {twin.__name__.upper(): twin for twin in SMALL + SUPERS + BOOKS}
"""Twins by name of type, one for every quantized type of `gguf.types`."""
