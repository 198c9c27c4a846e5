"""One engine in a process of its own, which loads a model once and times what it is asked to.

    PYTHON peer_driver.py ENGINE                              questions on stdin, answers on stdout
    PYTHON peer_driver.py ENGINE --first-token MODEL TEXT     one greedy token, as a whole process

ENGINE is llama-gguf, llama.cpp (needs llama-cpp-python), ik_llama.cpp (needs ik-llama-cpp-python)
or ik_llama.cpp:repack (the same with its repacking at load). A question is a JSON object on a
line, {"do": NAME, ...arguments}; its answer is one, too. NAME is a function in QUESTIONS.

All engines are timed by the code below, with flash attention and an F16 cache. This file needs
Python, NumPy and the one engine, nothing else.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import json
import time

KV_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 8}  # ids of the cache's types
PAD = 256  # positions of their contexts; ik_llama.cpp refuses some other sizes
CHUNK = 2048  # tokens that the peers are given at once, their own default
SETTLE = 0.05  # seconds before the clock starts, in which others' idle threads fall asleep


class Ours:
    """llama-gguf."""

    def load(self, path, threads, repack=True, exact=False):
        from llama_gguf import Model

        self.model = Model(path, n_ctx=64, n_threads=threads, repack=repack, exact=exact)
        self.n_vocab = self.model.n_vocab

    def open(self, n_ctx, threads, n_seq=1, plain=False, kv_type=None):
        self.model.n_threads, self.session = threads, None
        kv_type = "F32" if plain else kv_type
        self.session = self.model.session(n_ctx=n_ctx, n_seq=n_seq, kv_type=kv_type)

    def clear(self):
        self.session.reset()

    def extend(self, tokens, seq=0):
        return self.session.forward(tokens, seq)[0]

    def step(self, tokens):
        self.session.step(tokens, range(len(tokens)))

    def every(self, tokens):
        return self.session.forward(tokens, every=True)

    def tokenize(self, text):
        return self.model.tokenize(text)

    def text(self, token):
        return self.model.tokenizer.piece(token).decode(errors="replace")

    def version(self):
        from llama_gguf import __version__

        return __version__

    def work(self):
        """Bytes of weights that a decoded token reads, and operations of a token of the prompt: of a mixture, those of
        the experts that a token meets.
        """
        from llama_gguf.weights import PRODUCTS

        products = [r for r in self.model.graph.records if r.kind in PRODUCTS]
        parts = [r.attrs.get("used", 1) / r.attrs.get("count", 1) for r in products]
        tensors = [(r.attrs["weight"].tensor, part, r.out.wanted) for r, part in zip(products, parts, strict=True)]
        return {
            "bytes_per_token": sum(round(t.n_bytes * part) for t, part, _ in tensors),
            "operations_per_token": sum(round(2 * t.n_elements * part) for t, part, last in tensors if not last),
        }


class LlamaCpp:
    """llama.cpp through the ctypes bindings of llama-cpp-python."""

    package = "llama-cpp-python"

    def __init__(self):
        self.c, self.ctx = self.library(), None
        self.c.llama_backend_init()

    def library(self):
        import llama_cpp

        return llama_cpp

    def load(self, path, threads, repack=True, exact=False):
        params = self.c.llama_model_default_params()
        self.adjust(params)
        self.model = self.c.llama_model_load_from_file(os.fsencode(path), params)
        if not self.model:
            raise RuntimeError(f"{path} is refused")
        self.vocab = self.c.llama_model_get_vocab(self.model)
        self.n_vocab = self.c.llama_vocab_n_tokens(self.vocab)

    def adjust(self, params):
        """Model parameters beside the defaults."""

    def open(self, n_ctx, threads, n_seq=1, plain=False, kv_type="F16"):
        """A new context. `plain`: F32 cache without flash attention, its most exact way."""
        self.close()
        n_ctx = -(-n_ctx // PAD) * PAD
        params = self.c.llama_context_default_params()
        params.n_ctx, params.n_seq_max = n_ctx * n_seq, n_seq
        params.n_batch, params.n_ubatch = min(n_ctx * n_seq, CHUNK), 512
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = KV_TYPES["F32" if plain else kv_type]
        self.set_flash(params, not plain)
        self.ctx = self.c.llama_init_from_model(self.model, params)
        if not self.ctx:
            raise RuntimeError(f"no context of {n_ctx} tokens, {n_seq} sequences")
        size = min(n_ctx, CHUNK)
        self.single = [self.batch(size, [seq] * size) for seq in range(n_seq)]
        self.joint = self.batch(n_seq, range(n_seq))
        self.at = [0] * n_seq

    def close(self):
        if self.ctx:
            for batch, _ in (*self.single, self.joint):
                self.c.llama_batch_free(batch)
            self.c.llama_free(self.ctx)
            self.ctx = None

    def set_flash(self, params, on):
        params.flash_attn_type = int(on)

    def batch(self, size, sequences):
        """(batch, {field: NumPy view}): filled at once, so that no loop of Python is timed."""
        import numpy as np

        batch = self.c.llama_batch_init(size, 0, 1)
        fields = ("token", "pos", "n_seq_id", "logits")
        views = {f: np.ctypeslib.as_array(getattr(batch, f), (size,)) for f in fields}
        views["n_seq_id"][:] = 1
        for i, seq in enumerate(sequences):
            batch.seq_id[i][0] = seq
        return batch, views

    def clear(self):
        self.forget()
        self.at = [0] * len(self.at)

    def forget(self):
        self.c.llama_memory_clear(self.c.llama_get_memory(self.ctx), True)

    def run(self, batch, views, tokens, positions, wanted):
        n = batch.n_tokens = len(tokens)
        views["token"][:n], views["pos"][:n], views["logits"][:n] = tokens, positions, wanted
        code = self.c.llama_decode(self.ctx, batch)
        if code:
            raise RuntimeError(f"llama_decode gives {code}")

    def row(self, i):
        """Logits of token `i` of the last batch, the library's own memory; waits for them."""
        import numpy as np

        return np.ctypeslib.as_array(self.c.llama_get_logits_ith(self.ctx, i), (self.n_vocab,))

    def extend(self, tokens, seq=0):
        for at in range(0, len(tokens), CHUNK):
            part = tokens[at : at + CHUNK]
            n, last = len(part), at + CHUNK >= len(tokens)
            wanted = [0] * (n - 1) + [int(last)]
            start = self.at[seq]
            self.run(*self.single[seq], part, range(start, start + n), wanted)
            self.at[seq] += n
        return self.row(n - 1)

    def step(self, tokens):
        self.run(*self.joint, tokens, self.at, 1)
        self.at = [at + 1 for at in self.at]
        self.row(len(tokens) - 1)

    def every(self, tokens):
        import numpy as np

        self.run(*self.single[0], tokens, range(len(tokens)), 1)
        return np.stack([self.row(i) for i in range(len(tokens))])

    def tokenize(self, text):
        import ctypes

        raw = text.encode()
        room = len(raw) + 16
        ids = (ctypes.c_int32 * room)()
        return list(ids[: self.c.llama_tokenize(self.vocab, raw, len(raw), ids, room, True, True)])

    def text(self, token):
        import ctypes

        room = ctypes.create_string_buffer(256)
        size = self.c.llama_token_to_piece(self.vocab, token, room, 256, 0, True)
        return room.raw[:size].decode(errors="replace")

    def version(self):
        from importlib.metadata import version

        return f"{self.package} {version(self.package)}"

    def quantize(self, source, target, kind, threads):
        """llama.cpp's own quantizer without an importance matrix; False if it refuses."""
        import ctypes

        params = self.c.llama_model_quantize_default_params()
        name = "LLAMA_FTYPE_ALL_F32" if kind == "F32" else f"LLAMA_FTYPE_MOSTLY_{kind}"
        params.ftype, params.nthread = getattr(self.c, name), threads
        params.allow_requantize = True
        paths = os.fsencode(source), os.fsencode(target)
        return self.c.llama_model_quantize(*paths, ctypes.byref(params)) == 0

    def quantize_rows(self, values, type_id, row_bytes):
        """uint8 (rows, row_bytes) of float32 (rows, cols), by what llama.cpp's quantizer calls for
        each matrix, under an importance matrix of ones: some types do not go without one."""
        import ctypes

        import numpy as np
        from llama_cpp._ggml import libggml

        make, pointer, long = libggml.ggml_quantize_chunk, ctypes.c_void_p, ctypes.c_int64
        make.argtypes = (ctypes.c_int, pointer, pointer, long, long, long, pointer)
        make.restype = ctypes.c_size_t
        ones, made = np.ones(values.shape[1], np.float32), np.zeros((len(values), row_bytes), "u1")
        where = values.ctypes.data, made.ctypes.data
        size = make(type_id, *where, 0, *values.shape, ones.ctypes.data)
        if size != made.nbytes:
            raise RuntimeError(f"type {type_id} makes {size} bytes, not {made.nbytes}")
        return made


