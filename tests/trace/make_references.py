"""Write tests/data/activations.npz: hidden states, attention and edited passes, as transformers has them.

    python tests/trace/make_references.py FOLDER          # FOLDER/NAME/hf: the models that tests/data/goldens come from

Needs torch and transformers. Everything is float32, attention is their "eager" one, which shows its weights.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parent))
from edits import ADDED, DECODED, NAMES, PROMPT, ROW, direction, ids

LAYERS = ("model.layers", "transformer.h", "gpt_neox.layers")
NETWORKS = ("mlp.dense_4h_to_h", "mlp", "block_sparse_moe")  # bloom's mlp adds the residual itself


def main(folder):
    arrays = {}
    for name in NAMES:
        for key, value in of_model(Path(folder, name, "hf"), name).items():
            arrays[f"{name}/{key}"] = np.asarray(value, np.float32)
    out = Path(__file__).parent.parent / "data" / "activations.npz"
    np.savez_compressed(out, **arrays)
    print(f"{out}: {len(arrays)} arrays, {out.stat().st_size:,} bytes")


@torch.no_grad()
def of_model(path, name):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = torch.tensor([ids(model.config.vocab_size)])
    seen = model(tokens, output_hidden_states=True, output_attentions=True)
    layers = next(found for where in LAYERS if (found := part(model, where)) is not None)
    network = next(found for where in NETWORKS if (found := part(layers[1], where)) is not None)
    edit = torch.tensor(direction(seen.hidden_states[0].shape[-1]))
    with hooked(layers[0], lambda x: added(x, edit)):
        steered = model(tokens)
        first = model(tokens[:, :PROMPT], use_cache=True)
    then = model(tokens[:, PROMPT:DECODED], past_key_values=first.past_key_values)
    with hooked(network, torch.zeros_like):
        ablated = model(tokens)
    return {
        "hidden": torch.cat(seen.hidden_states),
        "attention": torch.cat(seen.attentions),
        "added": steered.logits[0, ROW:],
        "added_then_decoded": then.logits[0],
        "ablated": ablated.logits[0, ROW:],
    }


def part(module, where):
    for name in where.split("."):
        module = getattr(module, name, None)
    return module


def added(x, edit):
    x = x.clone()
    x[:, ROW] += ADDED * edit
    return x


def hooked(module, change):
    """Forward hook on a module whose first (or only) output is its value; a context that ends with its removal."""

    def hook(_, __, output):
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    return Handle(module.register_forward_hook(hook))


class Handle:
    def __init__(self, handle):
        self.handle = handle

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.handle.remove()


if __name__ == "__main__":
    main(sys.argv[1])
