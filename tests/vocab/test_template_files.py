"""Prompts equal those of transformers, byte for byte: our own small templates, and any that are at hand.

LLAMA_GGUF_TEMPLATES names a folder of *.jinja files, such as llama.cpp's models/templates, which are not copied
here; data/vocab/templates.json has hashes of what `apply_chat_template` (transformers 5.24) makes of them.
benchmarks/templates.py makes it anew.
"""

import hashlib
import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from llama_gguf.errors import TemplateError
from llama_gguf.vocab import chat

DATA = Path(__file__).parents[1] / "data/vocab"
CONVERSATIONS = json.loads((DATA / "conversations.json").read_text())
HASHES = json.loads((DATA / "templates.json").read_text())
OWN = sorted((DATA / "templates").glob("*.jinja"))
OTHERS = sorted(Path(os.environ.get("LLAMA_GGUF_TEMPLATES", os.devnull)).glob("*.jinja"))
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Stopped(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 7, 5, 12, 34, 56)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rendered(template, case):
    case = dict(case)
    try:
        return digest(template.render(case.pop("messages"), **case.pop("variables", {}), **case))
    except TemplateError:
        return "-"


@pytest.mark.parametrize("path", [*OWN, *OTHERS], ids=lambda path: path.stem)
def test_prompts_are_those_of_transformers(path, monkeypatch):
    monkeypatch.setattr(chat, "datetime", Stopped)
    text = path.read_text()
    if digest(text) not in HASHES:
        pytest.skip("this version of the template has no hashes here")
    template, start = chat.ChatTemplate(text, "file", TOKENS), time.monotonic()
    got = [rendered(template, case) for case in CONVERSATIONS.values()]
    want = HASHES[digest(text)].split()
    assert dict(zip(CONVERSATIONS, got, strict=True)) == dict(zip(CONVERSATIONS, want, strict=True))
    assert time.monotonic() - start < 20  # two each at the very most, and all are a few milliseconds


def test_own_templates_have_hashes():
    assert len(OWN) == 3 and all(digest(path.read_text()) in HASHES for path in OWN)
