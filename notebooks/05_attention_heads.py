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

# %% [markdown]
# # 5. Attention heads
#
# Attention is the only place where a token sees other tokens. Each head is a table: a row for each token that looks, a
# column for each token looked at, and every row sums to 1. Most heads of a small model do something simple. We find
# those that look one token back, those that look at nothing in particular, and those that make a repeated text
# predictable. Then we take the last kind out.

# %% tags=["parameters"]
MODEL = "smollm2"

# %%
import numpy as np

from llama_gguf import Model, lens, panels
from llama_gguf.pictures import heat_map, lines

m = Model.from_pretrained(MODEL, n_ctx=256)
f"{m.h.layers} layers of {m.h.heads} heads"

# %% [markdown]
# ## Maps
#
# `lens.attention` keeps the pattern of every head, and scores each by what it looks at.

# %%
text = "Mary and John went out. John gave milk to Mary"
heads = lens.attention(m, text)
for name in ("previous", "first"):
    print(f"{name:8}", *(f"  layer {la:2} head {h}: {score:.2f}" for la, h, score in heads.top(name, 3)))

# %%
layer, head, _ = heads.top("previous", 1)[0]
heads.map(layer, head)

# %% [markdown]
# A **previous-token head**: a line beside the diagonal. It writes into each token what came before it. Later layers
# need that, as we shall see. The next one is simpler still.

# %%
layer, head, _ = heads.top("first", 1)[0]
heads.map(layer, head)

# %% [markdown]
# The first token gets it all. It knows nothing of the rest of the text, as it can see only itself. A row has to sum to
# 1, so a head that finds nothing must still put its weight somewhere, and models learn to put it there: an **attention
# sink**. A head that rests on this text may work on another; the pattern says where it looks, not what it adds. How
# many of them rest here?

# %%
scores = {name: heads.scores[name] for name in ("first", "previous")}
print(", ".join(f"{name} token: {int((x > 0.5).sum())} of {x.size} heads above one half" for name, x in scores.items()))
rows = [f"layer {i}" for i in range(m.h.layers)]
heat_map(scores["first"], rows, [str(i) for i in range(m.h.heads)], "attention to the first token", low=0, high=1)

# %% [markdown]
# ## Induction
#
# Random tokens cannot be foreseen. If the same ones come a second time, they can: look for the earlier occurrence of
# the current token, and say what followed it. A head that looks at what followed is an **induction head**. It takes two
# layers, since a token must first have been told what stands before it, by a previous-token head.

# %%
N = 24
found = lens.induction(m, n=N)
best = [(layer, head) for layer, head, _ in found.top("induction", 24)]
print(*(f"layer {la:2} head {h}: {score:.2f}" for la, h, score in found.top("induction", 6)), sep="\n")

# %%
layer, head = best[0]
heat_map(found.pattern[layer, head], title=f"layer {layer}, head {head}: {N} random tokens, twice", low=0, high=1)

# %% [markdown]
# The upper half of the rows has nothing to find, and rests on the first token. In the lower half a second line appears,
# and it is not at a distance of 24 but of 23: the token *after* the earlier one.
#
# ## Does it matter?
#
# A pattern is a hint. To know, we put heads out: what they add becomes zero, everywhere. The tokens below are others
# than those we chose the heads by. How surprised is the model by the second copy?

# %%
words = np.random.default_rng(1).integers(1000, 40000, N).tolist()
twice = words + words


def without(heads):
    """Hooks that put heads out, one for each layer that has any."""

    def hook(layer):
        def put_out(z, hook):
            z[:, [h for la, h in heads if la == layer]] = 0  # z: (tokens, heads, head width)

        return f"blocks.{layer}.attn.hook_z", put_out

    return [hook(layer) for layer in sorted({la for la, _ in heads})]


def surprise(heads=()):
    """Mean surprise, in bits, of the tokens of the first copy, and of the second."""
    logits = m.run_with_hooks(twice, hooks=without(heads)).astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    bits = -log_p[np.arange(2 * N - 1), twice[1:]] / np.log(2)
    return bits[: N - 1].mean(), bits[N:].mean()


print("nothing put out: first copy {:.1f} bits a token, second copy {:.1f}".format(*surprise()))

# %%
others = [(la, h) for la in range(m.h.layers) for h in range(m.h.heads) if (la, h) not in best]
counts = [0, 1, 2, 4, 8, 16]
induction = np.array([surprise(best[:k]) for k in counts])
draws = [np.random.default_rng(seed).permutation(others).tolist() for seed in range(3)]
chance = np.array([[surprise([tuple(x) for x in draw[:k]]) for k in counts] for draw in draws])
for i, k in enumerate(counts):
    print(f"{k:2} heads  best: {induction[i, 1]:5.1f} bits   random: {np.round(chance[:, i, 1], 1)}")

# %%
shown = {
    "second, best out": induction[:, 1],
    "second, random out": chance[:, :, 1].mean(0),
    "first, best out": induction[:, 0],
}
lines(shown, counts, "surprise at each copy", x_label="heads put out", y_label="bits a token")

# %% [markdown]
# Eight heads of 270 undo four fifths of what the first copy was worth. What is left has other reasons: a token that has
# occurred is likelier to occur again. The first copy is hardly less predictable without them: it is the copying that is
# gone, not the model. Eight random heads do far less. The comparison is not a clean one, though: the best heads all sit
# in the upper half of the layers, random ones anywhere. With sixteen, chance hurts too; it may hit what induction
# stands on, such as the previous-token heads of early layers.
#
# And in words? We let the model go on with a list that begins a second time.

# %%
prompt = " kettle, lamp, violin, garden, cheese, pencil, river, candle.\n kettle, lamp, violin,"


def go_on(heads=(), n=11):
    ids = m.tokenize(prompt)
    start = len(ids)
    for _ in range(n):
        ids.append(int(m.run_with_hooks(ids, hooks=without(heads))[-1].argmax()))
    return m.detokenize(ids[start:])


worst = draws[chance[:, counts.index(8), 1].argmax()]
several = {"whole model": [], "without the best eight": best[:8], "without eight random": [tuple(x) for x in worst[:8]]}
print("\n".join(f"{name:24}{go_on(heads)!r}" for name, heads in several.items()))

# %% [markdown]
# The random ones here are those that did most harm among the three draws. Without induction heads the model keeps to
# the form of the list, and takes one of its words, the last one, again and again: it does not know any more which comes
# next.
#
# ## With the mouse
#
# The panel "layers" shows any value of any layer, and puts it out. The last line of a cell opens it: `panel`. Where
# there are no widgets, as on this page, it shows as a still picture. Here is the best induction head on a short text:
# the second " kettle" looks at the comma behind the first, as it should, but rests on the first token about as much.

# %%
panel = panels.open(m, "layers", "A kettle, lamp, kettle,", layer=best[0][0], activation="attn_pattern")
panel.head_number.value = best[0][1]
panel.go.click()
panel.wait()
panel.still()

# %% [markdown]
# ## Exercises
#
# 1. Take out the four best previous-token heads instead (`found.top("previous", 4)`). Is the second copy still
#    predictable? What do the induction heads look at now?
# 2. `found.scores["duplicate"]` counts attention to the earlier token itself. Which heads do that, in which layers?
# 3. Put out all heads with a first-token score above 0.95 on `text`. Does the surprise of `text` change? Should it?

# %%
panel.close()
m.close()
