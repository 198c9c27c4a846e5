"""Names are taken apart as documented, and none can reach outside its cache."""

import pytest

from llama_gguf import catalogue, hub
from llama_gguf.catalogue import Name
from llama_gguf.errors import NameNotFound


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("user/repo", Name("user/repo")),
        ("user/repo:Q4_K_M", Name("user/repo", quant="Q4_K_M")),
        ("user/repo:latest", Name("user/repo")),
        ("user/repo/a/b.gguf", Name("user/repo", "a/b.gguf")),
        ("hf.co/user/repo:q8_0", Name("user/repo", quant="q8_0")),
        ("hf://user/repo@v1/b.gguf", Name("user/repo", "b.gguf", revision="v1")),
        ("hf://models/user/repo/b.gguf", Name("user/repo", "b.gguf")),
        (
            "https://huggingface.co/user/repo/resolve/main/b.gguf?download=true",
            Name("user/repo", "b.gguf"),
        ),
        ("https://hf.co/user/repo/blob/v2/d/b.gguf", Name("user/repo", "d/b.gguf", None, "v2")),
    ],
)
def test_name_is_parsed(text, name):
    assert catalogue.parse(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nope",
        "a\0b",
        "user/..",
        "../user/repo",
        "user/repo/../../x.gguf",
        "user/repo//etc/passwd",
        "user/repo/..\\x.gguf",
        "user/repo/C:\\x.gguf",
        "user/repo/x.gguf:Q8_0",
        "user/repo:",
        "user/repo:../x",
        "user/repo/x.gguf:Q8_0",
        "user/repo:",
        "user/repo:../x",
        "user/repo@../../x/y.gguf",
        "us--er/repo",
        "user/repo/a\nb.gguf",
        "hf://user",
        "/no/such/file.gguf",
        "./file.gguf",
        "file.gguf",
        "folder/file.gguf",
        "x" * 5000,
        "u/" + "x" * 300,
        "pypi:",
        "pypi:-r",
        "pypi:../x",
        "pypi:a b",
        "pypi:a;b",
        "pypi:https://example.org/x.whl",
    ],
)
def test_bad_name_is_refused_without_network(text, no_network):
    with pytest.raises(NameNotFound):
        hub.resolve(text)


def test_local_file_wins_over_every_other_meaning(tmp_path, monkeypatch, no_network):
    monkeypatch.chdir(tmp_path)
    for name in ("smollm2", "user/repo"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"GGUF")
        assert hub.resolve(name).samefile(tmp_path / name)
        assert hub.resolve(tmp_path / name) == tmp_path / name


def test_folder_is_refused_by_name(tmp_path):
    with pytest.raises(NameNotFound, match="is a folder"):
        hub.resolve(tmp_path)


@pytest.mark.parametrize(
    ("file", "quant"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("gemma-3-270m-q4_k_m.gguf", "Q4_K_M"),
        ("d/Model-UD-IQ2_XXS-00001-of-00002.gguf", "UD-IQ2_XXS"),
        ("model-bf16.gguf", "BF16"),
        ("model.gguf", None),
        ("model-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("Qwen2_5-TQ1_0.gguf", "TQ1_0"),
    ],
)
def test_quantization_is_read_from_the_file_name(file, quant):
    assert catalogue.quant_of(file) == quant


@pytest.mark.parametrize(
    ("quants", "picked"),
    [
        (("Q8_0", "Q4_K_M", "Q2_K"), "Q4_K_M"),
        (("Q8_0", "Q4_K_S", "Q5_K_M"), "Q4_K_S"),
        (("Q8_0", "Q5_K_M", "Q2_K"), "Q5_K_M"),
        (("F16", "Q8_0", "Q2_K"), "Q8_0"),
        (("F16", "Q6_K", "Q3_K_M"), "Q3_K_M"),
    ],
)
def test_without_a_quantization_the_preferred_one_is_picked(quants, picked):
    sizes = {f"m-{q}.gguf": 1000 - len(quants) for q in quants} | {"m-Q3_K_M.gguf": 1}
    sizes = {n: s for n, s in sizes.items() if n != "m-Q3_K_M.gguf" or picked == "Q3_K_M"}
    assert catalogue.pick(sizes) == [f"m-{picked}.gguf"]


def test_pick_skips_projectors_and_takes_all_shards():
    sizes = {"mmproj-Q4_K_M.gguf": 1, "x.imatrix.gguf": 1, "README.md": 1}
    assert catalogue.pick(sizes) == []
    shards = [f"m-Q8_0-0000{i}-of-00002.gguf" for i in (1, 2)]
    assert catalogue.pick(sizes | dict.fromkeys(shards, 5)) == shards
    assert catalogue.pick({shards[1]: 5}) == []
    assert catalogue.pick({shards[0]: 5}) == []


def test_named_quantization_is_matched_whole():
    sizes = {"m-Q4_K_M.gguf": 1, "m-UD-Q4_K_M.gguf": 1, "m-IQ4_XS.gguf": 1}
    assert catalogue.pick(sizes, quant="q4_k_m") == ["m-Q4_K_M.gguf"]
    assert catalogue.pick(sizes, quant="UD-Q4_K_M") == ["m-UD-Q4_K_M.gguf"]
    assert catalogue.pick(sizes, quant="Q4_K") == []


def test_caches_are_where_huggingface_hub_keeps_them(tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = catalogue.hub_cache().parent
    assert home.parts[-2:] == (".cache", "huggingface")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert catalogue.hub_cache() == tmp_path / "hub"
    assert constants.default_home.endswith(".cache")
