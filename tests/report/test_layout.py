"""Claim: every node has its own place, children stand right of parents, families stay apart."""

from itertools import pairwise

import pytest

from tests import families
from weightkin.report.html.graph_model import drawing, family_drawing
from weightkin.report.html.layout import COLUMN, ROW, Link, layout

FORESTS = {
    "none": (0, []),
    "alone": (7, []),
    "chain": (300, [(i, i + 1) for i in range(299)]),
    "star": (5000, [(0, i) for i in range(1, 5000)]),
    "stars": (2000, [(i % 20, i) for i in range(20, 2000)]),
    "binary": (511, [((i - 1) // 2, i) for i in range(1, 511)]),
    "ladder": (60, [(i, j) for i in range(58) for j in (i + 1, i + 2)]),
    "many roots": (400, [(i, 399) for i in range(399)]),
    "circle": (3, [(0, 1), (1, 2), (2, 0)]),  # no record has one
}


def links_of(pairs):
    return [Link(a, b, 1.0 / (1 + i % 3)) for i, (a, b) in enumerate(pairs)]


@pytest.mark.parametrize("name", [x for x in FORESTS if x != "circle"])
def test_no_two_nodes_share_a_place(name):
    n, pairs = FORESTS[name]
    places = layout(n, links_of(pairs))
    assert len(places) == n
    cells = {(round(x / COLUMN * 2), round(y / ROW * 4)) for x, y in places}
    assert len(cells) == n


@pytest.mark.parametrize("name", ["chain", "star", "stars", "binary", "ladder"])
def test_children_stand_right_of_their_parents(name):
    n, pairs = FORESTS[name]
    places = layout(n, links_of(pairs))
    assert all(places[b][0] >= places[a][0] + COLUMN - 1 for a, b in pairs)


def test_boxes_of_one_column_do_not_touch():
    n, pairs = FORESTS["binary"]
    places = layout(n, links_of(pairs))
    columns = {}
    for x, y in places:
        columns.setdefault(x, []).append(y)
    for ys in columns.values():
        assert all(b - a >= ROW - 1 for a, b in pairwise(sorted(ys)))


def test_a_star_of_thousands_stays_near_the_shape_of_a_screen():
    n, pairs = FORESTS["star"]
    places = layout(n, links_of(pairs))
    width, height = (max(v) - min(v) for v in zip(*places, strict=True))
    assert 0.5 < width / height < 4


def test_a_record_that_lies_about_its_order_cannot_hang_the_layout():
    assert len(layout(3, links_of(FORESTS["circle"][1]))) == 3


def test_a_merge_hangs_from_its_heaviest_parent():
    graph = families.small()
    drawn = family_drawing(graph)
    mix = [i for i, edge in enumerate(graph.edges) if edge.child == "mix"]
    assert [i in drawn.carrying for i in mix] == [True, False]
    assert drawing([], []).places == ()
