"""SentencePiece BPE: `tokenizer.ggml.model` = llama. The token with the highest score wins."""

import warnings
from array import array

from llama_gguf.gguf.metadata import REQUIRED
from llama_gguf.vocab.bpe import byte_names
from llama_gguf.vocab.special import BYTE, CONTROL, PREFIX, UNKNOWN, USER_DEFINED, byte_piece

SPACE = "▁".encode()


def read_scores(metadata, n_tokens, default=REQUIRED):
    """Scores as a float32 memoryview (n_tokens,)."""
    key = PREFIX + "scores"
    kind = "i32" if key in metadata and getattr(metadata[key], "kind", "") == "i32" else "f32"
    scores = metadata.array(key, kind, default)
    if scores is None:
        return memoryview(bytes(4 * n_tokens)).cast("f")
    if len(scores) < n_tokens:
        raise metadata.error(key, f"has {len(scores)} entries for {n_tokens} tokens")
    return memoryview(array("f", scores.tolist()[:n_tokens]))


def byte_rows(metadata, texts, unk):
    """For each byte the token that stands for it where no other does, or the unknown token.

    Raises ModelError where no byte has one: most texts could not be written.
    """
    rows = [texts.find(name) for name in byte_names()]
    rows = [i if i >= 0 else texts.find(bytes([b])) for b, i in enumerate(rows)]
    missing = sum(i < 0 for i in rows)
    if missing == 256:
        raise metadata.error(PREFIX + "tokens", "has no byte tokens (<0x00> to <0xFF>)")
    if missing:
        warnings.warn(f"{missing} of 256 byte tokens are missing from {PREFIX}tokens",
                      stacklevel=6)
    return [[i] if i >= 0 else [] if unk is None else [unk] for i in rows]


class SentencePieces:
    """Starts from characters and joins whatever makes a token; unknown ones fall to bytes."""

    add_bos, add_eos, add_space_prefix = True, False, True

    def __init__(self, metadata, texts, special, name):
        from llama_gguf.engine.merge import Spm

        self.texts, self.kinds = texts, special.kinds
        self.add_space_prefix = metadata.bool(PREFIX + "add_space_prefix", True)
        rows = byte_rows(metadata, texts, special.ids["unk"])
        self.scores = read_scores(metadata, len(texts), None)
        try:
            self.merger = Spm(texts, self.scores)
        except ValueError as error:
            raise metadata.error(PREFIX + "scores", str(error)) from None
        self.merger.set_fallback(rows)

    def encode(self, text, after_special):
        if self.add_space_prefix and after_special:
            text = " " + text
        data = text.replace(" ", "▁").encode("utf-8", "surrogatepass")
        return self.merger.encode_text(data)

    def piece(self, i):
        return piece(self.texts[i], self.kinds[i])


def piece(text, kind):
    """Bytes that a SentencePiece token stands for."""
    if kind in (UNKNOWN, CONTROL, USER_DEFINED):
        return text
    if kind == BYTE:
        return byte_piece(text)
    return text.replace(SPACE, b" ")
