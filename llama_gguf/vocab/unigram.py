"""Unigram language models: `tokenizer.ggml.model` = t5; and PLaMo-2's variant, plamo2."""

import math
import operator
import struct
from array import array

from llama_gguf.vocab.special import BYTE, NORMAL, PREFIX, UNUSED, USER_DEFINED, byte_piece
from llama_gguf.vocab.spm import byte_rows, piece, read_scores

UNKNOWN_PENALTY = 10.0


class Unigram:
    """The tokens with the highest sum of scores, after SentencePiece's normalization."""

    add_bos, add_eos = False, True

    def __init__(self, metadata, texts, special, name):
        from llama_gguf.engine.match import Beginnings

        self.texts, self.kinds = texts, special.kinds
        self.unk = special.ids["unk"] or 0
        self.add_space_prefix = metadata.bool(PREFIX + "add_space_prefix", False)
        self.merge_spaces = metadata.bool(PREFIX + "remove_extra_whitespaces", False)
        self.charsmap = read_charsmap(metadata)
        self.scores, self.unknown_score = usable_scores(metadata, texts, special.kinds)
        self.beginnings = Beginnings(texts, bytes(map(operator.eq, self.scores, self.scores)))
        self.kept = beginnings(texts[i] for i, k in enumerate(special.kinds) if k == USER_DEFINED)

    def encode(self, text, after_special):
        from llama_gguf.engine.unigram import normalize, viterbi

        data = normalize(text.encode("utf-8", "surrogatepass"), self.charsmap, self.kept,
                         self.add_space_prefix, self.merge_spaces)
        return viterbi(self.texts, self.beginnings, self.scores, data, self.unk, self.unknown_score)

    def piece(self, i):
        return piece(self.texts[i], self.kinds[i])


def read_charsmap(metadata):
    """The file's normalization or None; ModelError where its indices lead astray."""
    from llama_gguf.engine.unigram import Charsmap

    key = PREFIX + "precompiled_charsmap"
    if key not in metadata:
        return None
    blob = metadata.array(key, getattr(metadata[key], "kind", "u8"))
    if blob.kind not in ("u8", "i8"):
        raise metadata.error(key, f"must be an array of bytes, not of {blob.kind}")
    try:
        return Charsmap(bytes(blob.tobytes()))
    except ValueError as error:
        raise metadata.error(key, str(error)) from None


def usable_scores(metadata, texts, kinds):
    """Scores as float64, NaN for tokens that text cannot become, and that of unknown ones."""
    scores = array("d", read_scores(metadata, len(kinds), None))
    normal = [scores[i] for i, kind in enumerate(kinds) if kind == NORMAL]
    if any(map(math.isnan, normal)):
        raise metadata.error(PREFIX + "scores", "has a score that is not a number")
    for i, kind in enumerate(kinds):
        if kind == USER_DEFINED:
            scores[i] = 0.0
        elif kind not in (NORMAL, UNUSED):
            scores[i] = math.nan
    lowest = struct.unpack("f", struct.pack("f", min(normal, default=0.0) - UNKNOWN_PENALTY))[0]
    return scores, lowest


def beginnings(texts):
    """All beginnings of some strings as engine.texts.Texts."""
    from llama_gguf.engine.texts import Texts

    found = sorted({text[:n] for text in texts for n in range(1, len(text) + 1)})
    return Texts(b"".join(struct.pack("<Q", len(t)) + t for t in found), len(found))


class Plamo2:
    """Unigram with rounded scores, byte fallback, and the longest of equally good tokens."""

    add_bos = add_eos = add_space_prefix = False
    UNKNOWN, INVALID = -1e7, -2e7

    def __init__(self, metadata, texts, special, name):
        from llama_gguf.engine.match import Beginnings

        self.texts, self.kinds = texts, special.kinds
        rows = byte_rows(metadata, texts, special.ids["unk"])
        self.bytes = [row[0] if row else None for row in rows]
        scores = read_scores(metadata, len(special.kinds), None)
        self.scores = array("d", map(self.rounded, scores, special.kinds))
        self.beginnings = Beginnings(texts, bytes(map(operator.eq, self.scores, self.scores)))

    def rounded(self, score, kind):
        score = math.copysign(math.floor(abs(score) * 1e4 + 0.5), score) if kind != BYTE and \
            math.isfinite(score) else math.nan
        return score if score > self.INVALID else math.nan

    def encode(self, text, after_special):
        from llama_gguf.engine.unigram import cover

        data = text.removeprefix("\ufeff").encode("utf-8", "surrogatepass")
        found = cover(self.texts, self.beginnings, self.scores, data, self.UNKNOWN)
        ids = (i if i >= 0 else self.bytes[-1 - i] for i in found)
        return [i for i in ids if i is not None]

    def piece(self, i):
        return byte_piece(self.texts[i]) if self.kinds[i] == BYTE else self.texts[i]
