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
# # 8. What quantization breaks
#
# A file with fewer bits is smaller and faster, and worse. How much worse, where, and on which words? We make a smaller
# file of a model, run both in lock-step, and look for the place where they part.

# %% tags=["parameters"]
MODEL = "smollm2"
TYPE = "Q2_K"

# %%
import tempfile
from pathlib import Path

from llama_gguf import Model
from llama_gguf.hub import resolve
from llama_gguf.quantize import quantize_file

folder = tempfile.TemporaryDirectory()
path, smaller = resolve(MODEL), Path(folder.name) / f"{TYPE}.gguf"
quantize_file(path, smaller, TYPE, requantize=True)
base, small = Model(path, n_ctx=512), Model(smaller, n_ctx=512)
base.file.size / 1e6, small.file.size / 1e6

# %% [markdown]
# The file we start from is itself quantized, to about five bits. For us it is the truth: we ask what is lost from here
# on. Does the smaller one still speak?

# %%
prompt = "The three states of matter are"
print(base.generate(prompt, max_tokens=24).text, "\n---")
print(small.generate(prompt, max_tokens=24).text)

# %% [markdown]
# ## How surprised is it by a text?
#
# **Perplexity** is the exponential of the mean surprise, -log p, of the tokens of a text. `score` tells the surprise of
# each; point at a token to see its rank among all of the vocabulary.

# %%
text = (
    "Water freezes at zero degrees Celsius and boils at one hundred degrees. Ice is less dense than liquid water, "
    "which is why it floats. When sugar is stirred into hot tea, the crystals break apart and the molecules spread "
    "through the whole cup. The same thing happens more slowly in cold water, because its molecules have less energy."
)
base.score(text)

# %%
small.score(text)

# %%
base.perplexity(text), small.perplexity(text)

# %% [markdown]
# Perplexity has a weakness: a token that gets likelier makes up for one that gets less likely, and the sum hides both.
# The **KL divergence** counts every change of the whole distribution, at every token, as a loss:
#
# $$ \mathrm{KL} = \sum_t p_{base}(t) \, \log \frac{p_{base}(t)}{p_{small}(t)} $$

# %%
small.kl_divergence(base, text)

# %% [markdown]
# On so short a text the errors are wide. On a real one, let it run longer: `small.kl_divergence(base, open(...).read(),
# chunks=20)`, or `llama-gguf perplexity small.gguf -f text --kl base.gguf` in a shell. Two models run, in windows of
# 512 tokens, a few rows of logits at a time; nothing large is kept.
#
# ## Where do they part?
#
# Both models side by side on one text, layer by layer: how far the small one's residual stream is from the other's,
# and what the head would make of each layer's residuals (the *logit lens*).

# %%
damage = small.quant_damage(base, text)
damage

# %%
damage.first_divergence(), damage.flipped[:5]

# %% [markdown]
# Errors are made in every layer, and the stream carries them along. What an attention or feed-forward part adds may be
# far off in itself; what counts is how large it is beside the stream.
#
# ## Which tensors matter?
#
# We change **one** matrix at a time, in memory, and measure the KL divergence. `with_tensor` gives a model that shares
# everything but that matrix.

# %%
one = base.with_tensor("blk.0.attn_v.weight", type="Q2_0")
one.kl_divergence(base, text).kl, base.kl_divergence(base, text).kl

# %% [markdown]
# `sensitivity` does so for every matrix that multiplies. Here for three layers (all thirty take about a minute).

# %%
sensitive = base.sensitivity("Q2_0", text, pattern="blk.*9.*", tokens=32)
sensitive

# %% [markdown]
# The map is the reason for mixtures such as `Q4_K_M`: bits go where they count. Which places are hot depends on the
# model, and differs by orders of magnitude; the first and the last layers are often among them.
#
# ## Exercises
#
# 1. Find the most sensitive matrix. Give it alone its old type back in a file where all others are `Q2_0`
#    (`with_tensor` again and again). How much of the KL is repaired?
# 2. The same map with `measure="error"` needs no text. Where do the two disagree, and why?
# 3. Make `TYPE` a `Q4_K_M`: at which layer is the stream 1% off now?

# %%
small.close()
base.close()
folder.cleanup()