class IkLlamaCpp(LlamaCpp):
    """ik_llama.cpp, whose C interface branched off long ago."""

    package = "ik-llama-cpp-python"

    def library(self):
        from ik_llama_cpp import _ctypes_api

        return _ctypes_api

    def set_flash(self, params, on):
        params.flash_attn = on

    def forget(self):
        self.c.llama_kv_cache_clear(self.ctx)

    def load(self, path, threads, repack=True, exact=False):
        super().load(path, threads)
        self.vocab = self.model  # this one's tokenizer functions take the model


class IkRepacked(IkLlamaCpp):
    """With weights interleaved at load, which its documents advise for some types."""

    def adjust(self, params):
        params.repack_tensors = True


ENGINES = {
    "llama-gguf": Ours,
    "llama.cpp": LlamaCpp,
    "ik_llama.cpp": IkLlamaCpp,
    "ik_llama.cpp:repack": IkRepacked,
}


def load(engine, **how):
    """Load the model and make a small context, after which the first token could run."""
    start = time.perf_counter()
    engine.load(**how)
    engine.open(64, how["threads"])
    found = {"seconds": time.perf_counter() - start, "n_vocab": engine.n_vocab}
    return found | {"version": engine.version(), "peak_bytes": peak_bytes()}


def work(engine):
    return engine.work()


