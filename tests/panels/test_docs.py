"""The examples of docs/panels.md run as they stand."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "panels.md"


def test_the_examples_give_what_the_page_says(smollm2, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the examples write
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = PAGE.read_text(encoding="utf-8").replace('"smollm2"', repr(str(smollm2.resolve())))
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 10
    failures = []
    doctest.DocTestRunner().run(test, out=failures.append)
    assert not failures, "".join(failures)


def test_every_picture_is_there_and_small():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("!["):
            picture = PAGE.parent / line[line.index("](") + 2 : -1]
            assert picture.stat().st_size < 150_000
