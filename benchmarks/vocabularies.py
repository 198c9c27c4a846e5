"""Token ids and speed of every vocabulary, beside llama.cpp's.

    python benchmarks/vocabularies.py FILE.gguf... --peer-python VENV/bin/python --text FILE [--no-ids, --no-speed]

Each text is tokenized with and without special tokens' texts and the frame of BOS and EOS. A nasty text is always
among them: every Unicode block, joiners, runs, lone surrogates, NUL, and the text of every special token of the
vocabulary at hand. Speeds are taken in rounds that take turns, on 1 MB of the given text; llama.cpp's count what
`llama_tokenize` takes, ours what `Tokenizer.encode` takes, the making of a Python list included.
Each row also says how long the vocabulary took to be ready, in a process of its own.

The same file, run with --peer by the other Python, answers for llama.cpp (the package llama-cpp-python).
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import ctypes
import json
import subprocess
import time
import unicodedata
from contextlib import contextmanager
from pathlib import Path

FLAGS = [(special, bos) for special in (True, False) for bos in (True, False)]
MEGABYTE = 1_000_000
RUN = 4096  # of one letter, in the nasty text: llama.cpp is quadratic in some of these


class Peer:
    """llama.cpp's vocabulary of one file, without its weights."""

    def __init__(self, path):
        import llama_cpp

        self.c = llama_cpp
        self.log = self.c.llama_log_callback(lambda level, text, data: None)
        self.c.llama_log_set(self.log, ctypes.c_void_p(0))
        self.c.llama_backend_init()
        params = self.c.llama_model_default_params()
        params.vocab_only = True
        start = time.perf_counter()
        self.model = self.c.llama_model_load_from_file(os.fsencode(path), params)
        self.seconds = time.perf_counter() - start
        if not self.model:
            raise RuntimeError(f"{path} is refused")
        self.vocab = self.c.llama_model_get_vocab(self.model)

    def ready(self):
        return self.seconds

    def encode(self, text, special, bos):
        """(ids, seconds in llama_tokenize)"""
        raw = text.encode("utf-8", "surrogatepass")
        ids = (ctypes.c_int32 * (2 * len(raw) + 16))()
        start = time.perf_counter()
        n = self.c.llama_tokenize(self.vocab, raw, len(raw), ids, len(ids), bos, special)
        seconds = time.perf_counter() - start
        if n < 0:
            raise RuntimeError(f"llama_tokenize gives {n}")
        return ids[:n], seconds

    def eog(self):
        n = self.c.llama_vocab_n_tokens(self.vocab)
        return [i for i in range(n) if self.c.llama_vocab_is_eog(self.vocab, i)]


class Ours:
    """The same questions to llama-gguf."""

    def __init__(self, path):
        from llama_gguf.gguf import GGUFFile
        from llama_gguf.vocab.tokenizer import Tokenizer

        start = time.perf_counter()
        self.file = GGUFFile(path)
        self.tok = Tokenizer.from_metadata(self.file.metadata)
        self.seconds = time.perf_counter() - start

    def ready(self):
        return self.seconds

    def encode(self, text, special, bos):
        start = time.perf_counter()
        ids = self.tok.encode(text, bos=bos, special=special)
        return ids, time.perf_counter() - start

    def eog(self):
        return sorted(self.tok.eog)


def answer(engine, asked):
    """One line of the conversation between the two Pythons."""
    do = asked.pop("do")
    if do == "encode":
        text = Path(asked["file"]).read_bytes().decode("utf-8", "surrogatepass")
        return engine.encode(text, asked["special"], asked["bos"])
    return getattr(engine, do)()


def serve(kind, path):
    try:
        engine = kind(path)
        print("true", flush=True)
    except Exception as error:
        return print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(engine, json.loads(line))), flush=True)


