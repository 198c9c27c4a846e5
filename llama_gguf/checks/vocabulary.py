"""Checks of the tokenizer and of the chat template."""

import warnings

from llama_gguf.checks.issue import Issue
from llama_gguf.errors import LlamaGGUFError

PREFIX, TEMPLATE = "tokenizer.ggml.", "tokenizer.chat_template"
TURNS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "</s>", "<|eot|>", "<turn|>")
"""Tokens that end a turn, in the templates of most models."""
TALK = [{"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"))]


def read(metadata):
    """(Tokenizer or error, texts of warnings)."""
    from llama_gguf.vocab.tokenizer import Tokenizer

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            return Tokenizer.from_metadata(metadata), [str(w.message) for w in told]
        except LlamaGGUFError as error:
            return error, [str(w.message) for w in told]


def tokenizer(s):
    """Whether text can become tokens, and what is odd about the vocabulary."""
    found, told = read(s.metadata)
    if isinstance(found, Exception):
        yield Issue("no-tokenizer", "error", str(found), (found.key or PREFIX + "model",),
                    "take the tokenizer keys from a good file of the model, or convert the original again")
        return
    for text in told:
        yield Issue("odd-tokenizer", "warning", text, (PREFIX + "tokens",),
                    "compare with the original's tokenizer.json")
    table = s.tensors.get("token_embd.weight")
    if table is not None and len(found) and table.shape[0] != len(found):
        yield Issue(
            "vocabulary-size", "warning", f"{len(found):,} tokens, but the table has {table.shape[0]:,} rows",
            ("token_embd.weight", PREFIX + "tokens"), "rows beyond the vocabulary are padding; fewer rows cannot work",
        )
    if s.metadata.get(PREFIX + "model") == "gpt2" and PREFIX + "pre" not in s.metadata:
        yield Issue("no-word-pattern", "warning", "tokenizer.ggml.pre is missing: texts may be cut wrongly",
                    (PREFIX + "pre",), "llama-gguf set tokenizer.ggml.pre, by the original's tokenizer.json")


def special_tokens(s):
    """Ids that are out of range, and generations that would not end."""
    n = len(s.metadata.get(PREFIX + "tokens", ()))
    for key in s.metadata:
        if key.startswith(PREFIX) and key.endswith("_token_id"):
            value = s.metadata[key]
            if isinstance(value, int) and n and not 0 <= value < n:
                yield Issue("token-id-out-of-range", "warning", f"{key} is {value}, but there are {n} tokens", (key,),
                            "llama-gguf set writes the right one", "such a token is taken as missing")
    if n and PREFIX + "eos_token_id" not in s.metadata and not s.arch.endswith("bert"):
        yield Issue("no-end-token", "warning", "tokenizer.ggml.eos_token_id is missing: generations may not end",
                    (PREFIX + "eos_token_id",), "llama-gguf set writes it")


def template(s):
    """Whether conversations render, and whether what ends a turn also ends a generation."""
    if TEMPLATE not in s.metadata:
        yield Issue("no-template", "note", "there is no chat template", (TEMPLATE,),
                    "llama-gguf add-template writes one", "a built-in one is chosen by the vocabulary")
        return
    from llama_gguf.vocab.chat import ChatTemplate

    found, _ = read(s.metadata)
    if isinstance(found, Exception):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = ChatTemplate.from_metadata(s.metadata, found)
            text = made.render(TALK)
    except LlamaGGUFError as error:
        yield Issue("broken-template", "warning", f"the chat template fails on a plain conversation: {error}",
                    (TEMPLATE,), "llama-gguf add-template writes another", "refused when a chat begins")
        return
    bos = found.text(found.bos) if found.bos is not None else None
    if bos and found.add_bos and text.startswith(bos):
        yield Issue("begin-token-twice", "note", "template and tokenizer both write the begin token", (TEMPLATE,),
                    "with other programs, turn tokenizer.ggml.add_bos_token off", "it is written once")
    ends = [turn for turn in TURNS if turn in text]
    if ends and not any(found.text(i) in ends for i in found.eog):
        yield Issue("turn-does-not-end", "warning", f"the template ends turns with {ends[0]}, which ends no generation",
                    (TEMPLATE, PREFIX + "eot_token_id"), f"llama-gguf set tokenizer.ggml.eot_token_id, {ends[0]}'s id")
