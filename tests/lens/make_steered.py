"""Write tests/data/steered.npz: logits of llama.cpp under a control vector.

    python tests/lens/make_steered.py            # needs llama-cpp-python, and nothing of llama_gguf

Models are tests/data/goldens, of float32.
"""

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np

DATA = Path(__file__).parent.parent / "data"
NAMES = ("llama", "gemma3", "gpt2", "mixtral", "phi2")


def main():
    arrays = {}
    for name in NAMES:
        for key, value in steered(name).items():
            arrays[f"{name}/{key}"] = value
    np.savez_compressed(DATA / "steered.npz", **arrays)


def steered(name):
    model = llama_cpp.Llama(
        str(DATA / "goldens" / name / "model.gguf"), n_ctx=128, logits_all=True, verbose=False, n_gpu_layers=0,
        type_k=0, type_v=0, flash_attn=False,
    )
    ids = np.load(DATA / "goldens" / name / "golden.npz")["tokens"][:12].tolist()
    width, layers = llama_cpp.llama_model_n_embd(model.model), llama_cpp.llama_model_n_layer(model.model)
    directions = np.random.default_rng(3).standard_normal((layers - 1, width)).astype(np.float32)
    pointer = directions.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    assert llama_cpp.llama_set_adapter_cvec(model.ctx, pointer, directions.size, width, 1, layers) == 0
    model.eval(ids)
    return {"ids": np.array(ids, np.int32), "directions": directions, "logits": np.array(model.scores[: len(ids)])}


if __name__ == "__main__":
    main()
