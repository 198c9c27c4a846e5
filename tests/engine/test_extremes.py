"""Products with tensor types at the ends of their ranges: largest points, smallest scales, every byte of a scale."""

import numpy as np
import pytest

from llama_gguf.engine.quants import codebook
from llama_gguf.gguf.types import TYPES
from llama_gguf.testing.values import scale_blocks

from .test_kernels import PACKED, activations, check, expected, extremes, product, weights
from .words import OneLayer, Rows, both


def same_point(type, index, negative):
    """uint8 (16, row_bytes): blocks that name one point everywhere, all signs alike, under the largest scale."""
    low, high, ones = index & 255, index >> 8, 255 * negative
    tail = np.array([0xF0000000 | 0x0FFFFFFF * negative], np.uint32).tobytes()
    block = {
        "IQ1_S": [low] * 32 + [*np.array([high * 0o1111 | 7 << 12 | negative << 15], np.uint16).tobytes()] * 8,
        "IQ1_M": [low] * 32 + [(high | 8 * negative) * 0x11] * 16 + [255] * 8,
        "IQ2_XXS": ([low] * 4 + [*tail]) * 8,
        "IQ2_XS": [*np.array([index | (127 * negative) << 9], np.uint16).tobytes()] * 32 + [255] * 8,
        "IQ2_S": [low] * 32 + [ones] * 32 + [high * 0x55] * 8 + [255] * 8,
        "IQ3_XXS": [low] * 64 + [*tail] * 8,
        "IQ3_S": [low] * 64 + [high * 255] * 8 + [ones] * 32 + [255] * 4,
    }[type]
    block = block if type == "IQ1_M" else [0, 0, *block]
    raw = np.tile(np.array(block, np.uint8), (16, 2, 1))
    scale_blocks(type, raw, 0.01)
    return raw.reshape(16, -1)


@pytest.mark.parametrize("negative", [0, 1])
@pytest.mark.parametrize("type", [t for t in PACKED if t.startswith(("IQ1", "IQ2", "IQ3"))])
def test_extreme_points_do_not_overflow(isa, type, negative):
    """The points with the largest neighbours, which pair sums of AVX2 add up."""
    book = codebook("iq1" if type.startswith("IQ1") else type.lower())
    pairs = book.astype(int).reshape(len(book), -1, 2).sum(2).max(1)
    signs = extremes(17)
    w = Rows("w", np.tile(same_point(type, int(pairs.argmax()), negative), (3, 1)), type, (48, 512))
    plain = w.numpy()[:, : book.shape[1]]
    shape, turned = book[pairs.argmax()], negative and not type.startswith("IQ1")
    assert (np.sign(plain) == np.sign(-shape if turned else shape))[:, shape != 0].all()
    found, _ = both(product, signs, {"w": w}, exact=False)
    check(found, expected(w, signs, type))


@pytest.mark.parametrize("type", [t for t in PACKED if TYPES[t].is_quantized])
def test_subnormal_scales_keep_their_bits(isa, type):
    """Points in eighths or quarters divide the scale: not as a half-precision number, which has no smaller one."""
    raw, x = weights(type, 16).raw.copy().reshape(16, -1, TYPES[type].bytes), activations(3, 512)
    scale_blocks(type, raw, 3 * 2.0**-24)
    w = Rows("w", raw.reshape(16, -1), type, (16, 512))
    found, _ = both(product, x, {"w": w}, exact=False)
    check(found, expected(w, x, type))


@pytest.mark.parametrize("scale", [3 * 2.0**-24, 3e3])
@pytest.mark.parametrize("type", [t for t in PACKED if TYPES[t].is_quantized])
def test_the_ends_of_scales_serve_many_tokens(isa, type, scale):
    """Sums that start as floats lose nothing of a small scale, and have room for a large one: as for one token."""
    raw, x = weights(type, 48).raw.copy().reshape(48, -1, TYPES[type].bytes), activations(18, 512)
    scale_blocks(type, raw, scale)
    check_many(Rows("w", raw.reshape(48, -1), type, (48, 512)), x, type)


def test_large_powers_of_two_serve_many_tokens(isa):
    raw, x = weights("MXFP4", 48).raw.copy().reshape(48, -1, 17), activations(18, 512) * np.float32(1e-20)
    raw[..., 0] = 236  # more, and sums would not be finite
    check_many(Rows("w", raw.reshape(48, -1), "MXFP4", (48, 512)), x, "MXFP4")


def check_many(w, x, type):
    found, _ = both(product, x, {"w": w}, exact=False)
    check(found, expected(w, x, type))
    one = OneLayer(product, 512, {"w": w}, exact=False)
    alone = np.concatenate([one.session().forward(x[t : t + 1], every=True) for t in range(len(x))])
    np.testing.assert_array_equal(found, alone)


def test_every_byte_is_a_scale_of_nvfp4(isa):
    """0x7f counts as zero; the highest bit counts for nothing."""
    raw, x = weights("NVFP4", 256).raw.copy().reshape(256, -1, 36), activations(3, 512)
    raw[..., :4] = np.arange(256)[:, None, None]
    w = Rows("w", raw.reshape(256, -1), "NVFP4", (256, 512))
    found, _ = both(product, x, {"w": w}, exact=False)
    check(found, expected(w, x, "NVFP4"))
    assert not found[:, 0x7F].any() and found[0, 0xFF]
