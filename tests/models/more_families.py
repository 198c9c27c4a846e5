"""Random files of families that have no golden of their own, in the shapes that their options allow.

    python -m tests.models.more_families ORACLE_PYTHON ORACLE [NAME ...]      # the oracle is a script around llama.cpp

Keeps what llama.cpp makes of them in tests/data/families.npz.
"""

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

from llama_gguf.testing import tiny

LOGITS = Path(__file__).parents[1] / "data" / "families.npz"
IDS = np.random.default_rng(21).integers(0, 256, 40).tolist()
ROWS = slice(-6, None)  # whose logits are kept
LONG = {".rope.scaling.type": "longrope", ".rope.scaling.original_context_length": 300, ".context_length": 512}
NEXTN = {".nextn_predict_layers": 1}  # the last block is one that predicts the token after the next
CASES = {  # name: (architecture, sizes, keys); a name is an architecture and an option
    "afmoe": ("afmoe", {"layers": 5}, {}),
    "arctic": ("arctic", {"experts": 6}, {}),
    "cohere2moe": ("cohere2moe", {"layers": 6, "dense": 2}, {}),
    "cohere2moe, rms norms": ("cohere2moe", {}, {".attention.layer_norm_rms_epsilon": 1e-5,
                                                 ".attention.layer_norm_epsilon": None, ".expert_gating_func": 1}),
    "deepseek2, growing queries": ("deepseek2", {"dense": 1}, {
        ".attention.temperature_scale": 0.4, ".attention.temperature_length": 16, ".expert_group_count": 1}),
    "deepseek2, nextn": ("deepseek2", {"layers": 3}, {".expert_group_count": 1} | NEXTN),
    "glm4moe, nextn": ("glm4moe", {"layers": 3}, NEXTN),
    "hy_v3": ("hy_v3", {"layers": 3}, {}),
    "jais2": ("jais2", {}, {}),
    "maincoder": ("maincoder", {}, {}),
    "mellum": ("mellum", {"layers": 5}, {
        ".rope.scaling.type": "yarn", ".rope.scaling.factor": 4.0, ".rope.scaling.original_context_length": 32}),
    "mistral4": ("mistral4", {}, {}),
    "openelm": ("openelm", {"layers": 3}, {}),
    "paddleocr": ("paddleocr", {}, {}),
    "qwen3next, nextn": ("qwen3next", {"layers": 4, "every": 2}, NEXTN),
    "qwen35moe, nextn": ("qwen35moe", {"layers": 4, "every": 2}, NEXTN),
    "bitnet": ("bitnet", {}, {}),
    "chatglm": ("chatglm", {}, {}),
    "chatglm, tied": ("chatglm", {"tied": True, "rope_dim": 16}, {".rope.freq_base": 5000.0}),
    "codeshell": ("codeshell", {}, {}),
    "dbrx": ("dbrx", {"experts": 6, "experts_used": 3}, {".attention.clamp_kqv": 0.5}),
    "deci": ("deci", {"layers": 6}, {}),
    "exaone": ("exaone", {"tied": True}, {}),
    "exaone, divided frequencies": ("exaone", {}, {}),
    "exaone-moe": ("exaone-moe", {"layers": 5, "dense": 2}, {}),
    "jais": ("jais", {}, {}),
    "jais, 6 heads": ("jais", {"heads": 6, "width": 96}, {}),
    "minicpm3": ("minicpm3", {"layers": 3}, {}),
    "minicpm3, long factors": ("minicpm3", {}, LONG),
    "orion": ("orion", {}, {}),
    "pangu-embedded": ("pangu-embedded", {}, {}),
    "plm": ("plm", {}, {}),
    "qwen2vl": ("qwen2vl", {"eps": 1e-6}, {}),  # which llama.cpp b11434 forgets to read, and takes 0
    "qwen3vl": ("qwen3vl", {}, {".n_deepstack_layers": 0}),
    "qwen3vlmoe": ("qwen3vlmoe", {}, {}),
    "qwen3next": ("qwen3next", {}, {}),
    "qwen3next, all alike": ("qwen3next", {"rank": 2, "groups": 2, "every": 3, "layers": 5}, {}),
    "qwen3next, four values": ("qwen3next", {"rank": 8, "groups": 2}, {}),
    "refact": ("refact", {}, {}),
    "smallthinker": ("smallthinker", {"layers": 5, "window": 4096}, {}),  # llama.cpp takes any window to be of 4096
    "smallthinker, softmax": ("smallthinker", {}, {".expert_gating_func": 1, ".attention.sliding_window": None}),
}
EXTRA = {
    "exaone, divided frequencies": {"rope_freqs.weight": (8,)},
    "minicpm3, long factors": {"rope_factors_long.weight": (4,), "rope_factors_short.weight": (4,)},
}


def write(name, path):
    arch, sizes, keys = CASES[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    width = sizes.get("width", 64)
    tensors = {"token_embd.weight": rng.standard_normal((269, width))}  # as large as what layers add
    tensors |= {n: 1 + rng.random(shape) for n, shape in EXTRA.get(name, {}).items()}
    if ".nextn_predict_layers" in keys:
        last = f"blk.{sizes['layers'] - 1}.nextn."
        tensors |= {f"{last}eh_proj.weight": rng.standard_normal((width, 2 * width))}
        tensors |= {f"{last}{n}.weight": 1 + rng.random(width) for n in ("enorm", "hnorm", "shared_head_norm")}
    keys = {arch + k: v for k, v in keys.items()}
    return tiny(path, arch, seed=len(name), metadata=keys, tensors=tensors, **sizes)


def n_ctx(name):
    return 512 if "long" in name else 256


def record(python, oracle, *names):
    found, text = dict(np.load(LOGITS)) if names else {}, ",".join(map(str, IDS))
    with tempfile.TemporaryDirectory() as folder:
        for name in names or CASES:
            file, out = write(name, Path(folder) / "t.gguf"), Path(folder) / "out.npz"
            command = [python, oracle, "logits", file, "--tokens", text, "-o", out, "--ctx", str(n_ctx(name))]
            if subprocess.run(command, check=False).returncode:
                print(f"refused: {name}", file=sys.stderr)
                continue
            found[name] = np.load(out)["logits"][ROWS]
    np.savez_compressed(LOGITS, **found)


if __name__ == "__main__":
    record(*sys.argv[1:])
