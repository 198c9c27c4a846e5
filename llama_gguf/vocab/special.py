"""Which tokens are special: the ids that a file names, those that only their text gives away.

The rules are llama.cpp's (src/llama-vocab.cpp, b11434): files are often incomplete here, so a
token called "<|im_end|>" ends a turn whatever the file says about it.
"""

import re
import warnings
from dataclasses import dataclass, field

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Values of `tokenizer.ggml.token_type`; 0 is undefined."""
KIND_NAMES = ("undefined", "normal", "unknown", "control", "user-defined", "unused", "byte")
KNOWN = bytes(range(BYTE + 1))

PREFIX = "tokenizer.ggml."
KEYS = {
    "bos": ("bos_token_id",),
    "eos": ("eos_token_id",),
    "eot": ("eot_token_id",),
    "eom": ("eom_token_id",),
    "unk": ("unknown_token_id",),
    "sep": ("seperator_token_id",),
    "pad": ("padding_token_id",),
    "mask": ("mask_token_id",),
    "fim_pre": ("fim_pre_token_id", "prefix_token_id"),
    "fim_suf": ("fim_suf_token_id", "suffix_token_id"),
    "fim_mid": ("fim_mid_token_id", "middle_token_id"),
    "fim_pad": ("fim_pad_token_id",),
    "fim_rep": ("fim_rep_token_id",),
    "fim_sep": ("fim_sep_token_id",),
}

DEFAULTS = {
    "llama": {"bos": 1, "eos": 2, "unk": 0},
    "gpt2": {"bos": 11, "eos": 11},
    "bert": {"bos": 101, "unk": 100, "sep": 102, "pad": 0, "mask": 103},
    "t5": {"eos": 1, "unk": 2, "pad": 0},
    "plamo2": {"bos": 1, "eos": 2, "unk": 0, "pad": 3},
}
DEFAULTS["hybriddna"] = DEFAULTS["whitespace"] = DEFAULTS["gpt2"]

BY_TEXT = {
    "eot": ("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
            "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>",
            "<end_of_utterance>"),
    "eom": ("<|eom_id|>",),
    "fim_pre": ("<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>",
                "▁<PRE>", "<|code_prefix|>", "<|prefix|>"),
    "fim_suf": ("<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>",
                "▁<SUF>", "<|code_suffix|>", "<|suffix|>"),
    "fim_mid": ("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>",
                "▁<MID>", "<|code_middle|>", "<|middle|>"),
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    "fim_sep": ("<|file_sep|>",),
}
"""Texts that give a role to a token where the file gives it to none."""

ENDS_GENERATION = (
    *BY_TEXT["eot"], "<|eom_id|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "</s>",
    "[EOS]", "<eos>", "<turn|>", "<|tool_response>", "[e~[")
SHOWN_ANYWAY = ("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>")
"""Control tokens of gpt-oss that are part of the visible answer."""


@dataclass
class Special:
    """Ids by role (None where there is none), the end-of-generation set, and a kind per token."""

    ids: dict
    kinds: bytearray
    eog: set = field(default_factory=set)

    def partition_ids(self):
        """Tokens that are cut out of a text before it is tokenized."""
        return [m.start() for m in re.finditer(b"[\x02\x03\x04]", self.kinds)]


def read_kinds(metadata, n_tokens):
    """Token types as a bytearray; unknown ones count as undefined (0), with a warning."""
    array = metadata.array(PREFIX + "token_type", "i32", None)
    if array is None:
        return bytearray([NORMAL]) * n_tokens
    if len(array) < n_tokens:
        raise metadata.error(PREFIX + "token_type",
                             f"has {len(array)} entries for {n_tokens} tokens")
    raw = bytes(array.tobytes())
    kinds = bytearray(raw[0 : 4 * n_tokens : 4])
    if kinds.strip(KNOWN) or any(raw[byte::4].strip(b"\0") for byte in (1, 2, 3)):
        values = array.tolist()[:n_tokens]
        odd = [i for i, kind in enumerate(values) if not 0 <= kind <= BYTE]
        for i in odd:
            kinds[i] = 0
        if odd:
            warnings.warn(f"{PREFIX}token_type of token {odd[0]} is {values[odd[0]]}, which is no "
                          f"type ({len(odd)} such tokens): taken as undefined", stacklevel=4)
    return kinds


def read_ids(metadata, model, n_tokens, no_bos=False):
    """Ids by role; what lies outside the vocabulary is dropped with a warning."""
    ids = dict.fromkeys(KEYS)
    ids |= {role: i for role, i in DEFAULTS.get(model, {}).items() if i < n_tokens}
    if no_bos:
        ids["bos"] = None
    for role, keys in KEYS.items():
        for key in keys:
            found = metadata.int(PREFIX + key, None)
            if found is None:
                continue
            if 0 <= found < n_tokens:
                ids[role] = found
            else:
                warnings.warn(f"{PREFIX}{key} is {found}, but there are {n_tokens} tokens: "
                              f"{'no' if ids[role] is None else ids[role]} used", stacklevel=4)
    return ids


def find(metadata, model, texts, no_bos=False):
    """All about special tokens; `texts` is an engine.texts.Texts."""
    n_tokens = len(texts)
    special = Special(read_ids(metadata, model, n_tokens, no_bos), read_kinds(metadata, n_tokens))
    for role, names in BY_TEXT.items():
        if special.ids[role] is None:
            special.ids[role] = next(iter(present(texts, names)), None)
            if special.ids[role] is not None:
                special.kinds[special.ids[role]] = CONTROL
    ends = present(texts, ENDS_GENERATION)
    for i in ends:
        special.kinds[i] = CONTROL
    roles = ("fim_pad", "fim_rep", "fim_sep", "eos", "eot", "eom")
    special.eog = {special.ids[role] for role in roles if special.ids[role] is not None}
    special.eog.update(ends)
    for i in present(texts, SHOWN_ANYWAY):
        special.kinds[i] = USER_DEFINED
    keep_inner_ends(special, texts)
    return special


def byte_piece(text):
    """The byte that a byte token <0xHH> stands for; the text itself where it names none."""
    named = re.fullmatch(rb"<0x([0-9A-Fa-f]{2})>", text)
    return bytes([int(named[1], 16)]) if named else text


def present(texts, names):
    """Ids of those texts that are tokens, in the order given."""
    found = (texts.find(name.encode()) for name in names)
    return [i for i in found if i >= 0]


def keep_inner_ends(special, texts):
    """Some formats use a usual end marker inside an answer: it does not end generation there."""
    text = {texts[i].decode("utf-8", "replace"): i for i in special.eog}
    calls = "<|call|>" in text or "<|calls|>" in text
    if calls and ("<|return|>" in text or "<|flush|>" in text) and "<|end|>" in text:
        special.eog.discard(text["<|end|>"])
        special.kinds[text["<|end|>"]] = USER_DEFINED
    if "</s>" in text and ("<|tool_response>" in text or "<|plamo:eos|>" in text):
        special.eog.discard(text["</s>"])
        special.kinds[text["</s>"]] = NORMAL
