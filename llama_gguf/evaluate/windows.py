"""A text in windows, and the logits of the tokens that are scored, a few rows at a time.

As llama-perplexity does it: windows of n_ctx tokens that do not overlap; where the vocabulary begins texts with a
token, it takes the place of each window's first; of each window the second half is scored, so that every scored token
has half a window before it at least.
"""

from ..errors import ContextOverflow, ModelError

N_CTX = 512
ROWS_BYTES = 64 << 20
"""Bytes of logits at a time; with a large vocabulary that is a few dozen rows."""


def text_ids(model, text_or_ids):
    """Token ids of a text that is judged: in it "<s>" is three letters, as llama.cpp's perplexity and imatrix have it.
    Ids are taken as they are.
    """
    return model.tokenize(text_or_ids, special=False) if isinstance(text_or_ids, str) else model.ids(text_or_ids)


def begin_token(model):
    """The token that takes the place of each window's first; None where the vocabulary begins texts with none."""
    return model.tokenizer.bos if model.tokenizer.add_bos else None


class Windows:
    """`tokens` of a text, cut. A text shorter than a window is one window, scored from its second token on.

    n_ctx: tokens of a window; None: 512, or all of a shorter text. chunks: windows at most. Token ids, instead of a
    text, are taken as they are: nothing takes the place of a window's first.
    """

    def __init__(self, model, text_or_ids, n_ctx=None, chunks=None):
        model._need_decoder()
        self.tokens = text_ids(model, text_or_ids)
        self.bos = begin_token(model) if isinstance(text_or_ids, str) else None
        most = model.graph.most or model.h.context
        self.n_ctx = min(N_CTX, most, max(2, len(self.tokens))) if n_ctx is None else n_ctx
        if (n_ctx is not None and n_ctx < 3) or (chunks is not None and chunks < 1):
            raise ValueError(f"there must be a window of 3 tokens at least, not {chunks} of {n_ctx}")
        short = n_ctx is None and len(self.tokens) < min(N_CTX, most)
        self.first = 0 if short else self.n_ctx // 2
        self.count = min(len(self.tokens) // self.n_ctx, chunks or len(self.tokens))
        if len(self.tokens) < 2:
            raise ModelError("the text is too short: it takes two tokens for one to be predicted")
        if not self.count:
            raise ModelError(
                f"the text has {len(self.tokens)} tokens, less than one window of {self.n_ctx}; "
                "give a longer text or smaller windows"
            )

    @property
    def scored(self):
        """Tokens of each window that are predicted."""
        return self.n_ctx - 1 - self.first

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        """Token ids of a window, as the model sees them."""
        i = range(self.count)[i]
        ids = list(self.tokens[i * self.n_ctx : (i + 1) * self.n_ctx])
        return ids if self.bos is None else [self.bos, *ids[1:]]

    def targets(self, i):
        """The tokens that window `i` is asked for, in order: what the text says, even in place of a beginning."""
        start = i * self.n_ctx
        return self.tokens[start + self.first + 1 : start + self.n_ctx]


def session_for(model, n_ctx):
    """A session with room for a window and no more."""
    most = model.graph.most
    if most and n_ctx > most:
        raise ContextOverflow(f"windows of {n_ctx} tokens are too long: this model has learned {most} positions",
                              needed=n_ctx, available=most)
    return model.session(n_ctx=n_ctx)


def rows_of(session, ids, first):
    """Logits at positions first ... len(ids) - 2, in pieces: float32 (rows, n_vocab). The session begins anew."""
    session.reset()
    few = max(1, min(session.batch, ROWS_BYTES // (4 * session.width)))
    at, last = 0, len(ids) - 1
    while at < first:
        part = ids[at : min(first, at + session.batch)]
        session.step(part, [0] * len(part), wanted=range(0))
        at += len(part)
    while at < last:
        part = ids[at : min(last, at + few)]
        yield session.step(part, [0] * len(part))
        at += len(part)
