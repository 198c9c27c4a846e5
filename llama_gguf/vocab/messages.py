"""What a chat template gets of a conversation: copies, tidied as Hugging Face's transformers does."""

from llama_gguf.errors import TemplateError

REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names under which messages carry their reasoning; the first is the one that most templates read."""

TAG = "CONTINUED_HERE "
"""Marks where the last message's text ends: the prompt is cut there. The space shows whether the template trims."""


def plain(value):
    """A copy of JSON-like data: what a template gets is its own and has no methods of ours."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    raise TypeError(f"a chat template takes text, numbers, lists and dicts, not {type(value)}")


def tidy(messages):
    """Copies of messages without the keys that are None, their reasoning under the names that templates read."""
    return [tidy_message(message) for message in messages]


def tidy_message(message):
    if not isinstance(message, dict):
        raise TypeError(f"a message is a dict of role and content, not {type(message)}")
    message = {str(k): plain(v) for k, v in message.items() if v is not None}
    told = next((message[key] for key in REASONING if key in message), None)
    return message if told is None else {"thinking": told, **message, "reasoning_content": told}


def tag(messages, field="content"):
    """Put TAG behind the last message's text, in place."""
    if not messages or field not in messages[-1]:
        raise TemplateError(f"there is no last message with a {field!r} to continue")
    last = messages[-1]
    parts = [part for part in last[field] if "text" in part] if isinstance(last[field], list) else None
    if parts:
        parts[-1]["text"] += TAG
    elif isinstance(last[field], str):
        names = REASONING if field in REASONING else (field,)
        last.update({name: last[name] + TAG for name in names if last.get(name) == last[field]})
    else:
        raise TemplateError(f"the last message's {field!r} has no text to continue")


def cut(text):
    """A prompt up to the tag; where the template trimmed what follows, white space before it goes too."""
    at = text.rfind(TAG.strip())
    if at < 0:
        raise TemplateError("the template changes the final message, so it cannot be continued")
    return text[:at] if text.startswith(TAG, at) else text[:at].rstrip()
