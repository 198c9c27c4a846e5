"""Tokens that were added to a vocabulary, from the four places where folders list them."""

from ...errors import FormatError

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def content(entry):
    """The text of a token that a file gives as a string or as an object."""
    return entry.get("content") if isinstance(entry, dict) else entry


def added_tokens(folder, vocabulary):
    """id to (text, special): tokenizer.json, tokenizer_config.json, added_tokens.json, and what plays a role.

    `vocabulary`: text to id of the tokens that were not added.
    """
    found = {}
    for text, i in folder.dict("added_tokens.json").items():
        if isinstance(i, int) and i >= 0:
            found[i] = text, False
    for entry in listed(folder):
        found[entry["id"]] = entry["content"], bool(entry.get("special"))
    config = folder.dict("tokenizer_config.json")
    for i, entry in (config.get("added_tokens_decoder") or {}).items():
        if i.isdecimal() and isinstance(entry, dict) and "content" in entry:
            found[int(i)] = entry["content"], bool(entry.get("special"))
    _mark_roles(found, special_texts(folder), vocabulary)
    return found


def listed(folder):
    """The `added_tokens` of tokenizer.json; FormatError where one has no id or no text."""
    entries = folder.dict("tokenizer.json").get("added_tokens") or []
    for entry in entries if isinstance(entries, list) else [None]:
        sound = isinstance(entry, dict) and isinstance(entry.get("content"), str)
        if not sound or type(entry.get("id")) is not int or not 0 <= entry["id"] < 1 << 24:
            raise FormatError(f"has an added token without a text or an id: {str(entry)[:100]}",
                              path=folder.path / "tokenizer.json")
    return entries


def special_texts(folder):
    """Texts that tokenizer_config.json and special_tokens_map.json give a role to."""
    texts = set()
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        values = folder.dict(name)
        named = [content(values.get(f"{role}_token")) for role in ROLES]
        for key in ("additional_special_tokens", "extra_special_tokens"):
            more = values.get(key)
            named += map(content, more.values() if isinstance(more, dict) else more if isinstance(more, list) else ())
        texts |= {text for text in named if isinstance(text, str)}
    return texts


def _mark_roles(found, texts, vocabulary):
    """transformers makes an added, special token of whatever has a role."""
    ids = {text: i for i, (text, _) in found.items()}
    for text in texts:
        i = ids.get(text, vocabulary.get(text))
        if i is not None:
            found[i] = text, True