@contextmanager
def engine(python, who, path):
    """`ask(do, ...)` of a process that has opened one file."""
    command = [python, __file__, who, str(path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    opened = json.loads(child.stdout.readline())

    def ask(do, **asked):
        if opened is not True:
            raise RuntimeError(f"{who}: {opened}")
        child.stdin.write(json.dumps({"do": do, **asked}) + "\n")
        child.stdin.flush()
        return json.loads(child.stdout.readline())

    try:
        yield ask
    finally:
        child.stdin.close()
        child.wait()


def nasty(special_texts):
    """A text of everything that goes wrong; see the module's own text."""
    blocks = "".join(chr(c) for c in range(0x110000) if c % 61 == 0 and not 0xD800 <= c < 0xE000)
    letters = "".join(chr(c) for c in range(0x3000) if unicodedata.category(chr(c)) != "Cs")
    marks = "e\u0301 n\u0303o a\u0328\u0301\u0323 \u0e01\u0e33 \u1112\u1161\u11ab ﬁ Å K \u0345\u0345"
    joined = "👩‍👩‍👧‍👦 🏳️‍🌈 🇨🇭🇫🇷 ☝🏽 1️⃣ \u200d\u200d \ufe0f"
    ends = "a\r\nb\n\nc\r\rd \r\n\t\n  \n x\t\ty\u2028z\u00a0\u3000w\u0085v"
    runs = " ".join(c * n for c in "a1 .\n=中é\u0301" for n in (2, 3, 7, 64, RUN))
    words = "I'm we'LL they'd 'S ''t ¼½ 12345678 1,234.5 x²³ _a_b CamelCaseHTTPServer don’t @#$%^&*()~`<>|+-"
    broken = "\ud800 \udfff\ud83d \x00\x01\x7f\ufffe\uffff \ufeff" + "\ufffd" * 9
    special = "".join(f"{t}{t} a{t}b {t[:-1]} <{t}>\n{t}" for t in special_texts)
    return "\n".join([blocks, letters, marks, joined, ends, runs, words, broken, special])


def special_texts(path):
    """Texts of the tokens that are no plain text, every one once; at most 600, from both ends."""
    from llama_gguf.gguf import GGUFFile
    from llama_gguf.vocab.tokenizer import Tokenizer

    with GGUFFile(path) as file:
        tok = Tokenizer.from_metadata(file.metadata)
        texts = list(dict.fromkeys(tok.text(i) for i in range(len(tok)) if tok.is_special(i)))
    return texts if len(texts) <= 600 else texts[:300] + texts[-300:]


def compare(path, texts, args, folder):
    """A row about one vocabulary: cases that agree, MB/s of both, seconds until ready."""
    (folder / "nasty.txt").write_bytes(nasty(special_texts(path)).encode("utf-8", "surrogatepass"))
    row = {"file": path.name, "cases": 0, "different": []}
    with engine(sys.executable, "--ours", path) as ours, engine(args.peer_python, "--peer", path) as peer:
        row["ready"] = {"ours": ours("ready"), "llama.cpp": peer("ready")}
        if args.ids and ours("eog") != peer("eog"):
            row["different"].append("eog")
        for text in [folder / "nasty.txt", *texts] if args.ids else []:
            for special, bos in FLAGS:
                asked = dict(file=str(text), special=special, bos=bos)
                (mine, _), (theirs, _) = ours("encode", **asked), peer("encode", **asked)
                row["cases"] += 1
                row["tokens"] = row.get("tokens", 0) + len(theirs)
                if mine != theirs:
                    at = next((i for i, pair in enumerate(zip(mine, theirs, strict=False)) if len({*pair}) > 1), -1)
                    row["different"].append([text.name, special, bos, at, mine[at : at + 8], theirs[at : at + 8]])
        if args.speed:
            row["MB/s"] = speeds(ours, peer, folder / "megabyte.txt", args)
    return row


def speeds(ours, peer, text, args):
    """Megabytes a second, the median of rounds that take turns; each as many passes as fill `args.seconds`."""
    size, rounds = text.stat().st_size / 1e6, {"ours": [], "llama.cpp": []}
    for _ in range(args.rounds):
        for name, ask in (("ours", ours), ("llama.cpp", peer)):
            spent, passes = 0.0, 0
            while spent < args.seconds or not passes:
                spent += ask("encode", file=str(text), special=True, bos=True)[1]
                passes += 1
            rounds[name].append(size * passes / spent)
    return {name: sorted(values)[len(values) // 2] for name, values in rounds.items()}


def megabyte(texts):
    """1 MB of the given texts, over and over."""
    whole = "".join(path.read_text() for path in texts) or "The quick brown fox. "
    raw = (whole * (MEGABYTE // len(whole.encode()) + 1)).encode()[:MEGABYTE]
    return raw.decode("utf-8", "ignore").encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--text", type=Path, action="append", default=[])
    parser.add_argument("--seconds", type=float, default=0.2, help="of one round at least")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-speed", dest="speed", action="store_false")
    parser.add_argument("--no-ids", dest="ids", action="store_false", help="only speeds")
    parser.add_argument("--folder", type=Path, default=Path("build/vocabularies"))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "megabyte.txt").write_bytes(megabyte(args.text))
    wrong = 0
    for path in args.files:
        try:
            row = compare(path, args.text, args, args.folder)
        except RuntimeError as error:
            row = {"file": path.name, "different": [str(error)]}
        wrong += bool(row["different"])
        print(json.dumps(row), flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    if sys.argv[1] in ("--peer", "--ours"):
        serve(Peer if sys.argv[1] == "--peer" else Ours, sys.argv[2])
    else:
        sys.exit(main())
