"""The table of tensor types agrees with the reference implementation."""

import pytest

from llama_gguf.gguf import BY_ID, ROLES, TYPES
from llama_gguf.gguf.types import REMOVED, explain_unknown


def test_types_match_gguf_py():
    constants = pytest.importorskip("gguf.constants")
    sizes = {t.name: (int(t), *size) for t, size in constants.GGML_QUANT_SIZES.items()}
    sizes.pop("Q8_1")  # releases up to 0.19 say 40 bytes; block_q8_1 of ggml-common.h has 36
    ours = {t.name: (t.id, t.block, t.bytes) for t in TYPES.values()}
    assert sizes.items() <= ours.items()


def test_names_and_ids_are_unique():
    assert len(BY_ID) == len(TYPES) == 35
    assert not REMOVED.keys() & BY_ID.keys()


def test_dtype_has_the_bytes_of_the_type():
    np = pytest.importorskip("numpy")
    for t in TYPES.values():
        assert t.dtype is None or np.dtype(t.dtype).itemsize == t.bytes


def test_roles_are_known_and_quantized_types_are_no_norms():
    for t in TYPES.values():
        assert t.roles <= set(ROLES)
        assert not (t.is_quantized and t.roles & {"norm", "bias"})


@pytest.mark.parametrize("name, bits", [("F32", 32), ("Q4_K", 4.5), ("Q8_0", 8.5), ("Q1_0", 1.125)])
def test_bits_per_weight(name, bits):
    assert TYPES[name].bits_per_weight == bits


def test_row_bytes_refuses_partial_blocks():
    assert TYPES["Q4_K"].row_bytes(512) == 288
    with pytest.raises(ValueError, match="multiples of 256"):
        TYPES["Q4_K"].row_bytes(300)


def test_a_removed_type_is_named():
    assert "Q4_0_4_4" in explain_unknown(31)
    assert "200" in explain_unknown(200)
