"""Whatever the bytes: what was written is read back, and what is broken is refused by type."""

import itertools
import math
import struct

import pytest

from llama_gguf.errors import FormatError, ModelError
from llama_gguf.gguf import TYPES, GGUFFile, LazyArray, Typed, write_gguf
from llama_gguf.gguf.values import CODES

from .craft import gguf, info

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = settings(max_examples=150, deadline=None)
TEXT = st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
NAME = st.text(  # without dots: keys such as split.count have a meaning
    st.characters(exclude_characters="\0.", exclude_categories=["Cs"]), min_size=1, max_size=15)


def scalars(kind):
    if kind == "str":
        return TEXT
    if kind == "bool":
        return st.booleans()
    bits = 8 * struct.calcsize("<" + CODES[kind])
    if kind[0] == "f":
        return st.floats(width=bits, allow_nan=False)
    low = -(1 << bits - 1) if kind[0] == "i" else 0
    return st.integers(low, low + (1 << bits) - 1)


@st.composite
def values(draw):
    kind = draw(st.sampled_from(["str", *CODES]))
    element = scalars(kind)
    return Typed(draw(element | st.lists(element, max_size=5)), kind)


@st.composite
def tensors(draw):
    """(type name, shape, bytes)."""
    type = TYPES[draw(st.sampled_from(sorted(TYPES)))]
    rows = draw(st.lists(st.integers(1, 3), max_size=3))
    shape = (*rows, type.block * draw(st.integers(1, 3)))
    n_bytes = math.prod(rows) * type.row_bytes(shape[-1])
    return type.name, shape, draw(st.binary(min_size=1, max_size=8)).ljust(n_bytes, b"\7")[:n_bytes]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "f.gguf"


@QUICK
@given(
    metadata=st.dictionaries(NAME, values(), max_size=6),
    named=st.dictionaries(NAME, tensors(), max_size=5),
    alignment=st.sampled_from([None, 8, 32, 256]),
)
def test_what_is_written_is_read_back(path, metadata, named, alignment):
    if alignment:
        metadata = {**metadata, "general.alignment": Typed(alignment, "u32")}
    write_gguf(path, metadata, [(name, *t) for name, t in named.items()], force=True)
    with GGUFFile(path) as file:
        assert list(file.metadata) == list(metadata)
        for key, typed in file.metadata.typed().items():
            assert typed.kind == metadata[key].kind and typed.value == metadata[key].value
        assert list(file.tensors) == list(named)
        for name, (type, shape, raw) in named.items():
            t = file.tensors[name]
            assert (t.type.name, t.shape, t.raw.tobytes()) == (type, shape, raw)


def whole():
    """A small file with every kind of entry."""
    import tempfile
    from pathlib import Path

    metadata = {f"k.{kind}": Typed(1, kind) for kind in CODES}
    metadata |= {f"a.{kind}": Typed([1, 0], kind) for kind in CODES}
    metadata |= {"general.architecture": "llama", "texts": ["a", "", "größer"]}
    rows = [("a", "F32", (2, 8), bytes(64)), ("b", "Q8_0", (3, 32), bytes(102))]
    with tempfile.TemporaryDirectory() as folder:
        write_gguf(Path(folder, "w.gguf"), metadata, rows)
        return Path(folder, "w.gguf").read_bytes()


WHOLE = whole()
NUMBERS = [0, 1, 255, 2**31, 2**32 - 1, 2**61 + 1, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 1]


@st.composite
def mutants(draw):
    """WHOLE with bytes or whole integers replaced, cut out, put in, or the end cut off."""
    raw = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        piece = draw(st.binary(max_size=9) | st.sampled_from(NUMBERS).map(struct.Struct("<Q").pack))
        raw[at : at + draw(st.sampled_from([0, len(piece), len(piece), 9]))] = piece
        if not draw(st.integers(0, 7)):
            del raw[at:]
        if not raw:
            break
    return bytes(raw)


@settings(max_examples=600, deadline=None)
@given(raw=mutants(), strict=st.booleans())
@pytest.mark.filterwarnings("ignore:.*f.gguf")
def test_a_mutant_is_refused_by_type_or_reads(path, raw, strict):
    path.write_bytes(raw)
    try:
        file = GGUFFile(path, strict)
    except (FormatError, ModelError) as error:
        assert str(path) in str(error)
        return
    with file:
        for value in file.metadata.values():
            if isinstance(value, LazyArray):
                assert len(value.tolist()) == len(value)
        assert all(tensor.raw.nbytes == tensor.n_bytes for tensor in file.tensors.values())


DIM = st.sampled_from([1, 2, 32, 48, 64, 2**31, 2**32, 2**62, 2**63, 2**64 - 32, 0])
DIMS = st.lists(DIM, min_size=1, max_size=4)
OFFSET = st.sampled_from([0, 1, 32, 64, 128, 2**32, 2**63, 2**64 - 32])


@QUICK
@given(
    rows=st.lists(st.tuples(DIMS, st.sampled_from(["F32", "I8", "Q4_0"]), OFFSET), min_size=1,
                  max_size=3),
    room=st.integers(0, 600),
)
def test_a_table_opens_exactly_when_integers_say_it_fits(path, rows, room):
    infos = [info(f"t{i}", dims, TYPES[t].id, at) for i, (dims, t, at) in enumerate(rows)]
    path.write_bytes(gguf((), infos, bytes(room)))
    end, fits = 0, True
    for dims, name, at in rows:
        type = TYPES[name]
        n_bytes = math.prod(dims) * type.bytes // type.block
        fits = fits and n_bytes > 0 and dims[0] % type.block == 0 and at == end
        fits = fits and at + n_bytes <= room
        end = -(-(at + n_bytes) // 32) * 32
    if fits:
        with GGUFFile(path) as file:
            spans = [(t.offset, t.offset + t.n_bytes) for t in file.tensors.values()]
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
            assert spans[-1][1] <= file.size
    else:
        with pytest.raises(FormatError):
            GGUFFile(path)
