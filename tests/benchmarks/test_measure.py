import json

import numpy as np
import pytest

from benchmarks import measure


def test_spread_keeps_the_rounds():
    found = measure.spread([3.0, 1.0, 2.0])
    assert found == {"median": 2.0, "low": 1.0, "high": 3.0, "rounds": [3.0, 1.0, 2.0]}


def test_ratio_is_of_medians_and_its_spread_of_rounds():
    found = measure.ratio([10, 20, 30], [10, 10, 20])
    assert found == {"median": 2.0, "low": 1.0, "high": 2.0}


def test_the_faster_peer_is_the_one_to_beat():
    found = measure.compare({"llama-gguf": [6.0], "llama.cpp": [2.0], "ik_llama.cpp": [3.0]})
    assert found["faster_peer"] == "ik_llama.cpp"
    assert found["ratios"]["llama.cpp"]["median"] == 3.0
    assert found["ratios"]["faster peer"]["median"] == 2.0


@pytest.mark.parametrize("rates", [{"llama-gguf": [6.0]}, {"llama.cpp": [6.0]}, {}])
def test_no_ratio_without_two_sides(rates):
    assert measure.compare(rates)["ratios"] == {}


def test_errors_of_equal_logits_are_zero():
    logits = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    assert measure.errors(logits, logits) == {"nmse": 0.0, "kl": 0.0, "same_top": 1.0}


def test_nmse_is_relative_and_kl_ignores_a_shift():
    truth = np.array([[3.0, 4.0]])
    assert measure.errors(truth * 1.1, truth)["nmse"] == pytest.approx(0.01)
    shifted = measure.errors(truth + 7, truth)
    assert shifted["kl"] == pytest.approx(0, abs=1e-12)
    assert shifted["nmse"] == pytest.approx(2 * 49 / 25)


def test_kl_is_that_of_the_two_distributions():
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    found = measure.errors(np.log(q)[None] + 3, np.log(p)[None])
    assert found["kl"] == pytest.approx(np.sum(p * np.log(p / q)))
    assert found["same_top"] == 0


def test_numbers():
    assert measure.numbers("1,2") == (1, 2)
    assert measure.numbers("") == ()
    with pytest.raises(ValueError):
        measure.numbers("one")


def test_random_ids_are_the_same_each_time_and_in_the_vocabulary():
    ids = measure.random_ids(100, 7)
    assert ids == measure.random_ids(100, 7)
    assert set(ids) <= set(range(7))
    assert ids != measure.random_ids(100, 7, seed=1)


@pytest.mark.parametrize(
    "value, text",
    [(0, "0"), (0.00001, "1.0e-05"), (0.0123, "0.012"), (1.234, "1.23"), (12.34, "12.3"),
     (123.4, "123"), (99999.0, "99999")],
)  # fmt: skip
def test_figures_have_three_digits_that_count(value, text):
    assert measure.figure(value) == text


def test_markdown_lines_up():
    lines = measure.markdown(("name", "speed"), [("a", 1), ("longer", 100)]).splitlines()
    assert lines[0] == "| name   | speed |"
    assert lines[1] == "| ------ | ----: |"
    assert lines[3] == "| longer |   100 |"
    assert len({len(line) for line in lines}) == 1


def test_publish_keeps_json_apart_from_tables(tmp_path, capsys):
    measure.publish({"a": 1}, "TABLE", None)
    assert capsys.readouterr().out == "TABLE\n"
    measure.publish({"a": 1}, "TABLE", tmp_path / "out.json")
    assert capsys.readouterr().out == "TABLE\n"
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}
    measure.publish({"a": 1}, "TABLE", "-")
    assert json.loads(capsys.readouterr().out) == {"a": 1}
