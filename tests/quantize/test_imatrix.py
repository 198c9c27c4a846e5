"""Importance matrices: what is collected is what NumPy makes of the reference's values; files of both formats."""

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.errors import Cancelled, FormatError, ModelError
from llama_gguf.gguf import GGUFFile, GGUFWriter
from llama_gguf.quantize import Imatrix
from llama_gguf.quantize.collect import collect, collect_file
from llama_gguf.quantize.imatrix import Entry
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from ..models.goldens import exact
from ..trace import edits
from ..trace.test_against_transformers import reference

IDS = [int(i) for i in np.random.default_rng(3).integers(0, 260, 70)]


class Recorded(Reference):
    """A Reference that keeps its records."""

    def finish(self, record):
        super().finish(record)
        self.records.append(record)


def expected(model, chunks):
    """{tensor: (sums of squares, counts)} from the reference's value of every product's input, expert by expert."""
    found = {}
    for ids in chunks:
        reference, seen = Recorded(model), set()
        reference.logits(ids)
        for r in reference.records:
            if r.kind not in ("matmul", "heads_matmul", "experts", "experts_sum"):
                continue
            tensor = r.attrs["weight"].tensor
            name, x = tensor.name.split("[")[0].split(":")[0], r.inputs[0].value.astype(np.float64)
            if (name, r.inputs[0].id) in seen:
                continue
            seen.add((name, r.inputs[0].id))
            if not r.kind.startswith("experts"):
                squares, counts = np.square(x).sum(0), np.array([len(x)])
            else:
                cols, chosen = tensor.shape[-1], r.inputs[1].value.astype(int)
                x = np.broadcast_to(x.reshape(len(x), -1, cols), (*chosen.shape, cols))
                if r.kind == "experts" and len(r.inputs) > 2:
                    x = x * r.inputs[2].value[..., None]
                squares = np.stack([np.square(x[chosen == e]).sum(0) for e in range(r.attrs["count"])])
                counts = np.bincount(chosen.reshape(-1), minlength=r.attrs["count"])
            old = found.get(name, (0, 0))
            found[name] = old[0] + squares, old[1] + counts
    return found


ARCHS = "llama qwen3 gemma2 phi3 qwen3moe gpt-oss deepseek2 llama4 gpt2 nomic-bert jamba"


