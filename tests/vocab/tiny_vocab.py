"""Metadata of vocabularies small enough to reason about."""

from llama_gguf.gguf.metadata import Metadata
from llama_gguf.gguf.values import Typed
from llama_gguf.vocab.bpe import byte_chars


def kinds(tokens, **special):
    """Token types: normal but for `control=[...]`, `user=[...]`, ... by text."""
    codes = {"unknown": 2, "control": 3, "user": 4, "unused": 5, "byte": 6}
    by_text = {text: codes[kind] for kind, texts in special.items() for text in texts}
    return Typed([by_text.get(text, 1) for text in tokens], "i32")


def metadata(model, tokens, **keys):
    """Metadata of a made vocabulary; keys of tokenizer.ggml by their last part."""
    values = {"general.architecture": "llama", "tokenizer.ggml.model": model,
              "tokenizer.ggml.tokens": Typed(list(tokens), "str")}
    values |= {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    return Metadata.of(values)


def bpe_metadata(words=("he", "ll", "hell", "hello", "Ġw", "or"), control=("<s>", "</s>", "<|im_end|>"),
                 user=(), merges=("h e", "l l", "he ll", "hell o", "Ġ w", "o r"), **keys):
    """All bytes, a few words and special tokens."""
    tokens = [*byte_chars().values(), *words, *control, *user]
    keys = {"pre": "gpt-2", "token_type": kinds(tokens, control=control, user=user),
            "merges": merges if isinstance(merges, Typed) else Typed(list(merges), "str"),
            "bos_token_id": tokens.index(control[0]),
            "eos_token_id": tokens.index(control[1])} | keys
    return metadata("gpt2", tokens, **keys)


def spm_metadata(pieces=(("▁a", -1.0), ("ab", -2.0), ("▁", -3.0), ("a", -4.0), ("b", -5.0)), **keys):
    """Control tokens, all bytes and a few scored pieces."""
    control, byte = ["<s>", "</s>"], [f"<0x{b:02X}>" for b in range(256)]
    tokens = ["<unk>", *control, *byte, *(piece for piece, _ in pieces)]
    keys = {"token_type": kinds(tokens, unknown=["<unk>"], control=control, byte=byte),
            "scores": Typed([0.0] * 259 + [score for _, score in pieces], "f32")} | keys
    return metadata("llama", tokens, **keys)
