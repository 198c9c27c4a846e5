"""A Model without an engine, to test the program around it: it repeats its prompt, word by word."""

import os
import signal
import warnings
from types import SimpleNamespace

from llama_gguf.chat import Conversation, Prompt
from llama_gguf.generation import Chunk


class Model:
    opened = []

    def __init__(self, path, **options):
        self.path, self.options = path, options
        self.metadata, self.h = {"general.architecture": "fake"}, SimpleNamespace(context=1000)
        if "plain" not in str(path):
            self.metadata["tokenizer.chat_template"] = "{{ messages }}"
        self.tokenizer = SimpleNamespace(n_tokens=256, piece=lambda i: bytes([i]))
        self.calls = []
        Model.opened.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def tokenize(self, text, bos=True, special=True):
        return [1] * bos + list(text.encode())

    def embed(self, texts, pooling=None, normalize=True):
        """A text's length and its words, as if they were coordinates."""
        import numpy as np

        self.calls.append((texts, {"pooling": pooling, "normalize": normalize}))
        rows = [np.float32([len(t), t.count(" ") + 1]) for t in texts]
        return [np.stack([r, r]) for r in rows] if pooling == "none" else np.stack(rows)

    def stream(self, prompt, **settings):
        self.calls.append((prompt, settings))
        text = prompt if isinstance(prompt, str) else prompt[-1]["content"].upper()
        yield from self._words(text, settings["max_tokens"])

    def chat_prompt(self, messages, **_):
        return Prompt(messages[-1]["content"], [dict(m) for m in messages])

    def conversation(self, system=None, **settings):
        return Conversation(self, system, **settings)

    def stream_chat(self, messages, **settings):
        self.calls.append(([dict(m) for m in messages], settings))
        yield from self._words(messages[-1]["content"].upper(), settings["max_tokens"])

    def _words(self, prompt, count):
        if "overflow" in prompt.lower():
            from llama_gguf.errors import ContextOverflow

            raise ContextOverflow("9 tokens do not fit into a context of 8")
        if "warn" in prompt:
            warnings.warn("the file is odd\x1b[31m", stacklevel=2)
        if "bug" in prompt:
            raise TypeError("a mistake of ours")
        for i, word in enumerate((prompt.split() * count)[:count]):
            if word == "INTERRUPT" or word == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            yield Chunk(f" {word}", i, None, 7, 0.07, 0.1 * (i + 1))
        yield Chunk("", None, "context" if "full" in prompt else "length", 7, 0.07, 0.1 * count)

    def bench_ops(self, n_prompt=0, n_decode=16):
        return [("blk.0.attn_q", "matmul", 0.3), ("blk.0.attn_norm", "norm", 0.1)] * 2

    def session(self):
        return SimpleNamespace(forward=lambda ids: None, reset=lambda: None)
