"""Tensor types in a model: legal roles, the look-up of embeddings, and the page that tells of them."""

from pathlib import Path

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.blocks import twins
from llama_gguf.cli import _types_page
from llama_gguf.engine.panels import packed_types
from llama_gguf.errors import ModelError
from llama_gguf.gguf.types import BY_ID, ROLES, TYPES
from llama_gguf.testing import tiny, words

VOCABULARY = len(words())
TENSORS = {  # some of each role, and their shapes
    "matmul": {"blk.1.ffn_up.weight": (96, 256), "output.weight": (VOCABULARY, 256), "blk.0.attn_v.weight": (128, 256)},
    "embedding": {"token_embd.weight": (VOCABULARY, 256)},
    "norm": {"output_norm.weight": (256,), "blk.0.attn_norm.weight": (256,)},
    "bias": {"blk.0.attn_q.bias": (256,), "blk.1.ffn_down.bias": (256,)},
}
LEGAL = [(kind.name, role) for kind in TYPES.values() for role in ROLES if role in kind.roles]
ILLEGAL = [(kind.name, role) for kind in TYPES.values() for role in ROLES if role not in kind.roles]
EMBEDDINGS = [name for name, role in LEGAL if role == "embedding"]


def written(folder, name, shape, type):
    """Path of a tiny model with one tensor of a type; zero bytes are legal numbers in all of them."""
    kind, rows = TYPES[type], shape[0] if len(shape) == 2 else 1
    tensor = type, shape, bytes(rows * kind.row_bytes(shape[-1]))
    return tiny(folder / "t.gguf", width=256, ff=96, biases=True, tensors={name: tensor})


@pytest.mark.parametrize(("type", "role"), ILLEGAL)
def test_a_type_that_is_illegal_for_a_role_is_refused_by_name(type, role, tmp_path):
    for name, shape in TENSORS[role].items():
        with pytest.raises(ModelError) as refused:
            Model(written(tmp_path, name, shape, type), n_threads=1)
        assert refused.value.tensor == name
        assert f": tensor {name} is {type}, a type that cannot serve as {role}" in str(refused.value)


@pytest.mark.parametrize(("type", "role"), LEGAL)
def test_a_type_that_is_legal_for_a_role_runs(type, role, tmp_path):
    for name, shape in TENSORS[role].items():
        with Model(written(tmp_path, name, shape, type), n_threads=1) as model:
            assert np.isfinite(model.logits([0, 5, 200])).all()


def expected_rows(raw, kind):
    """Values of the rows, by gguf-py, or by the NumPy twin where this gguf-py has no such type."""
    try:
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        return dequantize(raw, GGMLQuantizationType(kind.id))
    except (ImportError, NotImplementedError, ValueError):
        if not kind.is_quantized:
            return raw.view(kind.dtype).astype(np.float32)
        return twins.dequantize(raw, kind.id, raw.shape[1] // kind.bytes * kind.block)


@pytest.mark.parametrize("type", EMBEDDINGS)
def test_embeddings_are_the_rows_of_the_table_to_the_bit(isa, type, tmp_path):
    """First and last row, neighbours, one twice; whichever thread looks them up."""
    path = tiny(tmp_path / "t.gguf", type=type, width=256, ff=256, layers=1)
    with Model(path, n_threads=2) as model:
        table = model.tensors["token_embd.weight"]
        ids = [0, model.n_vocab - 1, 7, 8, 7, *range(100, 140)]
        want = expected_rows(table.raw.copy(), table.type)[ids]
        assert table.type.name == type and want.std() > 0
        for n in (1, len(ids)):
            with model.trace(ids[:n]) as t:
                np.testing.assert_array_equal(t["token_embd"], want[:n])


@pytest.mark.parametrize("options", [{"exact": True}, {"repack": False}], ids=str)
@pytest.mark.parametrize("type", ["Q4_K", "IQ2_XS", "BF16"])
def test_embeddings_do_not_depend_on_how_products_are_made(type, options, tmp_path):
    path = tiny(tmp_path / "t.gguf", type=type, width=256, ff=256, layers=1, tied=True)
    with Model(path, **options) as model, model.trace([3, 250]) as t:
        table = model.tensors["token_embd.weight"]
        np.testing.assert_array_equal(t["token_embd"], expected_rows(table.raw.copy(), table.type)[[3, 250]])


def test_the_engine_takes_the_activations_that_the_table_says(isa):
    for type_id, quantized in packed_types().items():
        assert BY_ID[type_id].activations == ("8-bit" if quantized else "float")


def test_the_page_is_that_of_the_table_in_every_instruction_set(isa):
    page = Path(__file__).parents[2] / "docs" / "types.md"
    assert page.read_text() == _types_page.page(), "run python -m llama_gguf.cli._types_page > docs/types.md"
