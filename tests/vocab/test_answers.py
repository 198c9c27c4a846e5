"""Reasoning and tool calls in answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_gguf.vocab.answers import Answer, parse

TOOLS = [{"type": "function", "function": {"name": "f"}}]
CALL = {"name": "f", "arguments": {"x": 1}}


@pytest.mark.parametrize("text", [
    '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>',
    '<tool_call>{"name": "f", "arguments": "{\\"x\\": 1}"}',
    '[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}]',
    '[TOOL_CALLS]f[ARGS]{"x": 1}',
    '<|python_tag|>{"name": "f", "parameters": {"x": 1}}',
    '{"name": "f", "parameters": {"x": 1}}',
    "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>",
])
def test_call_is_found_in_every_style(text):
    assert parse(text, TOOLS) == Answer("", "", [CALL])


def test_two_calls_and_text_before_them():
    one = '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>'
    assert parse(f"Let me see.\n{one}\n{one}") == Answer("Let me see.", "", [CALL, CALL])
    both = '[TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]f[ARGS]{"x": 1}'
    assert parse(both) == Answer("", "", [CALL, CALL])


@pytest.mark.parametrize("text", [
    '<tool_call>{"name": "f", "arguments": {</tool_call>', "[TOOL_CALLS] no json",
    '{"name": "g", "parameters": {}}', '{"name": 3}', "[1, 2]", "<tool_call>" + "[" * 10**5])
def test_what_does_not_parse_stays_content(text):
    assert parse(text, TOOLS) == Answer(text)


@pytest.mark.parametrize(("text", "thinking", "reasoning", "content"), [
    ("<think>\nhm\n</think>\n\nYes.", False, "hm", "Yes."),
    ("hm\n</think>\n\nYes.", True, "hm", "Yes."),
    ("<think>\nhm", False, "hm", ""),
    ("hm", True, "hm", ""),
    ("Yes.", False, "", "Yes."),
])
def test_reasoning_is_separated(text, thinking, reasoning, content):
    assert parse(text, thinking=thinking) == Answer(content, reasoning)


@given(st.text(max_size=60), st.booleans())
def test_any_text_parses(text, thinking):
    parse(text + "<tool_call>{", TOOLS, thinking)
