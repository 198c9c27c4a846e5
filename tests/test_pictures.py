"""Pictures are well-formed, hold no script, escape what they are told, and show what is no number."""

import base64
import re
import struct
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest

from llama_gguf import pictures
from llama_gguf.pictures import colour, frame, heat, tokens

NASTY = "<script>alert('x')</script>&\"\x00\x1b[31m\ud800"
SVG = "{http://www.w3.org/2000/svg}"


def everything(label):
    """One of each picture, all labels the same text."""
    numbers = np.array([[1.0, np.nan, -2.0], [np.inf, 0.0, 3.0]])
    rows = [{label: label, "n": 1.5, "part": pictures.share(0.25)}] * 2
    return {
        "heat": pictures.heat_map(numbers, rows=[label] * 2, cols=[label] * 3, title=label),
        "large heat": pictures.heat_map(np.resize(numbers, (300, 900)), title=label, diverging=True),
        "bars": pictures.bars([1, -2, np.nan, np.inf], [label] * 4, title=label),
        "histogram": pictures.histogram(numbers, title=label),
        "lines": pictures.lines({label: numbers[0], "b": numbers[1]}, title=label, x_label=label, y_label=label),
        "tokens": pictures.coloured_tokens([label, b"\xff\n", "a"], title=label, ids=[1, 2, 3], notes=[label] * 3),
        "shaded": pictures.coloured_tokens([label, "b", "c"], values=[np.nan, np.inf, -1.0]),
        "table": pictures.table(rows, title=label),
        "together": pictures.together(pictures.bars([1]), None, pictures.table([[label]], [label])),
    }


@pytest.mark.parametrize("kind", everything("x"))
def test_a_picture_is_sound_and_harmless(kind, tmp_path):
    picture = everything(NASTY)[kind]
    tree = ET.fromstring(picture)
    assert not {e.tag.split("}")[-1] for e in tree.iter()} & {"script", "style", "foreignObject", "iframe", "link"}
    assert not [a for e in tree.iter() for a in e.attrib if a.lower().startswith("on")]
    assert "alert" not in picture or "&lt;script&gt;" in picture
    assert picture._repr_html_() == picture
    picture.save(tmp_path / "page.html", title=NASTY)
    with pytest.raises(FileExistsError, match="--force"):
        picture.save(tmp_path / "page.html")
    picture.save(tmp_path / "page.html", title=NASTY, force=True)
    ET.fromstring((tmp_path / "page.html").read_text().split("\n", 1)[1])


@pytest.mark.parametrize("kind", ["heat", "large heat", "bars", "histogram", "lines"])
def test_a_drawing_has_a_text_alternative(kind):
    tree = ET.fromstring(everything("name")[kind])
    assert tree.tag == f"{SVG}svg" and tree.attrib["role"] == "img"
    assert tree.attrib["aria-label"].startswith("name: ")


def test_a_picture_is_told_in_a_line():
    """Notebooks keep the repr beside the picture: as a string's it would be the picture once more."""
    assert repr(pictures.bars([1, 2], title="a & b")) == "<Picture: a & b: 2 values>"
    assert re.fullmatch(r"<Picture: [\d,]+ characters>", repr(pictures.table([[1]])))


def test_what_is_no_number_is_told_and_seen():
    picture = pictures.heat_map([[1.0, np.nan], [np.inf, -np.inf]])
    assert "1 NaN" in picture and "2 infinite" in picture
    assert picture.count("url(#lg-nan)") == 1 and picture.count(colour.INFINITE) == 2
    assert "1 NaN" in pictures.histogram([1.0, 2.0, np.nan])
    assert "NaN" in pictures.coloured_tokens(["a", "b"], values=[1.0, np.nan])


def test_cells_tell_their_place_and_value():
    picture = pictures.heat_map([[0.25, 4.0]], rows=["layer"], cols=["q", "k"])
    assert "<title>layer, q: 0.25</title>" in picture and "<title>layer, k: 4</title>" in picture


