"""Log probabilities of a base model in a file, in the format of `llama-perplexity --kl-divergence-base`.

    "_logits_", n_ctx u32, n_vocab i32, windows i32, tokens i32 (windows * n_ctx)
    for each scored token: scale f32, least f32, n_vocab codes u16 (made even): log p = scale * code + least

Least is 16 below the largest at most; where a code is less likely than exp(-16), it counts as nothing. (Format and
rule of b11434's tools/perplexity.)
"""

import os
import struct

import numpy as np

from ..errors import FormatError, ModelError
from ..gguf import replacing
from .divergence import Gathered
from .rows import log_sum
from .windows import Windows, begin_token, rows_of, session_for

MAGIC = b"_logits_"
FLOOR = -16.0


def is_base_file(path):
    """Does this file begin like one?"""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def row_words(n_vocab):
    """16-bit words of a row."""
    return 2 * ((n_vocab + 1) // 2) + 4


def file_bytes(windows, n_vocab):
    """Size of the file for these windows."""
    return 20 + 4 * len(windows) * windows.n_ctx + 2 * len(windows) * scored(windows.n_ctx) * row_words(n_vocab)


def scored(n_ctx):
    return n_ctx - 1 - n_ctx // 2


def encode(row):
    """A row of logits as uint16 words, in float32 arithmetic as the format asks."""
    most = row.max()
    least = max(row.min(), most - np.float32(16))
    log = np.float32(np.log(np.exp(row - most).sum(dtype=np.float64)))
    scale = (most - least) / np.float32(65535)
    out = np.zeros(row_words(len(row)), np.uint16)
    out[:4] = np.array([scale, least - most - log], "<f4").view("<u2")
    if scale:
        out[4 : 4 + len(row)] = np.rint((np.maximum(row, least) - least) * (np.float32(1) / scale))
    return out


def decode(words, n_vocab):
    """float32 (n_vocab,): log p."""
    scale, least = np.ascontiguousarray(words[:4]).view("<f4")
    return scale * words[4 : 4 + n_vocab].astype(np.float32) + least


def write(model, text_or_ids, path, n_ctx=None, chunks=None, force=False):
    """Write a model's log probabilities to `path`, whole or not at all; yields (windows done, of how many).

    A text shorter than a window is one window, of which the second half is scored: the format knows no other.
    """
    windows = Windows(model, text_or_ids, n_ctx, chunks)
    if len(windows.tokens) < 3:
        raise ModelError("the text is too short: of three tokens one can be scored in a file")
    if windows.first != windows.n_ctx // 2:
        windows = Windows(model, text_or_ids, len(windows.tokens), chunks)
    session = session_for(model, windows.n_ctx)
    with replacing(path, file_bytes(windows, model.n_vocab), force, inputs=[model.path]) as file:
        file.write(MAGIC + struct.pack("<Iii", windows.n_ctx, model.n_vocab, len(windows)))
        file.write(np.array(windows.tokens[: len(windows) * windows.n_ctx], "<i4").tobytes())
        for i in range(len(windows)):
            for rows in rows_of(session, windows[i], windows.first):
                for row in rows:
                    file.write(encode(row).astype("<u2").tobytes())
            yield i + 1, len(windows)


class BaseFile:
    """An open base file: its tokens, and its rows as they are asked for, mapped."""

    def __init__(self, path):
        self.path, size = path, os.path.getsize(path)
        with open(path, "rb") as file:
            head = file.read(20)
        if len(head) < 20 or head[:8] != MAGIC:
            raise FormatError("no file of log probabilities: it does not begin with _logits_", path=str(path))
        self.n_ctx, self.n_vocab, self.count = struct.unpack("<Iii", head[8:])
        if min(self.n_ctx - 2, self.n_vocab, self.count) < 1:
            told = f"{self.count} windows of {self.n_ctx} tokens of {self.n_vocab}"
            raise FormatError(f"it announces {told}, which cannot be", path=str(path))
        tokens, words = self.count * self.n_ctx, row_words(self.n_vocab)
        wanted = 20 + 4 * tokens + 2 * self.count * scored(self.n_ctx) * words
        if size < wanted:
            raise FormatError(f"it ends after {size:,} bytes, but {wanted:,} are announced", path=str(path))
        self.tokens = np.fromfile(path, "<i4", tokens, offset=20)
        shape = self.count, scored(self.n_ctx), words
        self.rows = np.memmap(path, "<u2", "r", 20 + 4 * tokens, shape)


def stream(model, path, chunks=None):
    """The Divergence of a model from a base file after each window; the file says on which text."""
    base = BaseFile(path)
    if base.n_vocab != model.n_vocab:
        raise ModelError(f"{path} has {base.n_vocab} tokens and {model.path} {model.n_vocab}: not the same vocabulary")
    count = base.count if chunks is None else min(base.count, chunks)
    windows = Windows(model, base.tokens[: count * base.n_ctx].tolist(), base.n_ctx, count)
    windows.bos = begin_token(model)
    session = session_for(model, base.n_ctx)
    gathered = Gathered(n_ctx=base.n_ctx, base=str(path), model=str(model.path))
    for i in range(count):
        targets, at = windows.targets(i), 0
        for rows in rows_of(session, windows[i], windows.first):
            for row in rows:
                add(gathered, decode(base.rows[i, at], base.n_vocab), row, targets[at])
                at += 1
        yield gathered.result(i + 1)


def add(gathered, base, row, target):
    """A row of the file and one of logits; codes at the floor carry no weight."""
    own = row.astype(np.float64) - log_sum(row)
    base = base.astype(np.float64)
    seen = base > FLOOR
    kl = float((np.exp(base[seen]) * (base[seen] - own[seen])).sum())
    gathered.append(kl, -own[target], -base[target], base.argmax() == own.argmax())
