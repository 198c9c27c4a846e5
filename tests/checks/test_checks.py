"""What checks find in files that have exactly one thing wrong, and that they find nothing in a good one."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from llama_gguf.checks import SEVERITIES, compatibility_issues, has_tied_embeddings, page
from llama_gguf.checks.families import FAMILIES
from llama_gguf.cli import cli
from llama_gguf.models import registry
from llama_gguf.quantize import Imatrix
from llama_gguf.testing import tiny

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
GOOD = {"tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}",
        "llama.rope.freq_base": 10000.0}
WIDE = dict(width=256, ff=256)


@pytest.fixture
def make(tmp_path):
    return lambda *args, metadata=None, **more: tiny(
        tmp_path / "model.gguf", *args, metadata=GOOD | (metadata or {}), **({**WIDE, "tied": False} | more)
    )


def ids(path, *args, **more):
    return {issue.id: issue for issue in compatibility_issues(path, *args, **more)}


def test_a_good_file_has_no_issue(make):
    assert compatibility_issues(make(), "Q4_K_M") == []


@pytest.mark.parametrize("arch", ["llama", "qwen3", "gemma2"])
def test_tied_embeddings_are_found_and_their_type_told(arch, make):
    path = make(arch, tied=True)
    assert has_tied_embeddings(path)
    issue = ids(path, "IQ2_XXS")["tied-embeddings"]
    assert issue.affected == ("token_embd.weight",) and "becomes Q5_K" in issue.handled
    path = make(arch, tied=False)
    assert not has_tied_embeddings(path) and "tied-embeddings" not in ids(path)


def test_encoders_have_no_output_to_be_tied(make):
    assert not has_tied_embeddings(make("bert"))


def test_odd_widths_name_what_a_type_falls_back_to(make):
    path = make(width=96, ff=256)
    assert "rows of 96" in ids(path)["odd-widths"].summary
    issue = ids(path, "Q4_K_M")["odd-widths"]
    assert issue.severity == "warning" and "it becomes Q5_0" in issue.summary
    assert "blk.0.attn_q.weight" in issue.affected and "blk.0.ffn_down.weight" not in issue.affected
    assert "odd-widths" not in ids(path, "Q8_0")


def test_quantizing_again_is_a_warning(make):
    path = make(type="Q8_0")
    assert ids(path)["already-quantized"].severity == "note"
    assert ids(path, "Q4_0")["already-quantized"].severity == "warning"
    assert not {"already-quantized"} & {*ids(path, "COPY"), *ids(path, "F16")}


def test_missing_importance_is_an_error_unless_it_is_given(make):
    path = make(layers=1)
    issue = ids(path, "IQ2_XXS")["missing-imatrix"]
    assert issue.severity == "error" and "blk.0.attn_k.weight" in issue.affected and not issue.handled
    matrix = Imatrix.of({name: (np.ones(256), 1) for name in issue.affected})
    assert "missing-imatrix" not in ids(path, "IQ2_XXS", matrix)


def test_weights_that_are_no_numbers_are_named(make):
    bad = np.ones((256, 256), np.float32)
    bad[3, 5] = np.inf
    path = make(tensors={"blk.1.ffn_up.weight": bad})
    assert "row 3" in ids(path)["not-finite"].summary
    assert "not-finite" not in ids(path, weights=False)


@pytest.mark.parametrize(
    ("change", "id"),
    [({"llama.rope.freq_base": None}, "no-rope-base"), ({"llama.block_count": 3}, "cannot-run"),
     ({"general.architecture": "unheard"}, "cannot-run"), ({"tokenizer.chat_template": None}, "no-template"),
     ({"tokenizer.chat_template": "{% for %}"}, "broken-template"),
     ({"tokenizer.chat_template": CHATML}, "turn-does-not-end"), ({"tokenizer.ggml.tokens": None}, "no-tokenizer"),
     ({"tokenizer.ggml.eos_token_id": 99999}, "token-id-out-of-range"),
     ({"tokenizer.ggml.eos_token_id": None}, "no-end-token")],
)
def test_metadata_is_looked_through(make, change, id):
    found = ids(make(metadata=change))
    assert id in found and found[id].severity in SEVERITIES


def test_a_begin_token_written_twice_is_a_note(make):
    path = make(metadata={"tokenizer.chat_template": "{{ bos_token }}" + GOOD["tokenizer.chat_template"],
                          "tokenizer.ggml.add_bos_token": True})
    assert ids(path)["begin-token-twice"].severity == "note"


def test_tensors_of_other_models_are_told(make):
    extra = {"v.blk.0.attn_q.weight": np.ones((4, 4)), "mm.0.weight": np.ones((4, 4))}
    found = ids(make(tensors=extra))
    assert found["vision-tensors"].affected == tuple(extra) and found["cannot-run"].severity == "error"


def test_memory_is_compared_with_what_is_there(make, monkeypatch):
    from llama_gguf import memory

    path = make()
    assert "memory" not in ids(path)
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    assert ids(path)["memory"].severity == "warning"


def test_families_are_those_that_run_and_their_traits_are_found(make):
    archs = [arch for family in FAMILIES for arch in family.archs]
    assert len(archs) == len(set(archs)) and set(archs) <= set(registry())
    assert "family-fused" in ids(make("phi3")) and "family-experts" in ids(make("qwen3moe"))


def test_the_page_of_families_is_made_from_them(request):
    assert (request.config.rootpath / "docs" / "families.md").read_text() == page.page()


def test_the_command_prints_findings_and_fails_on_errors(make):
    path = str(make(layers=1))
    run = lambda *args: CliRunner().invoke(cli, ["check", path, *args])  # noqa: E731
    assert run().exit_code == 0
    failed = run("--for", "IQ2_XXS")
    assert failed.exit_code == 1 and failed.stdout.startswith("error: ") and "[missing-imatrix]" in failed.stdout
    (told,) = json.loads(run("--for", "IQ2_XXS", "--json").stdout)
    assert told["id"] == "missing-imatrix" and told["severity"] == "error"
