"""Which `tokenizer.ggml.pre` a folder's tokenizer is: by what it does to a text, or by its regular expressions.

llama.cpp names pre-tokenizers by a fingerprint: SHA-256 over the ids of one text (fingerprints.py has those of b11434).
Ours gives the same ids only where the pre-tokenizer is the right one, so that a known fingerprint proves the name. A
vocabulary that llama.cpp never saw is recognized by the regular expressions of tokenizer.json, if one of the names in
vocab/pretokenizers.py stands for the same.
"""

import hashlib

from ...errors import ModelError
from ...gguf import Metadata, Typed
from ...vocab.pretokenizers import BY_NAME, ENDING, GPT2
from ...vocab.tokenizer import Tokenizer
from .fingerprints import NAMES, TEXT

REWRITTEN = (
    ("(?i:'s|'t|'re|'ve|'m|'ll|'d)", ENDING),
    ("(?i:[sdmt]|ll|ve|re)", "(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])"),
    ("'s|'t|'re|'ve|'m|'ll|'d|", "'(?:[stmd]|re|ve|ll)|"),
    (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Upper}]"),
    (r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"[\p{Lower}]"),
    (r" ?[^(\s|[.,!?…。，、।۔،])]+", " ?[^(\\s|.,!?…。，、।۔،)]+"),
    ("?+", "?"),
    ("++", "+"),
)
"""How expressions are written in tokenizer.json, and the same in vocab/pretokenizers.py."""
DIGITS, MARKS = r"\p{N}", ":marks"
FALCON = (MARKS, GPT2, r"\p{N}+", "[0-9][0-9][0-9]")
FIRST = ("llama-bpe", "smaug-bpe", "gpt-2", "qwen2", "starcoder", "gpt-4o", "bloom", "tekken", "deepseek-v3")
"""Names preferred over others that do the same."""
OF_FAMILY = {"mpt": "mpt", "olmo": "olmo", "olmo2": "dbrx", "glm4": "glm4", "glm4moe": "glm4", "lfm2": "lfm2",
             "lfm2moe": "lfm2", "falcon-h1": "falcon-h1", "llama4": "llama4", "minimax-m2": "minimax-m2",
             "stablelm": "stablelm2", "command-r": "command-r", "bailingmoe2": "bailingmoe2",
             "hunyuan-dense": "hunyuan-dense"}
"""Names that a family's own models have, where they do what the folder's tokenizer does."""


def recognize(folder, vocabulary, keys, arch):
    """The name for a vocabulary whose `tokenizer.*` keys are known otherwise; ModelError where there is none."""
    tokenizer = folder.dict("tokenizer.json")
    steps = steps_of(tokenizer.get("pre_tokenizer"))
    same = [name for name, pre in BY_NAME.items() if pre.steps == steps and pre.byte_level]
    found = by_fingerprint(vocabulary, keys, _one_of_each(same or BY_NAME))
    if found:
        return found
    if not same:
        raise ModelError(f"its pre-tokenizer is not one that GGUF has a name for ({' then '.join(steps)[:300]}); "
                         "--pre NAME takes one of `tokenizer.ggml.pre` for it", path=folder.path / "tokenizer.json")
    merges = bool((tokenizer.get("model") or {}).get("ignore_merges"))
    alike = [name for name in same if BY_NAME[name].ignore_merges == merges] or same
    chosen = [OF_FAMILY.get(arch), *FIRST, *alike]
    return next(name for name in chosen if name in alike)


def _one_of_each(names):
    """A name for each way to cut."""
    return list({BY_NAME[name]: name for name in reversed(names) if BY_NAME[name].byte_level}.values())


def by_fingerprint(vocabulary, keys, names):
    """The name that llama.cpp has for this vocabulary, if it knows it."""
    for name in names:
        official = NAMES.get(fingerprint(vocabulary, keys, name))
        if official and (name not in BY_NAME or BY_NAME.get(official) == BY_NAME[name]):
            return official
    return None


def fingerprint(vocabulary, keys, name):
    """The first 16 hexadecimal digits of the SHA-256 that llama.cpp's converter takes."""
    tokens = {"tokenizer.ggml.model": vocabulary.model, "tokenizer.ggml.pre": name,
              "tokenizer.ggml.tokens": vocabulary.texts, "tokenizer.ggml.token_type": Typed(vocabulary.types, "i32")}
    if vocabulary.merges:
        tokens["tokenizer.ggml.merges"] = vocabulary.merges
    ids = Tokenizer.from_metadata(Metadata.of(keys | tokens)).encode(TEXT)
    return hashlib.sha256(str(list(map(int, ids))).encode()).hexdigest()[:16]


def steps_of(entry):
    """The expressions of tokenizer.json's `pre_tokenizer`, one after the other, as vocab/pretokenizers.py has them."""
    steps = tuple(_steps(entry or {}))
    return BY_NAME["falcon"].steps if steps == FALCON else steps


def _steps(entry):
    kind = entry.get("type")
    if kind == "Sequence":
        for part in entry.get("pretokenizers") or ():
            yield from _steps(part)
    elif kind == "Split":
        pattern = entry.get("pattern") or {}
        yield _rewritten(pattern.get("Regex") or pattern.get("String") or "")
    elif kind == "ByteLevel":
        if entry.get("use_regex", True):
            yield GPT2
    elif kind == "Digits":
        yield DIGITS if entry.get("individual_digits") else r"\p{N}+"
    elif kind == "Punctuation":
        yield MARKS
    elif kind:
        yield f":{kind}"


def _rewritten(pattern):
    for theirs, ours in REWRITTEN:
        pattern = pattern.replace(theirs, ours)
    return pattern
