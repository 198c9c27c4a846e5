"""Conversations to prompts, by the chat template that a file carries."""

import contextlib
import re
import traceback
import warnings
from datetime import datetime

from llama_gguf.errors import ModelError, TemplateError
from llama_gguf.vocab import builtin_templates
from llama_gguf.vocab.messages import cut, plain, tag, tidy

KEY = "tokenizer.chat_template"
MAX_SIZE = 1 << 20
ROLES = ("bos", "eos", "unk", "sep", "pad", "mask")


class ChatTemplate:
    """`render(messages)` gives the prompt, `encode(messages)` its token ids, `preview(messages)` shows both.

    `text` is the template's source and `source` says where it is from: "file", "file:NAME" of a
    named one, or "built-in NAME" where the file has none. `names` lists the file's named ones.
    """

    def __init__(self, text, source, tokens=None, names=(), broken=None, tokenizer=None):
        self.text, self.source, self.names, self.tokenizer = text, source, tuple(names), tokenizer
        self._tokens, self._broken = dict(tokens or {}), broken
        self._code, self._others, self._metadata = None, {}, None

    @classmethod
    def from_metadata(cls, metadata, tokenizer, name=None):
        """The file's template, or its template called `name` (KeyError if there is none).

        A template that cannot be used is a warning here and a TemplateError when rendered.
        """
        names = [k[len(KEY) + 1 :] for k in metadata if k.startswith(KEY + ".")]
        if name is None and KEY not in metadata and "default" in names:
            name = "default"
        tokens = {f"{role}_token": tokenizer.text(i) for role in ROLES if (i := getattr(tokenizer, role)) is not None}
        key = KEY if name is None else f"{KEY}.{name}"
        if key not in metadata:
            if name is not None:
                raise KeyError(f"no chat template {name!r}; the file has {', '.join(names) or 'none'}")
            known, text = builtin_templates.choose(tokenizer)
            self = cls(text, f"built-in {known}", tokens, names, tokenizer=tokenizer)
            self._metadata = metadata
            return self
        text, broken = read(metadata, key)
        self = cls(text, "file" if name is None else f"file:{name}", tokens, names, broken, tokenizer)
        self._metadata = metadata
        try:
            self.check()
        except TemplateError as error:
            warnings.warn(f"{key}: {error}; no chat with this model", stacklevel=3)
        return self

    def named(self, name):
        """Another template of the same file, by its name; KeyError if there is none."""
        if name not in self.names:
            raise KeyError(f"no chat template {name!r}; the file has {', '.join(self.names) or 'none'}")
        if name not in self._others:
            self._others[name] = self.from_metadata(self._metadata, self.tokenizer, name)
        return self._others[name]

    def __repr__(self):
        return f"<ChatTemplate from {self.source}, {len(self.text)} characters>"

    def render(self, messages, add_generation_prompt=True, *, tools=None, documents=None,
               continue_final_message=False, **variables):
        """The prompt for a list of {"role": ..., "content": ...}.

        The caller's objects are copied, never changed. `continue_final_message` ends the prompt inside the last
        message, for the model to go on with it: True, or the name of another field than "content". Raises
        TemplateError, with the template's line where there is one.
        """
        from llama_gguf.vocab import sandbox

        add_generation_prompt = add_generation_prompt and not continue_final_message
        with template_errors():
            messages = tidy(messages)
            if continue_final_message:
                tag(messages, continue_final_message if isinstance(continue_final_message, str) else "content")
            known = {name: plain(value) for name, value in {
                **self._tokens, **variables, "tools": tools, "documents": documents}.items()}
            known |= {"messages": messages, "add_generation_prompt": add_generation_prompt,
                      "raise_exception": refuse, "strftime_now": strftime_now}
            text = sandbox.render(self.code(), known)
        return cut(text) if continue_final_message else text

    def encode(self, messages, **options):
        """Token ids of the prompt, with the vocabulary's first tokens unless the template wrote them itself."""
        return prompt_ids(self.tokenizer, self.render(messages, **options))

    def preview(self, messages, **options):
        """The prompt with its tokens, special ones marked: a preview.Preview, which notebooks show in colour."""
        from llama_gguf.vocab.preview import Preview

        return Preview(self, messages, options)

    def lint(self):
        """What is odd about the template and the vocabulary together, a sentence each; see preview.lint."""
        from llama_gguf.vocab.preview import lint

        return lint(self)

    def check(self):
        """TemplateError if the template cannot even be compiled."""
        with template_errors():
            self.code()

    def code(self):
        """The compiled template; TemplateError if there is none to compile."""
        from llama_gguf.vocab import sandbox

        if self._broken:
            raise TemplateError(f"chat template {self._broken}", key=KEY)
        if self._code is None:
            self._code = sandbox.compiled(self.text)
        return self._code


def prompt_ids(tokenizer, text):
    """Token ids of a rendered prompt, after the first tokens that the file asks for unless it begins with them."""
    ids = tokenizer.encode(text, bos=False)
    first, _ = tokenizer.frame()
    return ids if ids[: len(first)] == first else [*first, *ids]


@contextlib.contextmanager
def template_errors():
    """Whatever goes wrong inside is a TemplateError, with the template's line where there is one."""
    try:
        yield
    except TemplateError:
        raise
    except RecursionError:
        raise TemplateError("chat template nests too deep", key=KEY) from None
    except MemoryError:
        raise TemplateError("chat template needs too much memory", key=KEY) from None
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


def refuse(message=""):
    """raise_exception(): how templates refuse a conversation."""
    import jinja2

    raise jinja2.exceptions.TemplateError(str(message))


def strftime_now(form):
    """The date and time by a format; templates put it into system prompts."""
    if len(form) > 200 or re.search(r"%\D?\d{3}", form):
        raise ValueError("strftime_now: too long a format")
    return datetime.now().strftime(form)


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
