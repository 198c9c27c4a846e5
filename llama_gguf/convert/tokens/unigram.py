"""Unigram vocabularies of XLM-RoBERTa: tokenizer.json, or sentencepiece.bpe.model."""

from base64 import b64decode

from ...gguf import Typed
from ...vocab.special import CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from . import Vocabulary
from .added import added_tokens, special_texts
from .sentencepiece import parse
from .tokenizer_json import model_of

FIRST = (("<s>", CONTROL), ("<pad>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN))
"""transformers moves the four special tokens of fairseq to the front of the pieces."""


def read(folder, config, pre):
    """`t5`, the name that GGUF has for unigram models."""
    model = model_of(folder, "Unigram")
    if model is not None:
        return _from_json(folder, model)
    path = folder.file("sentencepiece.bpe.model")
    return None if path is None else _from_pieces(path, config)


def _from_json(folder, model):
    texts, scores = [entry[0] for entry in model["vocab"]], [float(entry[1]) for entry in model["vocab"]]
    types, special = [NORMAL] * len(texts), special_texts(folder)
    for i, (text, _) in added_tokens(folder, {}).items():
        if i < len(texts):
            types[i] = CONTROL if text in special else USER_DEFINED
    unknown = model.get("unk_id")
    if unknown is not None:
        types[unknown] = UNKNOWN
    normalizer = folder.dict("tokenizer.json").get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    charsmap = next((b64decode(s["precompiled_charsmap"]) for s in steps if s.get("precompiled_charsmap")), b"")
    strip = folder.dict("tokenizer_config.json").get("clean_up_tokenization_spaces")
    return _vocabulary(texts, types, scores, charsmap, add_space=True, strip=True if strip is None else strip)


def _from_pieces(path, config):
    pieces, _, normalizer = parse(path)
    n = max(config.get("vocab_size", default=0), len(pieces) + 2)
    rest = [*pieces[3:], *[(f"[PAD{i}]", -10000.0, UNUSED) for i in range(len(pieces), n)]]
    texts = [*(text for text, _ in FIRST), *(text for text, _, _ in rest)][:n]
    types = [*(kind for _, kind in FIRST), *(NORMAL if kind == USER_DEFINED else kind for _, _, kind in rest)][:n]
    scores = [0.0] * len(FIRST) + [score for _, score, _ in rest]
    charsmap = normalizer.get(2, [b""])[0]
    return _vocabulary(texts, types, scores[:n], charsmap, bool(normalizer.get(3, [1])[0]),
                       bool(normalizer.get(4, [1])[0]))


def _vocabulary(texts, types, scores, charsmap, add_space, strip):
    keys = {"tokenizer.ggml.add_space_prefix": add_space, "tokenizer.ggml.remove_extra_whitespaces": strip}
    if charsmap:
        keys["tokenizer.ggml.precompiled_charsmap"] = Typed(list(charsmap), "u8")
    return Vocabulary("t5", "default", texts, types, scores, keys=keys)
