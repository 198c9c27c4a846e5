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
# # 4. A forward pass
#
# What happens between "The capital of France is" and the next word? Some fifty lines of NumPy. In this notebook we
# write them down, one step after the other, for a real model, and hold each value against the one that the engine
# makes: once *exact*, with float activations, and once *packed*, as it usually runs, with activations rounded to eight
# bits for speed.

# %% tags=["parameters"]
MODEL = "smollm2"  # the steps below are Llama's: other families have other steps
PROMPT = "The capital of France is"

# %%
import numpy as np

from llama_gguf import Model
from llama_gguf.pictures import bars, heat_map, lines

exact = Model.from_pretrained(MODEL, exact=True, n_ctx=64)
packed = Model.from_pretrained(MODEL, n_ctx=64)
h = exact.h
ids = exact.tokenize(PROMPT)
pieces = [exact.detokenize([i]) for i in ids]
print(f"{h.layers} layers of width {h.width}, {h.heads} query heads, {h.kv_heads} key heads of {h.head_dim}")
list(zip(ids, pieces, strict=True))

# %% [markdown]
# One pass of each engine, with all the values of the first layer, and what comes out of each other one. A trace
# hands out values by their GGUF names.

# %%
NAMES = [
    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_q_rope", "attn_k_rope", "attn_scores", "attn_pattern", "attn_z",
    "attn_out", "resid_mid", "ffn_norm", "ffn_gate", "ffn_up", "ffn_act", "ffn_out",
]
WANTED = ["token_embd", *(f"blk.0.{n}" for n in NAMES), *(f"blk.{i}.resid_post" for i in range(h.layers)), "logits"]


def values(model):
    with model.trace(ids) as trace:
        return {name: np.array(trace[name]) for name in WANTED}


engine = {"exact": values(exact), "packed": values(packed)}


def compare(**ours):
    """Print how far each engine's value is from ours, relative to the size of the value."""
    for name, mine in ours.items():
        name = name if name in WANTED else f"blk.0.{name}"
        print(f"{name:20}{mine.shape!s:12}", *(f" {who} {error(it[name], mine):.1e}" for who, it in engine.items()))


def error(theirs, mine):
    seen = np.isfinite(mine)  # scores of what must not be seen are -inf
    return np.linalg.norm(theirs[seen] - mine[seen]) / np.linalg.norm(mine[seen])


def weight(name):
    """A tensor of the file as float32, whatever its type."""
    return exact.tensors[f"{name}.weight"].numpy()


# %% [markdown]
# ## Embedding
#
# Each token is a row of a table. From here on a token is a vector, and so is everything that is done to it: one row
# for each token, the *residual stream*.

# %%
x = exact.tensors["token_embd.weight"].numpy()[ids]
compare(token_embd=x)

# %% [markdown]
# ## Norm
#
# Before a layer reads the stream, each row is brought to the same size, and each column gets a gain.


# %%
def rms_norm(x, gain):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(h.eps)) * gain


y = rms_norm(x, weight("blk.0.attn_norm"))
compare(attn_norm=y)

# %% [markdown]
# ## Queries, keys, values
#
# Three matrices turn a row into what it looks for (query), what it can be found by (key), and what it has to say
# (value). A matrix of shape (rows, columns) is applied as `x @ W.T`.

# %%
q, k, v = (y @ weight(f"blk.0.attn_{name}").T for name in "qkv")
compare(attn_q=q, attn_k=k, attn_v=v)

# %% [markdown]
# Here the engines part. The exact one agrees with NumPy but for the order of additions, some 1e-7, which is float32's
# own step. The packed one multiplies integers: a group of activations is rounded to eight bits first, for which queries
# and keys pay 0.3 %. Values get 16 bits. (The weights' own four bits have cost more, see notebook 2, but that is in the
# file, the same for everybody.)
#
# ## Positions
#
# So far a word does not know where it stands. Rotary positions turn pairs of numbers in each head like hands of
# clocks, each pair at its own speed. The product of a query and a key then depends on how far apart they are.

# %%
pairs = h.rope.dim // 2
frequencies = h.rope.base ** (-np.arange(pairs) / pairs)
angle = np.arange(len(ids))[:, None] * frequencies
cos, sin = np.cos(angle).astype(np.float32)[:, None], np.sin(angle).astype(np.float32)[:, None]


def rope(x, heads):
    """Llama's files have pairs side by side: (0, 1), (2, 3), ..."""
    x = x.reshape(len(x), heads, pairs, 2)
    a, b = x[..., 0], x[..., 1]
    return np.stack([a * cos - b * sin, b * cos + a * sin], axis=-1).reshape(len(x), -1)


turned_q, turned_k = rope(q, h.heads), rope(k, h.kv_heads)
compare(attn_q_rope=turned_q, attn_k_rope=turned_k)

# %%
distance = np.arange(33)
lines(
    {f"pair {i}": np.cos(distance * frequencies[i]) for i in (4, 10)},
    distance,
    title="How alike a vector and itself are, so many positions apart",
    x_label="positions",
)

# %% [markdown]
# ## Attention
#
# Each query is held against each key: a score. No token sees a later one. The softmax makes shares that add up to one
# of each row, the *pattern*. Three query heads share one key head here (grouped-query attention).


