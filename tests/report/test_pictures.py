"""Claim: pictures of results are whole SVG and PNG files, and nothing in a name acts in them."""

import io
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from tests import families
from tests.report import records
from tests.report.test_html import EVIL
from weightkin.records.family import FamilyNode
from weightkin.report.pictures import picture_of, png, svg
from weightkin.report.pictures.raster import points_of
from weightkin.report.pictures.scene import MARGIN, Figure, Picture
from weightkin.report.plain import found_words

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = (records.comparison, records.location, records.family, records.trace)
ELEMENTS = {f"{SVG}{x}" for x in ("svg", "title", "rect", "g", "path", "text")}


def texts(picture):
    return [x.text for x in ET.fromstring(svg(picture)).iter(f"{SVG}text")]


@pytest.mark.parametrize("make", DRAWN)
@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
def test_a_name_is_text_in_a_picture_too(make, name):
    text = svg(picture_of(make(name)))
    assert len(text) < 100_000
    root = ET.fromstring(text)
    assert {x.tag for x in root.iter()} <= ELEMENTS
    for x in root.iter():
        assert not any(key.startswith("on") or "href" in key for key in x.attrib)


@pytest.mark.parametrize("make", [*DRAWN, families.small, families.placed])
def test_both_files_show_the_same_and_all_of_it_lies_inside(make):
    picture = picture_of(make())
    image = Image.open(io.BytesIO(png(picture)))
    assert image.size == (2 * picture.width, 2 * picture.height)
    assert image.getcolors(1 << 20) is not None  # flat colours and their edges
    for figure in picture.figures:
        for box in figure.boxes:
            assert box.x >= 0
            assert box.x + box.width + MARGIN <= picture.width
            assert figure.top + box.y + box.height <= picture.height
        for words in figure.words:
            assert figure.top + words.y <= picture.height


def test_a_comparison_shows_its_finding_its_parts_and_the_extent_of_each_block():
    record = records.comparison()
    found = texts(picture_of(record))
    assert " ".join(found[:2]) == found_words(record)
    assert {"hidden units", "0.97", "256 of 256"} <= set(found)
    none = records.comparison(verdict="not-testable", basis="none", tests=(), axes=())
    assert picture_of(none) is None


def test_a_family_is_drawn_with_its_lines():
    picture = picture_of(families.small())
    assert {"base-a +1", "ft-int4", "mix", "(unobserved ancestor)"} <= set(texts(picture))
    strokes = [x.look for figure in picture.figures for x in figure.strokes]
    assert strokes.count("head") == strokes.count("inferred") == 5
    assert strokes.count("undetermined") == 1
    image = Image.open(io.BytesIO(png(picture))).convert("RGB")
    figure, box = next((f, b) for f in picture.figures for b in f.boxes if b.look == "box")
    place = (2 * (box.x + MARGIN + 4), 2 * (box.y + figure.top + 4))
    assert image.getpixel(place) == (247, 248, 250)


def test_what_has_no_picture_has_none():
    assert picture_of(records.check()) is None
    assert picture_of(families.graph([FamilyNode(id="a")], [])) is None
    assert picture_of(replace(records.search(), parents=(), path=(), others=())) is None


def test_a_large_picture_is_drawn_smaller(monkeypatch):
    monkeypatch.setattr("weightkin.report.pictures.raster.MOST_DOTS", 60_000)
    size = Image.open(io.BytesIO(png(Picture("x", 400, 600, (Figure(0),))))).size
    assert size == (200, 300)


@pytest.mark.parametrize(
    ("path", "points"),
    [
        ("M1 2H5V4", [(1, 2), (5, 2), (5, 4)]),
        ("M0 0l-8 -4v8z", [(0, 0), (-8, -4), (-8, 4), (0, 0)]),
    ],
)
def test_corners_of_a_path(path, points):
    assert points_of(path) == points


def test_curves_end_where_they_should():
    for path in ("M0 0Q4 0 4 4", "M0 0C70 0 -66 4 4 4"):
        assert points_of(path)[-1] == (4, 4)
        assert len(points_of(path)) == 17
