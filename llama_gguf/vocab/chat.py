"""Conversations to prompts, by the chat template that a file carries."""

import datetime
import re
import traceback
import warnings

from llama_gguf.errors import ModelError, TemplateError
from llama_gguf.vocab import builtin_templates

KEY = "tokenizer.chat_template"
MAX_SIZE = 1 << 20
ROLES = ("bos", "eos", "unk", "sep", "pad", "mask")


class ChatTemplate:
    """`render(messages)` gives the prompt.

    `text` is the template's source and `source` says where it is from: "file", "file:NAME" of a
    named one, or "built-in NAME" where the file has none. `names` lists the file's named ones.
    """

    def __init__(self, text, source, tokens=None, names=(), broken=None):
        self.text, self.source, self.names = text, source, tuple(names)
        self._tokens, self._broken = dict(tokens or {}), broken

    @classmethod
    def from_metadata(cls, metadata, tokenizer, name=None):
        """The file's template, or its template called `name` (KeyError if there is none).

        A template that cannot be used is a warning here and a TemplateError when rendered.
        """
        names = [k[len(KEY) + 1 :] for k in metadata if k.startswith(KEY + ".")]
        tokens = {f"{role}_token": tokenizer.text(i) for role in ROLES
                  if (i := getattr(tokenizer, role)) is not None}
        key = KEY if name is None else f"{KEY}.{name}"
        if key not in metadata:
            if name is not None:
                raise KeyError(f"no chat template {name!r}; the file has {', '.join(names) or 'none'}")
            known, text = builtin_templates.choose(tokenizer)
            return cls(text, f"built-in {known}", tokens, names)
        text, broken = read(metadata, key)
        if broken:
            warnings.warn(f"{key} {broken}: no chat with this model", stacklevel=3)
        return cls(text, "file" if name is None else f"file:{name}", tokens, names, broken)

    def __repr__(self):
        return f"<ChatTemplate from {self.source}, {len(self.text)} characters>"

    def render(self, messages, add_generation_prompt=True, *, tools=None, documents=None,
               continue_final_message=False, **variables):
        """The prompt for a list of {"role": ..., "content": ...}.

        The caller's objects are copied, never changed. `continue_final_message` ends the prompt
        inside the last message, for the model to go on with it. Raises TemplateError, with
        the template's line where there is one.
        """
        from llama_gguf.vocab import sandbox

        if self._broken:
            raise TemplateError(f"chat template {self._broken}", key=KEY)
        known = self._tokens | variables | {
            "messages": messages, "tools": tools, "documents": documents,
            "add_generation_prompt": add_generation_prompt and not continue_final_message}
        try:
            known = {name: plain(value) for name, value in known.items()}
            known |= {"raise_exception": refuse, "strftime_now": strftime_now}
            text = sandbox.render(sandbox.Sandbox().from_string(self.text), known)
        except RecursionError:
            raise TemplateError("chat template nests too deep", key=KEY) from None
        except MemoryError:
            raise TemplateError("chat template needs too much memory", key=KEY) from None
        except Exception as error:
            raise TemplateError(f"chat template{line_of(error)}: {reason(error)}", key=KEY) from error
        return cut_after(text, messages) if continue_final_message else text

    def check(self):
        """TemplateError if the template cannot even be compiled."""
        from llama_gguf.vocab import sandbox

        if self._broken:
            raise TemplateError(f"chat template {self._broken}", key=KEY)
        try:
            sandbox.Sandbox().from_string(self.text)
        except Exception as error:
            raise TemplateError(f"chat template{line_of(error)}: {reason(error)}", key=KEY) from error


def read(metadata, key):
    """A template of the file and what is wrong with it, if anything."""
    try:
        text = metadata.str(key)
    except ModelError:
        return "", f"is not a string but of kind {metadata.kind(key)}"
    if len(text) > MAX_SIZE:
        return "", f"has {len(text)} characters, more than {MAX_SIZE}"
    if not text.isascii() and re.search("[\ud800-\udfff]", text):
        return "", "is not UTF-8"
    return text, None


def plain(value):
    """A copy of JSON-like data: what a template gets is its own and has no methods of ours."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    raise TypeError(f"a chat template takes text, numbers, lists and dicts, not {type(value)}")


def refuse(message=""):
    """raise_exception(): how templates refuse a conversation."""
    import jinja2

    raise jinja2.exceptions.TemplateError(str(message))


def strftime_now(form):
    """The date and time by a format; templates put it into system prompts."""
    if len(form) > 200 or re.search(r"%\D?\d{3}", form):
        raise ValueError("strftime_now: too long a format")
    return datetime.datetime.now().strftime(form)


def line_of(error):
    """ " line N" of the template for an error that passed through it."""
    line = getattr(error, "lineno", None) if type(error).__name__ == "TemplateSyntaxError" else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in ("<template>", "<unknown>"):
            line = frame.lineno
    return f" line {line}" if line else ""


def reason(error):
    """One line about an error."""
    text = " ".join(str(error).split())[:500]
    return text if type(error).__module__.startswith("jinja2") and text else (
        f"{type(error).__name__}: {text}")


def cut_after(text, messages):
    """The prompt up to the end of the last message's content."""
    last = (messages[-1].get("content") or "") if messages else ""
    last = last if isinstance(last, str) else last[-1].get("text", "")
    at = text.rfind(last.strip())
    if not last.strip() or at < 0:
        raise TemplateError("the template changes the final message, so it cannot be continued")
    return text[: at + len(last.strip())]