# %%
def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def attend(q, k, v):
    q, k, v = (a.reshape(len(a), -1, h.head_dim).transpose(1, 0, 2) for a in (q, k, v))  # (heads, tokens, head_dim)
    k, v = (np.repeat(a, h.heads // h.kv_heads, axis=0) for a in (k, v))
    scores = q @ k.transpose(0, 2, 1) / np.float32(np.sqrt(h.head_dim))
    scores[:, np.triu(np.ones(scores.shape[1:], bool), 1)] = -np.inf
    pattern = softmax(scores)
    return scores, pattern, (pattern @ v).transpose(1, 0, 2).reshape(len(ids), -1)


scores, pattern, z = attend(turned_q, turned_k, v)
compare(attn_scores=scores, attn_pattern=pattern, attn_z=z)

# %%
heat_map(pattern[0], rows=pieces, cols=pieces, title="Head 0 of the first layer: rows look at columns", low=0)

# %% [markdown]
# What the heads have gathered goes through one more matrix and is *added* to the stream.

# %%
out = z @ weight("blk.0.attn_output").T
middle = x + out
compare(attn_out=out, resid_mid=middle)

# %% [markdown]
# ## The feed-forward part
#
# It looks at each token alone. One matrix makes many features, another says how far each is open (the *gate*, through
# `silu`), a third brings their product back to the width of the stream. Most of the weights are here.


# %%
def silu(x):
    return x / (1 + np.exp(-x))


y = rms_norm(middle, weight("blk.0.ffn_norm"))
gate, up = y @ weight("blk.0.ffn_gate").T, y @ weight("blk.0.ffn_up").T
hidden = silu(gate) * up
out = hidden @ weight("blk.0.ffn_down").T
compare(ffn_norm=y, ffn_gate=gate, ffn_up=up, ffn_act=hidden, ffn_out=out, resid_post=middle + out)

# %% [markdown]
# ## All layers
#
# That was one layer. The model is the same thing again and again, with other weights. We have all the parts.


# %%
PARTS = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]


def layer(x, i):
    w = {name: weight(f"blk.{i}.{name}") for name in PARTS}
    y = rms_norm(x, w["attn_norm"])
    q, k, v = (y @ w[f"attn_{name}"].T for name in "qkv")
    x = x + attend(rope(q, h.heads), rope(k, h.kv_heads), v)[2] @ w["attn_output"].T
    y = rms_norm(x, w["ffn_norm"])
    return x + (silu(y @ w["ffn_gate"].T) * (y @ w["ffn_up"].T)) @ w["ffn_down"].T


stream = [x]
for i in range(h.layers):
    stream.append(layer(stream[-1], i))

# %%
errors = {
    who: [error(it[f"blk.{i}.resid_post"][-1], stream[i + 1][-1]) for i in range(h.layers)]
    for who, it in engine.items()
}
lines(errors, range(h.layers), title="Relative error of the last token's row", x_label="layer", log=True)

# %% [markdown]
# Why the last token's? Look at how long the rows are. The first token is a place where heads look when they look for
# nothing, and its row grows far beyond the others'; an error relative to all rows together would be one relative to
# that row.

# %%
lines(
    {repr(pieces[t]): [np.linalg.norm(rows[t]) for rows in stream] for t in (0, len(ids) - 1)},
    range(h.layers + 1),
    title="Length of the rows of the first and of the last token",
    x_label="layers done",
    log=True,
)

# %% [markdown]
# ## The head
#
# A last norm, and the last row is held against the row of each token of the vocabulary. Where the file has no output
# matrix it is the table of embeddings again.

# %%
table_of_tokens = weight("output") if "output.weight" in exact.tensors else weight("token_embd")
logits = rms_norm(stream[-1], weight("output_norm")) @ table_of_tokens.T
compare(logits=logits)

# %% [markdown]
# The softmax of the last row are the probabilities of the next token.

# %%
p = softmax(logits[-1])
best = np.argsort(-p)[:8]
bars(100 * p[best], [repr(exact.detokenize([int(i)])) for i in best], title=f"{PROMPT} ... (per cent)")

# %%
for name, model in (("exact", exact), ("packed", packed)):
    print(f"{name:7}{model.generate(ids, max_tokens=1, temperature=0).text!r}")
print(f"ours   {exact.detokenize([int(best[0])])!r}")

# %% [markdown]
# The package has the same in NumPy for every family it knows, made by the families' own files:
# `llama_gguf.reference.Reference(model).logits(ids)`. Its tests hold the engine against it, as we did here.

# %%
import inspect

from llama_gguf.reference import core

print(inspect.getsource(core.do_rms_norm))

# %% [markdown]
# ## Exercises
#
# 1. Leave out the rotation in `layer` (`attend(q, k, v)`). What does the model say now? And without the norm?
# 2. Which heads of which layer look at the first token most? `exact.trace(...)["blk.3.attn_pattern"]` has them all.
# 3. Append the best token to `ids` and run everything again. Which rows of `stream` have changed? What follows for a
#    cache of keys and values?
# 4. Skip layer 5. Skip layer 0. Which one is missed more?

# %%
exact.close()
packed.close()
