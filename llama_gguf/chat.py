"""Talking with a model: prompts out of messages, answers taken apart, conversations that go on and can be saved."""

import json
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property

from .errors import FormatError
from .generation import Result
from .gguf.atomic import replacing
from .sampling import Sampler
from .vocab import answers
from .vocab.chat import ChatTemplate, prompt_ids

FORMAT = "llama-gguf conversation"
MAX_FILE = 1 << 28
SETTINGS = {
    "max_tokens": int,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "repeat_penalty": float,
    "seed": int,
    "stop": str,
}
"""What `Conversation.set` takes, and of which type."""


@dataclass
class Prompt:
    """A conversation as the model reads it: its text and its token ids."""

    text: str
    ids: list
    tools: list | None = None

    def answer(self, text):
        """Reasoning, calls of tools and the rest of what a model said to it: a vocab.answers.Answer."""
        return answers.parse(text, self.tools, thinking=self.text.rstrip().endswith("<think>"))


@dataclass
class ChatResult(Result):
    """A finished answer (`text` is all that the model wrote) and its parts; tool_calls as vocab.answers has them."""

    content: str = ""
    reasoning: str = ""
    tool_calls: list = field(default_factory=list)

    @property
    def message(self):
        """The answer as a message, for the next prompt."""
        return message(self)

    @classmethod
    def of(cls, result, prompt):
        return cls(**vars(result), **vars(prompt.answer(result.text)))


