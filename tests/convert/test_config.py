"""config.json in its many spellings, vocabularies and names: what becomes of them in the metadata."""

import json
import lzma
from pathlib import Path

import pytest

from llama_gguf.convert import Conversion, convert, export
from llama_gguf.convert.card import parts_of, rounded
from llama_gguf.convert.tokens import Vocabulary
from llama_gguf.convert.tokens.fingerprints import TEXT
from llama_gguf.convert.tokens.pretokenizer import by_fingerprint
from llama_gguf.errors import ModelError
from llama_gguf.gguf import GGUFFile

from .folders import LLAMA, WORDS, folder, golden, llama, normal, tokenizer

VOCABULARIES = Path(__file__).parents[1] / "data/vocab"
STATED = LLAMA | dict(num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=4096)
SAME = {
    "rope_parameters": dict(rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=5e5)),
    "rope_scaling": dict(rope_scaling=dict(rope_type="linear", factor=2.0), rope_theta=5e5),
    "type": dict(rope_scaling=dict(type="linear", factor=2.0), rope_theta=500000),
}


def planned(tmp_path, config=None, source=None, **files):
    return Conversion(folder(tmp_path / "m", STATED | (config or {}), source or llama(kv_heads=2), **files), "F32")


def values(conversion):
    return {k: (v.kind, v.value) for k, v in conversion.metadata.items()}


@pytest.mark.parametrize("spelling", SAME)
def test_spellings_of_rope_scaling(spelling, tmp_path):
    found = values(planned(tmp_path, SAME[spelling]))
    assert found["llama.rope.freq_base"] == ("f32", 5e5)
    assert found["llama.rope.scaling.type"] == ("str", "linear")
    assert found["llama.rope.scaling.factor"] == ("f32", 2.0)


def test_what_config_json_leaves_out_is_the_default_of_its_class(tmp_path):
    source = llama(kv_heads=4)
    found = values(Conversion(folder(tmp_path / "m", LLAMA, source), "F32"))
    assert found["llama.attention.head_count_kv"] == ("u32", 4)
    assert found["llama.attention.key_length"] == ("u32", 16)
    assert found["llama.attention.layer_norm_rms_epsilon"] == ("f32", 1e-6)
    assert found["llama.rope.freq_base"] == ("f32", 10000.0)
    assert found["llama.context_length"] == ("u32", 2048)


def test_the_text_part_of_a_model_for_pictures(tmp_path):
    """Its config and its names lie one deeper; what sees is left out and told."""
    source = {k.replace("model.", "language_model.model."): x for k, x in llama(kv_heads=2).items()}
    source["vision_tower.patch_embed.weight"] = normal(0, 3, 3)
    inner = STATED | dict(hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4,
                            vocab_size=len(WORDS))
    config = {"architectures": ["LlavaForConditionalGeneration"], "text_config": inner, "vision_config": {},
              "hidden_size": None, "num_hidden_layers": None}
    made = Conversion(folder(tmp_path / "m", config, source), "F32")
    assert made.arch == "llama"
    assert any("vision part is left out (1 tensors)" in note for note in made.notes)
    assert values(made)["llama.embedding_length"] == ("u32", 64)


def test_more_rows_than_tokens_are_unused_tokens(tmp_path):
    source = llama(kv_heads=2)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        source[name] = normal(0, len(WORDS) + 2, 64)
    made = planned(tmp_path, dict(vocab_size=len(WORDS) + 2), source)
    n = len(WORDS)
    assert made.metadata["tokenizer.ggml.tokens"].value[n:] == [f"[PAD{n}]", f"[PAD{n + 1}]"]
    assert made.metadata["tokenizer.ggml.token_type"].value[n:] == [5, 5]


def test_tied_embeddings_need_no_output(tmp_path):
    source = llama(kv_heads=2)
    del source["lm_head.weight"]
    assert not any(t.name == "output.weight" for t in planned(tmp_path, {"tie_word_embeddings": True}, source).tensors)


def test_a_byte_fallback_vocabulary_merges_in_the_order_of_its_list(tmp_path):
    made = planned(tmp_path)
    found = values(made)
    assert found["tokenizer.ggml.model"] == ("str", "llama")
    types = found["tokenizer.ggml.token_type"][1]
    assert types[:4] == [2, 3, 3, 6] and types[-1] == 1
    scores = dict(zip(WORDS, found["tokenizer.ggml.scores"][1], strict=True))
    assert scores["▁a"] == 0.0 and scores["b"] < scores["▁a"]
    assert (found["tokenizer.ggml.bos_token_id"], found["tokenizer.ggml.eos_token_id"]) == (("u32", 1), ("u32", 2))


