"""Byte pairs from tokenizer.json, or from vocab.json with merges.txt."""

import re

from ...errors import FormatError
from ...vocab.special import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED
from . import Vocabulary, from_ids
from .added import added_tokens

BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")


def model_of(folder, *kinds):
    """The `model` of tokenizer.json if it is of one of these kinds, else None."""
    model = folder.dict("tokenizer.json").get("model")
    if not isinstance(model, dict):
        return None
    kind = model.get("type") or ("BPE" if "merges" in model else None)
    return model if kind in kinds else None


def read_bpe(folder, config, pre):
    """`gpt2`: bytes in GPT-2's alphabet."""
    model = model_of(folder, "BPE")
    if model is not None and model.get("byte_fallback"):
        return None
    if model is None and folder.file("vocab.json"):
        model = {"vocab": folder.dict("vocab.json"), "merges": merges_txt(folder)}
    if model is None:
        return None
    vocabulary = checked(model["vocab"], folder)
    texts, types = from_ids({i: text for text, i in vocabulary.items()}, added_tokens(folder, vocabulary))
    return Vocabulary("gpt2", pre, texts, types, merges=merges_of(model, folder))


def read_if_gpt2(folder, config, pre):
    """The same where tokenizer_config.json names GPT-2's tokenizer: Phi 4."""
    return read_bpe(folder, config, pre) if config.tokenizer.get("tokenizer_class") == "GPT2Tokenizer" else None


def read_byte_fallback(folder, config, pre):
    """`llama`: pieces of SentencePiece that became byte pairs with tokens for single bytes.

    GGUF joins the pair whose token has the highest score, tokenizer.json the pair that comes first in its list: so a
    score is minus the place of the first pair that makes a token.
    """
    model = model_of(folder, "BPE")
    if model is None or not model.get("byte_fallback"):
        return None
    vocabulary = checked(model["vocab"], folder)
    added = added_tokens(folder, vocabulary)
    texts, types = from_ids({i: text for text, i in vocabulary.items()}, added)
    ranks = {}
    for rank, pair in enumerate(merges_of(model, folder)):
        ranks.setdefault(pair.replace(" ", "", 1), rank)
    scores = [float(-ranks.get(text, len(ranks))) for text in texts]
    for i, text in enumerate(texts):
        if types[i] == NORMAL and BYTE_TOKEN.fullmatch(text):
            types[i], scores[i] = BYTE, 0.0
        if i in added:
            scores[i] = -1000.0
        if text == model.get("unk_token"):
            types[i] = UNKNOWN
    keys = {} if _begins_with_space(folder.dict("tokenizer.json")) else {"tokenizer.ggml.add_space_prefix": False}
    return Vocabulary("llama", "default", texts, types, scores=scores, keys=keys)


SHOWN = ("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>')
"""Tokens of Gemma 4 that mark parts of an answer: they must be seen to take it apart."""


def read_gemma4(folder, config, pre):
    """`gemma4`: pieces with tokens for single bytes, joined by a list of merges."""
    model = model_of(folder, "BPE")
    if model is None or not model.get("byte_fallback"):
        return None
    vocabulary = checked(model["vocab"], folder)
    added = added_tokens(folder, vocabulary)
    texts, types = from_ids({i: text for text, i in vocabulary.items()}, {})
    texts += [text for i, (text, _) in sorted(added.items()) if i >= len(texts)]
    types += [USER_DEFINED] * (len(texts) - len(types))
    for i, text in enumerate(texts):
        if BYTE_TOKEN.fullmatch(text):
            types[i] = BYTE
        elif text in SHOWN:
            types[i] = USER_DEFINED
        elif i in added and added[i][1]:
            types[i] = CONTROL
    keys = {"tokenizer.ggml.add_space_prefix": False, "tokenizer.ggml.add_bos_token": True}
    merges = merges_of(model, folder)
    return Vocabulary("gemma4", "gemma4", texts, types, scores=[-1000.0] * len(texts), merges=merges, keys=keys)


def _begins_with_space(tokenizer):
    """Whether a text gets a space before it: by a normalizer (Llama), or by the pre-tokenizer (newer ones)."""
    normalizer, pre = tokenizer.get("normalizer") or {}, tokenizer.get("pre_tokenizer") or {}
    kinds = {step.get("type") for step in normalizer.get("normalizers", [normalizer])}
    spaced = [step.get("prepend_scheme", "always") != "never" for step in pre.get("pretokenizers", [pre])
              if step.get("type") == "Metaspace"]
    return "Prepend" in kinds or any(spaced)


def read_pieces(folder, config, pre):
    """`llama` without scores: XVERSE."""
    model = model_of(folder, "BPE")
    if model is None:
        return None
    vocabulary = checked(model["vocab"], folder)
    texts, types = from_ids({i: text for text, i in vocabulary.items()}, added_tokens(folder, vocabulary))
    for i, text in enumerate(texts):
        if text == "\0":  # a text must not be empty for C
            texts[i], types[i] = "<\0>", BYTE
        elif BYTE_TOKEN.fullmatch(text):
            types[i] = BYTE
    return Vocabulary("llama", "default", texts, types)


def checked(vocabulary, folder):
    """A mapping from texts to different ids."""
    if not isinstance(vocabulary, dict) or not all(type(i) is int and 0 <= i < 1 << 24 for i in vocabulary.values()):
        raise FormatError("has a vocabulary that does not give each text an id", path=folder.path / "tokenizer.json")
    if len(set(vocabulary.values())) < len(vocabulary):
        raise FormatError("gives one id to two texts", path=folder.path / "tokenizer.json")
    return vocabulary


def merges_of(model, folder):
    """"a b" for each pair; a space inside of a part is written as the letter that GPT-2 has for it."""
    merges = model.get("merges") or merges_txt(folder)
    odd = next((m for m in merges if not isinstance(m, str) and not (isinstance(m, list) and len(m) == 2)), None)
    if odd is not None or (merges and any(isinstance(m, list) != isinstance(merges[0], list) for m in merges)):
        raise FormatError(f"has a merge that is no pair: {str(odd)[:100]}", path=folder.path / "tokenizer.json")
    if merges and isinstance(merges[0], list):
        return [" ".join(part.replace(" ", "Ġ") for part in pair) for pair in merges]
    return list(merges)


def merges_txt(folder):
    lines = (folder.text("merges.txt") or "").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#version")]
