"""Text to token ids and back, by the vocabulary that a GGUF file carries."""

import importlib
import operator
import warnings

from llama_gguf.errors import ModelError
from llama_gguf.vocab import special as specials
from llama_gguf.vocab.partition import Partition
from llama_gguf.vocab.special import CONTROL, PREFIX, UNKNOWN
from llama_gguf.vocab.stream import StreamDecoder

BACKENDS = {
    "gpt2": ("bpe", "BytePairs"),
    "gemma4": ("bpe", "BytePairs"),
    "llama": ("spm", "SentencePieces"),
    "bert": ("wordpiece", "WordPieces"),
    "rwkv": ("rwkv", "LongestTokens"),
    "t5": ("unigram", "Unigram"),
    "plamo2": ("unigram", "Plamo2"),
    "whitespace": ("bpe_variants", "SpaceSeparated"),
    "hybriddna": ("bpe_variants", "HybridDna"),
    "none": ("plain", "NoVocabulary"),
    "no_vocab": ("plain", "NoVocabulary"),
}
"""`tokenizer.ggml.model` -> module here and class, imported when needed."""

LONG_TOKEN = 1 << 16


class Tokenizer:
    """`Tokenizer.from_metadata(metadata)`: encode, decode, and which tokens are special.

    Ids by role, None where the vocabulary has none: bos eos eot eom unk sep pad mask and
    fim_pre fim_suf fim_mid fim_pad fim_rep fim_sep. `eog` are the ids that end a generation.
    `model` and `pre` are the file's names for the method and the word pattern.
    """

    def __init__(self, backend, texts, special, model, pre):
        self._backend, self._texts, self._special = backend, texts, special
        self._partition, self._pieces = None, {}
        self.model, self.pre, self.n_tokens = model, pre, len(special.kinds)
        self.add_bos, self.add_eos = backend.add_bos, backend.add_eos
        self.add_space_prefix = backend.add_space_prefix
        self.eog = frozenset(special.eog)
        vars(self).update(special.ids)

    @classmethod
    def from_metadata(cls, metadata, strict=False):
        """Warns about what is odd and raises ModelError for what cannot work.

        An unknown `tokenizer.ggml.pre` is a warning, with `strict` an error.
        """
        model, pre = metadata.str(PREFIX + "model"), metadata.str(PREFIX + "pre", "")
        pre = "gemma4" if model == "gemma4" else pre
        module, name = BACKENDS.get(model, ("plain", "PiecesOnly"))
        kind = getattr(importlib.import_module(f"llama_gguf.vocab.{module}"), name)
        texts = kind.read_texts(metadata) if hasattr(kind, "read_texts") else read_texts(metadata)
        if strict and hasattr(kind, "check_pre"):
            kind.check_pre(metadata, pre)
        special = specials.find(metadata, model, texts, getattr(kind, "no_bos", _never)(pre))
        backend = kind(metadata, texts, special, pre)
        backend.add_bos = metadata.bool(PREFIX + "add_bos_token", backend.add_bos)
        backend.add_bos |= getattr(backend, "always_bos", False)
        backend.add_eos = metadata.bool(PREFIX + "add_eos_token", backend.add_eos)
        self = cls(backend, texts, special, model, pre)
        self._partition = Partition(texts, special, *swallowing(metadata, pre, texts, special))
        return self

    def __len__(self):
        return self.n_tokens

    def __repr__(self):
        pre = f" {self.pre}" if self.pre else ""
        return f"<Tokenizer {self.model}{pre}, {self.n_tokens} tokens>"

    def encode(self, text, bos=True, special=True):
        """Ids of a text. Never fails for a str, whatever is in it.

        `bos`: with the first and last tokens that the file asks for (`add_bos`, `add_eos`).
        `special`: the texts of control tokens stand for those tokens, else for themselves.
        """
        ids = []
        for part, after_special in self.parts(text, special):
            if isinstance(part, str):
                ids += self._backend.encode(part, after_special)
            else:
                ids.append(part)
        if not bos:
            return ids
        first, last = self.frame()
        return [*first, *ids, *last]

    def infill(self, prefix, suffix):
        """Ids of the prompt for what stands between two texts: `fim_pre` prefix `fim_suf` suffix `fim_mid`.

        Special tokens' texts inside them are plain text. ModelError if the vocabulary has no such tokens.
        """
        missing = [role for role in ("fim_pre", "fim_suf", "fim_mid") if getattr(self, role) is None]
        if missing:
            raise ModelError(f"the vocabulary has no {', '.join(missing)} token: the model cannot fill in a middle")
        first, _ = self.frame()
        before, after = (self.encode(text, bos=False, special=False) for text in (prefix, suffix))
        return [*first, self.fim_pre, *before, self.fim_suf, *after, self.fim_mid]

    def parts(self, text, special=True):
        """(text or id, does it begin the text or follow a special token?) after special tokens are cut out."""
        after_special = True
        for part in self._partition.split(text, special):
            yield part, after_special
            after_special = not isinstance(part, str)

    def explain(self, text, bos=True, special=True):
        """How encode() comes to its tokens: an explain.Explanation, which notebooks show in colour."""
        from llama_gguf.vocab.explain import Explanation

        return Explanation(self, text, bos, special)

    def frame(self):
        """The ids that `encode(bos=True)` puts before and after a text, as two lists."""
        if hasattr(self._backend, "frame"):
            return self._backend.frame(self)
        first = [self.bos] if self.add_bos and self.bos is not None else []
        return first, [self.eos] if self.add_eos and self.eos is not None else []

    def decode(self, ids, special=True):
        """Text of ids, the inverse of encode(): without the tokens that it adds by itself.

        Bytes that are no UTF-8 become U+FFFD. `special=False` leaves control tokens out.
        """
        ids = [self.checked(i) for i in ids]
        first, last = self.frame()
        if first and ids[: len(first)] == first:
            ids = ids[len(first) :]
        if last and ids[-len(last) :] == last:
            ids = ids[: -len(last)]
        if special and not self.add_space_prefix:
            return b"".join(map(self.piece, ids)).decode("utf-8", "replace")
        stream = self.stream(special, after_special=True)
        return "".join(map(stream.push, ids)) + stream.flush()

    def piece(self, i):
        """The bytes that one token stands for; of a control token, its name."""
        found = self._pieces.get(i)
        if found is None:
            i = self.checked(i)
            found = self._pieces[i] = self._backend.piece(i)
        return found

    def stream(self, special=False, after_special=False):
        """A StreamDecoder for tokens that arrive one by one."""
        return StreamDecoder(self, special, after_special)

    def find(self, text):
        """Id of the token with exactly this text in the file, or None."""
        i = self._texts.find(text.encode("utf-8", "surrogatepass"))
        return i if 0 <= i < self.n_tokens else None

    def text(self, i):
        """A token as the file spells it."""
        return self._texts[self.checked(i)].decode("utf-8", "replace")

    def kind(self, i):
        """What the token is for: one of special.KIND_NAMES."""
        return specials.KIND_NAMES[self._special.kinds[self.checked(i)]]

    def is_control(self, i):
        """Does the token steer the model rather than stand for text?"""
        return self._special.kinds[self.checked(i)] in (CONTROL, UNKNOWN)

    def is_special(self, i):
        """Is the token cut out of a text before the rest is tokenized?"""
        return self._special.kinds[self.checked(i)] in (CONTROL, UNKNOWN, specials.USER_DEFINED)

    def checked(self, i):
        """`i` as an int; ModelError where it is no token id."""
        i = operator.index(i)
        if 0 <= i < self.n_tokens:
            return i
        raise ModelError(f"token id {i} is outside of the vocabulary, which has {self.n_tokens}")


