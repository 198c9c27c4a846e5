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
# # 2. What is in a tensor, and how four bits work
#
# A trained weight is a number like 0.0173. Stored as a float it takes 32 bits, or 16. This file spends about five. How
# can that work at all? We look at the numbers first, then take the format apart, bit by bit, and then measure what
# is lost.

# %% tags=["parameters"]
MODEL = "smollm2"
TENSOR = "blk.3.ffn_down.weight"

# %%
import numpy as np

from llama_gguf import GGUFFile
from llama_gguf.hub import resolve
from llama_gguf.pictures import bars, histogram, lines

file = GGUFFile(resolve(MODEL))
tensor = file.tensors[TENSOR]
print(tensor)

# %% [markdown]
# ## The numbers
#
# `tensor.numpy()` gives them as float32; indexing reads only the rows asked for. `stats()` reads a tensor of any size
# piece by piece.

# %%
tensor.stats()

# %% [markdown]
# Weights look like a bell, but not quite a normal one, whose **kurtosis** is 0: ours is larger. There are more values
# far out than a normal distribution has, and they sit in certain rows or columns. Such *outliers* are what makes
# quantization hard: one large value in a group stretches the scale for all of them.
#
# ## One block
#
# The row is cut into blocks, each of which is stored by itself. In the type of this tensor a block has one **scale**, a
# **minimum**, and a small integer, the **code**, for each weight:
#
# $$ w_i = \text{scale} \cdot \text{code}_i + \text{minimum} $$
#
# Here is one under the microscope. The coloured bytes are all there is in the file; the last table shows which bits
# one weight is made of.

# %%
block = tensor.block(100)
block

# %% [markdown]
# Let us do it by hand. The block is 20 bytes: two half-precision numbers, then sixteen bytes with two codes each.

# %%
if block.kind.name == "Q4_1":
    raw = block.raw
    scale, minimum = raw[:4].copy().view(np.float16).astype(np.float32)
    codes = np.concatenate([raw[4:] & 15, raw[4:] >> 4])  # lower four bits first, then the upper four
    by_hand = scale * codes + minimum
    print("the same:", np.array_equal(by_hand, block.values))

# %% [markdown]
# `block.bits(i)` knows the same from the outside. It turns over each bit of a block and looks which weights change, so
# it works for every format, also where signs and points of a codebook hide in odd places.

# %%
block.bits(0), block.bits(17)

# %% [markdown]
# ## Making a block
#
# The simplest quantizer: spread sixteen levels evenly over the range of the group, and round.

# %%
def four_bits(x):
    """x (groups, 32) on sixteen levels between each group's least and largest value."""
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    scale = (high - low) / 15
    codes = np.rint((x - low) / scale)
    return scale * codes + low


rng = np.random.default_rng(0)
bell = rng.standard_normal((4096, 32)).astype(np.float32)
error = four_bits(bell) - bell
print(f"root mean square error {np.sqrt((error**2).mean()):.4f} of values of size {np.sqrt((bell**2).mean()):.4f}")

# %% [markdown]
# Now put one outlier into every group, and see what it does to the other 31 values.

# %%
sizes, errors = np.linspace(3, 30, 28), []
for size in sizes:
    spoiled = bell.copy()
    spoiled[:, 0] = size
    error = (four_bits(spoiled) - spoiled)[:, 1:]
    errors.append(np.sqrt((error**2).mean()))
lines({"error of the others": errors}, sizes, x_label="size of one value in 32", y_label="error")

# %% [markdown]
# The error grows in proportion: the levels are as far apart as the range asks. That is why blocks are small, and why
# the larger formats keep a scale for each 16 or 32 weights (and then quantize the scales).
#
# ## Which bits are worth it?
#
# `quantize_rows` writes any type. The tensor's own values would not be fair to compare by: they lie on sixteen levels
# already, and types with the same levels would win. So we take fresh numbers with tails like a real matrix's.

# %%
from llama_gguf.engine.quants import dequantize
from llama_gguf.gguf import TYPES
from llama_gguf.quantize.rows import quantize_rows

values = rng.standard_t(8, (256, 1536)).astype(np.float32)
names, bits, loss = ["Q2_K", "Q3_K", "Q4_0", "IQ4_NL", "MXFP4", "Q4_K", "Q5_0", "Q5_K", "Q6_K", "Q8_0"], [], []
for name in names:
    kind = TYPES[name]
    again = dequantize(quantize_rows(values, name), kind.id, values.shape[1])
    bits.append(kind.bits_per_weight)
    loss.append(float(np.sqrt(((again - values) ** 2).mean() / (values**2).mean())))
bars(loss, [f"{n} ({b:.4g} bits)" for n, b in zip(names, bits, strict=True)], title="Relative error by type")

# %% [markdown]
# A bit more halves the error, about: twice as many levels, half as far apart. Types of equal size differ by how clever
# they are: `IQ4_NL` has its sixteen points closer together near zero, where most weights are; `MXFP4` has points like
# small floats and a power of two as scale, which is quick for hardware and coarser here.
#
# And the same weights side by side: a block of this file against other files' (here made on the spot).

# %%
from llama_gguf.evaluate.swap import converted

against = [converted(tensor, name) for name in ("Q2_K", "IQ4_NL")]
[(e["type"], round(e["relative"], 4)) for e in tensor.block(100, against).errors()]

# %% [markdown]
# ## Exercises
#
# 1. Draw `histogram(tensor[0])` and `histogram` of a norm's gain. Why are norms never quantized?
# 2. Compare `tensor.stats()["kurtosis"]` over all layers. Where are the heaviest tails?
# 3. In `four_bits`, try a range that cuts off the largest value. When does the error of the *whole* block get smaller?
#    (A good quantizer searches for that; ours tries many scales for each block.)

# %%
histogram(tensor[0], title=f"The first row of {TENSOR}")

# %%
file.close()
