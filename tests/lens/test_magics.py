"""%gguf and %%gguf in a real IPython shell, and what Tab offers within brackets."""

import pytest
from IPython.core import interactiveshell
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

from llama_gguf import Model
from llama_gguf.testing import tiny

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("m") / "t.gguf", metadata={"tokenizer.chat_template": TEMPLATE})


@pytest.fixture
def shell(file):
    shell = interactiveshell.InteractiveShell()
    shell.run_line_magic("load_ext", "llama_gguf")
    yield shell
    shell.magics_manager.registry["GGUFMagics"].model = None


def test_a_cell_is_continued_as_generate_does(shell, file, capsys):
    shell.run_cell_magic("gguf", f"{file} -n 5 --into answer", "The capital\n")
    with Model(file) as model:
        want = model.generate("The capital", max_tokens=5).text
    assert shell.user_ns["answer"] == want
    assert capsys.readouterr().out == want + "\n"


def test_the_line_opens_a_model_and_cells_go_on_with_it(shell, file):
    model = shell.run_line_magic("gguf", str(file))
    assert isinstance(model, Model) and shell.run_line_magic("gguf", "") is model
    shell.user_ns["mine"] = other = Model(file)
    assert shell.run_line_magic("gguf", "mine") is other
    shell.run_cell_magic("gguf", "-n 3 -t 0.9 --seed 1 --into a", "Hello")
    shell.run_cell_magic("gguf", "-n 3 -t 0.9 --seed 1 --into b", "Hello")
    assert shell.user_ns["a"] == shell.user_ns["b"]


def test_chat_cells_are_turns_of_one_conversation(shell, file):
    shell.run_cell_magic("gguf", f"{file} --chat -n 3 --into first", "Hi\n")
    shell.run_cell_magic("gguf", "--chat -n 3 --into second", "Why?")
    talk = shell.magics_manager.registry["GGUFMagics"].talk
    assert [m["role"] for m in talk.messages] == ["user", "assistant"] * 2
    assert [m["content"] for m in talk.messages] == ["Hi", shell.user_ns["first"], "Why?", shell.user_ns["second"]]
    shell.run_cell_magic("gguf", "--system Brief. -n 2", "Hi")
    talk = shell.magics_manager.registry["GGUFMagics"].talk
    assert [m["role"] for m in talk.messages] == ["system", "user", "assistant"]


def test_errors_are_one_line(shell, tmp_path):
    with pytest.raises(UsageError, match="no_such"):
        shell.run_line_magic("gguf", str(tmp_path / "no_such.gguf"))
    with pytest.raises(UsageError):
        shell.run_cell_magic("gguf", "--no-such-option", "text")


def test_an_interrupt_keeps_what_there_is(shell, file, monkeypatch, capsys):
    model = shell.run_line_magic("gguf", str(file))
    stream = model.stream

    def interrupted(*args, **settings):
        yield from list(stream(*args, **settings))[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "stream", interrupted)
    shell.run_cell_magic("gguf", "-n 9 --into answer", "The capital")
    assert shell.user_ns["answer"].endswith(" ...") and len(shell.user_ns["answer"]) > 4


def test_names_of_tensors_and_values_complete(shell, file):
    shell.user_ns["m"] = model = Model(file)
    shell.user_ns["t"], shell.user_ns["c"] = model.trace("Hello"), model.run_with_cache("Hello")[1]
    for text, want in {
        'm.tensors["blk.0.attn_q': "blk.0.attn_q.weight",
        't["blk.1.attn_pa': "blk.1.attn_pattern",
        't["blocks.1.attn.hook_pa': "blocks.1.attn.hook_pattern",
        'c["blk.0.resid_p': "blk.0.resid_post",
    }.items():
        with provisionalcompleter():
            found = [x.text for x in shell.Completer.completions(text, len(text))]
        assert any(want in x for x in found), (text, found)
