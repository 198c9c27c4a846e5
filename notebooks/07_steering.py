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
# # 7. Steering
#
# If a property of a text is a *direction* in the residual stream, adding the direction should add the property. We make
# such a vector from a few pairs of sentences, turn it up and down, look where it breaks, and compare it with a vector
# of the same length that means nothing.

# %% tags=["parameters"]
MODEL = "smollm2"

# %%
import tempfile
from pathlib import Path

import numpy as np

from llama_gguf import Model, lens
from llama_gguf.pictures import lines, table

m = Model.from_pretrained(MODEL, n_ctx=256)
prompt = "I watched the film yesterday. It was"
m.generate(prompt, max_tokens=16, temperature=0).text

# %% [markdown]
# ## Pairs
#
# Two lists of texts that differ in one thing, and as little as possible in anything else. The vector of a layer is the
# mean of the residuals of the first list less that of the second.

# %%
pleased = [
    "I love this place, it is wonderful",
    "What a great day, everything went well",
    "The meal was delicious and we were happy",
    "She smiled because the news was good",
    "This film is a joy from start to end",
    "He is kind and I am glad to know him",
]
displeased = [
    "I hate this place, it is terrible",
    "What an awful day, everything went wrong",
    "The meal was disgusting and we were angry",
    "She cried because the news was bad",
    "This film is a pain from start to end",
    "He is cruel and I am sorry to know him",
]
vector = lens.train_steering(m, pleased, displeased, position="mean")
vector

# %% [markdown]
# It grows with depth, as the stream itself does. We use only some layers in the middle: early ones still deal with
# words, and late ones have no time left to act on it.

# %%
LAYERS = range(8, 16)
joy = vector.only(LAYERS)
size = lens.norms(m, prompt).resid[1:, -1] * np.sqrt(m.h.width)  # resid: root mean square, after the embedding first
print(*(f"layer {i:2}: {np.linalg.norm(joy.at(i)):5.1f} added to a stream of {size[i]:6.1f}" for i in LAYERS), sep="\n")

# %% [markdown]
# ## Turning it up and down


# %%
def at(vector, strength, n=14):
    with m.steer(vector, strength):
        return m.generate(prompt, max_tokens=n, temperature=0).text


strengths = [-2, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 2]
table([(f"{s:+}", at(joy, s)) for s in strengths], ["strength", prompt])

# %% [markdown]
# The tone follows the sign, in a narrow window. Beyond it the text repeats itself, and then falls to pieces. Read
# closely, and the window is narrower still: what is pleasant at +0.5 has forgotten that it was about a film.
#
# ## Measuring
#
# Nine samples from one prompt are an anecdote. Two numbers, over several prompts: how much likelier pleasant words are
# than unpleasant ones as the next token, and what the vector costs, the surprise at a neutral text. And a control:
# random directions, each as long as the one it takes the place of.

# %%
good = [m.tokenize(w, bos=False)[0] for w in (" great", " good", " wonderful", " amazing")]
bad = [m.tokenize(w, bos=False)[0] for w in (" terrible", " bad", " awful", " horrible")]
prompts = [prompt, "The food at the new restaurant was", "My first week at work was"]
neutral = "Water freezes at zero degrees Celsius and boils at one hundred degrees. Ice is less dense than liquid water."
ids = m.tokenize(neutral)


def log_p(logits):
    x = logits.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def measure(vector, strength):
    """(log-odds of pleasant words against unpleasant ones, in bits; surprise at the neutral text, bits a token)."""
    with m.steer(vector, strength):
        ends = np.stack([log_p(m.logits(p)[-1]) for p in prompts])
        surprise = -log_p(m.logits(ids))[np.arange(len(ids) - 1), ids[1:]].mean()
    odds = np.logaddexp.reduce(ends[:, good], axis=1) - np.logaddexp.reduce(ends[:, bad], axis=1)
    return odds.mean() / np.log(2), surprise / np.log(2)


rng = np.random.default_rng(0)
drawn = {i: rng.standard_normal(m.h.width) for i in LAYERS}
noise = lens.SteeringVector({i: x / np.linalg.norm(x) * np.linalg.norm(joy.at(i)) for i, x in drawn.items()})
of_joy, of_noise = (np.array([measure(v, s) for s in strengths]) for v in (joy, noise))
numbers = np.c_[strengths, of_joy, of_noise].round(2)
table(numbers, ["strength", "odds", "surprise", "odds, random", "surprise, random"], title="bits")

# %%
lines({"joy": of_joy[:, 0], "random": of_noise[:, 0]}, strengths, "pleasant against unpleasant", "strength", "bits")

# %%
lines({"joy": of_joy[:, 1], "random": of_noise[:, 1]}, strengths, "surprise at a neutral text", "strength", "bits")

# %% [markdown]
# A quarter of the vector moves the odds by six or seven bits, a factor of about a hundred, in either direction, and
# costs a quarter of a bit a token. The random one of the same length hardly moves the odds: it is the direction that
# does it. With more strength the gain ends and the cost does not: at +2 the odds are *lower* than at +1, and any text
# is a riddle. Some of that cost is mere length, as the random vector shows (one draw; others differ), but less than
# half of it.
#
# ## Keeping it
#
# llama.cpp has a file format for this, the *control vector*, itself a small GGUF file. It has no direction for layer 0.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "joy.gguf")
    joy.save(path)  # llama-cli --control-vector joy.gguf takes it
    again = lens.SteeringVector.load(path)
    print(f"{path.stat().st_size:,} bytes")
again, at(again, 0.5) == at(joy, 0.5)

# %% [markdown]
# ## What this does not show
#
# That the model *has* a feeling, or even one direction for pleasantness. Six pairs share more than their tone, and a
# mean of differences keeps whatever they share. That a vector pushes an output shows that the model reads something
# along it, not that the model uses the same direction when nobody pushes; for this one would take the direction *out*
# and see the tone go. The odds count eight words we chose, which are nearly those of the pairs. And it is one small
# model, three prompts, greedy decoding: a window of strengths found here says nothing of another model.
#
# ## Exercises
#
# 1. `method="pca"` instead of the mean: how near are the two (cosine of `vector.at(12)`)? Which has the wider window?
# 2. Steer one layer at a time with `vector.only([i])`, the strength in proportion. Where does a layer do most?
# 3. Train it on half of the pairs, and on the other half. How alike are the vectors? What does that say?

# %%
m.close()
