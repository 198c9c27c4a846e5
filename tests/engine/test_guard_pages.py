"""Kernels touch no byte before or after their arrays: those lie against pages nobody may touch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llama_gguf.engine.quants import check_finite, dequantize

from .guard import guarded
from .random_blocks import ALL, random_rows, type_id

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")


@pytest.mark.parametrize("end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("name", ALL)
def test_dequantize_stays_inside(name, end):
    for rows, blocks in ((1, 1), (3, 1), (5, 3)):
        raw, n_cols = random_rows(name, rows, blocks)
        source = guarded(raw.size, end).reshape(raw.shape)
        source[:] = raw
        out = guarded(rows * n_cols * 4, end).view(np.float32).reshape(rows, n_cols)
        dequantize(source, type_id(name), n_cols, 2, out=out)
        np.testing.assert_array_equal(out, dequantize(raw, type_id(name), n_cols, 1))


@pytest.mark.parametrize("end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("name", ALL)
def test_check_finite_stays_inside(name, end):
    for rows, blocks in ((1, 1), (5, 3)):
        raw, n_cols = random_rows(name, rows, blocks)
        source = guarded(raw.size, end).reshape(raw.shape)
        source[:] = raw
        assert check_finite(source, type_id(name), n_cols) is None


@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 64, 65])
@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"])
def test_odd_numbers_of_columns_stay_inside(name, n):
    raw, n_cols = random_rows(name, 3, n)
    source = guarded(raw.size, end=True).reshape(raw.shape)
    source[:] = raw
    out = guarded(3 * n * 4, end=True).view(np.float32).reshape(3, n)
    dequantize(source, type_id(name), n_cols, out=out)
    np.testing.assert_array_equal(out, dequantize(raw, type_id(name), n_cols))


@pytest.mark.parametrize("end", [True, False], ids=["end", "start"])
def test_the_guard_kills_who_touches_it(end):
    code = (
        "import ctypes, guard\n"
        f"array = guard.guarded(10, {end})\n"
        f"ctypes.string_at(array.ctypes.data + ({10 if end else -1}), 1)\n"
    )
    here = Path(__file__).parent
    assert subprocess.run([sys.executable, "-c", code], cwd=here).returncode < 0
