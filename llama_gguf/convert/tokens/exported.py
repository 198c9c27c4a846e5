"""Tokenizer files from the `tokenizer.*` keys of a GGUF file: tokenizer.json, or tokenizer.model for SentencePiece."""

import struct

from ...errors import ModelError
from ...vocab.pretokenizers import BY_NAME, GPT2
from ...vocab.special import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from .pretokenizer import DIGITS, REWRITTEN
from .special import KEYS, PREFIX


def files(metadata):
    """Name to content of the files that hold a vocabulary; ModelError for a kind that has no such files."""
    model = metadata.get(PREFIX + "model")
    makers = {"gpt2": _byte_pairs, "llama": _sentencepiece, "bert": _wordpiece}
    if model not in makers:
        raise ModelError(f"a vocabulary of the kind {model!r} cannot be exported; {', '.join(makers)} can",
                         path=metadata.path, key=PREFIX + "model")
    texts = metadata[PREFIX + "tokens"].tolist()
    types = metadata[PREFIX + "token_type"].tolist() if PREFIX + "token_type" in metadata else [NORMAL] * len(texts)
    config, made = _config(metadata, texts), makers[model](metadata, texts, types)
    extra = made.pop("config", {})
    return {"tokenizer_config.json": config | extra, **made}


def _config(metadata, texts):
    found = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for role, key in KEYS.items():
        i = metadata.get(PREFIX + key)
        if i is not None and i < len(texts) and role not in ("eot", "eom"):
            found[f"{role}_token"] = texts[i]
    for name in ("add_bos_token", "add_eos_token", "add_sep_token"):
        if PREFIX + name in metadata:
            found[name] = metadata[PREFIX + name]
    if PREFIX + "add_space_prefix" in metadata:
        found["add_prefix_space"] = metadata[PREFIX + "add_space_prefix"]
    templates = {"default": metadata.get("tokenizer.chat_template")}
    for name in metadata.get("tokenizer.chat_templates", ()):
        templates[name] = metadata.get(f"tokenizer.chat_template.{name}")
    templates = {name: text for name, text in templates.items() if text is not None}
    if templates:
        found["chat_template"] = (templates["default"] if list(templates) == ["default"] else
                                  [{"name": name, "template": text} for name, text in templates.items()])
    return found


