"""What a model's answer holds besides text: reasoning and calls of tools."""

import json
import re
from dataclasses import dataclass, field

THINK = re.compile(r"\s*(?:<think>)?(.*?)</think>\s*", re.DOTALL)
HERMES = re.compile(r"<tool_call>\s*(\{.*?\})\s*(?:</tool_call>|\Z)", re.DOTALL)
CODER = re.compile(r"<tool_call>\s*<function=([^>\s]+)>(.*?)</function>\s*(?:</tool_call>|\Z)", re.DOTALL)
PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
MISTRAL = "[TOOL_CALLS]"
MISTRAL_ARGS = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\][^\[]*)?\[ARGS\]\s*")
LLAMA = "<|python_tag|>"


@dataclass
class Answer:
    """`tool_calls` are dicts of "name" and "arguments", the latter a dict."""

    content: str = ""
    reasoning: str = ""
    tool_calls: list = field(default_factory=list)


def parse(text, tools=None, thinking=False):
    """Takes an answer apart; what does not parse stays content.

    `tools`: the tools that were offered, as OpenAI writes them; an answer that is nothing but
    JSON is a call only if it names one of them (Llama 3). `thinking`: the prompt ended inside
    <think>, so that an answer without an end of it is all reasoning.
    """
    reasoning, text = split_reasoning(text, thinking)
    for style in (hermes, coder, mistral, lambda t: llama(t, names_of(tools))):
        calls, content = style(text)
        if calls:
            return Answer(content.strip(), reasoning, calls)
    return Answer(text, reasoning)


def split_reasoning(text, thinking=False):
    """(reasoning, rest). A missing <think> counts as given: templates often put it in the prompt."""
    if found := THINK.match(text):
        return found[1].strip(), text[found.end() :]
    opened = text.lstrip().startswith("<think>")
    if opened or thinking:
        return text.lstrip().removeprefix("<think>").strip(), ""
    return "", text


def names_of(tools):
    return {(tool.get("function") or tool).get("name") for tool in tools or ()}


def call(value):
    """A call out of parsed JSON, or None."""
    if not isinstance(value, dict):
        return None
    inner = value["function"] if isinstance(value.get("function"), dict) else value
    arguments = inner.get("arguments", inner.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = loads(arguments)
    if not isinstance(inner.get("name"), str) or not isinstance(arguments, dict):
        return None
    return {"name": inner["name"], "arguments": arguments}


def loads(text):
    """JSON or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def hermes(text):
    """Hermes, Qwen 2.5 and 3: <tool_call>{"name": ..., "arguments": ...}</tool_call>."""
    calls = [call(loads(found[1])) for found in HERMES.finditer(text)]
    return (calls, HERMES.sub("", text)) if calls and all(calls) else ([], text)


def coder(text):
    """Qwen3-Coder: <tool_call><function=NAME><parameter=KEY>VALUE</parameter></function>."""
    calls = []
    for found in CODER.finditer(text):
        values = dict(PARAMETER.findall(found[2]))
        parsed = {key: loads(value) for key, value in values.items()}
        arguments = {k: values[k] if parsed[k] is None else parsed[k] for k in values}
        calls.append({"name": found[1], "arguments": arguments})
    return calls, CODER.sub("", text)


def mistral(text):
    """Mistral: [TOOL_CALLS] [{"name": ..., "arguments": ...}], later [TOOL_CALLS]NAME[ARGS]{...}."""
    content, *parts = text.split(MISTRAL)
    calls = []
    for part in parts:
        if found := MISTRAL_ARGS.match(part):
            calls.append(call({"name": found[1], "arguments": loads(part[found.end() :].strip())}))
        else:
            listed = loads(part.strip())
            calls += map(call, listed if isinstance(listed, list) else [listed])
    return (calls, content) if calls and all(calls) else ([], text)


def llama(text, names):
    """Llama 3: <|python_tag|>{...}, or an answer that is {"name": ..., "parameters": ...}."""
    content, tag, rest = text.partition(LLAMA)
    found = call(loads((rest if tag else text).strip()))
    if found and (tag or found["name"] in names):
        return [found], content if tag else ""
    return [], text
