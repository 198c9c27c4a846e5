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
# # 1. Open a file
#
# A GGUF file is a whole language model: what it is called, how it is shaped, its vocabulary, and its weights. In this
# notebook we open one and look around, before anything is computed. Nothing here needs more than the file itself.

# %% tags=["parameters"]
MODEL = "smollm2"  # a path, a Hub name such as "user/repo:Q4_K_M", or an alias

# %%
from llama_gguf import GGUFFile
from llama_gguf.hub import resolve

file = GGUFFile(resolve(MODEL))
file.metadata["general.name"], f"{file.size / 1e6:.1f} MB", f"{len(file.tensors)} tensors"

# %% [markdown]
# The file was *mapped*, not read: opening takes milliseconds whatever its size, and bytes come from the disk when
# somebody looks at them.
#
# ## Keys and values
#
# The first part of the file are keys. Those of the architecture's own name are the numbers that the forward pass needs:
# how many layers, how wide, how many heads.

# %%
arch = file.metadata.arch
{key: file.metadata[key] for key in file.metadata if key.startswith(arch + ".")}

# %% [markdown]
# Other keys hold the vocabulary. Arrays stay in the file until an element is asked for:

# %%
tokens = file.metadata["tokenizer.ggml.tokens"]
tokens, tokens[1000:1010]

# %% [markdown]
# `file.metadata` alone shows everything as a table, long texts and arrays cut.
#
# ## Tensors
#
# The second part is a table of tensors: name, type, shape, place. Names are the same for all families: `blk.3.attn_q`
# is the query matrix of the fourth layer. A pattern selects several.

# %%
file.tensors["blk.3.*"]

# %% [markdown]
# Shapes are in NumPy's order: a matrix of shape (rows, columns) turns a vector of *columns* numbers into one of *rows*.
# The query matrix has as many rows as columns; key and value matrices have fewer rows, as several query heads share a
# key head (grouped-query attention).
#
# Where do the bytes go? `rows()` is a list of dicts, ready for whatever you like to do with tables (and `to_pandas()`
# is there if pandas is). Let us add up by kind.

# %%
from collections import Counter

from llama_gguf.pictures import bars

kinds = Counter()
for row in file.tensors.rows():
    kinds[row["name"].split(".")[-2]] += row["bytes"] / 1e6
names, sizes = zip(*kinds.most_common(10), strict=True)
bars(sizes, names, title="Megabytes by kind of tensor")

# %% [markdown]
# In a small model the table of token embeddings takes a large share: a row of numbers for each token of the vocabulary.
# This model uses the same table twice, at the beginning to look tokens up and at the end to score them ("tied").
#
# How many bits has a weight? Types differ by tensor: norms are small and stay in full precision.

# %%
for t in file.tensors.types():
    print(f"{t['type']:6} {t['tensors']:4} tensors  {t['elements']:>12,} weights  {t['bytes'] / 1e6:8.1f} MB")
print(f"\n{file.tensors.bits_per_weight:.3f} bits per weight on average")

# %% [markdown]
# ## The model
#
# `Model` opens the same file to compute with it. It finds the family by its architecture, checks that every tensor has
# the shape the family's equations ask for, and packs the weights for this machine.

# %%
from llama_gguf import Model

model = Model(file.path)
result = model.generate("The capital of France is", max_tokens=12)
result

# %% [markdown]
# The compiled forward pass is a table as well: each step with the line of the model file that asked for it. Here are
# the steps of one layer.

# %%
lines = str(model.plan).splitlines()
print(lines[0], *[line for line in lines if " blk.3." in line], sep="\n")

# %% [markdown]
# ## Exercises
#
# 1. How many weights has one layer? How many of them belong to attention, how many to the feed-forward part?
# 2. `file.tensors["blk.*.attn_norm.weight"]`: do the norms' gains grow with depth? (`.numpy()` of each, their mean.)
# 3. Set `MODEL` to another file and run everything again. What is different in the plan?

# %%
model.close()
file.close()