def tokenize(engine, text):
    return engine.tokenize(text)


def open_context(engine, **how):
    engine.open(**how)


def turn(engine, prompt, tokens, deep=False, cpu_time=False):
    """Tokens per second of a prompt and of single tokens.

    The tokens follow a context of one token; `deep`: they follow the prompt. They are given,
    not sampled: no answer can end early and every engine does the same work. `cpu_time`: seconds are
    those of the processor, all threads together.
    """
    clock = time.process_time if cpu_time else time.perf_counter
    time.sleep(SETTLE)
    engine.clear()
    start = clock()
    engine.extend(prompt)
    prompt_seconds = clock() - start
    if not deep:
        engine.clear()
        engine.extend(prompt[:1])
    start = clock()
    for token in tokens:
        engine.extend([token])
    seconds = clock() - start
    return {"prompt": len(prompt) / prompt_seconds, "decode": len(tokens) / seconds}


def batch_turn(engine, prompt, rows):
    """Tokens per second of sequences that decode together behind equal prompts.

    rows[i] holds token i of each sequence.
    """
    time.sleep(SETTLE)
    engine.clear()
    for seq in range(len(rows[0])):
        engine.extend(prompt, seq)
    start = time.perf_counter()
    for row in rows:
        engine.step(row)
    return {"batch": sum(map(len, rows)) / (time.perf_counter() - start)}


def logits(engine, tokens, path):
    """Write float32 (n, n_vocab) to an .npy file."""
    import numpy as np

    engine.clear()
    np.save(path, np.asarray(engine.every(tokens), np.float32))


def greedy(engine, prompt, count, path):
    """`count` tokens, each the likeliest; their logits, float32 (count, n_vocab), as an .npy file.

    The ends of texts do not end it: all texts are equally long.
    """
    import numpy as np

    engine.clear()
    rows, tokens = [], []
    while len(tokens) < count:
        rows.append(np.array(engine.extend(tokens[-1:] or prompt), np.float32))
        tokens.append(int(rows[-1].argmax()))
    np.save(path, np.stack(rows))
    return tokens


def quantize(engine, **how):
    return engine.quantize(**how)


def quantize_rows(engine, source, target, **how):
    """One matrix from an .npy file into another."""
    import numpy as np

    np.save(target, engine.quantize_rows(np.load(source), **how))


def memory(engine):
    return {"peak_bytes": peak_bytes()}


def peak_bytes():
    """Most memory this process ever had resident, mapped files included."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


TIMED = (load, work, tokenize, turn, batch_turn)
ASKED = (logits, greedy, quantize, quantize_rows, memory)
QUESTIONS = {f.__name__: f for f in (*TIMED, *ASKED)} | {"open": open_context}


def serve(engine, questions, answers):
    """Answer until the questions end; an exception is an answer too."""
    for line in questions:
        question = json.loads(line)
        try:
            answer = {"answer": QUESTIONS[question.pop("do")](engine, **question)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def first_token(engine, path, text, threads, n_ctx, repack):
    """Load, read a prompt, print one greedy token: what a user waits for."""
    engine.load(path, threads, repack)
    engine.open(n_ctx, threads)
    print(engine.text(int(engine.extend(engine.tokenize(text)).argmax())), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--first-token", nargs=2, metavar=("MODEL", "TEXT"))
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("-c", "--ctx", type=int, default=2048)
    parser.add_argument("--no-repack", action="store_true", help="llama-gguf only")
    args = parser.parse_args()
    engine = ENGINES[args.engine]()
    if args.first_token:
        first_token(engine, *args.first_token, args.threads, args.ctx, not args.no_repack)
        return
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not meet the answers
    serve(engine, sys.stdin, answers)


if __name__ == "__main__":
    main()