@pytest.mark.parametrize("arch", ARCHS.split())
def test_sums_are_those_of_the_reference(arch, tmp_path):
    path = tiny(tmp_path / "tiny.gguf", arch)
    with Model(path, exact=True) as model:
        imatrix = collect(model, IDS, chunk=32)
        wanted = expected(model, [IDS[:32], IDS[32:64]])
    assert set(imatrix) == set(wanted) and imatrix.n_chunks == 2
    for name, (squares, counts) in wanted.items():
        assert imatrix[name].counts.tolist() == counts.tolist()
        np.testing.assert_allclose(imatrix[name].squares.reshape(-1), squares.reshape(-1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["llama", "qwen3", "mixtral"])
def test_sums_are_those_of_transformers(name):
    """Its hidden states, normed here, are what queries, keys and values read; the last ones it has normed itself."""
    with exact(name) as model:
        tokens = edits.ids(model.n_vocab)
        imatrix = collect(model, tokens, chunk=len(tokens))
        hidden, epsilon = reference(name)["hidden"].astype(np.float64), model.h.eps
        norms = [model.tensors[f"blk.{i}.attn_norm.weight"].numpy() for i in range(model.h.layers)]
        head = "output.weight" if "output.weight" in model.tensors else "token_embd.weight"
    np.testing.assert_allclose(imatrix[head].squares[0], np.square(hidden[-1]).sum(0), rtol=1e-4)
    for i, norm in enumerate(norms):
        x = norm * hidden[i] / np.sqrt(np.square(hidden[i]).mean(1, keepdims=True) + epsilon)
        for part in "qkv":
            entry = imatrix[f"blk.{i}.attn_{part}.weight"]
            np.testing.assert_allclose(entry.squares[0], np.square(x).sum(0), rtol=1e-4)
            np.testing.assert_allclose(entry.sums[0], x.sum(0), atol=1e-3)
            assert entry.counts == len(tokens)


GOLDEN = Path(__file__).parents[1] / "data" / "imatrix_llama_cpp.npz"


@pytest.mark.parametrize("arch", ["llama", "qwen3moe", "deepseek2"])
def test_sums_are_those_of_llama_cpp(arch, tmp_path):
    """Of every product that its evaluation callback shows (benchmarks/peer_imatrix.py), the tied output's too."""
    golden = np.load(GOLDEN)
    keys = [k.split("|") for k in golden.files if k.startswith(f"{arch}|")]
    with Model(tiny(tmp_path / "tiny.gguf", arch, tied=arch == "llama"), exact=True) as model:
        imatrix = collect(model, golden["ids"].tolist(), chunk=32)
    assert set(imatrix) == {name for _, name, _ in keys} and len(imatrix) > 10
    for name, entry in imatrix.items():
        assert entry.counts.tolist() == golden[f"{arch}|{name}|counts"].tolist()
        wanted = golden[f"{arch}|{name}|squares"].reshape(-1)
        np.testing.assert_allclose(entry.squares.reshape(-1), wanted, rtol=1e-3, atol=1e-3 * wanted.max())


@pytest.mark.parametrize("tied", [True, False])
def test_the_output_matrix_is_collected_tied_or_not(tied, tmp_path):
    with Model(tiny(tmp_path / "tiny.gguf", tied=tied)) as model:
        imatrix = collect(model, IDS, chunk=32, perplexity=False)
        assert ("token_embd.weight" in imatrix) == tied and ("output.weight" in imatrix) != tied
        both = collect(model, IDS, chunk=32)
    for name in both:  # logits or not, the sums are the same
        np.testing.assert_allclose(both[name].squares, imatrix[name].squares, rtol=1e-3)
    head = imatrix["token_embd.weight" if tied else "output.weight"]
    assert head.counts == 64 and (head.squares > 0).all()


def test_steps_of_a_chunk_make_no_difference(tmp_path, monkeypatch):
    from llama_gguf.quantize import collect as module

    with Model(tiny(tmp_path / "tiny.gguf"), exact=True) as model:
        whole = collect(model, IDS, chunk=64)
        monkeypatch.setattr(module, "LOGITS", 4 * model.n_vocab * 16)
        steps = collect(model, IDS, chunk=64)
    for name in whole:
        np.testing.assert_allclose(steps[name].squares, whole[name].squares, rtol=1e-4)


def test_running_perplexity_is_that_of_the_logits(tmp_path):
    told = []
    with Model(tiny(tmp_path / "tiny.gguf"), exact=True) as model:
        collect(model, IDS, chunk=64, progress=lambda *step: told.append(step))
        logits = model.logits(IDS[:64]).astype(np.float64)
    surprise = np.log(np.exp(logits).sum(1))[:-1] - logits[np.arange(63), IDS[1:64]]
    assert told[-1][:2] == (1, 1)
    assert told[-1][2] == pytest.approx(np.exp(surprise[32:].mean()), rel=1e-4)


def test_going_on_gives_what_one_run_gives(tmp_path):
    with Model(tiny(tmp_path / "tiny.gguf"), exact=True) as model:
        whole = collect(model, IDS, chunk=16, dataset="a.txt")
        part = collect(model, IDS, chunk=16, chunks=2, dataset="a.txt")
        part.save(tmp_path / "part.gguf")
        again = collect(model, IDS, chunk=16, start=Imatrix.load(tmp_path / "part.gguf"), dataset="a.txt")
        assert again.n_chunks == whole.n_chunks == 4 and again.datasets == ["a.txt"]
        for name in whole:
            np.testing.assert_allclose(again[name].squares, whole[name].squares, rtol=1e-5)
        assert again.n_chunks == 4 and part.n_chunks == 2  # what was gone on from stays
        before = {name: entry.squares.copy() for name, entry in part.items()}
        collect(model, IDS, chunk=16, start=part, dataset="b.txt")
        assert part.datasets == ["a.txt"] and part.n_chunks == 2
        for name, squares in before.items():
            np.testing.assert_array_equal(part[name].squares, squares)
        with pytest.raises(ModelError, match="chunks of 16 tokens, not 32"):
            collect(model, IDS, chunk=32, start=part)
        with pytest.raises(ModelError, match="less than a chunk"):
            collect(model, IDS, chunk=128)
        with pytest.raises(Cancelled):
            collect(model, IDS, chunk=16, cancel=lambda: True)


@pytest.mark.parametrize("broken", ["ffn_up", "ffn_up_exps"])
def test_what_is_not_finite_is_not_collected(broken, tmp_path):
    source = tiny(tmp_path / "tiny.gguf", "qwen3moe" if broken.endswith("exps") else "llama")
    with GGUFFile(source) as file:
        def values(t):
            return np.full(t.shape, np.nan, np.float32) if t.name == f"blk.1.{broken}.weight" else t.numpy()

        tensors = [(t.name, "F32", t.shape, values(t)) for t in file.tensors.values()]
        GGUFWriter(tmp_path / "broken.gguf", file.metadata.typed(), tensors).write()
    with Model(tmp_path / "broken.gguf") as model, pytest.raises(ModelError, match=r"blk\.1\.ffn_down.* not finite"):
        collect(model, IDS, chunk=32)


def test_names_of_special_tokens_are_text_like_any_other(tmp_path):
    with Model(tiny(tmp_path / "tiny.gguf"), exact=True) as model:
        text = model.tokenizer.text(model.tokenizer.bos) * 8
        ids = model.tokenize(text, special=False)
        assert ids != model.tokenize(text)
        begun = [model.tokenizer.bos if i % 16 == 0 else token for i, token in enumerate(ids)]
        found, wanted = (collect(model, x, chunk=16) for x in (text, begun))
        assert model.tokenizer.add_bos and found.n_chunks == wanted.n_chunks > 0 and model.score(text).ids == ids
        for name in found:  # each chunk of a text begins with its token; ids are taken as they are
            np.testing.assert_array_equal(found[name].squares, wanted[name].squares)
        assert model.quant_damage(model, text).ids == ids


@pytest.fixture
def imatrix():
    rng = np.random.default_rng(0)
    experts = Entry(rng.random((4, 8)), [5, 0, 2, 9], rng.standard_normal((4, 8)))
    experts.squares[1] = 0
    dense = Entry(rng.random(8), 1024, rng.standard_normal(8))
    return Imatrix({"blk.0.ffn_up_exps.weight": experts, "blk.0.attn_q.weight": dense}, ["a.txt"], 2)


WRITTEN = Path(__file__).parents[1] / "data" / "imatrix_b11434.gguf"
"""By llama-imatrix of b11434, --in-file: blocks, experts of which some have no data, three matrices with one count, a
weight without sums, two columns of zeros, two last blocks of next-token prediction. The .dat: --output-format dat."""


def fields_of(reader):
    return {k: (f.types, f.contents()) for k, f in reader.fields.items() if not k.startswith("GGUF.")}


def test_gguf_files_are_those_of_llama_cpp(tmp_path):
    """Keys, names, shapes, order and numbers, the twelve statistics of each weight among them, read with gguf-py."""
    Imatrix.load(WRITTEN).save(tmp_path / "i.gguf")
    ours, theirs = gguf.GGUFReader(tmp_path / "i.gguf"), gguf.GGUFReader(WRITTEN)
    assert list(fields_of(ours).items()) == list(fields_of(theirs).items())
    assert len(theirs.tensors) == 75 and [t.name for t in ours.tensors] == [t.name for t in theirs.tensors]
    for a, b in zip(ours.tensors, theirs.tensors, strict=True):
        assert a.tensor_type == b.tensor_type and a.shape.tolist() == b.shape.tolist()
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4, atol=1e-5, err_msg=a.name)