def test_templates_by_name_and_from_a_file(tmp_path):
    several = [{"name": "default", "template": "D"}, {"name": "tool-use", "template": "T"}]
    found = values(planned(tmp_path, tokenizer_config={"chat_template": several}))
    assert found["tokenizer.chat_template"] == ("str", "D")
    assert found["tokenizer.chat_template.tool_use"] == ("str", "T")
    assert found["tokenizer.chat_templates"] == ("str", ["tool_use"])
    (tmp_path / "m/tokenizer_config.json").write_text("{}")
    (tmp_path / "m/chat_template.jinja").write_text("J")
    assert values(Conversion(tmp_path / "m"))["tokenizer.chat_template"] == ("str", "J")


def test_defaults_of_generation(tmp_path):
    found = values(planned(tmp_path, generation_config=dict(temperature=0.6, top_k=20, repetition_penalty=1.1)))
    assert found["general.sampling.temp"] == ("f32", 0.6)
    assert found["general.sampling.top_k"] == ("i32", 20)
    assert found["general.sampling.penalty_repeat"] == ("f32", 1.1)


@pytest.mark.parametrize(("name", "expected"), [
    ("SmolLM2-135M-Instruct", ("SmolLM2", "135M", "Instruct", None)),
    ("Mixtral-8x7B-Instruct-v0.1", ("Mixtral", "8x7B", "Instruct", "v0.1")),
    ("bloom-7b1", ("bloom", "7.1B", None, None)),
    ("Phi-3-mini-4k-instruct", ("Phi-3", "mini", "4k-instruct", None)),
])
def test_names_fall_into_parts(name, expected):
    """As gguf-py's tests have them (Metadata.get_model_id_components)."""
    import gguf

    theirs = gguf.Metadata.get_model_id_components(name, 0)
    found = parts_of(name, 0)
    assert (found["basename"], found["size_label"], found["finetune"], found["version"]) == expected or theirs[2:] == (
        found["basename"], found["finetune"], found["version"], found["size_label"])


@pytest.mark.parametrize("n", [123_456, 999_999, 1_000_000, 7_241_732_096, 134_515_008, 5])
def test_sizes_are_rounded_as_gguf_py_does(n):
    import gguf

    assert rounded(n) == gguf.utility.model_weight_count_rounded_notation(n)


def test_a_real_vocabulary_is_recognized_by_its_fingerprint(tmp_path):
    """GPT-2's: of several ways to cut a text only the right one gives the fingerprint that llama.cpp has for it."""
    (tmp_path / "v.gguf").write_bytes(lzma.decompress((VOCABULARIES / "gpt-2.gguf.xz").read_bytes()))
    with GGUFFile(tmp_path / "v.gguf") as file:
        lists = (file.metadata[f"tokenizer.ggml.{key}"].tolist() for key in ("tokens", "token_type"))
        vocabulary = Vocabulary("gpt2", None, *lists, merges=file.metadata["tokenizer.ggml.merges"].tolist())
        assert by_fingerprint(vocabulary, {}, ["smaug-bpe", "starcoder"]) is None
        assert by_fingerprint(vocabulary, {}, ["qwen2", "gpt-2"]) == "gpt-2"


def test_an_unknown_pre_tokenizer_is_refused_unless_it_is_named(tmp_path):
    export(golden("qwen2"), tmp_path / "m")
    path = tmp_path / "m/tokenizer.json"
    written = json.loads(path.read_text())
    written["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "nobody knows this"}}
    path.write_text(json.dumps(written))
    with pytest.raises(ModelError, match=r"nobody knows this.*--pre NAME"):
        Conversion(tmp_path / "m")
    assert Conversion(tmp_path / "m", pre="qwen2").vocabulary.pre == "qwen2"


def test_the_text_of_the_fingerprints_is_llama_cpps():
    assert len(TEXT) == 350 and TEXT.endswith("We'Ve a'lL")


def test_without_a_class_the_model_type_decides(tmp_path):
    made = planned(tmp_path, {"architectures": None, "model_type": "arcee"},
                   {k: x for k, x in llama(kv_heads=2).items() if "gate_proj" not in k})
    assert made.arch == "arcee"


@pytest.mark.parametrize(("config", "note"), [
    (dict(rope_scaling=dict(type="dynamic", factor=2.0)), "stretched by 'dynamic'"),
    (dict(architectures=["MistralForCausalLM"], sliding_window=512), "beyond 512 tokens"),
])
def test_what_gguf_cannot_say_is_told(config, note, tmp_path):
    assert any(note in text for text in planned(tmp_path, config).notes)


def test_an_unknown_class_is_named(tmp_path):
    with pytest.raises(ModelError, match="ZebraForCausalLM is not a model that llama-gguf converts"):
        convert(folder(tmp_path / "m", {"architectures": ["ZebraForCausalLM"]}, llama()), tmp_path / "out.gguf")


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path):
    more = tokenizer()
    more["added_tokens"].append({"id": len(WORDS), "content": "<more>", "special": True})
    with pytest.raises(ModelError, match="the model only"):
        planned(tmp_path, tokenizer=more)
