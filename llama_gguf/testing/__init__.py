"""Random models: valid GGUF files of any architecture, tiny ones for tests and large ones for measuring.

    tiny("tiny.gguf")                                             # F32, two layers of 64, as Llama
    tiny("tiny.gguf", "gemma2", layers=4, window=8)               # shaped as Gemma 2
    tiny("tiny.gguf", type="Q4_K", width=256, ff=512)             # K types need multiples of 256
    tiny("bad.gguf", metadata={"llama.block_count": 3}, tensors={"output_norm.weight": None})
    tiny("large.gguf", type="Q4_K_M", **SHAPES["7b"])             # 4 GB, written as fast as the disk takes them
"""

import numpy as np

from ..gguf import write_gguf
from .families import FAMILIES
from .shapes import all_shapes, common_keys, sizes_of
from .values import MIXTURES, given, random_matrix, random_tensor, type_of
from .vocabulary import vocabulary_keys, words
from .wellknown import SHAPES

__all__ = ["FAMILIES", "MIXTURES", "SHAPES", "random_matrix", "tiny", "vocabulary_keys", "words"]


def tiny(
    path, arch="llama", seed=0, type="F32", *, family=None, tied=None, biases=False, qk_norms=False, vocabulary=True,
    metadata=None, tensors=None, **sizes,
):
    """Write a random model of `arch` and return `path`, shaped as `family` (that of `arch` by default). One that
    families does not know is shaped as Llama.

    Matrices are of `type`, a tensor type or a mixture such as Q4_K_M, or F32 where a row is not whole blocks of it;
    norms and biases are F32. `sizes`: layers, width, heads, kv_heads, head_dim, ff, context, eps, rope_base, rope_dim,
    tokens (of the vocabulary, 269 or more; shapes.py has the defaults), and what the family has besides, such as
    window or experts. `tied`: no output matrix; None: as the family is used to. `biases`: for all matrices of the
    blocks, `qk_norms`: of queries and keys, where the family does not have them anyway.

    `metadata` overrides keys, `tensors` overrides tensors by name (arrays become F32; or
    (type name, shape, bytes)); None takes a key or tensor away. The same seed writes the same file.
    """
    rng, family = np.random.default_rng(seed), FAMILIES.get(family or arch, FAMILIES["llama"])
    tokens = words(sizes.pop("tokens", None))
    s = sizes_of(family, sizes, len(tokens))
    tied = family.tied if tied is None else tied
    keys = common_keys(arch, family, s)
    keys |= vocabulary_keys(tokens) if vocabulary else {"tokenizer.ggml.model": "none"}
    pools, experts = {}, getattr(s, "experts", 0)
    made = {
        name: random_tensor(name, shape, type_of(name, shape[-1], type, s.layers, tied, experts), rng, pools)
        for name, shape in all_shapes(family, s, tied, biases, qk_norms).items()
    }
    for name, (kind, shape, data) in made.items():
        factor = family.factors.get(name.split(".", 2)[-1].removesuffix(".weight"))
        made[name] = (kind, shape, data * np.float32(factor(*shape))) if factor else (kind, shape, data)
    made |= {name: given(x) for name, x in (tensors or {}).items()}
    keys |= metadata or {}
    write_gguf(
        path,
        {k: v for k, v in keys.items() if v is not None},
        [(name, *x) for name, x in made.items() if x is not None],
        force=True,
    )
    return path