def message(answer):
    """{"role": "assistant", ...} of an answer's parts; those that it lacks are left out."""
    made = {"role": "assistant", "content": answer.content}
    if answer.reasoning:
        made["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        made["tool_calls"] = [{"type": "function", "function": dict(call)} for call in answer.tool_calls]
    return made


def prompt(model, messages, *, tools=None, template=None, variables=None, **more):
    """Model.chat_prompt."""
    chosen = model.chat_template
    if template is None and tools is not None and "tool_use" in chosen.names:
        template = "tool_use"
    if template is not None:
        chosen = chosen.named(template) if isinstance(template, str) else template
    text = chosen.render(messages, **(variables or {}), tools=tools, **more)
    return Prompt(text, prompt_ids(model.tokenizer, text), tools)


TEMPLATE_OPTIONS = ("tools", "documents", "template", "variables", "continue_final_message")


class Chats:
    """What a Model has to do with conversations: lists of {"role": ..., "content": ...}."""

    @cached_property
    def chat_template(self):
        """How the file writes a conversation as one text: a vocab.chat.ChatTemplate."""
        return ChatTemplate.from_metadata(self.metadata, self.tokenizer)

    def chat_prompt(self, messages, **options):
        """The Prompt of a conversation. Options: tools, documents, template, variables, continue_final_message.

        template: the name of one of the file's templates, or a ChatTemplate; None: the file's own, but its `tool_use`
        one where there are tools. variables: what else the template knows, as {"enable_thinking": False}.
        continue_final_message: the model goes on inside the last message.
        """
        return prompt(self, messages, **options)

    def chat(self, messages, **options):
        """The answer to a conversation: a ChatResult. Options are those of `chat_prompt` and of `generate`."""
        asked = self.chat_prompt(messages, **picked(options, True))
        return ChatResult.of(self.generate(asked.ids, **picked(options, False)), asked)

    def stream_chat(self, messages, **options):
        """The same, chunk by chunk as the model writes it; `chat_prompt(...).answer(text)` takes the whole apart."""
        asked = self.chat_prompt(messages, **picked(options, True))
        return self.stream(asked.ids, **picked(options, False))

    def conversation(self, system=None, **options):
        """A Conversation with this model: it remembers, and reads only what is new at each turn."""
        return Conversation(self, system, **options)


def picked(options, for_template):
    """Those options that are for the template, or all the others."""
    return {name: value for name, value in options.items() if (name in TEMPLATE_OPTIONS) == for_template}


class Conversation:
    """Messages that grow by question and answer. The cache is kept: only what is new is read.

        talk = m.conversation(system="Be brief.", temperature=0.7)
        for chunk in talk.ask("What is a cache?"):
            print(chunk.text, end="")
        talk.save("talk.json")
    """

    def __init__(self, model, system=None, *, tools=None, variables=None, **settings):
        """tools and variables go to the template; settings are those of Model.generate."""
        self.model, self.tools, self.variables, self.settings = model, tools, variables, settings
        self.start(system)

    def __repr__(self):
        return f"<Conversation of {len(self.messages)} messages, {self.settings}>"

    @property
    def system(self):
        """The system prompt, or None."""
        first = self.messages[0] if self.messages else {}
        return first.get("content") if first.get("role") == "system" else None

    def start(self, system=None):
        """Forget everything and begin with a system prompt, or with none."""
        self.messages = [{"role": "system", "content": system}] if system else []

    def clear(self):
        """Forget everything but the system prompt."""
        self.start(self.system)

    def ask(self, text):
        """Chunks of the answer to `text`. Both are remembered in the end; an answer cut short, as far as it went."""
        return self.reply({"role": "user", "content": text})

    def reply(self, *new):
        """Chunks of the answer after some more messages, such as a tool's. An error leaves all as it was."""
        messages = [*self.messages, *new]
        asked = self.model.chat_prompt(messages, tools=self.tools, variables=self.variables)
        chunks = self.model.stream(asked.ids, reuse=True, **self.settings)
        return self._remember(messages, asked, chunks)

    def _remember(self, messages, asked, chunks):
        said = []
        with closing(chunks):
            try:
                for chunk in chunks:
                    said.append(chunk.text)
                    yield chunk
            except (GeneratorExit, KeyboardInterrupt):
                self._keep(messages, asked, said)
                raise
        self._keep(messages, asked, said)

    def _keep(self, messages, asked, said):
        self.messages = [*messages, message(asked.answer("".join(said)))]

    def set(self, name, value):
        """Change a setting; a text is read as what the setting takes, "none" takes it back to its default.

        ValueError says what is wrong with the name or the value.
        """
        if name not in SETTINGS:
            raise ValueError(f"there is no setting {name!r}; there are {', '.join(SETTINGS)}")
        changed = {k: v for k, v in self.settings.items() if k != name}
        if value is not None and str(value).lower() != "none":
            try:
                changed[name] = SETTINGS[name](value)
            except ValueError:
                raise ValueError(f"{name} takes a {SETTINGS[name].__name__}, not {value!r}") from None
        check(changed)
        self.settings = changed

    def save(self, path, force=False):
        """Write messages and settings as JSON, whole or not at all; an existing file stays unless `force`."""
        about = {"format": FORMAT, "model": str(self.model.path), "settings": self.settings, "messages": self.messages}
        text = json.dumps(about, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with replacing(path, len(text), force) as file:
            file.write(text)

    def load(self, path):
        """Go on with a saved conversation, its settings included; a bare JSON list of messages will do, too.

        FormatError, and nothing is changed, if the file is something else.
        """
        self.messages, settings = read(path)
        self.settings = self.settings | settings


def check(settings):
    """ValueError or ModelError if sampling by these cannot be."""
    if settings.get("max_tokens", 0) < 0:
        raise ValueError(f"max_tokens must not be negative, not {settings['max_tokens']}")
    Sampler(**{k: v for k, v in settings.items() if k not in ("max_tokens", "stop")})


def read(path):
    """(messages, settings) of a saved conversation."""
    with open(path, "rb") as file:
        raw = file.read(MAX_FILE + 1)
    try:
        found = json.loads(raw) if len(raw) <= MAX_FILE else None
    except (ValueError, RecursionError):
        found = None
    found = {"messages": found} if isinstance(found, list) and found else found
    if not isinstance(found, dict) or not is_messages(found.get("messages")):
        raise FormatError("is no saved conversation: a JSON list of messages with role and content", path=str(path))
    settings = found.get("settings", {})
    if not isinstance(settings, dict) or not settings.keys() <= SETTINGS.keys():
        raise FormatError("has settings that are unknown here", path=str(path))
    try:
        check(settings)
    except Exception as error:
        raise FormatError(f"has settings that cannot be: {error}", path=str(path)) from error
    return found["messages"], settings


def is_messages(value):
    """Each has a role; system prompts and questions have content, but an answer may be calls of tools alone."""
    return isinstance(value, list) and all(
        isinstance(m, dict)
        and isinstance(m.get("role"), str)
        and (m["role"] not in ("system", "user") or m.get("content") is not None)
        for m in value
    )
