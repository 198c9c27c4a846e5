"""How each kind of vocabulary arrives at its tokens, step by step: the same rules as the compiled code, for people.

`of(backend, text, after_special)` gives the words of a text that holds no special tokens. Slow, and meant for a
few lines of text; tests hold its ids to those of `Tokenizer.encode`.
"""

from array import array
from dataclasses import dataclass, field
from itertools import chain, pairwise

from llama_gguf.vocab.bpe import BytePairs, byte_chars, char_bytes, metaspaced
from llama_gguf.vocab.spm import SentencePieces
from llama_gguf.vocab.unigram import Plamo2, Unigram
from llama_gguf.vocab.wordpiece import WordPieces

LONGEST = 200
"""Symbols of a word whose steps are shown; a longer one is told by its tokens alone."""


@dataclass(frozen=True)
class Step:
    """`pieces` (bytes) after it, which of them is new (None at the start), and why."""

    pieces: tuple
    at: int | None
    why: str


@dataclass(frozen=True)
class Edge:
    """A token that could cover the bytes start ... end of a word, its score, and whether it does."""

    start: int
    end: int
    piece: bytes
    score: float
    chosen: bool


@dataclass
class Word:
    """A stretch of text that is tokenized by itself; Unigram vocabularies have `edges` instead of steps."""

    text: str
    ids: list
    steps: list = field(default_factory=list)
    edges: list = field(default_factory=list)


def of(backend, text, after_special):
    """The words of a text, in order."""
    for kind, words in KINDS.items():
        if type(backend) is kind:
            return list(words(backend, text, after_special))
    return [Word(text, backend.encode(text, after_special))]


def merging(symbols, order, why, shown):
    """Joins neighbours, the lowest order first, the leftmost of equals, until none is left to join."""
    symbols = list(symbols)
    steps = [Step(tuple(map(shown, symbols)), None, "single symbols")]
    while len(symbols) <= LONGEST:
        pairs = [(order(a, b), i) for i, (a, b) in enumerate(pairwise(symbols))]
        best, i = min((pair for pair in pairs if pair[0] is not None), default=(None, None))
        if best is None:
            break
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        steps.append(Step(tuple(map(shown, symbols)), i, why(best, symbols[i])))
    return steps


def byte_pairs(backend, text, after_special):
    """Words by the pattern, bytes (or characters) in each, then the file's merges in their order."""
    if backend.pre.escape_spaces:
        text = text.replace(" ", "▁")
    ends, start, known = backend.words.split(text), 0, char_bytes()
    if backend.name == "mmbert":
        text, ends = metaspaced(text, ends)

    def spoken(piece):
        return b"".join(known.get(c) or c.encode() for c in piece.decode()) if backend.pre.byte_level else piece

    for end in ends:
        word, start = text[start:end], end
        raw = word.encode("utf-8", "surrogatepass")
        ids = backend.merger.encode(raw, array("i", [len(word)]))
        if backend.pre.byte_level:
            symbols = [byte_chars()[b].encode() for b in raw]
        else:
            symbols = [c.encode("utf-8", "surrogatepass") for c in word]
        if len(ids) == 1 and backend.pre.ignore_merges:
            steps = [Step((raw,), 0, "the word is a token: merges are not asked")]
        else:
            steps = merging(symbols, backend.merger.rank, lambda rank, _: f"merge {rank:,}", spoken)
        yield Word(word, ids, steps)


def sentence_pieces(backend, text, after_special):
    """Characters, then whatever two neighbours make a token, the highest score first."""
    if backend.add_space_prefix and after_special:
        text = " " + text
    text = text.replace(" ", "▁")
    words = cut_at_spaces(text)
    ids = [backend.merger.encode_text(word.encode("utf-8", "surrogatepass")) for word in words]
    whole = backend.merger.encode_text(text.encode("utf-8", "surrogatepass"))
    if list(chain(*ids)) != whole:  # some token has a space inside
        words, ids = [text], [whole]

    def order(left, right):
        i = backend.texts.find(left + right)
        return -backend.scores[i] if 0 <= i < len(backend.scores) else None

    for word, found in zip(words, ids, strict=True):
        symbols = [c.encode("utf-8", "surrogatepass") for c in word]
        steps = merging(symbols, order, lambda score, _: f"score {-score:g}", bytes)
        yield Word(word, found, steps)


def cut_at_spaces(text):
    """Words with the "▁" before them."""
    starts = [i for i, c in enumerate(text) if c == "▁" and i and text[i - 1] != "▁"]
    return [text[a:b] for a, b in zip([0, *starts], [*starts, len(text)], strict=True)]


def word_pieces(backend, text, after_special):
    """Words of the normalized text; of each the longest beginning that is a token, then the longest of the rest."""
    for word in backend.split(text):
        raw, taken, steps = word.encode("utf-8", "surrogatepass"), [], []
        ids, raw = word_ids(backend, raw), "▁".encode() + raw
        for i in ids:
            piece = backend.texts[i]
            if not raw.startswith(piece):
                steps.append(Step((*taken, raw), len(taken), "no token fits: the whole word is unknown"))
                break
            raw = raw[len(piece) :]
            taken.append(piece)
            steps.append(Step((*taken, raw) if raw else tuple(taken), len(taken) - 1, "the longest that fits"))
        yield Word(word, ids, steps)


def word_ids(backend, word):
    from llama_gguf.engine.match import word_pieces

    return word_pieces(backend.texts, backend.beginnings, word, -1 if backend.unk is None else backend.unk)


def unigram(backend, text, after_special):
    """All tokens that fit somewhere, and the way through with the highest sum of scores."""
    from llama_gguf.engine.unigram import normalize

    raw = normalize(text.encode("utf-8", "surrogatepass"), backend.charsmap, backend.kept,
                    backend.add_space_prefix, backend.merge_spaces)
    return [lattice(backend, raw, backend.encode(text, after_special))]


def plamo2(backend, text, after_special):
    raw = text.removeprefix("\ufeff").encode("utf-8", "surrogatepass")
    return [lattice(backend, raw, backend.encode(text, after_special))]


def lattice(backend, raw, ids):
    """The Word of a whole text: edges of every token that fits, the chosen ones marked."""
    chosen, at = set(), 0
    for i in ids:
        if raw.startswith(backend.texts[i], at):
            chosen.add((at, i))
            at += len(backend.texts[i])
        else:  # unknown characters, or single bytes
            at = next((n for n in range(at + 1, len(raw)) if raw[n] & 0xC0 != 0x80), len(raw))
    edges = []
    for start in range(len(raw) if len(raw) <= 4 * LONGEST else 0):
        for end in range(start + 1, min(len(raw), start + backend.texts.longest) + 1):
            i = backend.texts.find(raw[start:end])
            if i >= 0 and backend.scores[i] == backend.scores[i]:
                edges.append(Edge(start, end, raw[start:end], backend.scores[i], (start, i) in chosen))
    return Word(raw.decode("utf-8", "replace"), ids, edges=edges)


KINDS = {
    BytePairs: byte_pairs,
    SentencePieces: sentence_pieces,
    WordPieces: word_pieces,
    Unigram: unigram,
    Plamo2: plamo2,
}
"""By class of the backend; the others show their tokens alone."""
