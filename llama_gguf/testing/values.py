"""Random numbers for tensors of every type and role."""

import math

import numpy as np

from ..gguf.types import TYPES

SCALES = {  # where blocks keep half-precision numbers, and in which proportion values center on 0
    "Q4_1": {0: 1, 2: -7.5}, "Q5_1": {0: 1, 2: -15.5}, "Q2_K": {80: 1, 82: 1.5}, "Q3_K": {108: 1},
    "Q4_K": {0: 1, 2: 7.5}, "Q5_K": {0: 1, 2: 15.5}, "Q6_K": {208: 1}, "TQ1_0": {52: 1},
    "TQ2_0": {64: 1}, "IQ1_M": {}, "MXFP4": {}, "NVFP4": {},
}

MIXTURES = {  # most matrices, and those that get more bits
    "Q4_K_M": ("Q4_K", "Q6_K"), "Q5_K_M": ("Q5_K", "Q6_K"), "MXFP4_MOE": ("Q8_0", "Q8_0"),
}
SHORTER = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # for rows that are no multiple of 256
EIGHT_EXPERTS = {"attn_k": "Q8_0", "attn_v": "Q8_0", "attn_output": "Q5_K"}  # what mixtures give models with so many

POOL = 65537  # random blocks that a large matrix is made of; a prime, so that rows begin at different blocks


OWN = {  # tensors that are neither norms nor biases nor matrices of a product, and how their numbers are made
    "ssm_a": lambda rng, shape: -np.exp(rng.uniform(-2, 1.5, shape)),  # rates of decay
    "ssm_d": lambda rng, shape: 1 + 0.2 * rng.standard_normal(shape),
    "ssm_dt.bias": lambda rng, shape: -1 + rng.standard_normal(shape),
    "ssm_conv1d.weight": lambda rng, shape: rng.standard_normal(shape) / shape[-1] ** 0.5,
    "shortconv.conv.weight": lambda rng, shape: rng.standard_normal(shape) / shape[-1] ** 0.5,
    "attn_sinks.weight": lambda rng, shape: rng.standard_normal(shape),
    "ffn_gate_inp.scale": lambda rng, shape: 1 + 0.2 * rng.standard_normal(shape),
    "ffn_down_exps.scale": lambda rng, shape: 1 + 0.2 * rng.standard_normal(shape),
}
FLOATS = ("ffn_gate_inp", "ffn_gate_inp_shexp", "position_embd", "token_types")  # matrices that no file quantizes


def type_of(name, cols, type, layers, tied, experts=0):
    """The type of a matrix: `type`, or what llama-quantize gives it in a mixture (without an importance matrix)."""
    where = name.split(".")
    stem = where[2] if where[0] == "blk" else where[0]
    if stem in FLOATS:
        return "F32"
    if type in MIXTURES:
        mixture, (plain, better) = type, MIXTURES[type]
        type = better if gets_more(where, stem, layers, tied) else plain
        type = EIGHT_EXPERTS.get(stem, type) if experts == 8 and type != "Q8_0" else type
        type = "MXFP4" if mixture == "MXFP4_MOE" and stem.endswith("_exps") else type
        type = SHORTER.get(type, type) if cols % TYPES[type].block else type
    return "F32" if cols % TYPES[type].block else type


def gets_more(where, stem, layers, tied):
    """Is this one of the matrices that a mixture gives more bits?"""
    if where[0] != "blk":
        return stem == ("token_embd" if tied else "output")
    layer, eighth = int(where[1]), layers // 8
    more = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    return more and stem in ("attn_v", "ffn_down", "ffn_down_exps")


def random_tensor(name, shape, type, rng, pools):
    """(type name, shape, data): weights of variance 1 / columns, norms around 1, small biases."""
    own = OWN.get(name.split(".", 2)[-1] if name.startswith("blk.") else name)
    if own is not None:
        return given(own(rng, shape))
    if len(shape) == 1 or "norm" in name or name.endswith("bias"):
        mean = 1.0 if name.endswith("weight") or ("norm" in name and not name.endswith("bias")) else 0.0
        return given(mean + 0.1 * rng.standard_normal(shape))
    rows, cols = math.prod(shape[:-1]), shape[-1]
    if math.prod(shape) // TYPES[type].block <= POOL:
        return type, shape, random_matrix(type, rows, cols, rng)
    if (type, cols) not in pools:
        pools[type, cols] = random_matrix(type, 1, POOL * TYPES[type].block, rng, fan_in=cols)
    start = int(rng.integers(POOL)) * TYPES[type].bytes
    return type, shape, lambda: around(pools[type, cols], start, rows * TYPES[type].row_bytes(cols))


def around(pool, start, n_bytes):
    """Buffers of `n_bytes` in all: a pool from byte `start` on, and again from its beginning."""
    data = memoryview(pool.reshape(-1).view(np.uint8))
    while n_bytes:
        part = data[start : start + n_bytes]
        yield part
        start, n_bytes = 0, n_bytes - len(part)


def given(data):
    """What GGUFWriter takes, from an array, a (type, shape, bytes) or None."""
    if data is None or isinstance(data, tuple):
        return data
    data = np.ascontiguousarray(data, np.float32)
    return "F32", data.shape, data


def random_matrix(type, rows, cols, rng, fan_in=None):
    """Bytes of (rows, cols) numbers of any type a matrix may have, of variance 1 / fan_in (default: cols)."""
    fan_in = fan_in or cols
    if type not in ("F32", "F16", "BF16"):
        return random_blocks(type, rows, cols, rng, fan_in)
    values = rng.standard_normal((rows, cols)).astype(np.float32) / np.float32(fan_in**0.5)
    if type == "F32":
        return values
    if type == "F16":
        return values.astype(np.float16)
    return (values.view(np.uint32) >> 16).astype(np.uint16)  # BF16: cut, not rounded; any bits are as good here


def random_blocks(type, rows, cols, rng, fan_in):
    """uint8 (rows, row_bytes): random codes under scales that give variance 1 / fan_in."""
    from ..engine.quants import dequantize

    kind = TYPES[type]
    blocks = rng.integers(0, 256, (rows, cols // kind.block, kind.bytes), dtype=np.uint8)
    scale_blocks(type, blocks, 1.0)
    with np.errstate(all="ignore"):
        plain = dequantize(blocks.reshape(rows, -1), kind.id, cols).astype(np.float64)
    scale_blocks(type, blocks, float(1 / (plain.std() * fan_in**0.5)))
    return blocks.reshape(rows, -1)


def scale_blocks(type, blocks, scale):
    """Set the scales of random blocks; exponents (MXFP4, NVFP4) suit some 256 columns whatever is asked."""
    for at, ratio in SCALES.get(type, {0: 1}).items():
        blocks[..., at : at + 2] = np.array([scale * ratio], np.float16).view(np.uint8)
    if type == "MXFP4":
        blocks[..., 0] = 119 + blocks[..., 0] % 4
    elif type == "NVFP4":
        blocks[..., :4] = 1 + blocks[..., :4] % 15
    elif type == "IQ1_M":  # one half-precision number in the high quarters of four words
        words = blocks[..., 48:56].view(np.uint16)
        half = np.float16(scale).view(np.uint16)
        words[...] = (words & 0x0FFF) | (half >> np.arange(0, 16, 4, dtype=np.uint16) & 15) << 12
