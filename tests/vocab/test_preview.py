"""Prompts with their special tokens, and what is odd about a template."""

import re

import pytest

from llama_gguf.gguf.metadata import Metadata
from llama_gguf.vocab.chat import ChatTemplate
from llama_gguf.vocab.tokenizer import Tokenizer

from .tiny_vocab import bpe_metadata

HI = [{"role": "user", "content": "he & <b>"}]
GOOD = ("{% for m in messages %}<s>{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant:{% endif %}")


def template(text=GOOD, **keys):
    data = Metadata.of(bpe_metadata(**keys).typed() | {"tokenizer.chat_template": text})
    return ChatTemplate.from_metadata(data, Tokenizer.from_metadata(data))


def test_special_tokens_are_marked():
    view = template().preview(HI)
    assert str(view) == "⟦<s>⟧user:he & <b>⟦<|im_end|>⟧⟦<s>⟧assistant:"
    assert sum(view.special) == 3 and view.ids == template().encode(HI)
    html = view._repr_html_()
    assert "&lt;|im_end|&gt;" in html and "&amp;" in html and "<b>" not in html


def test_bos_is_there_once_whoever_writes_it():
    chat = template("{{ bos_token }}he", add_bos_token=True)
    assert chat.encode(HI) == [chat.tokenizer.bos, chat.tokenizer.find("he")]
    assert template("he", add_bos_token=True).encode(HI) == chat.encode(HI)
    assert chat.encode(HI)[1:] == template("he").encode(HI)
    eos = template("he", add_eos_token=True)  # a prompt goes on: nothing ends it
    assert eos.encode(HI) == template("he").encode(HI)


@pytest.mark.parametrize(("text", "keys", "message"), [
    ("{{ bos_token }}{{ bos_token }}" + GOOD, {}, "<s> twice"),
    (GOOD, {"add_bos_token": True}, "some programs read it twice"),
    (GOOD.split("{% if")[0], {}, "add_generation_prompt changes nothing"),
    (GOOD.replace("m.content", "''"), {}, "user's message is not in the prompt"),
    (GOOD.replace("in messages", "in messages if m.role != 'system'"), {}, "a system prompt is left out"),
    ("{% if messages[0].role == 'system' %}{{ raise_exception('none!') }}{% endif %}" + GOOD, {}, "refused.*none!"),
    (GOOD.replace("<|im_end|>", "<|eot_id|>"), {}, r"<\|eot_id\|> looks like a special token"),
    (GOOD.replace("<|im_end|>", "he"), {}, "no special token follows an answer"),
    (GOOD.replace("<|im_end|>", "<s>"), {}, "ends with <s>, which does not end"),
    ("{% if %}", {}, "line 1"),
])
@pytest.mark.filterwarnings("ignore:.*no chat with this model")
def test_lint_names_what_is_odd(text, keys, message):
    assert any(re.search(message, line) for line in template(text, **keys).lint())


def test_lint_of_a_sound_template_is_empty():
    assert template().lint() == []


def test_a_template_that_does_not_compile_is_a_warning_at_load():
    with pytest.warns(UserWarning, match=r"tokenizer.chat_template: .*line 2.*no chat with this model"):
        template("a\n{% if %}")


def test_a_file_whose_templates_all_have_names_uses_its_default():
    keys = {"tokenizer.chat_template.default": "D", "tokenizer.chat_template.rag": "R"}
    data = Metadata.of(bpe_metadata().typed() | keys)
    chat = ChatTemplate.from_metadata(data, Tokenizer.from_metadata(data))
    assert (chat.render(HI), chat.named("rag").render(HI), chat.source) == ("D", "R", "file:default")
    assert chat.named("rag") is chat.named("rag")
    with pytest.raises(KeyError, match="default, rag"):
        chat.named("nosuch")
