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
# # 6. The logit lens
#
# A layer adds something to the *residual stream*; the last thing the model does is to read words off it. What if we
# read earlier? We follow one fact through the layers, ask whose work the answer is, and check with an experiment.

# %% tags=["parameters"]
MODEL = "smollm2"

# %%
from llama_gguf import Model, lens
from llama_gguf.pictures import bars, heat_map, lines, table

m = Model.from_pretrained(MODEL, n_ctx=256)
text = "The capital of France is"
lens.top_tokens(m, text, k=4)

# %% [markdown]
# The last row is the fact: what the model would say next, behind " is".
#
# ## Reading early
#
# `logit_lens` puts the final norm and the output matrix on the stream after each layer. Here is what each would say
# behind the last token, and the *rank* of " Paris" among all of the vocabulary.

# %%
found = lens.logit_lens(m, text)
names = ["embedding", *(f"after {i}" for i in range(m.h.layers))]
read = list(zip(names, (x[-1] for x in found.texts), found.probs[:, -1, 0].round(2), found.rank[:, -1], strict=True))
table([read[0], *read[5:20:5], *read[20:]], ["", "likeliest", "probability", "rank of Paris"])

# %% [markdown]
# For most of the way there is nothing to see: spaces and full stops, and " Paris" at places in the thousands. Then it
# climbs within a few layers, and becomes the likeliest only after the very last. This is *not* a proof that the model
# does not know before. The lens reads with the eyes of the last layer; a layer in the middle may write in a way that
# only later layers understand.
#
# ## Entropy and divergence
#
# The **entropy** of a distribution tells how undecided it is, in bits. The **KL divergence** from the final one tells
# how far from the end it is. Are they the same story?

# %%
curves = {"entropy": found.entropy[1:, -1], "KL from the final": found.kl[1:, -1]}  # without the embedding
lines(curves, x_label="after layer", y_label="bits")

# %% [markdown]
# They are not. In the middle the entropy is as low as at the end: the lens reads something confident there, and
# something wrong. A low entropy alone says nothing about being right. The divergence tells, and it falls from layer 23
# on. All of the text at once, the divergence cut at 20 bits:

# %%
rows = ["embedding", *(f"layer {i}" for i in range(m.h.layers))]
heat_map(found.kl, rows, found.tokens, "KL from the final distribution, bits", low=0, high=20)

# %% [markdown]
# ## Whose work is it?
#
# The stream is a sum, so (with the scale of the last norm held fixed) a logit is one as well. `attribution` takes it
# apart: what did each layer's attention and feed-forward part add to the logit of " Paris"?

# %%
parts = lens.attribution(m, text, " Paris")
top = parts.top(10)
print(f"logit {parts.logit:.3f}, sum of all parts {parts.total:.3f}")
bars([value for *_, value in top], [name for name, *_ in top], "what adds to the logit of Paris")

# %% [markdown]
# The largest parts are feed-forward ones at the end, but those lift many words. A fairer question is a comparison:
# what makes it " Paris" *rather than* " Rome"? And attention can be taken apart by heads.

# %%
parts = lens.attribution(m, text, " Paris", against=" Rome", by="head")
top = parts.top(8)
bars([value for *_, value in top], [f"{name} {i}" if "heads" in name else name for name, i, _ in top], parts.token)

# %% [markdown]
# Now one head is first. What does it look at, when it stands on the last token?

# %%
name, head, added = next(part for part in parts.top(60) if part[0].endswith("heads"))
layer = int(name.split(".")[1])
pattern = lens.attention(m, text).pattern[layer, head, -1]
print(f"layer {layer}, head {head} adds {added:.2f}; it looks at")
print(*(f"{token:10} {share:.2f}" for token, share in zip(found.tokens, pattern, strict=True)), sep="\n")

# %% [markdown]
# ## An experiment
#
# Attribution counts what was written directly. It does not tell what would happen without it. So we change one thing
# at a time. A **patching** sweep runs the text, but at one layer and one token takes the stream from a run on another
# text. 0: still Paris. 1: it is Rome.

# %%
swept = lens.patch(m, text, "The capital of Italy is")
heat_map(swept.restored, rows[1:], found.tokens, "share of the difference to Rome", diverging=True, low=-1, high=1)

# %% [markdown]
# As clean as one could wish. Up to layer 23 the country stands at its own token, and nowhere else: what we change at
# the last token changes nothing. From layer 24 on it stands at the last token, and at its own it matters no longer.
# Layer 23 carries it over, the layer whose head we just met. Take that head out, alone:

# %%
metric = lens.logit_difference(m, " Paris", " Rome")


def without(layer, head):
    def put_out(z, hook):
        z[:, head] = 0  # z: (tokens, heads, head width)

    return m.run_with_hooks(text, hooks=[(f"blocks.{layer}.attn.hook_z", put_out)])


rows = [("whole", metric(m.logits(text)), m.detokenize([int(m.logits(text)[-1].argmax())]))]
for h in range(m.h.heads):
    logits = without(layer, h)
    rows.append((f"without {layer}.{h}", metric(logits), m.detokenize([int(logits[-1].argmax())])))
print("Paris - Rome, and the likeliest token")
print("\n".join(f"{what:14} {value:6.2f} {token!r}" for what, value, token in rows))

# %% [markdown]
# It directly added 3.0 of the difference of 7.3, and 5.5 of it go when the head does: the rest is what the layers above
# made of it. Yet " Rome" is not what comes instead, and a difference of 1.8 stays. And it is *one* sentence about two
# countries: whether this head carries capitals, or countries, or whatever stands at that place, is for other texts to
# show. That is the next step, and exercise 1.
#
# ## Exercises
#
# 1. Does the same head work for Germany, Japan, Egypt? For "The currency of Japan is"? And if the country comes first:
#    "In France the capital is"?
# 2. `lens.ablate_heads(m, text, metric=metric)` takes out every head in turn (a few seconds). Which early heads matter,
#    though attribution gave them nothing?
# 3. Patch `attn_out` and `ffn_out` instead of the stream: `lens.patch(..., name="attn_out")`. What do the feed-forward
#    parts of the first layers do at the token " France"?

# %%
m.close()
