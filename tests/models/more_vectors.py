"""Random files that make vectors or scores of texts, and what llama.cpp makes of them.

    python -m tests.models.more_vectors ORACLE_PYTHON ORACLE      # the oracle is a script around llama.cpp

Keeps its vectors in tests/data/vectors.npz: NAME is the pooled one, "NAME, states" has one a token.
"""

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

from llama_gguf.gguf.values import Typed
from llama_gguf.testing import tiny

VECTORS = Path(__file__).parents[1] / "data" / "vectors.npz"
IDS = np.random.default_rng(22).integers(0, 256, 30).tolist()
POOLINGS = {"none": 0, "mean": 1, "cls": 2, "last": 3, "rank": 4}
LABELS = {".classifier.output_labels": Typed(["yes", "no"], "str"), ".pooling_type": 4}
CASES = {  # name: (architecture, pooling, sizes, keys, shapes of more tensors)
    "gemma-embedding, dense": ("gemma-embedding", "mean", {}, {
        ".dense_2_feat_in": 64, ".dense_2_feat_out": 96, ".dense_3_feat_in": 96, ".dense_3_feat_out": 64,
    }, {"dense_2.weight": (96, 64), "dense_3.weight": (64, 96)}),
    "jina-bert-v3": ("jina-bert-v3", "mean", {}, {".rope.freq_base": 20000.0}, {}),
    "nomic-bert-moe": ("nomic-bert-moe", "mean", {"layers": 4, "experts": 6}, {}, {}),
    "qwen3, reranker": ("qwen3", "rank", {}, LABELS, {"cls.output.weight": (2, 64)}),
    "qwen3vl, reranker": ("qwen3vl", "rank", {}, LABELS | {".n_deepstack_layers": 0}, {"cls.output.weight": (2, 64)}),
}
ASK = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
import oracle
path, pooling, ids, scores, out = sys.argv[2], int(sys.argv[3]), list(map(int, sys.argv[4].split(","))), *sys.argv[5:]
o = oracle.Llama(path, n_ctx=256, embeddings=True, pooling=pooling)
batch = o.c.llama_batch_init(len(ids), 0, 1)
batch.n_tokens = len(ids)
for i, t in enumerate(ids):
    batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = t, i, 1, 1
    batch.seq_id[i][0] = 0
assert o.c.llama_decode(o.ctx, batch) == 0
n = int(scores) or o.c.llama_model_n_embd(o.model)
if pooling:
    rows = np.ctypeslib.as_array(o.c.llama_get_embeddings_seq(o.ctx, 0), (n,)).copy()
else:
    rows = [np.ctypeslib.as_array(o.c.llama_get_embeddings_ith(o.ctx, i), (n,)).copy() for i in range(len(ids))]
np.save(out, rows)
"""


def write(name, path):
    arch, _, sizes, keys, shapes = CASES[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    tensors = {"token_embd.weight": rng.standard_normal((269, 64))}
    tensors |= {n: rng.standard_normal(shape) / shape[1] ** 0.5 for n, shape in shapes.items()}
    return tiny(path, arch, metadata={arch + k: v for k, v in keys.items()}, tensors=tensors, **sizes)


def record(python, oracle):
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (_, pooling, *_) in CASES.items():
            file, out = write(name, Path(folder) / "t.gguf"), Path(folder) / "out.npy"
            for how, key in ((pooling, name), ("none", f"{name}, states")):
                scores = 2 if how == "rank" else 0
                asked = Path(oracle).parent, file, POOLINGS[how], ",".join(map(str, IDS)), scores, out
                subprocess.run([python, "-c", ASK, *map(str, asked)], check=True)
                found[key] = np.load(out)
    np.savez_compressed(VECTORS, **found)


if __name__ == "__main__":
    record(*sys.argv[1:])
