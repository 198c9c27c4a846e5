"""Conversations to prompts."""

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_gguf.errors import TemplateError
from llama_gguf.gguf import GGUFFile
from llama_gguf.gguf.metadata import Metadata
from llama_gguf.vocab.chat import ChatTemplate
from llama_gguf.vocab.tokenizer import Tokenizer

from .tiny_vocab import bpe_metadata, metadata

HI = [{"role": "user", "content": "Hi"}]


def template(text, **tokens):
    return ChatTemplate(text, "test", tokens)


def from_file(text=None, **keys):
    data = bpe_metadata()
    values = data.typed() | ({"tokenizer.chat_template": text} if text is not None else {})
    data = Metadata.of(values | keys)
    return ChatTemplate.from_metadata(data, Tokenizer.from_metadata(data))


def test_template_sees_messages_tools_tokens_and_variables():
    text = ("{{ bos_token }}{% for m in messages %}{{ m.role }}={{ m['content'] }};{% endfor %}"
            "{{ tools | tojson }}{{ documents }}{{ x }}{{ add_generation_prompt }}")
    chat = template(text, bos_token="<s>")
    assert chat.render(HI, tools=[{"name": "é"}], x=3) == '<s>user=Hi;[{"name": "é"}]None3True'


def test_blocks_are_trimmed_as_by_transformers():
    text = "a\n  {% if true %}\nb\n  {% endif %}\nc\n"
    assert template(text).render(HI) == "a\nb\nc"


def test_loop_controls_generation_and_dates_work():
    text = ("{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
            "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
            "{{ strftime_now('%Y') | length }}")
    assert template(text).render(HI * 3) == "Hi4"


def test_a_template_can_refuse():
    with pytest.raises(TemplateError, match="no system"):
        template("{{ raise_exception('no system') }}").render(HI)


def test_an_error_names_the_line_of_the_template():
    with pytest.raises(TemplateError, match=r"line 3: .*undefined"):
        template("a\nb\n{{ nothing.at.all }}").render(HI)
    with pytest.raises(TemplateError, match="line 2"):
        template("a\n{% if %}").render(HI)


def test_final_message_can_be_continued():
    text = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    messages = [*HI, {"role": "assistant", "content": "Well,"}]
    assert template(text).render(messages, continue_final_message=True) == (
        "<user>Hi<end><assistant>Well,")


def test_file_without_template_says_which_one_is_used():
    chat = from_file()
    assert chat.source == "built-in plain" or chat.source.startswith("built-in")
    assert "Hi" in chat.render(HI)


def test_built_in_follows_the_markers_of_the_vocabulary():
    tokens = ["<start_of_turn>", "<end_of_turn>", "a"]
    data = metadata("nosuch", tokens)
    chat = ChatTemplate.from_metadata(data, Tokenizer.from_metadata(data))
    assert chat.source == "built-in gemma"
    messages = [{"role": "system", "content": "Be nice"}, *HI]
    assert chat.render(messages) == (
        "<start_of_turn>user\nBe nice\n\nHi<end_of_turn>\n<start_of_turn>model\n")


def test_named_templates_are_found():
    keys = {"tokenizer.chat_template.tool_use": "T{{ messages | length }}"}
    data = Metadata.of(bpe_metadata().typed() | {"tokenizer.chat_template": "D"} | keys)
    tok = Tokenizer.from_metadata(data)
    assert ChatTemplate.from_metadata(data, tok).names == ("tool_use",)
    assert ChatTemplate.from_metadata(data, tok, "tool_use").render(HI) == "T1"
    with pytest.raises(KeyError, match="tool_use"):
        ChatTemplate.from_metadata(data, tok, "nosuch")


def test_template_that_is_no_text_is_a_warning_at_load():
    with pytest.warns(UserWarning, match="chat_template"):
        chat = from_file(**{"tokenizer.chat_template": 3})
    with pytest.raises(TemplateError):
        chat.render(HI)


def test_callers_objects_stay_as_they_are():
    messages = [{"role": "user", "content": "Hi", "more": [1]}]
    for attack in ("{{ messages.append(1) }}", "{{ messages[0].update(x=1) }}",
                   "{{ messages[0].more.clear() }}", "{{ messages[0].pop('role') }}"):
        with pytest.raises(TemplateError):
            template(attack).render(messages)
    assert messages == [{"role": "user", "content": "Hi", "more": [1]}]


