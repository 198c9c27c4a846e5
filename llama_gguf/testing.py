"""Random models: valid GGUF files, tiny ones for tests and large ones for measuring.

    tiny("tiny.gguf")                                             # F32, two layers of 64
    tiny("tiny.gguf", type="Q4_K", width=256, ff=512)             # K types need multiples of 256
    tiny("bad.gguf", metadata={"llama.block_count": 3}, tensors={"output_norm.weight": None})
    tiny("large.gguf", type="Q4_K_M", **SHAPES["7b"])             # 4 GB, written as fast as the disk takes them
"""

import math

import numpy as np

from .gguf import write_gguf
from .gguf.types import TYPES
from .gguf.values import Typed

MERGES = ("t h", "h e", "th e", "i n", "a n", "e r", "o n", "Ġ the", "Ġ a", "an d", "in g")
CONTROL = ("<|begin|>", "<|end|>")
TEMPLATE = (
    "{% for m in messages %}<|begin|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)

SCALES = {  # where blocks keep half-precision numbers, and in which proportion values center on 0
    "Q4_1": {0: 1, 2: -7.5}, "Q5_1": {0: 1, 2: -15.5}, "Q2_K": {80: 1, 82: 1.5}, "Q3_K": {108: 1},
    "Q4_K": {0: 1, 2: 7.5}, "Q5_K": {0: 1, 2: 15.5}, "Q6_K": {208: 1}, "TQ1_0": {52: 1},
    "TQ2_0": {64: 1}, "IQ1_M": {}, "MXFP4": {}, "NVFP4": {},
}

MIXTURES = {"Q4_K_M": ("Q4_K", "Q6_K"), "Q5_K_M": ("Q5_K", "Q6_K")}  # most matrices, and those that get more bits

EIGHT_EXPERTS = {"attn_k": "Q8_0", "attn_v": "Q8_0", "attn_output": "Q5_K"}  # what mixtures give models with so many

SHAPES = {  # of well-known models, for `tiny`
    "1b": dict(layers=16, width=2048, heads=32, kv_heads=8, ff=8192, tokens=128256, tied=True, context=8192),
    "7b": dict(layers=32, width=4096, heads=32, kv_heads=32, ff=11008, tokens=32000, context=4096),
    "8b": dict(layers=32, width=4096, heads=32, kv_heads=8, ff=14336, tokens=128256, context=8192),
    "moe-8x": dict(  # Mixtral's, smaller: 2.5 billion weights, of which a token meets 0.8
        layers=12, width=2048, heads=32, kv_heads=8, ff=4096, tokens=32000, context=8192, experts=8, experts_used=2
    ),
}

POOL = 65537  # random blocks that a large matrix is made of; a prime, so that rows begin at different blocks


def tiny(
    path, arch="llama", seed=0, type="F32", *, layers=2, width=64, heads=4, kv_heads=2,
    head_dim=None, ff=96, context=256, eps=1e-5, rope_base=10000.0, tied=False, biases=False,
    qk_norms=False, experts=0, experts_used=2, vocabulary=True, tokens=None, metadata=None, tensors=None,
):
    """Write a llama-shaped model and return `path`. Matrices are of `type`, a tensor type or a mixture such as
    Q4_K_M; norms and biases F32. `experts`: as many instead of each feed-forward network, `ff` being the width of one.
    `tokens`: size of the vocabulary, 269 or more.

    `metadata` overrides keys, `tensors` overrides tensors by name (arrays become F32; or
    (type name, shape, bytes)); None takes a key or tensor away. The same seed writes the same file.
    """
    rng, head_dim = np.random.default_rng(seed), head_dim or width // heads
    tokens = words(tokens)
    keys = {
        "general.architecture": arch,
        "general.name": f"tiny {arch}",
        f"{arch}.block_count": layers,
        f"{arch}.context_length": context,
        f"{arch}.embedding_length": width,
        f"{arch}.feed_forward_length": ff,
        f"{arch}.attention.head_count": heads,
        f"{arch}.attention.head_count_kv": kv_heads,
        f"{arch}.attention.key_length": head_dim,
        f"{arch}.attention.value_length": head_dim,
        f"{arch}.attention.layer_norm_rms_epsilon": eps,
        f"{arch}.rope.dimension_count": head_dim,
        f"{arch}.rope.freq_base": float(rope_base),
        f"{arch}.vocab_size": len(tokens),
    }
    keys |= {f"{arch}.expert_count": experts, f"{arch}.expert_used_count": experts_used} if experts else {}
    keys |= vocabulary_keys(tokens) if vocabulary else {"tokenizer.ggml.model": "none"}
    shapes = {"token_embd.weight": (len(tokens), width), "output_norm.weight": (width,)}
    shapes |= {} if tied else {"output.weight": (len(tokens), width)}
    for i in range(layers):
        block = block_shapes(width, ff, heads * head_dim, kv_heads * head_dim)
        block = with_experts(block, experts, width) if experts else block
        block |= {"attn_q_norm.weight": (head_dim,), "attn_k_norm.weight": (head_dim,)} if qk_norms else {}
        for name, shape in block.items():
            shapes[f"blk.{i}.{name}"] = shape
            if biases and len(shape) > 1:
                shapes[f"blk.{i}.{name.removesuffix('weight')}bias"] = shape[:-1]
    pools = {}
    made = {
        name: random_tensor(name, shape, type_of(name, type, layers, tied, experts), rng, pools)
        for name, shape in shapes.items()
    }
    made |= {name: given(x) for name, x in (tensors or {}).items()}
    keys |= metadata or {}
    write_gguf(
        path,
        {k: v for k, v in keys.items() if v is not None},
        [(name, *x) for name, x in made.items() if x is not None],
        force=True,
    )
    return path


def block_shapes(width, ff, queries, keys):
    return {
        "attn_norm.weight": (width,),
        "attn_q.weight": (queries, width),
        "attn_k.weight": (keys, width),
        "attn_v.weight": (keys, width),
        "attn_output.weight": (width, queries),
        "ffn_norm.weight": (width,),
        "ffn_gate.weight": (ff, width),
        "ffn_up.weight": (ff, width),
        "ffn_down.weight": (width, ff),
    }


def with_experts(block, experts, width):
    """The same block with a router and so many of each feed-forward matrix."""
    ffn = ("ffn_gate.weight", "ffn_up.weight", "ffn_down.weight")
    many = {name.replace(".", "_exps."): (experts, *block[name]) for name in ffn}
    return {n: s for n, s in block.items() if n not in ffn} | {"ffn_gate_inp.weight": (experts, width)} | many


def type_of(name, type, layers, tied, experts=0):
    """The type of a matrix: `type`, or what llama-quantize gives it in a mixture (without an importance matrix)."""
    if type not in MIXTURES:
        return type
    plain, better = MIXTURES[type]
    where = name.split(".")
    if where[0] != "blk":
        return better if where[0] == ("token_embd" if tied else "output") else plain
    if where[2] == "ffn_gate_inp":
        return "F32"
    if experts == 8 and where[2] in EIGHT_EXPERTS:
        return EIGHT_EXPERTS[where[2]]
    layer, eighth = int(where[1]), layers // 8
    more = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    return better if more and where[2] in ("attn_v", "ffn_down", "ffn_down_exps") else plain


def random_tensor(name, shape, type, rng, pools):
    """(type name, shape, data): weights of variance 1 / columns, norms around 1, small biases."""
    if len(shape) == 1 or name.endswith("bias"):
        mean = 1.0 if name.endswith("weight") else 0.0
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
    from .engine.quants import dequantize

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


def words(size=None):
    """Texts of a byte-level BPE vocabulary: control tokens, all bytes, one token a merge; words that no text comes to
    fill it up to `size`.
    """
    found = [*CONTROL, *byte_alphabet(), *(m.replace(" ", "") for m in MERGES)]
    return found + [f"<{i}>" for i in range(len(found), size or 0)]


def byte_alphabet():
    """The printable character that stands for each byte (as GPT-2's encoder has them)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def vocabulary_keys(tokens):
    kinds = [3 if t in CONTROL else 1 for t in tokens]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": Typed(tokens, "str"),
        "tokenizer.ggml.token_type": Typed(kinds, "i32"),
        "tokenizer.ggml.merges": Typed(list(MERGES), "str"),
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": TEMPLATE,
    }
