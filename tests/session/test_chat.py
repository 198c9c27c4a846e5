"""Conversations with a model that knows nothing: what goes in, what comes apart, what is remembered."""

import json

import pytest

from llama_gguf import Model
from llama_gguf.chat import ChatResult, Prompt
from llama_gguf.errors import ContextOverflow, FormatError, TemplateError
from llama_gguf.generation import Result
from llama_gguf.testing import tiny
from llama_gguf.vocab.chat import ChatTemplate

HI = [{"role": "user", "content": "Hi"}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
NAMED = {
    "tokenizer.chat_template": "D{{ messages[0].content }}{{ x }}{{ documents }}",
    "tokenizer.chat_template.tool_use": "T{{ tools[0].function.name }}",
    "tokenizer.chat_template.rag": "R{{ documents[0].text }}",
}


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    path = tiny(tmp_path_factory.mktemp("named") / "tiny.gguf", metadata=NAMED)
    with Model(path, n_threads=2) as model:
        yield model


def test_prompt_is_the_templates_with_one_begin_token(model):
    asked = model.chat_prompt(HI)
    assert asked.text == "<|begin|>user\nHi<|end|>\n<|begin|>assistant\n"
    assert asked.ids == model.tokenize(asked.text, bos=False) and asked.ids.count(0) == 2


def test_chat_answers_as_generate_does(model):
    ids = model.chat_prompt(HI).ids
    result = model.chat(HI, max_tokens=5)
    assert result.tokens == model.generate(ids, max_tokens=5).tokens
    assert "".join(c.text for c in model.stream_chat(HI, max_tokens=5)) == result.text == str(result)
    assert result.message == {"role": "assistant", "content": result.content}


def test_templates_are_chosen_by_name_and_by_tools(named):
    assert named.chat_prompt(HI, variables={"x": 3}).text == "DHi3None"
    assert named.chat_prompt(HI, tools=TOOLS).text == "Tf"
    assert named.chat_prompt(HI, tools=TOOLS, template=None).tools == TOOLS
    assert named.chat_prompt(HI, template="rag", documents=[{"text": "a"}]).text == "Ra"
    assert named.chat_prompt(HI, template=ChatTemplate("own", "mine")).text == "own"
    with pytest.raises(KeyError, match="tool_use, rag"):
        named.chat_prompt(HI, template="nosuch")


def test_variables_cannot_stand_for_the_conversation(named):
    with pytest.raises(TypeError):
        named.chat_prompt(HI, variables={"messages": []})


def test_last_message_is_continued(model):
    asked = model.chat_prompt([*HI, {"role": "assistant", "content": "One, two,"}], continue_final_message=True)
    assert asked.text.endswith("assistant\nOne, two,")
    assert model.chat([*HI, {"role": "assistant", "content": "a"}], continue_final_message=True, max_tokens=1).text


def test_reasoning_and_calls_are_told_apart():
    asked = Prompt("user: Hi\n<think>\n", [], TOOLS)
    said = 'hm</think>\n\n<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>'
    result = ChatResult.of(Result(said, [1, 2]), asked)
    assert (result.text, result.reasoning, result.content) == (said, "hm", "")
    assert result.message == {
        "role": "assistant", "content": "", "reasoning_content": "hm",
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]}


def test_a_conversation_remembers_both_sides(model):
    talk = model.conversation("Be brief.", max_tokens=4)
    said = "".join(c.text for c in talk.ask("Hi"))
    assert [m["content"] for m in talk.messages] == ["Be brief.", "Hi", said] and talk.system == "Be brief."
    talk.clear()
    assert talk.messages == [{"role": "system", "content": "Be brief."}]
    talk.start()
    assert talk.messages == [] and talk.system is None


def test_an_answer_cut_short_is_kept_as_far_as_it_went(model):
    talk = model.conversation(max_tokens=50)
    chunks = talk.ask("Hi")
    first = next(chunks).text
    chunks.close()
    assert [m["role"] for m in talk.messages] == ["user", "assistant"] and talk.messages[1]["content"] == first


def test_an_error_leaves_a_conversation_as_it_was(model, named):
    talk = model.conversation(max_tokens=4)
    with pytest.raises(ContextOverflow):
        talk.ask("a" * 10_000)
    assert talk.messages == []
    named = named.conversation(tools=[{}])
    with pytest.raises(TemplateError):
        named.ask("Hi")
    assert named.messages == []


def test_a_tool_answers(model):
    talk = model.conversation(max_tokens=3)
    list(talk.ask("Weather?"))
    list(talk.reply({"role": "tool", "name": "f", "content": "blue"}))
    assert [m["role"] for m in talk.messages] == ["user", "assistant", "tool", "assistant"]


def test_saved_whole_and_loaded_whole_or_not_at_all(model, tmp_path):
    talk = model.conversation("é🦙\ud800", max_tokens=3, temperature=0.5, stop=["x"])
    list(talk.ask("Hi"))
    talk.save(tmp_path / "talk.json")
    with pytest.raises(FileExistsError):
        talk.save(tmp_path / "talk.json")
    other = model.conversation(max_tokens=9, top_k=3)
    other.load(tmp_path / "talk.json")
    assert other.messages == talk.messages
    assert other.settings == {"max_tokens": 3, "top_k": 3, "temperature": 0.5, "stop": ["x"]}
    (tmp_path / "list.json").write_text(json.dumps(HI))
    other.load(tmp_path / "list.json")
    assert other.messages == HI
    (tmp_path / "bad.json").write_text('{"messages": [{"content": 1}]}')
    with pytest.raises(FormatError, match=r"bad\.json"):
        other.load(tmp_path / "bad.json")
    (tmp_path / "empty.json").write_text('[{"role": "system"}]')
    with pytest.raises(FormatError, match="role and content"):
        other.load(tmp_path / "empty.json")
    assert other.messages == HI