ESCAPES = (
    "{{ ''.__class__.__mro__ }}", "{{ messages|attr('__class__') }}",
    "{{ '{0.__class__}'.format(messages) }}", "{{ ('{0.__class__}'|attr('format'))(messages) }}",
    "{{ lipsum.__globals__ }}", "{{ cycler.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}", "{{ raise_exception.__globals__ }}",
    "{% include '/etc/passwd' %}", "{% import '../x' as x %}", "{% extends 'y' %}",
)


@pytest.mark.parametrize("attack", ESCAPES)
def test_no_way_out_of_the_sandbox(attack):
    try:
        text = template(attack).render(HI)
    except TemplateError:
        return
    assert "class" not in text and "builtins" not in text


DOUBLE = "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = STEP %}{% endfor %}"
BOMBS = (
    "{{ 'a' * 10**10 }}", "{{ 10**(10**7) }}", "{{ [1] * 10**9 }}", "{{ range(10**9)|list }}",
    "{{ 'a'|center(10**10) }}", "{{ '%10000000000d' % 1 }}", "{{ '%*d'|format(10**9, 1) }}",
    "{{ '{:>9999999999}'.format(1) }}", "{{ '{:{}}'.format(1, 9**12) }}",
    "{{ 'a'.ljust(10**10) }}", "{{ 'a'.zfill(10**10) }}", "{{ '\t'.expandtabs(10**10) }}",
    "{{ 'x'|indent(10**10) }}", "{{ [1]|batch(10**10, 0)|list }}", "{{ {}|tojson(indent=10**9) }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) if 0 %}{% endfor %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}", "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "{% set x = range(99999)|list %}{% for a in x %}{{ x|join }}{% endfor %}",
    "{% for a in range(99999) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' * 9999 }}{% endfor %}",
    *(DOUBLE.replace("STEP", step) + end for step, end in (
        ("ns.x ~ ns.x", ""), ("ns.x + ns.x", ""), ("ns.x * 2", ""), ("'%s%s' % (ns.x, ns.x)", ""),
        ("'{0}{0}'.format(ns.x)", ""), ("ns.x.replace('a', ns.x)", ""), ("[ns.x, ns.x]|join", ""),
        ("''.join([ns.x, ns.x])", ""), ("ns.x|replace('a', 'aa')|replace('b', 'aab')", ""),
        ("[ns.x, ns.x]", "{{ ns.x }}"), ("[ns.x, ns.x]", "{{ ns.x|tojson }}"),
        ("[ns.x, ns.x]|list", "{{ ns.x|string }}"), ("(ns.x, ns.x)", "{{ {ns.x: 1} }}"),
        ("{'a': ns.x, 'b': ns.x}", "{{ ns.x ~ '' }}"), ("dict(a=ns.x, b=ns.x)", "{{ ns.x }}"),
    )),
)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("attack", BOMBS, ids=range(len(BOMBS)))
def test_bombs_end_in_an_error_within_two_seconds(attack):
    start = time.monotonic()
    with pytest.raises(TemplateError):
        template(attack).render(HI)
    assert time.monotonic() - start < 10  # two on a machine that does nothing else


@pytest.mark.timeout(30)
def test_deadline_works_off_the_main_thread():
    caught = []

    def run():
        try:
            template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
                     ).render(HI)
        except TemplateError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert caught and "seconds" in str(caught[0])


@given(st.text(max_size=200))
def test_any_template_renders_or_is_a_template_error(text):
    try:
        template(text).render(HI)
    except TemplateError:
        pass


def test_corpus_of_templates_ends_as_its_index_says(badgguf, recwarn):
    index = json.loads((badgguf / "index.json").read_text())
    for name in [name for name, row in index.items() if row["stage"] == "template"]:
        start = time.monotonic()
        with GGUFFile(badgguf / name) as file:
            tok = Tokenizer.from_metadata(file.metadata)
            chat = ChatTemplate.from_metadata(file.metadata, tok)
        with pytest.raises(TemplateError):
            chat.render(HI)
            pytest.fail(f"{name} was rendered")
        assert time.monotonic() - start < 10, name  # two on a machine that does nothing else
