"""Statistics of tensors are NumPy's in double precision; the mapping of them, and what notebooks show."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from llama_gguf.gguf import GGUFFile, stats, write_gguf
from llama_gguf.testing import tiny


def file_of(path, **arrays):
    """An open file of F32 tensors."""
    write_gguf(path, {}, [(name, "F32", a.shape, a.astype("<f4")) for name, a in arrays.items()])
    return GGUFFile(path)


def test_stats_are_those_of_numpy(tmp_path, monkeypatch):
    monkeypatch.setattr(stats, "PIECE", 1000)  # many pieces
    x = np.random.default_rng(1).standard_t(5, (300, 77)).astype(np.float32) + np.float32(0.5)
    x[:, 5] *= 30
    x[7] *= 50
    x[3, :9] = 0
    with file_of(tmp_path / "x.gguf", x=x) as file:
        found = file.tensors["x"].stats()
    y = x.astype(np.float64)
    off = y - y.mean()
    assert found["min"] == y.min() and found["max"] == y.max() and found["zeros"] == 9
    assert found["mean"] == pytest.approx(y.mean(), rel=1e-12)
    assert found["std"] == pytest.approx(y.std(), rel=1e-12)
    assert found["kurtosis"] == pytest.approx((off**4).mean() / y.var() ** 2 - 3, rel=1e-10)
    for k, part in found["beyond"].items():
        assert part == (np.abs(off) > k * y.std()).mean()
    counts, edges = np.histogram(y, stats.BINS)
    np.testing.assert_allclose(found["histogram"]["edges"], edges)
    assert np.abs(np.array(found["histogram"]["counts"]) - counts).sum() <= 4  # values at an edge may round over it
    assert sum(found["histogram"]["counts"]) == y.size
    rms = np.sqrt((y**2).mean(axis=0))
    assert found["columns"][0]["index"] == 5 and found["rows"][0]["index"] == 7
    assert found["columns"][0]["rms"] == pytest.approx(rms[5], rel=1e-12)
    assert found["columns"][0]["ratio"] == pytest.approx(rms[5] / np.median(rms), rel=1e-12)
    json.dumps(found)


def test_stats_do_not_depend_on_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(stats, "PIECE", 500)
    with file_of(tmp_path / "x.gguf", x=np.random.default_rng(2).standard_normal((200, 64))) as file:
        assert stats.stats(file.tensors["x"], n_threads=1) == stats.stats(file.tensors["x"], n_threads=3)


def test_what_is_not_finite_is_counted_and_left_out(tmp_path):
    x = np.random.default_rng(3).standard_normal((20, 33)).astype(np.float32)
    x[2, 3], x[2, 4], x[9, 9], x[0, 0] = np.nan, np.inf, -np.inf, 0
    with file_of(tmp_path / "x.gguf", x=x, nothing=np.full((2, 8), np.nan)) as file:
        found, nothing = file.tensors["x"].stats(), file.tensors["nothing"].stats()
        ET.fromstring(file.tensors["nothing"]._repr_html_())
    good = x[np.isfinite(x)].astype(np.float64)
    assert (found["nan"], found["inf"], found["zeros"]) == (1, 2, 1)
    assert found["mean"] == pytest.approx(good.mean(), rel=1e-12) and found["std"] == pytest.approx(good.std())
    assert sum(found["histogram"]["counts"]) == good.size
    assert nothing["nan"] == 16 and np.isnan(nothing["mean"]) and np.isnan(nothing["kurtosis"])


def test_a_glance_reads_some_rows(tmp_path):
    x = np.repeat(np.arange(1000.0)[:, None], 10, axis=1)
    with file_of(tmp_path / "x.gguf", x=x) as file:
        found = file.tensors["x"].stats(most=200)
    assert found["seen"] == 200 and found["elements"] == 10000
    assert found["min"] == 0 and found["max"] == 999 and found["rows"][0]["index"] == 999


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "tiny.gguf"
    with GGUFFile(tiny(path, type="Q4_K", width=256, ff=512)) as file:
        yield file


def test_tensors_answer_to_names_and_patterns(model_file):
    tensors = model_file.tensors
    some = tensors["blk.*.attn_q.weight"]
    assert [*some] == ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]
    assert some["blk.1.attn_q.weight"] is tensors["blk.1.attn_q.weight"]
    assert tensors.get("blk.*.attn_q.weight") is None and "blk.*" not in tensors
    assert tensors._ipython_key_completions_() == [*tensors]
    with pytest.raises(KeyError, match=r"near are blk\.0\.attn_q\.weight"):
        tensors["blk.0.attn_qq.weight"]
    with pytest.raises(KeyError, match="no tensor"):
        tensors["nothing*"]


def test_rows_tell_sizes_and_shares(model_file):
    rows = model_file.tensors.rows()
    assert sum(r["share"] for r in rows) == pytest.approx(1)
    assert sum(r["bytes"] for r in rows) == model_file.tensors.n_bytes
    assert rows[0].keys() == {"name", "type", "shape", "elements", "bytes", "bits_per_weight", "share"}
    types = model_file.tensors.types()
    assert sum(t["tensors"] for t in types) == len(rows) and types[0]["bytes"] == max(t["bytes"] for t in types)


def test_pandas_is_only_wanted_where_it_is_there(model_file, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="rows"):
        model_file.tensors.to_pandas()


def test_notebooks_show_everything_as_sound_html(model_file):
    tensor = model_file.tensors["blk.0.attn_q.weight"]
    shown = (model_file, model_file.tensors, model_file.metadata, tensor, tensor.stats(), tensor.block(0))
    for thing in shown:
        html = thing._repr_html_()
        ET.fromstring(html)
        assert "<script" not in html and len(html) < 250_000
    assert "blk.0.attn_q.weight" in model_file.tensors._repr_html_()


def test_a_remote_tensor_is_shown_without_fetching_it(model_file):
    from llama_gguf.gguf.ranges import open_ranges

    data, asked = model_file.path.read_bytes(), []

    def fetch(start, end):
        asked.append((start, end))
        return data[start:end]

    remote = GGUFFile.of(model_file.path, [open_ranges(str(model_file.path), len(data), fetch)])
    tensor, before = remote.tensors["blk.0.attn_q.weight"], len(asked)
    assert tensor.is_remote and "fetch them" in tensor._repr_html_() and len(asked) == before
    assert tensor.stats() == model_file.tensors["blk.0.attn_q.weight"].stats() and len(asked) == before + 1
    assert tensor.block(3).to_dict() == model_file.tensors["blk.0.attn_q.weight"].block(3).to_dict()


def test_what_belongs_to_a_closed_file_says_so(tmp_path):
    file = GGUFFile(tiny(tmp_path / "tiny.gguf"))
    tensor = file.tensors["blk.0.attn_q.weight"]
    file.close()
    for thing in (file, file.metadata, tensor):
        assert "its file is closed" in thing._repr_html_()
        ET.fromstring(thing._repr_html_())
    with pytest.raises(ValueError, match="closed"):
        tensor.stats()
