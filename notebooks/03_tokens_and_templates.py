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
# # 3. Tokens and templates
#
# A model reads numbers, not letters. The *tokenizer* turns a text into ids of a fixed list of pieces; the *chat
# template* turns a conversation into one text first. Both are in the file. One wrong token ruins an answer and nobody
# notices, so it pays to look. No weight is read in this notebook.

# %% tags=["parameters"]
MODEL = "smollm2"

# %%
from llama_gguf import Model
from llama_gguf.pictures import bars, coloured_tokens, table

m = Model.from_pretrained(MODEL, vocab_only=True)
tok = m.tokenizer
tok

# %% [markdown]
# ## Pieces of a text
#
# Common words are one token, with the space before them; rare ones are several.

# %%
text = "The cat sat on the windowsill, untokenizably."
ids = tok.encode(text)
coloured_tokens([tok.piece(i) for i in ids], ids=ids, title=f"{len(text)} characters, {len(ids)} tokens")

# %% [markdown]
# How many bytes does a token stand for? That depends on what the vocabulary was made from. The same sentence costs
# more tokens, so more time and more of the context, in a language that was rare there.

# %%
sentences = {
    "English": "Water boils at one hundred degrees.",
    "German": "Wasser siedet bei hundert Grad.",
    "Greek": "Το νερό βράζει στους εκατό βαθμούς.",
    "Chinese": "水在一百度沸腾。",
    "Python": "def f(x):\n    return x + 1",
}
bars(
    [len(tok.encode(s)) / len(s) for s in sentences.values()],
    [f"{name} ({len(s)} characters)" for name, s in sentences.items()],
    title="Tokens per character",
)

# %% [markdown]
# ## Merges, step by step
#
# Byte pair encoding starts with single bytes. The file has a list of pairs, the *merges*, in the order in which
# training found them, the commonest first. Of all neighbours in a word the pair that stands first in the list is
# joined, again and again, until no pair is in the list. `explain` shows each step.

# %%
tok.explain("tokenization", bos=False)

# %% [markdown]
# The rule is short enough to write down. Bytes that cannot be printed are written as other characters in the file, a
# space as `Ġ`; we stay with words of letters here.

# %%
merges = m.metadata.get("tokenizer.ggml.merges", [])
rank = {tuple(pair.split(" ", 1)): i for i, pair in enumerate(merges)}


def by_hand(word):
    """The pieces of one word."""
    pieces = list(word)
    while len(pieces) > 1:
        best = min(range(len(pieces) - 1), key=lambda i: rank.get((pieces[i], pieces[i + 1]), len(rank)))
        if (pieces[best], pieces[best + 1]) not in rank:
            break
        pieces[best : best + 2] = [pieces[best] + pieces[best + 1]]
    return pieces


words = ["tokenization", "Ġwindowsill", "untokenizably", "strawberry"]
for word in words:
    pieces = by_hand(word)
    same = [tok.find(p) for p in pieces] == tok.encode(word.replace("Ġ", " "), bos=False)
    print(f"{word:16} {' '.join(pieces):24} the same: {same}")

# %% [markdown]
# This is why a model cannot count the letters of "strawberry": it never sees them, only the ids of two or three pieces.
#
# Merges never reach across words. A pattern, named by `tokenizer.ggml.pre`, cuts the text into words first; each
# vocabulary has its own ideas about digits, spaces and apostrophes.

# %%
x = tok.explain("It's 12345 o'clock,  isn't it?\n\n", bos=False)
print(tok.pre, [word.text for word in x.words])

# %% [markdown]
# ## There and back
#
# Every text comes back unchanged, since every byte is a token: emoji, other scripts, odd spaces, broken pieces of
# special tokens.

# %%
odd = ["naïve café", "🤷🏽‍♀️ shrug", "  two  spaces ", "\t\r\n", "水在沸腾", "<|im_", "\x00", ""]
[(s, len(tok.encode(s, bos=False)), tok.decode(tok.encode(s, bos=False)) == s) for s in odd]

