"""Vocabularies that cannot tokenize: none at all, or of a kind that is not known here."""

from llama_gguf.errors import ModelError
from llama_gguf.vocab.special import PREFIX
from llama_gguf.vocab.spm import piece


class PiecesOnly:
    """Decodes by SentencePiece's spelling and refuses to encode."""

    add_bos = add_eos = add_space_prefix = False

    def __init__(self, metadata, texts, special, name):
        self.model, self.path = metadata.str(PREFIX + "model"), metadata.path
        self.texts, self.kinds = texts, special.kinds

    def encode(self, text, after_special):
        raise ModelError(f"{PREFIX}model {self.model!r} is not supported: text cannot be "
                         "tokenized, but token ids can be used", path=self.path)

    def piece(self, i):
        return piece(self.texts[i], self.kinds[i])


class NoVocabulary(PiecesOnly):
    """Ids without texts; how many there are stands in `{arch}.vocab_size`."""

    @classmethod
    def read_texts(cls, metadata):
        from llama_gguf.engine.texts import Texts

        count = metadata.int(".vocab_size", 0, lo=0, hi=1 << 24)
        return Texts(bytes(8 * count), count)

    def piece(self, i):
        return b""
