"""Vocabularies of every kind, made over from the three real ones: what llama.cpp says of them is in kinds.json.

`python -m tests.vocab.kinds FOLDER` writes them as files, for a llama.cpp to tokenize; data/vocab/README tells how.
"""

import sys
from itertools import product

from llama_gguf.gguf.values import Typed
from llama_gguf.vocab.tokenizer import Tokenizer

NAMES = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}
UTF8_PRES = ("gemma4", "mmbert", "sarvam-moe", "granite-embed-multi-311m")


def kinds(metadata):
    """{name: values of its metadata}; `metadata(name)` opens a real one."""
    spm, gpt2 = metadata("llama-spm").typed(), metadata("gpt-2").typed()
    unigram = spm | keys(model="t5", eos_token_id=2, scores=logarithms(spm))
    made = {
        "t5": unigram,
        "t5-prefix": unigram | keys(add_space_prefix=True),
        "t5-merged-spaces": unigram | keys(add_space_prefix=True, remove_extra_whitespaces=True),
        "t5-charsmap": metadata("charsmap").typed(),
        "plamo2": spm | keys(model="plamo2", scores=logarithms(spm)),
        "rwkv": rwkv(metadata("gpt-2")),
        "whitespace": gpt2 | keys(model="whitespace", pre="whitespace"),
        "whitespace-lower": gpt2 | keys(**{"model": "whitespace", "pre": "whitespace", "normalizer.lowercase": True}),
        "hybriddna": hybriddna(gpt2),
    }
    for pre in UTF8_PRES:
        made[f"utf8-{pre}"] = spm | keys(model="gpt2", pre=pre, merges=Typed(merges(spm), "str"))
    made["gemma4"] = made["utf8-gemma4"] | keys(model="gemma4")
    return made


def keys(**values):
    return {f"tokenizer.ggml.{key}": value for key, value in values.items()}


def texts(values):
    return list(values["tokenizer.ggml.tokens"].value)


def logarithms(values):
    """Scores in the range that Unigram models have."""
    return Typed([float(x) / 1000 for x in values["tokenizer.ggml.scores"].value], "f32")


def merges(values):
    """For each token a way to make it of two others, in the order of the file."""
    tokens = texts(values)
    known = set(tokens)
    cuts = ((t[:i], t[i:]) for t in tokens if len(t) > 1 for i in range(1, len(t))
            if not t.startswith("<0x") and t[:i] in known and t[i:] in known)
    return [" ".join(pair) for pair in {a + b: (a, b) for a, b in cuts}.values()]


def rwkv(metadata):
    tok = Tokenizer.from_metadata(metadata)
    tokens = ["<s>", *dict.fromkeys(escaped(bytes(tok.piece(i))) for i in range(50256))]
    types = Typed([3] + [1] * (len(tokens) - 1), "i32")
    return {"general.architecture": "rwkv6"} | keys(model="rwkv", tokens=Typed(tokens, "str"), token_type=types)


def escaped(piece):
    try:
        chars = piece.decode()
    except UnicodeDecodeError:
        chars = map(chr, piece)
        return "".join(NAMES.get(ord(c), c if " " <= c < "\x7f" else f"\\x{ord(c):02x}") for c in chars)
    return "".join(NAMES.get(ord(c), c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}") for c in chars)


def hybriddna(gpt2):
    more = ["<dna>", "</dna>", "<oov>", *("".join(kmer) + "\ue000" for kmer in product("ACGT", repeat=6))]
    types = Typed([*gpt2["tokenizer.ggml.token_type"].value, *[1] * len(more)], "i32")
    return gpt2 | keys(model="hybriddna", tokens=Typed(texts(gpt2) + more, "str"), token_type=types)


def main():
    import lzma
    from pathlib import Path

    from llama_gguf.gguf import GGUFFile, write_gguf

    out, data = Path(sys.argv[1]), Path(__file__).parents[1] / "data/vocab"

    def metadata(name):
        (out / f"{name}.real").write_bytes(lzma.decompress((data / f"{name}.gguf.xz").read_bytes()))
        return GGUFFile(out / f"{name}.real").metadata

    for name, values in kinds(metadata).items():
        write_gguf(out / f"{name}.gguf", values, {})
    (out / "nasty.txt").write_bytes(lzma.decompress((data / "nasty.txt.xz").read_bytes()) + DNA.encode())


DNA = "<dna>ACGTACGTACgtnnA</dna> <dna></dna><dna>CCCCCC x"
"""Follows the nasty text."""

if __name__ == "__main__":
    main()

