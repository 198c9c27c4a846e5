"""From a prompt to a text: the loop that samples, decodes and stops."""

import time
from dataclasses import dataclass, field

import numpy as np

from .errors import ContextOverflow
from .sampling import Sampler, top_logprobs


@dataclass(slots=True)
class Chunk:
    """A piece of an answer as it is made; the last one says why it ended and how fast it went."""

    text: str
    token: int | None = None
    finish_reason: str | None = None  # "stop" (end token or stop text), "length", "context"
    prompt_tokens: int = 0
    prompt_seconds: float = 0.0
    seconds: float = 0.0  # of decoding, up to here
    reused_tokens: int = 0  # of the prompt, which the session knew already
    logprobs: list = field(default_factory=list)  # [(token, log probability)]: this token, then the likeliest


@dataclass
class Result:
    """A finished answer."""

    text: str = ""
    tokens: list = field(default_factory=list)
    finish_reason: str = "length"
    prompt_tokens: int = 0
    prompt_tokens_per_second: float = 0.0  # of those that were read: all but the reused ones
    tokens_per_second: float = 0.0
    reused_tokens: int = 0

    def __str__(self):
        return self.text

    def _repr_html_(self):
        from .shown import result_html

        return result_html(self)


class StopText:
    """Holds text back while it could still become one of the stop texts."""

    def __init__(self, stop):
        self.stop = [s for s in ([stop] if isinstance(stop, str) else stop) if s]
        self.held = ""

    def push(self, text):
        """(text to show, stopped?)"""
        self.held += text
        found = [i for s in self.stop if (i := self.held.find(s)) >= 0]
        if found:
            shown, self.held = self.held[: min(found)], ""
            return shown, True
        keep = max((n for s in self.stop for n in range(1, len(s)) if self.held.endswith(s[:n])), default=0)
        cut = len(self.held) - keep
        shown, self.held = self.held[:cut], self.held[cut:]
        return shown, False


def stream(
    model,
    session,
    ids,
    *,
    max_tokens=32,
    temperature=0.0,
    top_k=40,
    top_p=0.95,
    min_p=0.05,
    repeat_penalty=1.0,
    seed=None,
    stop=(),
    reuse=False,
    top_logprobs=0,
):
    """Chunks of the continuation of `ids`, a fresh sequence of `session`. Checks run before the first token.

    reuse: do not read again what the session's last stream has read, as far as `ids` begin alike.
    top_logprobs: how many of the likeliest tokens a chunk lists beside its own.
    """
    if max_tokens < 0:
        raise ValueError(f"max_tokens must not be negative, not {max_tokens}")
    if len(ids) > session.n_ctx:
        raise ContextOverflow(
            f"the prompt has {len(ids)} tokens and the context holds {session.n_ctx}; "
            "shorten it or open the model with a larger context",
            needed=len(ids),
            available=session.n_ctx,
        )
    sampler = Sampler(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repeat_penalty=repeat_penalty, seed=seed
    )
    return _stream(model, session, ids, sampler, max_tokens, StopText(stop), reuse, top_logprobs)


def _stream(model, session, ids, sampler, max_tokens, stop, reuse, top):
    me, history, text, eog = Reader(session.planned), list(ids), model.tokenizer.stream(), model.tokenizer.eog
    row = np.empty((1, session.width), np.float32)  # one for all tokens: a fresh one costs its pages each time
    begin = time.perf_counter()
    logits = extend(session, me, history, row, reuse)
    seconds = time.perf_counter() - begin
    known = dict(prompt_tokens=len(ids), prompt_seconds=seconds, reused_tokens=me.reused)
    begin, reason, stopped = time.perf_counter(), "length", False
    for n in range(max_tokens):
        if n:
            logits = extend(session, me, history, row)
        token = sampler.sample(logits[0], history)
        if token in eog:
            reason = "stop"
            break
        history.append(token)
        shown, stopped = stop.push(text.push(token))
        listed = top_logprobs(logits[0], top, token) if top else []
        yield Chunk(shown, token, seconds=time.perf_counter() - begin, logprobs=listed, **known)
        if stopped:
            reason = "stop"
            break
        if len(history) > session.n_ctx:
            reason = "context"
            break
    rest = "" if stopped else stop.push(text.flush())[0] + stop.held
    yield Chunk(rest, None, reason, seconds=time.perf_counter() - begin, **known)


class Reader:
    """Whose tokens stand in a session: one stream, by the plan that it began with."""

    def __init__(self, planned):
        self.planned, self.reused = planned, 0


def extend(session, me, history, row, reuse=False):
    """Logits after `history`, all but whose last token stand in the session, unless somebody else used it meanwhile.

    No lock is held between chunks: whoever reads a stream may take his time, use the model, or go to another thread.
    """
    with session.lock:
        if session.owner is me:
            return session.forward(history[-1:], out=row)
        last, me.reused = session.owner, 0
        if reuse and last and last.planned is me.planned is session.planned:
            me.reused = session.keep(history)
        else:
            session.reset()
        session.owner = None
        logits = session.forward(history[me.reused :], out=row, mark=reuse)
        session.owner = me
        return logits


def collect(chunks):
    """All chunks of a stream as one Result."""
    result, texts, last = Result(), [], None
    for last in chunks:
        texts.append(last.text)
        if last.token is not None:
            result.tokens.append(last.token)
    result.text, result.finish_reason = "".join(texts), last.finish_reason
    result.prompt_tokens, result.reused_tokens = last.prompt_tokens, last.reused_tokens
    read = last.prompt_tokens - last.reused_tokens
    result.prompt_tokens_per_second = read / last.prompt_seconds if last.prompt_seconds else 0.0
    result.tokens_per_second = len(result.tokens) / last.seconds if last.seconds else 0.0
    return result
