"""Tokenizer X-ray: what the tokens of a text are and how the vocabulary came to them.

    x = m.tokenizer.explain("Hello world")
    x.tokens, x.words[0].steps          # what they are; how they were made
    x                                   # a notebook shows both in colour
"""

from dataclasses import dataclass

from llama_gguf.vocab import steps
from llama_gguf.vocab.steps import Word

HOW = {
    "gpt2": "byte pair encoding: words by a pattern, then the file's merges in their order",
    "gemma4": "byte pair encoding on characters, spaces written ▁: the file's merges in their order",
    "llama": "SentencePiece BPE: characters, then the pair with the highest score, bytes where nothing fits",
    "bert": "WordPiece: normalized words, the longest token from the left, again and again",
    "t5": "Unigram: the way through the text with the highest sum of scores",
    "plamo2": "Unigram with rounded scores, from the end, the longest of equals",
    "rwkv": "greedy: always the longest token that fits",
}
MOST_WORDS, MOST_STEPS, MOST_EDGES = 12, 24, 60
"""Shown in a notebook; the data holds all."""


@dataclass(frozen=True)
class Token:
    """`text` is the file's spelling, `bytes` what the token stands for, `kind` one of special.KIND_NAMES."""

    id: int
    text: str
    bytes: bytes
    kind: str

    @classmethod
    def of(cls, tokenizer, i):
        return cls(i, tokenizer.text(i), bytes(tokenizer.piece(i)), tokenizer.kind(i))


class Explanation:
    """`tokens` are all of them, `words` the stretches of text between special tokens with their steps.

    A special token is a Word of one id and without steps.
    """

    def __init__(self, tokenizer, text, bos=True, special=True):
        self.text, self.model, self.pre = text, tokenizer.model, tokenizer.pre
        self.words = []
        first, last = tokenizer.frame() if bos else ([], [])
        self.words += [Word(tokenizer.text(i), [i]) for i in first]
        for part, after_special in tokenizer.parts(text, special):
            if isinstance(part, str):
                self.words += steps.of(tokenizer._backend, part, after_special)
            else:
                self.words.append(Word(tokenizer.text(part), [part]))
        self.words += [Word(tokenizer.text(i), [i]) for i in last]
        self.ids = [i for word in self.words for i in word.ids]
        self.tokens = [Token.of(tokenizer, i) for i in self.ids]
        self.how = HOW.get(self.model, self.model) + (f" ({self.pre})" if self.model == "gpt2" else "")

    def __repr__(self):
        return f"<Explanation of {len(self.text)} characters as {len(self.tokens)} tokens>"

    def __str__(self):
        """A line per token, and below them the steps of each word that has some."""
        lines = [f"{t.id:>7}  {shown(t.bytes)}" + f"  {t.kind}" * (t.kind != "normal") for t in self.tokens]
        for word in self.words:
            if len(word.steps) > 1 or word.edges:
                lines += ["", f"{word.text!r}", *map("  ".__add__, told(word))]
        return "\n".join(lines)

    def as_dict(self):
        """All of it as JSON-like data; bytes are hexadecimal."""
        return {
            "text": self.text, "how": self.how,
            "tokens": [{"id": t.id, "text": t.text, "bytes": t.bytes.hex(), "kind": t.kind} for t in self.tokens],
            "words": [{"text": w.text, "ids": w.ids,
                       "steps": [{"pieces": [p.hex() for p in s.pieces], "why": s.why} for s in w.steps],
                       "edges": [vars(e) | {"piece": e.piece.hex()} for e in w.edges]} for w in self.words],
        }

    def _repr_html_(self):
        from llama_gguf.pictures import coloured_tokens, table, together

        notes = [f"{t.kind} token {t.text}  bytes {t.bytes.hex(' ')}" for t in self.tokens]
        count = f"{len(self.text):,} characters, {len(self.tokens):,} tokens: {self.how}"
        pictures = [coloured_tokens([t.bytes for t in self.tokens], ids=self.ids, title=count, notes=notes)]
        told_words = [word for word in self.words if len(word.steps) > 1]
        told_words = list({word.text: word for word in told_words}.values())
        for word in told_words[:MOST_WORDS]:
            few = word.steps if len(word.steps) <= MOST_STEPS else [*word.steps[:3], *word.steps[3 - MOST_STEPS :]]
            rows = [(coloured_tokens(step.pieces), step.why) for step in few]
            pictures.append(table(rows, ("pieces", "why"), title=repr(word.text)))
        if len(told_words) > MOST_WORDS:
            pictures.append(coloured_tokens([f"and {len(told_words) - MOST_WORDS} more words: see .words"]))
        pictures += [edges_table(word) for word in self.words if word.edges]
        return str(together(*pictures))


def edges_table(word):
    """The candidates of a Unigram text, the chosen ones first at each place."""
    from llama_gguf.pictures import table

    best = sum(edge.score for edge in word.edges if edge.chosen)
    rows = [(edge.start, shown(edge.piece), round(edge.score, 3), "✓" if edge.chosen else "") for edge in word.edges]
    title = f"tokens that fit, chosen ones add up to {best:.3f}"
    return table(rows, ("byte", "token", "score", "chosen"), title=title, most=MOST_EDGES)


def told(word):
    """Lines about how a word was made."""
    for step in word.steps:
        yield " ".join(f"[{shown(p)[1:-1]}]" if i == step.at else shown(p)[1:-1] for i, p in enumerate(step.pieces)) \
            + f"   {step.why}"
    for edge in word.edges:
        yield f"{edge.start:>4} {shown(edge.piece)} {edge.score:.3f}" + " chosen" * edge.chosen


def shown(piece):
    """Bytes in quotes: as text where they are whole characters."""
    try:
        return repr(piece.decode())
    except UnicodeDecodeError:
        return repr(piece)[1:]
