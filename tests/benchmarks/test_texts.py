"""Where two texts part, what is told of it, and the tables of texts.py, type_errors.py and type_speeds.py."""

import numpy as np
import pytest

from benchmarks import peer_driver as driver
from benchmarks import texts, type_errors, type_speeds
from llama_gguf import Model
from llama_gguf.gguf import GGUFFile
from llama_gguf.gguf.types import TYPES


def test_the_first_difference_is_found():
    assert texts.first_difference([1, 2, 3], [1, 2, 3]) is None
    assert texts.first_difference([1, 2, 3], [1, 5, 4]) == 1
    with pytest.raises(ValueError):
        texts.first_difference([1], [1, 2])


def test_margins_are_of_the_two_candidates_and_errors_ignore_a_shift():
    truth = np.array([1.0, 2.0, 0.0, 0.0])
    ours, theirs = truth + np.array([2, 0, 0, 0]), truth + 7
    found = texts.parting(0, 1, ours, theirs, truth)
    assert found["margins"] == {"llama-gguf": 1, "llama.cpp": -1, "exact": -1}
    assert found["errors"]["llama.cpp"] == 0
    assert found["errors"]["llama-gguf"] == pytest.approx(np.sqrt(2) * np.std([2, 0, 0, 0]))


def test_a_difference_names_who_is_right():
    margins = {"llama-gguf": 0.5, "llama.cpp": -0.25, "exact": -0.125}
    errors = {"llama-gguf": 1.0, "llama.cpp": 2.0, "type": 3.0}
    row = texts.difference_row("Q8_0", {"position": 4, "margins": margins, "errors": errors})
    assert row == ["Q8_0", 4, "0.500", "0.250", "0.125 for llama.cpp", "1.00", "2.00", "3.00"]


def test_greedy_takes_the_likeliest_of_the_logits_it_writes(tmp_path):
    class Counting:
        """Token n is followed by n + 1, wherever it stands."""

        def clear(self):
            self.given = []

        def extend(self, tokens):
            self.given += tokens
            return np.eye(10)[tokens[-1] + 1]

    engine = Counting()
    assert driver.greedy(engine, [5, 2], 3, tmp_path / "l.npy") == [3, 4, 5]
    assert engine.given == [5, 2, 3, 4]
    assert np.load(tmp_path / "l.npy").argmax(1).tolist() == [3, 4, 5]


def test_error_rows_have_means_and_count_the_seeds():
    one = {"nmse": 1e-4, "kl": 1e-3, "same_top": 1.0}
    two = {"nmse": 3e-4, "kl": 1e-3, "same_top": 1.0}
    told = {"type": "Q4_K", "bits": 4.5, "activations": "8-bit"}
    row = type_errors.row(told | {"llama-gguf": [one, two], "llama.cpp": [two, one]})
    assert row[3:7] == ["2.00e-04", "2.00e-04", "1.00", "1 of 2"]


def test_a_model_of_one_type_has_layers_up_to_its_size(tmp_path, monkeypatch):
    shape = {"width": 256, "ff": 512, "heads": 4, "kv_heads": 2}
    monkeypatch.setattr(type_speeds, "SHAPE", shape)
    path = type_speeds.write_model(tmp_path, TYPES["IQ2_XS"], 0.5)
    with GGUFFile(path) as file:
        assert {t.type.name for t in file.tensors.values() if len(t.shape) == 2} == {"IQ2_XS"}
        assert 0.4e6 < sum(t.n_bytes for n, t in file.tensors.items() if "blk." in n) < 0.6e6
    with Model(path) as model:
        assert np.isfinite(model.logits([1, 2, 3])).all()
