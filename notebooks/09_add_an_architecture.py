# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 9. Add an architecture
#
# A model family is one small file here. It says, in the words that everybody uses for these things, how a layer is
# computed. We invent a family called *pebble*, write its file, make random weights for it, run it, and see what happens
# when a file and its family do not fit together. What is shown here in a notebook is told in `docs/adding_a_model.md`
# for a real family.

# %% tags=["parameters"]
MODEL = "pebble"  # the name of the new architecture: nothing is downloaded

# %%
import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from llama_gguf import Model, models
from llama_gguf.errors import ModelError
from llama_gguf.pictures import lines, table
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

temporary = TemporaryDirectory()
folder = Path(temporary.name)

# %% [markdown]
# ## Before there is a file
#
# `tiny` writes a valid GGUF file with random weights and a small vocabulary, for any architecture; one that it does not
# know gets the tensors of Llama. Opening it says clearly that nobody here knows what to compute:


# %%
def attempt(**how):
    """Make a file and open it; print what comes of it."""
    try:
        with Model(tiny(folder / "attempt.gguf", MODEL, **how), n_threads=1) as model:
            print("opened:", len(model.plan.tasks), "steps")
    except ModelError as error:
        text = str(error).replace(f"{folder}/", "")
        print(text if len(text) < 240 else f"{text[:120]} ... {text[-90:]}")


attempt()

# %% [markdown]
# A name alone does not run as if it were Llama. Tensors of the right shapes would give logits, and they would be wrong.
#
# ## The model file
#
# Pebble is like Llama, but for three things. Attention and the feed-forward part read the same norm and stand side by
# side. What they add to the residual stream is scaled by a number that the file states. And positions turn pairs of
# values that stand half a head apart ("neox").

# %%
SOURCE = f'''"""Pebble: attention and SwiGLU side by side from one norm, their sum scaled."""

from llama_gguf.nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("{MODEL}",)


def hparams(meta):
    return {{"rope": "neox", "branch_scale": meta.float(".branch_scale")}}


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    seen = attention(w, y, h, layer)
    thought = gated_mlp(w, y, silu)
    return x + (seen + thought) * h.branch_scale


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
'''
(folder / "pebble.py").write_text(SOURCE)
print(SOURCE)

# %% [markdown]
# * `hparams` says what no key of the file says, and reads keys that only this family has. Layers, widths, heads and the
#   rest are read and checked for all families alike.
# * `w.attn_norm` is the tensor `blk.7.attn_norm.weight` in layer 7; the tensors' names are the whole interface.
# * The functions run **once**, when a model is opened, on symbols. They record a plan; no Python runs per token.
#
# In the package the file would be `llama_gguf/models/pebble.py`, and found by being there. From a notebook we put it
# into the registry by hand.

# %%
spec = importlib.util.spec_from_file_location("pebble", folder / "pebble.py")
pebble = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pebble)
models.registry().update(dict.fromkeys(pebble.NAMES, pebble))

# %% [markdown]
# ## What fits, and what does not
#
# Now the errors lead the way. The file as `tiny` makes it lacks the key that pebble asks for:

# %%
attempt()

# %% [markdown]
# With the key there is a tensor too many: Llama's second norm. A file with something that the family never reads is
# some other structure, and is refused.

# %%
KEYS = {f"{MODEL}.branch_scale": 0.5}
attempt(metadata=KEYS)

# %% [markdown]
# Without these norms it opens. (None takes a tensor away.)

# %%
TENSORS = {"blk.0.ffn_norm.weight": None, "blk.1.ffn_norm.weight": None}
attempt(metadata=KEYS, tensors=TENSORS)

# %% [markdown]
# And what is broken is named: a tensor that is missing, a shape that does not fit, a key of the wrong type.

# %%
attempt(metadata=KEYS, tensors=TENSORS | {"blk.1.ffn_up.weight": None})
attempt(metadata=KEYS, tensors=TENSORS | {"blk.1.ffn_up.weight": np.zeros((100, 64), np.float32)})
attempt(metadata=KEYS, tensors=TENSORS | {"blk.0.attn_k.weight": np.zeros((33, 64), np.float32)})
attempt(metadata=KEYS | {f"{MODEL}.branch_scale": "half"}, tensors=TENSORS)

# %% [markdown]
# We never wrote these checks. Each word of `nn` knows what shapes it can take, and the first one that does not fit
# raises.
#
# ## The plan
#
# The last column is the line of our file that asked for a step. Steps have been moved together where a kernel can do
# both: `gated` is the activation and the product with `up`, and the sum of the two branches is added while the last
# matrix is multiplied.

# %%
model = Model(tiny(folder / "pebble.gguf", MODEL, metadata=KEYS, tensors=TENSORS), exact=True, n_threads=1)
text = str(model.plan).splitlines()
print(*text[:17], "...", *text[-3:], sep="\n")

# %% [markdown]
# ## Is it right?
#
# The same file runs in NumPy: each word has a twin of a few lines, which computes where the engine's word records. With
# `exact=True` the engine keeps activations in float32, and nothing but the order of additions differs.

# %%
ids = model.tokenize("the thing and the other thing")
reference = Reference(model)
theirs, ours = reference.logits(ids), model.logits(ids)
print(f"{len(ids)} tokens, logits of size {abs(theirs).max():.2f}, largest difference {abs(ours - theirs).max():.1e}")

# %% [markdown]
# If they differ, look where it begins. Every value has a name, in the reference and in a trace of the engine:

# %%
with model.trace(ids) as trace:
    rows = [(name, f"{abs(trace[name] - reference[name]).max():.1e}") for name in (
        "blk.0.attn_norm", "blk.0.attn_q", "blk.0.attn_q_rope", "blk.0.attn_pattern", "blk.0.attn_output",
        "blk.0.ffn_act", "blk.0.ffn_down", "blk.0.resid_post", "blk.1.resid_post", "logits",
    )]  # fmt: skip
table(rows, ("value", "largest difference"))

# %% [markdown]
# This shows that two implementations of *our* file agree. It does not show that the file is what the family's
# authors meant. For a real family that needs their logits for some tokens, from their own program; see
# `docs/adding_a_model.md`.
#
# The key that we made up does something, too. The same weights with other values of it, and how large the residual
# stream is in the end:

# %%
sizes, scales = [], np.linspace(0, 2, 9)
for scale in scales:
    other = tiny(folder / "scaled.gguf", MODEL, metadata={f"{MODEL}.branch_scale": float(scale)}, tensors=TENSORS)
    with Model(other, exact=True, n_threads=1) as scaled:
        again = Reference(scaled)
        again.logits(ids)
        sizes.append(np.sqrt((again["resid_final"] ** 2).mean()))
lines({"size of the residual stream": sizes}, scales, x_label="branch_scale", y_label="root mean square")

# %% [markdown]
# Random weights do not write English, but everything else works already: generation, the cache, sampling, traces,
# quantized types, as nothing of it knows the family.

# %%
model.generate("the thing", max_tokens=6, temperature=0.9, seed=1).text

# %% [markdown]
# ## Exercises
#
# 1. Give pebble a second norm for the feed-forward part (`w.ffn_norm`). Which of the attempts above changes?
# 2. `attempt(metadata=KEYS, tensors=TENSORS, qk_norms=True)` opens, though our file says nothing of norms of queries
#    and keys. Find out why, in `llama_gguf/nn/attention.py`.
# 3. Read `llama_gguf/models/`: which real families have parallel branches, and what else is special about them?

# %%
models.registry().pop(MODEL)
model.close()
temporary.cleanup()