def _added(texts, types):
    """Entries of `added_tokens`."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return [{"id": i, "content": text, **flags, "special": kind == CONTROL}
            for i, (text, kind) in enumerate(zip(texts, types, strict=True)) if kind in (CONTROL, USER_DEFINED)]


def _byte_pairs(metadata, texts, types):
    name = metadata.get(PREFIX + "pre", "default")
    if name not in BY_NAME or not BY_NAME[name].byte_level or any(s.startswith(":") for s in BY_NAME[name].steps):
        raise ModelError(f"the pre-tokenizer {name!r} has no form in tokenizer.json", path=metadata.path)
    pre = BY_NAME[name]
    vocabulary = {text: i for i, (text, kind) in enumerate(zip(texts, types, strict=True)) if kind != UNUSED}
    return {"tokenizer.json": {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(texts, types),
        "normalizer": None, "pre_tokenizer": {"type": "Sequence", "pretokenizers": list(_pre_tokenizers(pre.steps))},
        "post_processor": _template(metadata, texts), "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": pre.ignore_merges, "vocab": vocabulary,
                  "merges": metadata[PREFIX + "merges"].tolist() if PREFIX + "merges" in metadata else []},
    }}


def _pre_tokenizers(steps):
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    for step in steps[:-1] if steps[-1] == GPT2 else steps:
        if step == DIGITS:
            yield {"type": "Digits", "individual_digits": True}
            continue
        for theirs, ours in reversed(REWRITTEN[:-2]):
            step = step.replace(ours, theirs)
        yield {"type": "Split", "pattern": {"Regex": step}, "behavior": "Isolated", "invert": False}
    yield byte_level | {"use_regex": steps[-1] == GPT2}


def _template(metadata, texts):
    """Puts the first and the last token around a text, where the file says so."""
    around = {role: texts[metadata[PREFIX + f"{role}_token_id"]] for role in ("bos", "eos")
              if metadata.get(PREFIX + f"add_{role}_token") and PREFIX + f"{role}_token_id" in metadata}
    if not around:
        return None
    first, last = ([{"SpecialToken": {"id": around[role], "type_id": 0}}] if role in around else []
                   for role in ("bos", "eos"))
    ids = {text: {"id": text, "ids": [texts.index(text)], "tokens": [text]} for text in around.values()}
    a, b = ([{"Sequence": {"id": name, "type_id": 0}}] for name in "AB")
    between = {True: 2 * last or first, False: last or first, None: []}[metadata.get(PREFIX + "add_sep_token")]
    return {"type": "TemplateProcessing", "single": first + a + last, "pair": first + a + between + b + last,
            "special_tokens": ids}


def _sentencepiece(metadata, texts, types):
    """tokenizer.model; what SentencePiece would not keep as it is goes to tokenizer_config.json."""
    scores = metadata[PREFIX + "scores"].tolist() if PREFIX + "scores" in metadata else [0.0] * len(texts)
    pieces = b"".join(_field(1, _piece(*token)) for token in zip(texts, scores, types, strict=True))
    trainer = _varint_field(3, 2) + _varint_field(35, 1)  # byte pairs, with tokens for bytes
    for number, key in ((40, "unknown_token_id"), (41, "bos_token_id"), (42, "eos_token_id"), (43, "padding_token_id")):
        if PREFIX + key in metadata:
            trainer += _varint_field(number, metadata[PREFIX + key])
    space = metadata.get(PREFIX + "add_space_prefix", True)
    normalizer = _field(1, b"identity") + _varint_field(3, int(space)) + _varint_field(4, 0)
    added = {str(i): {"content": text, "special": kind == CONTROL} for i, (text, kind, score)
             in enumerate(zip(texts, types, scores, strict=True))
             if kind == USER_DEFINED or (kind == CONTROL and score == -1000.0)}
    return {"tokenizer.model": pieces + _field(2, trainer) + _field(3, normalizer),
            "config": {"tokenizer_class": "LlamaTokenizer", "legacy": False, "added_tokens_decoder": added}}


def _piece(text, score, kind):
    kind = kind if kind in (NORMAL, UNKNOWN, CONTROL, UNUSED, BYTE) else NORMAL
    score = b"\x15" + struct.pack("<f", score)  # field 2, four bytes
    return _field(1, text.encode("utf-8", "surrogateescape")) + score + _varint_field(3, kind)


def _field(number, data):
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint_field(number, value):
    return _varint(number << 3) + _varint(value)


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _wordpiece(metadata, texts, types):
    words = [text if kind == CONTROL else text[1:] if text.startswith("▁") else f"##{text}"
             for text, kind in zip(texts, types, strict=True)]
    vocabulary = {text: i for i, (text, kind) in enumerate(zip(words, types, strict=True)) if kind != UNUSED}
    lower = metadata.get(PREFIX + "normalizer.lowercase", True)
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": lower,
                  "strip_accents": metadata.get(PREFIX + "normalizer.strip_accents")}
    unknown = texts[metadata.get(PREFIX + "unknown_token_id", 0)]
    return {"tokenizer.json": {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(words, types),
        "normalizer": normalizer, "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _bert_template(metadata, texts), "decoder": {"type": "WordPiece", "prefix": "##"},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }, "config": {"tokenizer_class": "BertTokenizer"}}


def _bert_template(metadata, texts):
    ids = [metadata.get(PREFIX + key) for key in ("bos_token_id", "seperator_token_id")]
    if None in ids:
        return None
    first, last = ({"SpecialToken": {"id": texts[i], "type_id": 0}} for i in ids)
    a, b = ({"Sequence": {"id": name, "type_id": n}} for n, name in enumerate("AB"))
    tokens = {texts[i]: {"id": texts[i], "ids": [i], "tokens": [texts[i]]} for i in ids}
    return {"type": "TemplateProcessing", "single": [first, a, last], "pair": [first, a, last, b, last],
            "special_tokens": tokens}
