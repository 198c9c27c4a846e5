"""WordPiece of BERT: tokenizer.json or vocab.txt, with a mark at the start of words instead of one inside them."""

from ...vocab.special import CONTROL
from . import Vocabulary, from_ids
from .added import added_tokens
from .tokenizer_json import checked, model_of

UNCASED = "bert-bge"


def read(folder, config, pre):
    """`bert`; a token that goes on with a word loses its ##, one that begins a word gets ▁."""
    model = model_of(folder, "WordPiece")
    if model is not None:
        vocabulary = checked(model["vocab"], folder)
    elif folder.file("vocab.txt"):
        vocabulary = {text: i for i, text in enumerate(folder.text("vocab.txt").splitlines())}
    else:
        return None
    texts, types = from_ids({i: text for text, i in vocabulary.items()}, added_tokens(folder, vocabulary))
    texts = [text if kind == CONTROL else text[2:] if text.startswith("##") else "▁" + text
             for text, kind in zip(texts, types, strict=True)]
    return Vocabulary("bert", pre or UNCASED, texts, types, unused="▁[PAD{}]")
