"""Keys set, renamed and removed: the rest of the file stays as it is, to the byte, or nothing is written."""

import os
import stat

import pytest
from click.testing import CliRunner

from llama_gguf import GGUFFile, Model, edit
from llama_gguf.cli import cli
from llama_gguf.errors import FormatError, ModelError
from llama_gguf.gguf import Typed, split, write_gguf
from llama_gguf.testing import tiny


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("edit") / "tiny.gguf"
    more = {"general.name": "tiny", "odd.bytes": Typed([1, 2], "i8"), "odd.flags": Typed([True], "bool")}
    return tiny(path, layers=1, metadata=more).read_bytes()


@pytest.fixture
def model(original, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(original)
    return path


def contents(path):
    """(key -> kind and value, tensor -> type, shape, bytes), in the file's order."""
    with GGUFFile(path) as file:
        keys = {k: (t.kind, list(t.value) if hasattr(t.value, "kind") else t.value)
                for k, t in file.metadata.typed().items()}
        return keys, {t.name: (t.type.name, t.shape, t.raw.tobytes()) for t in file.tensors.values()}


@pytest.mark.parametrize(
    "key, value, kind, found",
    [
        ("general.name", "12", None, ("str", "12")),
        ("llama.context_length", "4096", None, ("u32", 4096)),
        ("llama.rope.freq_base", "5e5", None, ("f32", 5e5)),
        ("odd.bytes", "[-128, 127]", None, ("i8", [-128, 127])),
        ("odd.flags", [False, True], None, ("bool", [False, True])),
        ("new.int", "-7", None, ("i32", -7)),
        ("new.flag", "true", None, ("bool", True)),
        ("new.text", "tru", None, ("str", "tru")),
        ("new.list", '["a", "b"]', None, ("str", ["a", "b"])),
        ("new.short", "7", "u16", ("u16", 7)),
        ("new.text", "7", "str", ("str", "7")),
        ("new.floats", "[1, 2.5]", "f64[]", ("f64", [1.0, 2.5])),
        ("new.none", "[]", "u8[]", ("u8", [])),
    ],
)
def test_a_key_takes_the_value_and_keeps_its_kind(model, key, value, kind, found):
    keys, tensors = contents(model)
    edit.set_value(model, key, value, kind=kind)
    assert contents(model) == (keys | {key: found}, tensors)


@pytest.mark.parametrize(
    "key, value, kind, words",
    [
        ("llama.context_length", "-1", None, r"is a u32: -1 is not in 0 \.\.\. 4294967295"),
        ("llama.context_length", "many", None, "is a u32, and 'many' is none"),
        ("llama.context_length", "true", None, "and 'true' is none"),
        ("llama.context_length", "8192", "i64", "is a u32; --type i64 would make it something else"),
        ("llama.rope.freq_base", "nan", None, "and 'nan' is none"),
        ("llama.rope.freq_base", "1e39", None, "too large"),
        ("llama.rope.freq_base", "0", None, "after this change: .*rope.freq_base is 0.0; it must be above 1"),
        ("odd.bytes", "[1, 200]", None, "200 is not in -128"),
        ("odd.bytes", "5", None, "is an array of i8"),
        ("odd.flags", "[2]", None, "is a bool, and 2 is none"),
        ("new", "5", "u7", "no type 'u7'"),
        ("new", "NaN", None, "and nan is none"),
        ("new", '[1, "a"]', None, "no metadata kind fits"),
        ("llama.block_count", "1", None, "says how the file is to be read"),
        ("llama.attention.head_count", "2", None, "says how the file is to be read"),
        ("general.architecture", "gemma", None, "says how the file is to be read"),
        ("tokenizer.ggml.tokens", '["a"]', None, "says how the file is to be read"),
        ("split.count", "3", None, "says how the file is to be read"),
        ("tokenizer.ggml.eos_token_id", "100000", None, "after this change: .*eos_token_id is 100000"),
        ("tokenizer.chat_template", "{% if %}", None, "after this change: chat template line 1"),
        ("general.alignment", "48", "u32", "power of two"),
    ],
)
def test_what_would_break_the_file_is_refused(model, original, key, value, kind, words):
    with pytest.raises(ModelError, match=words):
        edit.set_value(model, key, value, kind=kind)
    assert model.read_bytes() == original


def test_it_is_broken_where_that_is_wanted(model):
    edit.set_value(model, "llama.block_count", "2", broken=True)
    edit.set_value(model, "general.name", "1", kind="u8", broken=True)
    assert contents(model)[0]["general.name"] == ("u8", 1)
    with pytest.raises(ModelError):
        Model(model)


def test_gguf_py_reads_what_was_set(model):
    gguf = pytest.importorskip("gguf")
    edit.set_value(model, "general.name", "né")
    edit.set_value(model, "general.alignment", 128, kind="u32")
    reader = gguf.GGUFReader(model)
    assert reader.fields["general.name"].contents() == "né"
    assert {t.data_offset % 128 for t in reader.tensors} == {0}
    assert contents(model)[1] == {
        t.name: (t.tensor_type.name, tuple(t.shape.tolist())[::-1], t.data.tobytes()) for t in reader.tensors
    }


def test_names_change_in_their_places(model):
    keys, tensors = contents(model)
    edit.rename(model, "general.name", "general.basename")
    assert list(contents(model)[0]) == [{"general.name": "general.basename"}.get(k, k) for k in keys]
    for old, new in (("general.name", "x"), ("general.basename", "odd.bytes"), ("odd.bytes", "llama.block_count")):
        with pytest.raises(ModelError, match=r"no key|already"):
            edit.rename(model, old, new)
    with pytest.raises(ModelError, match=r"after this change: .*output_norm\.weight is missing"):
        edit.rename(model, "output_norm.weight", "norm.weight", tensor=True)
    edit.rename(model, "output_norm.weight", "norm.weight", tensor=True, broken=True)
    assert contents(model)[1] == {{"output_norm.weight": "norm.weight"}.get(k, k): v for k, v in tensors.items()}


def test_keys_are_removed_all_or_none(model, original):
    with pytest.raises(ModelError, match=r"no key nope, nor$"):
        edit.remove(model, ["odd.bytes", "nope", "nor"])
    assert model.read_bytes() == original
    keys, tensors = contents(model)
    edit.remove(model, ["odd.bytes", "odd.flags"])
    assert contents(model) == ({k: v for k, v in keys.items() if not k.startswith("odd.")}, tensors)
    with pytest.raises(ModelError, match="says how"):
        edit.remove(model, ["llama.embedding_length"])
    with pytest.raises(ModelError, match=r"blk\.0\.attn_q\.weight is missing"):
        edit.remove(model, ["blk.0.attn_q.weight"], tensor=True)


def test_templates_are_added_and_used(model):
    edit.add_template(model, "{% for m in messages %}<{{ m.content }}>{% endfor %}")
    edit.add_template(model, "tools: {{ tools }}", "tool_use")
    with Model(model, vocab_only=True) as m:
        assert m.chat_template.render([{"role": "user", "content": "hi"}]) == "<hi>"
        assert m.chat_template.names == ("tool_use",)
        assert list(m.metadata["tokenizer.chat_templates"]) == ["tool_use"]
    with pytest.raises(ModelError, match="chat template line 2"):
        edit.add_template(model, "\n{{ x", "tool_use")


def test_another_file_may_be_written(model, original, tmp_path):
    os.chmod(model, 0o640)
    edit.set_value(model, "general.name", "x", out=tmp_path / "out.gguf")
    assert model.read_bytes() == original
    with pytest.raises(FileExistsError, match="--force"):
        edit.set_value(model, "general.name", "y", out=tmp_path / "out.gguf")
    with pytest.raises(FileExistsError, match="also an input"):
        edit.set_value(model, "general.name", "y", out=model, force=True)
    with pytest.raises(ModelError, match="--allow-broken"):
        edit.set_value(model, "llama.block_count", "2", out=tmp_path / "out.gguf", force=True)
    with pytest.raises(FileExistsError, match="--force"):
        edit.set_value(model, "llama.block_count", "2", out=tmp_path / "out.gguf", broken=True)
    edit.set_value(model, "general.name", "y", out=tmp_path / "out.gguf", force=True)
    assert contents(tmp_path / "out.gguf")[0]["general.name"] == ("str", "y")
    edit.set_value(model, "general.name", "y")
    assert stat.S_IMODE(os.stat(model).st_mode) == 0o640


def test_an_open_model_keeps_its_old_file(model):
    with Model(model) as m:
        before = m.logits([1, 2])
        edit.set_value(model, "llama.rope.freq_base", "500")
        assert (m.logits([1, 2]) == before).all()
    with Model(model) as m:
        assert (m.logits([1, 2]) != before).any()


def test_an_interrupted_edit_leaves_the_file(model, original):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edit.set_value(model, "general.name", "x", progress=stop)
    assert model.read_bytes() == original
    assert os.listdir(model.parent) == ["model.gguf"]


def test_links_are_not_replaced(model, tmp_path):
    (tmp_path / "link.gguf").symlink_to(model)
    with pytest.raises(ModelError, match=r"is a link to .*-o"):
        edit.set_value(tmp_path / "link.gguf", "general.name", "x")


def test_a_shard_is_edited_by_itself(model, tmp_path):
    first, *rest = split.split(model, tmp_path / "s", max_tensors=5)
    before = [path.read_bytes() for path in rest]
    edit.set_value(first, "general.name", "x")
    assert [path.read_bytes() for path in rest] == before
    with Model(first) as m:
        assert m.metadata["general.name"] == "x"


def test_what_is_no_model_can_be_edited(tmp_path):
    write_gguf(tmp_path / "a.gguf", {"x": 1}, [])
    edit.set_value(tmp_path / "a.gguf", "x", 2)
    assert contents(tmp_path / "a.gguf") == ({"x": ("u32", 2)}, {})
    (tmp_path / "b.gguf").write_bytes(b"<html>")
    with pytest.raises(FormatError, match="web page"):
        edit.set_value(tmp_path / "b.gguf", "x", 2)


def test_the_commands_edit(model, tmp_path):
    def run(*line, **options):
        return CliRunner().invoke(cli, [str(word) for word in line], **options)

    done = run("set", model, "new.int", "-5")
    assert (done.stdout, done.stderr) == (f"{model}\n", "new.int = -5 (i32), new\n")
    assert run("set", model, "new.int", "-6").stderr == "new.int = -6 (i32), was -5\n"
    assert run("rename", model, "new.int", "int").exit_code == 0
    assert run("remove", model, "int", "odd.bytes").exit_code == 0
    assert run("add-template", model, "-", "-o", tmp_path / "t.gguf", input="{{ messages }}").exit_code == 0
    assert contents(tmp_path / "t.gguf")[0]["tokenizer.chat_template"] == ("str", "{{ messages }}")
    done = run("set", model, "llama.block_count", "7")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert run("set", tmp_path / "none.gguf", "a", "b").exit_code == 2
