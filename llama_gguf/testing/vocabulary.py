"""A small vocabulary: byte-level BPE that can write any text."""

from ..gguf.values import Typed

MERGES = ("t h", "h e", "th e", "i n", "a n", "e r", "o n", "Ġ the", "Ġ a", "an d", "in g")
CONTROL = ("<|begin|>", "<|end|>")
TEMPLATE = (
    "{% for m in messages %}<|begin|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)


def words(size=None):
    """Texts of a byte-level BPE vocabulary: control tokens, all bytes, one token a merge; words that no text comes to
    fill it up to `size`.
    """
    found = [*CONTROL, *byte_alphabet(), *(m.replace(" ", "") for m in MERGES)]
    return found + [f"<{i}>" for i in range(len(found), size or 0)]


def byte_alphabet():
    """The printable character that stands for each byte (as GPT-2's encoder has them)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def vocabulary_keys(tokens):
    kinds = [3 if t in CONTROL else 1 for t in tokens]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": Typed(tokens, "str"),
        "tokenizer.ggml.token_type": Typed(kinds, "i32"),
        "tokenizer.ggml.merges": Typed(list(MERGES), "str"),
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": TEMPLATE,
    }
