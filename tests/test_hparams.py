"""A file whose numbers or tensors do not make a model is refused when it is opened, by the name of key or tensor."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from llama_gguf import FormatError, Model, ModelError
from llama_gguf.gguf import GGUFFile
from llama_gguf.testing import random_matrix, tiny

ROWS = 269


def refused(path, **options):
    with pytest.raises((ModelError, FormatError)) as error:
        Model(path, **options).close()
    text = str(error.value)
    assert "\n" not in text and str(path) in text
    return error.value


@pytest.fixture
def file(tmp_path):
    return lambda **how: tiny(tmp_path / "t.gguf", **how)


def test_the_tiny_model_itself_is_accepted(file):
    with Model(file()) as model:
        assert (model.h.layers, model.h.heads, model.h.kv_heads, model.h.head_dim) == (2, 4, 2, 16)
        assert model.n_vocab == ROWS and np.isfinite(model.logits([5, 6])).all()


# ---- metadata

BAD = [
    ("block_count", [None, 0, -1, 3, 1025, "2", 2.5, [2, 2]]),
    ("embedding_length", [None, 0, -64, 63, 128, 1 << 21, "64"]),
    ("attention.head_count", [None, 0, -4, 5, 128, 5000]),
    ("attention.head_count_kv", [0, -1, 3, 8, 4]),
    ("attention.key_length", [0, -1, 8, 17, 32, 1 << 30]),
    ("attention.value_length", [0, 8, 32, 1 << 30]),
    ("attention.layer_norm_rms_epsilon", [None, 0.0, -1e-5, 1.0, float("nan"), float("inf"), 1]),
    ("attention.scale", [-1.0, float("nan")]),
    ("context_length", [None, 0, -1, 1 << 32, 1 << 62, "256"]),
    ("rope.dimension_count", [0, 1, 15, 18, 1 << 31]),
    ("rope.freq_base", [0.0, -1.0, 1.0, float("nan"), float("inf"), "10000"]),
    ("rope.scaling.type", ["dynamic", "", 1]),
    ("rope.scaling.factor", [-1.0, float("nan"), float("inf")]),
    ("rope.scaling.original_context_length", [0, -1]),
    ("rope.scaling.attn_factor", [0.0, -1.0]),
    ("vocab_size", [0, -1, 1 << 30]),
    ("expert_count", [1, 8, -1]),
]


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in BAD for v in values], ids=str)
def test_an_impossible_hyperparameter_is_refused_by_name(file, key, value):
    """A possible number that another key or a tensor contradicts: either is named."""
    error = refused(file(metadata={f"llama.{key}": value}))
    assert (error.key or "").startswith("llama.") or error.tensor
    assert (error.key or error.tensor) in str(error)


@pytest.mark.parametrize("arch", ["gpt-neo-9000", "LLAMA", "llama2", "x" * 500])
def test_an_unknown_architecture_is_refused_by_name(file, arch):
    error = refused(file(arch=arch))
    assert error.key == "general.architecture" and arch in str(error) and "llama-gguf info" in str(error)


@pytest.mark.parametrize("arch", ["", None, 7])
def test_a_file_without_an_architecture_is_refused(file, arch):
    assert refused(file(metadata={"general.architecture": arch})).key == "general.architecture"


def test_tokens_and_embedding_rows_must_be_as_many(file):
    for n in (ROWS - 1, ROWS + 1):
        table = np.zeros((n, 64), np.float32)
        error = refused(file(tied=True, tensors={"token_embd.weight": table}))
        assert error.key == "tokenizer.ggml.tokens" and str(n) in str(error) and str(ROWS) in str(error)


def test_hyperparameters_are_checked_before_tensors_are_touched(file):
    """A gigantic head would otherwise ask for gigantic buffers."""
    assert refused(file(metadata={"llama.attention.key_length": 1 << 30}, tensors={"blk.0.attn_q.weight": None})).key


def test_missing_optional_keys_take_their_defaults(file):
    keys = ("attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base")
    with Model(file(), exact=True) as model:
        full = model.logits([5, 6, 7])
    with Model(file(metadata={f"llama.{k}": None for k in keys}), exact=True) as model:
        np.testing.assert_array_equal(model.logits([5, 6, 7]), full)
    with Model(file(kv_heads=4, metadata={"llama.attention.head_count_kv": None})) as model:
        assert model.h.kv_heads == 4


def test_hyperparameters_can_be_copied(file):
    import copy

    with Model(file()) as model:
        assert copy.deepcopy(model.h) == copy.copy(model.h) == model.h


# ---- tensors

SHAPES = {
    "token_embd.weight": (ROWS, 64), "output_norm.weight": (64,), "output.weight": (ROWS, 64),
    "blk.0.attn_norm.weight": (64,), "blk.0.attn_q.weight": (64, 64), "blk.0.attn_k.weight": (32, 64),
    "blk.0.attn_v.weight": (32, 64), "blk.0.attn_output.weight": (64, 64), "blk.1.ffn_norm.weight": (64,),
    "blk.1.ffn_gate.weight": (96, 64), "blk.1.ffn_up.weight": (96, 64), "blk.1.ffn_down.weight": (64, 96),
}
EXTRA = {
    "blk.0.attn_q.bias": (64,), "blk.1.attn_k.bias": (32,), "blk.0.attn_v.bias": (32,), "blk.0.attn_output.bias": (64,),
    "blk.1.ffn_gate.bias": (96,), "blk.1.ffn_up.bias": (96,), "blk.1.ffn_down.bias": (64,),
    "blk.0.attn_q_norm.weight": (16,), "blk.0.attn_k_norm.weight": (16,),
}


def odd_shapes(shape):
    """Shapes that are nearly right: a row or column more or less, another number of dimensions, turned around."""
    for axis in range(len(shape)):
        for by in (-1, 1, -shape[axis] // 2, shape[axis]):
            yield tuple(n + by * (i == axis) for i, n in enumerate(shape))
    yield (*shape, 1)
    yield (1, *shape)
    yield (int(np.prod(shape)),) if len(shape) > 1 else (1, shape[0])
    if len(set(shape)) == 2:
        yield shape[::-1]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", [*SHAPES, *EXTRA])
def test_every_tensor_of_the_wrong_shape_is_refused(file, name, exact):
    """Before any compute. Two tensors may contradict each other (gate and up): then one of them is named."""
    qk = dict.fromkeys(("qk_norms",), True) if "q_norm" in name or "k_norm" in name else {}
    right = (SHAPES | EXTRA)[name]
    for shape in odd_shapes(right):
        if shape == right or not np.prod(shape):
            continue
        path = file(biases=name.endswith("bias"), **qk, tensors={name: np.zeros(shape, np.float32)})
        error = refused(path, exact=exact)
        if name == "token_embd.weight" and shape[0] != ROWS:
            assert error.key == "tokenizer.ggml.tokens"
            continue
        stem = name.rsplit(".", 1)[0]
        partners = {"blk.1.ffn_gate": "blk.1.ffn_up", "blk.1.ffn_up": "blk.1.ffn_down"}
        assert error.tensor.rsplit(".", 1)[0] in (stem, partners.get(stem)), (shape, str(error))
        assert error.tensor in str(error)


@pytest.mark.parametrize("name", [n for n in SHAPES if n != "output.weight"])
def test_every_missing_tensor_is_named(file, name):
    error = refused(file(tensors={name: None}))
    assert error.tensor == name and "missing" in str(error)


@pytest.mark.parametrize("name", [
    "blk.0.attn_sinks.weight", "blk.1.ffn_gate_inp.weight", "blk.2.attn_q.weight", "blk.0.attn_qkv.weight",
    "position_embd.weight", "blk.0.post_attention_norm.weight", "blk.0.attn_q_norm.bias", "blk.0.attn_norm.bias",
    "output_norm.bias", "token_embd.bias", "cls.weight", "rope_freqs.bias", "blk.0.attn_q", "blk.0.attn_k_norm.weight",
])
def test_a_tensor_that_no_model_file_reads_is_refused(file, name):
    """It belongs to another structure, which would give wrong answers."""
    error = refused(file(tensors={name: np.zeros(64, np.float32)}))
    assert error.tensor == name


def test_rope_factors_must_be_one_for_each_pair(file):
    for values in (np.ones(7), np.ones(16), np.ones((8, 1)), np.zeros(8), -np.ones(8), np.full(8, np.nan)):
        error = refused(file(tensors={"rope_freqs.weight": values}))
        assert error.tensor == "rope_freqs.weight"
    Model(file(tensors={"rope_freqs.weight": np.ones(8)})).close()


@pytest.mark.parametrize("type", ["I8", "I16", "I32", "I64", "F64", "Q8_0", "Q4_K"])
@pytest.mark.parametrize("name", [
    "output_norm.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.bias", "blk.0.attn_q_norm.weight",
])
def test_a_norm_or_bias_of_a_type_without_that_role_is_refused_at_load(file, name, type):
    width = 512
    size = width // 2 if "q_norm" in name else width
    kind = {"I8": 1, "I16": 2, "I32": 4, "I64": 8, "F64": 8}.get(type)
    n = kind * size if kind else size // {"Q8_0": 32, "Q4_K": 256}[type] * {"Q8_0": 34, "Q4_K": 144}[type]
    path = file(width=width, heads=2, biases=True, qk_norms=True, tensors={name: (type, (size,), bytes(n))})
    error = refused(path)
    assert error.tensor == name and type in str(error)


@pytest.mark.parametrize("type", ["I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K"])
@pytest.mark.parametrize("name", ["token_embd.weight", "output.weight", "blk.1.ffn_up.weight"])
def test_a_matrix_of_a_type_without_that_role_is_refused_at_load(file, name, type):
    from llama_gguf.gguf.types import TYPES

    rows = 96 if "ffn" in name else ROWS
    data = bytes(rows * TYPES[type].row_bytes(256))
    error = refused(file(width=256, tensors={name: (type, (rows, 256), data)}))
    assert error.tensor == name and type in str(error)


@pytest.mark.parametrize("type", ["F16", "BF16"])
def test_norms_and_biases_may_be_half_precision(file, type):
    norm = random_matrix(type, 1, 64, np.random.default_rng(0))
    names = ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.bias")
    tensors = dict.fromkeys(names, (type, (64,), norm))
    with Model(file(biases=True, tensors=tensors), exact=True) as model:
        plain = {n: model.tensors[n].numpy() for n in tensors}
        found = model.logits([5, 6])
    with Model(file(biases=True, tensors=plain), exact=True) as model:
        np.testing.assert_array_equal(model.logits([5, 6]), found)


# ---- values


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["token_embd.weight", "output_norm.weight", "blk.1.ffn_down.weight"])
def test_check_tensors_names_what_is_not_finite(file, name, bad):
    values = np.zeros(SHAPES[name], np.float32)
    values.flat[-1] = bad
    path = file(tensors={name: values})
    assert refused(path, check_tensors=True).tensor == name
    Model(path).close()


# ---- the corpus of malformed files

OPEN_ALL = """
import json, resource, sys, time
from pathlib import Path
from llama_gguf import Model
from llama_gguf.errors import LlamaGGUFError