def test_old_files_are_those_of_llama_cpp(tmp_path):
    Imatrix.load(WRITTEN).save(tmp_path / "i.dat")
    assert (tmp_path / "i.dat").read_bytes() == WRITTEN.with_suffix(".dat").read_bytes()


def test_what_is_saved_is_loaded(imatrix, tmp_path):
    imatrix.n_layer_nextn = 1
    imatrix.save(tmp_path / "i.gguf")
    again = Imatrix.load(tmp_path / "i.gguf")
    assert (again.datasets, again.n_chunks, again.chunk_size, again.n_layer_nextn) == (["a.txt"], 2, 512, 1)
    assert again.merge(imatrix).n_layer_nextn == again.only(include=["attn"]).n_layer_nextn == 1
    for name, entry in imatrix.items():
        np.testing.assert_allclose(again[name].squares, entry.squares, rtol=1e-6)
        np.testing.assert_allclose(again[name].sums, entry.sums, rtol=1e-6)
        assert again[name].counts.tolist() == entry.counts.tolist()


def test_a_file_of_llama_cpp_is_read(tmp_path):
    """Written with gguf-py as tools/imatrix does, with the tensor of statistics that it adds."""
    writer = gguf.GGUFWriter(tmp_path / "i.gguf", "")
    writer.kv_data[0].clear()
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["wiki.txt", "more.txt"])
    writer.add_uint32("imatrix.chunk_count", 3)
    writer.add_uint32("imatrix.chunk_size", 256)
    writer.add_array("imatrix.stats_schema", ["sum_sq", "mean"])
    sums = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    writer.add_tensor("blk.1.ffn_down_exps.weight.in_sum2", sums)
    writer.add_tensor("blk.1.ffn_down_exps.weight.counts", np.array([[2], [4], [8]], np.float32))
    writer.add_tensor("blk.1.ffn_down_exps.weight.stats", np.zeros(2, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    imatrix = Imatrix.load(tmp_path / "i.gguf")
    assert list(imatrix) == ["blk.1.ffn_down_exps.weight"] and imatrix.n_chunks == 3 and imatrix.chunk_size == 256
    weights = imatrix.weights("blk.1.ffn_down_exps.weight", (3, 9, 4))
    np.testing.assert_array_equal(weights, sums / np.array([[2], [4], [8]], np.float32))


def test_the_old_format_holds_means_times_calls(imatrix, tmp_path):
    """Read byte by byte as common/imatrix-loader.cpp of llama.cpp b11434 does."""
    imatrix.save(tmp_path / "i.dat")
    raw = (tmp_path / "i.dat").read_bytes()
    (count,), at, found = struct.unpack_from("<i", raw), 4, {}
    for _ in range(count):
        (n,) = struct.unpack_from("<i", raw, at)
        name = raw[at + 4 : at + 4 + n].decode()
        calls, size = struct.unpack_from("<ii", raw, at + 4 + n)
        found[name] = np.frombuffer(raw, "<f4", size, at + 12 + n) / calls
        at += 12 + n + 4 * size
    chunks, n = struct.unpack_from("<ii", raw, at)
    assert (chunks, raw[at + 8 :]) == (2, b"a.txt") and n == 5
    np.testing.assert_allclose(found["blk.0.attn_q.weight"], imatrix["blk.0.attn_q.weight"].means[0], rtol=1e-6)
    experts = found["blk.0.ffn_up_exps.weight"].reshape(4, 8)
    np.testing.assert_allclose(experts[1], 1)  # no data: ones
    again = Imatrix.load(tmp_path / "i.dat")
    np.testing.assert_allclose(again.weights("blk.0.ffn_up_exps.weight", (4, 9, 8)), experts, rtol=1e-6)
    assert again.n_chunks == 2 and again.datasets == ["a.txt"]


def test_experts_without_tokens_get_the_mean_of_the_others(imatrix):
    weights = imatrix.weights("blk.0.ffn_up_exps.weight", (4, 9, 8))
    np.testing.assert_allclose(weights[1], weights[[0, 2, 3]].mean(0), rtol=1e-6)
    assert imatrix.weights("blk.0.attn_k.weight", (9, 8)) is None
    with pytest.raises(ModelError, match="another model"):
        imatrix.weights("blk.0.attn_q.weight", (9, 16))


def test_merging_adds_sums_and_counts(imatrix):
    whole = imatrix.merge(imatrix, imatrix.only(include=["attn_q"]))
    assert whole["blk.0.attn_q.weight"].counts == 3 * 1024 and whole.n_chunks == 6
    experts = "blk.0.ffn_up_exps.weight"
    np.testing.assert_allclose(whole[experts].squares, 2 * imatrix[experts].squares)
    assert imatrix["blk.0.attn_q.weight"].counts == 1024  # what was merged stays
    assert set(imatrix.only(exclude=["attn"])) == {"blk.0.ffn_up_exps.weight"}


@pytest.mark.parametrize("suffix", ["gguf", "dat"])
def test_a_cut_file_is_refused(imatrix, suffix, tmp_path):
    path = tmp_path / f"i.{suffix}"
    imatrix.save(path)
    raw = path.read_bytes()
    for n in (0, 3, 20, len(raw) // 2):
        path.write_bytes(raw[:n])
        with pytest.raises(FormatError):
            Imatrix.load(path)


def test_a_model_is_no_importance_matrix(tmp_path):
    with pytest.raises(FormatError, match="this is a model, not an importance matrix"):
        Imatrix.load(tiny(tmp_path / "tiny.gguf"))


def test_a_file_is_gone_on_with_where_text_and_model_are_the_same(tmp_path, monkeypatch):
    """Saved on the way, ended by an interrupt, gone on with: the sums of one go."""
    monkeypatch.setattr("llama_gguf.quantize.collect.SAVE_EVERY", 1)
    ids, path, how = list(range(1, 100)) * 2, tmp_path / "i.gguf", {"chunk": 32, "perplexity": False, "dataset": "a"}

    def interrupt(done, *_):
        if done == 3:
            raise KeyboardInterrupt

    with Model(tiny(tmp_path / "t.gguf"), n_threads=1) as model:
        with pytest.raises(KeyboardInterrupt):
            collect_file(model, ids, path, progress=interrupt, **how)
        assert Imatrix.load(path).n_chunks == 2
        with pytest.raises(FileExistsError, match="--resume"):
            collect_file(model, ids, path, **how)
        with pytest.raises(ModelError, match="of a, not of b"):
            collect_file(model, ids, path, resume=True, **how | {"dataset": "b"})
        found, want = collect_file(model, ids, path, resume=True, **how), collect(model, ids, **how)
    assert found.n_chunks == want.n_chunks == 6
    for name, entry in want.items():
        assert found[name].squares == pytest.approx(entry.squares, rel=1e-6)
    for other, says in (({"width": 32}, "another model"), ({"layers": 1}, "no tensor blk.1")):
        with Model(tiny(tmp_path / "o.gguf", **other), n_threads=1) as model, pytest.raises(ModelError, match=says):
            collect_file(model, ids, path, resume=True, **how)
        (tmp_path / "o.gguf").unlink()