# %% [markdown]
# A character may be cut across tokens. Printing token by token would show broken halves; a stream holds a half
# back until it is whole.

# %%
stream = tok.stream()
rows = [(i, bytes(tok.piece(i)).hex(" "), repr(stream.push(i))) for i in tok.encode("🤷🏽 ok", bos=False)]
table(rows, ("id", "bytes", "what the stream shows"))

# %% [markdown]
# The other way round does not hold. Many lists of ids give the same text, and the model has been trained on one of
# them. A classic: a prompt that ends with a space. The space belongs to the next word's token, and a model that finds
# it alone is in a place that it has hardly ever seen.

# %%
lists = {
    "as a whole": tok.encode("The cat", bos=False),
    "space first, then the word": tok.encode("The ", bos=False) + tok.encode("cat", bos=False),
    "letter by letter": [i for letter in "The cat" for i in tok.encode(letter, bos=False)],
}
table([(name, str(ids), tok.decode(ids)) for name, ids in lists.items()], ("tokenized", "ids", "text"))

# %% [markdown]
# ## Special tokens
#
# Some tokens mean something that is no text: here begins a turn, here it ends. Their kind is *control*. They are the
# only way for a model to know who speaks, and when to stop.

# %%
control = [i for i in range(len(tok)) if tok.kind(i) == "control"]
print("control tokens:", [tok.text(i) for i in control[:6]], f"and {max(0, len(control) - 6)} more")
print("end a generation:", [tok.text(i) for i in sorted(tok.eog)])

# %% [markdown]
# `special` says whether the text of a special token is that token. A template needs that. A user's text does not: who
# can write a control token can pretend to be somebody else.

# %%
marker = tok.text(control[1])
for special in (True, False):
    ids = tok.encode(marker, bos=False, special=special)
    print(f"special={special}: {len(ids)} tokens {[tok.text(i) for i in ids]}")

# %% [markdown]
# ## A conversation as text
#
# The template is a small program (Jinja) in the file. This is what it looks like, and what it makes of one question.

# %%
print(m.chat_template)
print(m.chat_template.text)

# %%
messages = [{"role": "user", "content": "What is a cache?"}]
m.chat_template.preview(messages)

# %% [markdown]
# The prompt ends where the answer begins, that is the template's `add_generation_prompt`. With more turns, everything
# said so far is read again, unless a cache holds it.

# %%
answered = [*messages, {"role": "assistant", "content": "A store of results."}, {"role": "user", "content": "Why?"}]
short, long = (m.chat_template.encode(chat) for chat in (messages, answered))
alike = next((i for i, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
print(f"{len(short)} and {len(long)} tokens; the first {alike} are the same and need not be read again")

# %% [markdown]
# ## What is odd about a template?
#
# `lint` tries a template against the vocabulary. Nothing is wrong with the file's own if the list is empty:

# %%
m.chat_template.lint()

# %% [markdown]
# Now a bad one: it writes markers of another model's vocabulary and forgets the generation prompt. The model would see
# a row of ordinary tokens, answer something, and never stop.

# %%
from llama_gguf.vocab.chat import ChatTemplate

bad = ChatTemplate("{% for m in messages %}<|turn|>{{ m.role }}: {{ m.content }}{% endfor %}", "us", tokenizer=tok)
bad.lint()

# %%
bad.preview(messages)

# %% [markdown]
# ## Exercises
#
# 1. `tok.explain("strawberry")` and `tok.explain(" strawberry")`: why do they differ, and which one stands in texts?
# 2. Find a word of ten letters that takes as many tokens as possible. (Try names, and other languages.)
# 3. Look at `long` above, decoded by `tok.decode`. Put a control token's text into the user's message and look at the
#    preview again. How would you defend a program against that?
# 4. Set `MODEL` to another file. Is its `lint()` empty?

# %%
m.close()
