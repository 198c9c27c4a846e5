"""tokenizer.model: SentencePiece's protocol buffer, read without a library.

Fields are those of sentencepiece_model.proto: a piece has text (1), score (2) and type (3), whose numbers are those of
GGUF's token types.
"""

import struct

from ...errors import FormatError
from ...vocab.special import CONTROL, NORMAL, USER_DEFINED
from . import Vocabulary, looks_special

PIECES, TRAINER, NORMALIZER = 1, 2, 3
UNIGRAM = 1


def read(folder, config, pre):
    """`llama`: the pieces in the order of their ids, with what other files add or replace."""
    name = "tokenizer.model"
    path = folder.file(name)
    if path is None:
        return None
    pieces, _, normalizer = parse(path)
    texts = [text for text, _, _ in pieces]
    scores = [score for _, score, _ in pieces]
    types = [NORMAL if kind == USER_DEFINED else kind for _, _, kind in pieces]
    vocabulary = Vocabulary("llama", "default", texts, types, scores)
    vocabulary.adds_space = bool(normalizer.get(3, [1])[0])
    _add(vocabulary, folder, config)
    return vocabulary


def _add(vocabulary, folder, config):
    """Tokens that added_tokens.json and tokenizer_config.json name, also in the place of pieces."""
    limit = config.get("vocab_size", default=len(vocabulary.texts))
    entries = [(i, text, False, False) for text, i in folder.dict("added_tokens.json").items() if isinstance(i, int)]
    decoder = folder.dict("tokenizer_config.json").get("added_tokens_decoder") or {}
    entries += [(int(i), e["content"], bool(e.get("special")), True) for i, e in decoder.items() if i.isdecimal()]
    for i, text, special, looks in entries:
        if i >= limit:
            folder.note(f"the token {text!r} has the id {i}, beyond the model's {limit}: left out")
            continue
        vocabulary.pad(i + 1)
        control = special or (looks and looks_special(text))
        vocabulary.texts[i] = text if control else text.replace("▁", " ") if looks else text
        vocabulary.types[i] = CONTROL if control else USER_DEFINED
        vocabulary.scores[i] = -1000.0


def parse(path):
    """([(text, score, type)], trainer fields, normalizer fields) of a file."""
    try:
        fields = message(path.read_bytes())
        pieces = [_piece(message(raw)) for raw in fields.get(PIECES, ())]
        trainer, normalizer = (message(fields.get(n, [b""])[0]) for n in (TRAINER, NORMALIZER))
    except (IndexError, ValueError, struct.error, AttributeError, TypeError) as error:
        raise FormatError(f"is not a SentencePiece model: {error}", path=path) from None
    if not pieces:
        raise FormatError("is not a SentencePiece model: it has no pieces", path=path)
    return pieces, trainer, normalizer


def _piece(fields):
    score = struct.unpack("<f", fields[2][0])[0] if 2 in fields else 0.0
    kind = fields.get(3, [NORMAL])[0]
    if not NORMAL <= kind <= 6:
        raise ValueError(f"a piece has the type {kind}")
    return fields.get(1, [b""])[0].decode("utf-8", "surrogateescape"), score, kind


def message(data):
    """Field number to the list of its values: ints, or bytes where the wire says so."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
        else:
            n, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            if at + n > len(data):
                raise ValueError("it is cut off")
            value, at = data[at : at + n], at + n
        fields.setdefault(number, []).append(value)
    return fields


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128 or shift > 63:
            return value, at