def pixels(picture):
    """(indices, palette) of the image in a picture, by the PNG specification."""
    data = base64.b64decode(picture.split("base64,")[1].split('"')[0])
    chunks, at = {}, 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    return lines[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


def test_a_large_array_is_pooled_and_says_so():
    array = np.add.outer(np.arange(400.0), np.zeros(900))
    array[100, 100], array[300, 300] = np.nan, np.inf
    picture = pictures.heat_map(array)
    assert "each cell is the mean of 3 x 3 values" in picture and len(picture) < 150_000
    indices, palette = pixels(picture)
    assert indices.shape == (134, 300)
    assert indices[33, 33] == 255 and indices[100, 100] == 254
    assert tuple(palette[254]) == tuple(bytes.fromhex(colour.INFINITE[1:]))
    assert (np.diff(indices[:, 0].astype(int)) >= 0).all()


def test_pooling_is_the_mean_of_what_is_there():
    array = np.random.default_rng(0).random((heat.MOST[0] + 1, heat.MOST[1] * 2 + 1))
    pooled, factors = heat.pool(array)
    assert factors == (2, 3)
    np.testing.assert_allclose(pooled[1, 2], array[2:4, 6:9].mean())
    np.testing.assert_allclose(pooled[-1, -1], array[192:, 768:].mean())


def relative_luminance(rgb):
    part = rgb / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_colours_rise_in_lightness():
    light = relative_luminance(colour.scale())
    assert (np.diff(light) > -1e-3).all() and light[-1] > 0.6 and light[0] < 0.05
    light = relative_luminance(colour.scale(diverging=True))
    assert light.argmax() in (127, 128) and (np.diff(light[:120]) > -1e-3).all() and (np.diff(light[136:]) < 1e-3).all()


def test_text_on_colours_can_be_read():
    """WCAG 2 asks for a contrast of 4.5."""
    for rgb in [*colour.scale(), *colour.scale(diverging=True)]:
        ground, letters = relative_luminance(rgb), 1.0 if colour.ink(rgb) == "#ffffff" else 0.0
        assert (max(ground, letters) + 0.05) / (min(ground, letters) + 0.05) >= 4.5


@pytest.mark.filterwarnings("error")
def test_extremes_do_not_break_a_scale():
    for values in ([1e308, -1e308], [0.0, 0.0], [np.nan, np.nan], [5e-324, 0.0]):
        ET.fromstring(pictures.heat_map([values]))
        ET.fromstring(pictures.lines({"a": values}))
        ET.fromstring(pictures.bars(values))
    ET.fromstring(pictures.histogram([]))
    ET.fromstring(pictures.coloured_tokens([]))
    ET.fromstring(pictures.table([], ["a"]))


def test_tokens_can_be_read_in_light_and_dark():
    """Black on a light page and white on a dark one, through the thickest veil."""
    for part in (-1, 1):
        *rgb, alpha = map(float, tokens.veil(part)[5:-1].split(","))
        for page, letters in ((255, 0.0), (17, 1.0)):
            ground = relative_luminance(alpha * np.array(rgb) + (1 - alpha) * page)
            assert (max(ground, letters) + 0.05) / (min(ground, letters) + 0.05) >= 4.5


def test_logarithmic_ticks_are_powers_or_round():
    assert frame.log_ticks(-3.2, 1.1) == [-3, -2, -1, 0, 1]
    np.testing.assert_allclose(10 ** np.array(frame.log_ticks(-1.4, -0.2)), [0.05, 0.1, 0.2, 0.5])


def test_ticks_are_round_numbers_inside():
    assert frame.ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert frame.ticks(-3, 11, 4) == [0, 5, 10]


def test_long_ones_are_cut_and_say_so():
    assert "and 1 more rows" in pictures.table([[i] for i in range(4)], ["n"], most=3)
    assert "and 36 more" in pictures.bars(range(100))
    assert "and 952 more" in pictures.coloured_tokens(["a"] * 3000)
    assert len(pictures.coloured_tokens(["a"] * 3000, values=range(3000))) < 400_000


def test_wrong_labels_are_refused():
    for call in (
        lambda: pictures.heat_map([[1, 2]], rows=["a", "b"]),
        lambda: pictures.heat_map(np.zeros((2, 2, 2))),
        lambda: pictures.bars([1, 2], ["a"]),
        lambda: pictures.histogram([1, 2], edges=[0, 1]),
        lambda: pictures.lines({}),
        lambda: pictures.coloured_tokens(["a"], values=[1, 2]),
    ):
        with pytest.raises(ValueError):
            call()
