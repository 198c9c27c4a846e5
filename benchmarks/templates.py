"""Chat templates rendered here and by transformers: are the prompts the same, byte for byte?

    python benchmarks/templates.py FOLDER... [-o HASHES.json]        # the folders hold *.jinja files

Needs the package transformers. Each template meets each conversation of tests/data/vocab. `-o` writes hashes of
what transformers made ("-" where it refused) by the template's own hash: other projects' templates are not copied
here, their hashes are, and tests/vocab/test_template_files.py compares with them.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import hashlib
import json
from collections import Counter
from datetime import datetime
from pathlib import Path

from llama_gguf.errors import TemplateError
from llama_gguf.vocab import chat

CASES = Path(__file__).parents[1] / "tests/data/vocab/conversations.json"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
TODAY = datetime(2026, 7, 5, 12, 34, 56)  # some templates tell the model what day it is


class Stopped(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz=None):
        return TODAY


def ours(text, case):
    """The prompt, or None for a TemplateError."""
    case = dict(case)
    try:
        return chat.ChatTemplate(text, "file", TOKENS).render(
            case.pop("messages"), case.pop("add_generation_prompt", True), **case.pop("variables", {}), **case)
    except TemplateError:
        return None


def theirs(tokenizer, text, case):
    """What `apply_chat_template` makes of it, or None for any exception."""
    case = dict(case)
    prompt = case.pop("add_generation_prompt", True) and not case.get("continue_final_message")
    try:
        return tokenizer.apply_chat_template(
            case.pop("messages"), chat_template=text, add_generation_prompt=prompt, tokenize=False,
            **case.pop("variables", {}), **case)
    except Exception:
        return None


def digest(text):
    """16 letters; "-" for a refusal."""
    return "-" if text is None else hashlib.sha256(text.encode()).hexdigest()[:16]


def reference():
    """A tokenizer of transformers that has these special tokens and nothing else."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import chat_template_utils

    chat_template_utils.datetime = Stopped
    return PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), **TOKENS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("-v", "--verbose", action="store_true", help="show both texts where they differ")
    args = parser.parse_args()
    cases, tokenizer = json.loads(CASES.read_text()), reference()
    chat.datetime = Stopped
    hashes, count = {}, Counter()
    for path in sorted(path for folder in args.folders for path in folder.glob("*.jinja")):
        text = path.read_text()
        row = hashes[digest(text)] = []
        for name, case in cases.items():
            want, got = theirs(tokenizer, text, case), ours(text, case)
            row.append(digest(want))
            kind = "different" if want != got else "both refuse" if want is None else "same"
            count[kind] += 1
            if kind == "different":
                print(f"{path.name}: {name}: {'they refuse' if want is None else 'we refuse' if got is None else ''}")
                if args.verbose:
                    print(repr(want), repr(got), sep="\n")
    print(f"{len(hashes)} templates, {len(cases)} conversations: {dict(count)}")
    if args.out:
        rows = {template: " ".join(row) for template, row in hashes.items()}
        args.out.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    return int(count["different"] > 0)


if __name__ == "__main__":
    sys.exit(main())
