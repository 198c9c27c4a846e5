"""Which tokens begin and end a text: `bos_token_id` and its like, from four files that may disagree.

The order of trust is llama.cpp's: the tokens that tokenizer_config.json names, looked up in tokenizer.json; then the
ids of config.json. What is put before and after a text follows the post-processor, else tokenizer_config.json.
"""

from .added import ROLES, content

KEYS = {"bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id", "sep": "seperator_token_id",
        "pad": "padding_token_id", "mask": "mask_token_id", "eot": "eot_token_id", "eom": "eom_token_id"}
"""Keys by role; GGUF has none for the token of a class."""
ADDED = ("bos", "eos", "sep")
PREFIX = "tokenizer.ggml."


def keys(folder, config, n_tokens):
    """`tokenizer.ggml.*` keys of ids, of what is added to a text, and of how BERT's text is normalized."""
    stated, tokenizer = folder.dict("tokenizer_config.json"), folder.dict("tokenizer.json")
    names, adds = _names(stated), {}
    if tokenizer:
        _post_processor(tokenizer.get("post_processor") or {}, names, adds)
    for role in ROLES:
        if isinstance(stated.get(f"add_{role}_token"), bool):
            adds.setdefault(role, stated[f"add_{role}_token"])
    ids = _by_text(names, tokenizer) if stated else {}
    for role in ROLES:
        for values in (config.raw, config.text):
            value = values.get(f"{role}_token_id")
            if type(value) is int and value >= 0:
                ids.setdefault(role, value)
    beyond = {role: i for role, i in ids.items() if i >= n_tokens}
    for role, i in beyond.items():
        folder.note(f"{role}_token_id is {i}, but there are {n_tokens} tokens: left out")
    found = {PREFIX + KEYS[role]: i for role, i in ids.items() if role in KEYS and role not in beyond}
    found |= {f"{PREFIX}add_{role}_token": adds[role] for role in ADDED if role in adds}
    return found | _normalizer(tokenizer.get("normalizer") or {})


def _names(config):
    """Role to text. A class token begins and a separator ends a text where nothing else does."""
    names = {role: content(config.get(f"{role}_token")) for role in ROLES}
    names = {role: text for role, text in names.items() if isinstance(text, str) and text}
    for role, stand_in in (("bos", "cls"), ("eos", "sep")):
        if role not in names and stand_in in names:
            names[role] = names[stand_in]
    return names


def _post_processor(entry, names, adds):
    """What the `post_processor` puts around a text; it may name the first and the last token."""
    for processor in entry.get("processors", [entry]):
        kind = processor.get("type")
        if kind == "ByteLevel":
            adds.setdefault("bos", False)
            adds.setdefault("eos", False)
        elif kind == "RobertaProcessing":
            adds |= {"bos": True, "eos": True, "sep": True}
            names.setdefault("cls", processor.get("cls", [names.get("bos")])[0])
            names.setdefault("sep", processor.get("sep", [names.get("eos")])[0])
        elif kind == "TemplateProcessing":
            _template(processor, names, adds)


def _template(processor, names, adds):
    single, pair = processor.get("single") or [], processor.get("pair") or []
    first = _special(single[0]) if len(single) > 1 else None
    last = _special(single[-1]) if len(single) > 1 else None
    if first:
        if first not in (names.get("bos"), names.get("cls")):
            names.setdefault("bos", first)
            names.setdefault("cls", first)
        adds["bos"] = first in (names.get("bos"), names.get("cls"))
    if last:
        if names.get("eos") not in (None, last):  # what ends a turn elsewhere
            names["eom" if "eot" in names else "eot"] = names["eos"]
        names["eos"] = last
        adds["eos"] = True
    _separator(pair, first, last, names, adds)


def _separator(pair, first, last, names, adds):
    """Whether something stands between two texts: [first] A [sep] [eos] B [last]."""
    if not pair:
        return
    begin = 1 if first and _special(pair[0]) == first else 0
    end = -1 if last and _special(pair[-1]) == last else None
    inner = pair[begin:end]
    sequences = [part.get("Sequence", {}).get("id") for part in (inner[0], inner[-1])] if inner else []
    between = [_special(part) for part in inner[1:-1]]
    if sequences != ["A", "B"] or not between:
        return
    known = [text is not None and text in (names.get("sep"), names.get("eos")) for text in between]
    adds["sep"] = (known[0] and not last) or (len(known) == 2 and known[1])
    if adds["sep"] and "eos" in names:
        names.setdefault("sep", names["eos"])


def _special(part):
    return part.get("SpecialToken", {}).get("id") if isinstance(part, dict) else None


def _by_text(names, tokenizer):
    ids = {}
    for entry in reversed(tokenizer.get("added_tokens") or ()):
        ids |= {role: entry["id"] for role, text in names.items() if entry.get("content") == text}
    return {role: ids[role] for role in names if role in ids}


def _normalizer(entry):
    """How a text is changed before it is cut, where tokenizer.json says so."""
    found = {}
    for step in entry.get("normalizers", [entry]):
        kind = step.get("type")
        lower = True if kind == "Lowercase" else step.get("lowercase") if kind == "BertNormalizer" else None
        strip = True if kind == "StripAccents" else step.get("strip_accents") if kind == "BertNormalizer" else None
        found |= {PREFIX + "normalizer.lowercase": lower} if lower is not None else {}
        found |= {PREFIX + "normalizer.strip_accents": strip} if strip is not None else {}
    return found