def used(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))

def go(path, stage):
    with Model(path, n_threads=1, check_tensors=stage == "data", vocab_only=stage == "tokenizer") as m:
        ids = m.tokenizer.encode("Hello  world, it's 3.14! \\u2603")
        if stage != "tokenizer":
            m.generate(ids, max_tokens=4)

Model(sys.argv[2], n_threads=1).generate([5], max_tokens=1)      # load everything once
begin = used("VmRSS")
limit = used("VmSize") + (400 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for name, entry in json.loads((Path(sys.argv[1]) / "index.json").read_text()).items():
    if entry["stage"] not in ("hparams", "tensors", "data", "tokenizer"):
        continue
    start, error = time.monotonic(), None
    try:
        go(Path(sys.argv[1]) / name, entry["stage"])
    except LlamaGGUFError as caught:
        error = f"{type(caught).__name__}: {caught}"
    except BaseException as caught:
        error = f"untyped {type(caught).__name__}: {caught}"
    print(json.dumps([name, error, time.monotonic() - start, used("VmHWM") - begin]), flush=True)
"""

TOLERATED = {  # what only a strict reader refuses, and why it does no harm here
    "meta_file_type_is_string.gguf": "general.file_type is not used",
    "tok_pre_unknown.gguf": "a warning names it, and the default splits words",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(Path(__file__).parent / "data" / "badgguf.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "badgguf"


@pytest.fixture(scope="module")
def outcomes(corpus, tmp_path_factory):
    """name -> (error, seconds, bytes), from one process that must survive."""
    if sys.platform != "linux":
        pytest.skip("memory is limited and measured as Linux does it")
    warm = tiny(tmp_path_factory.mktemp("warm") / "t.gguf")
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, str(corpus), str(warm)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("stage", ["hparams", "tensors", "data", "tokenizer"])
def test_malformed_models_end_as_the_index_says(corpus, outcomes, stage):
    wrong = {}
    for name, entry in json.loads((corpus / "index.json").read_text()).items():
        if entry["stage"] != stage:
            continue
        error = outcomes[name][0]
        refuse = entry["expect"] == "error" and name not in TOLERATED and not entry.get("strict")
        if (error and error.startswith("untyped")) or bool(error) < refuse or (error and entry["expect"] == "ok"):
            wrong[name] = error
    assert not wrong


def test_malformed_models_take_little_time_and_memory(outcomes):
    assert max(seconds for _, seconds, _ in outcomes.values()) < 2
    assert max(grown for *_, grown in outcomes.values()) < 256 << 20


def test_errors_about_malformed_models_are_one_line_with_the_file(corpus, outcomes):
    for name, (error, *_) in outcomes.items():
        assert error is None or (str(corpus) in error and "\n" not in error), name


# ---- what a file is


def test_the_maker_writes_the_same_file_for_the_same_seed(tmp_path):
    one, two, three = (tiny(tmp_path / f"{i}.gguf", seed=i // 2) for i in range(3))
    assert one.read_bytes() == two.read_bytes() != three.read_bytes()
    with GGUFFile(one) as file:
        assert file.size < 400_000