def _never(pre):
    return False


def read_texts(metadata):
    """The vocabulary as engine.texts.Texts, checked."""
    from llama_gguf.engine.texts import Texts

    key = PREFIX + "tokens"
    tokens = metadata.array(key, "str")
    if not len(tokens):
        raise metadata.error(key, "is empty")
    texts = Texts(bytes(tokens.tobytes()), len(tokens))
    if 2 * texts.distinct < len(tokens):
        raise metadata.error(key, f"has {len(tokens)} tokens, but only {texts.distinct} texts")
    if texts.empty:
        warnings.warn(f"{texts.empty} tokens of {key} have no text", stacklevel=4)
    if texts.longest > LONG_TOKEN:
        warnings.warn(f"{key} has a token of {texts.longest} bytes", stacklevel=4)
    return texts


def swallowing(metadata, pre, texts, special):
    """Ids of special tokens that take white space on their left and on their right along.

    GGUF does not say; llama.cpp goes by the names of models, and so does this.
    """
    arch, name = metadata.str("general.architecture", ""), metadata.str("general.name", "").lower()
    masked = any(part in pre for part in ("jina-v2-de", "jina-v2-es", "jina-v2-code", "mmbert"))
    masked = masked or any(part in arch for part in ("nomic-bert-moe", "jina-bert-v3"))
    mask = "<mask>" if masked else None
    if mask is None and ("phi-3" in name or "phi3" in name):
        keep = specials.present(texts, ("<unk>", "<s>", "<|endoftext|>"))
        right = {*special.partition_ids(), *specials.present(texts, ("</s>",))}
        return frozenset(), frozenset(right.difference(keep))
    if mask is None and "modern-bert" in name:
        mask = "[MASK]"
    return frozenset(specials.present(texts, (mask,) if mask else ())), frozenset()
