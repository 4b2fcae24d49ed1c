"""Claim: a stream along very many matrices costs bounded memory, and is read as one of few is."""

from __future__ import annotations

from weightkin.anatomy.graph import axes as graph_axes
from weightkin.anatomy.graph.axes import UnitLabel, carriers_from, label_axes
from weightkin.anatomy.types import Place

WIDTH, N = 16, 400


def stream():
    """One label along the rows of many matrices, and their shapes."""
    names = [f"blocks.{i}.weight" for i in range(N)]
    places = tuple(Place(name, 0, 0, WIDTH, f"{i}") for i, name in enumerate(names))
    label = UnitLabel("", 0, "units", WIDTH, 0, frozenset({"d"}), places)
    return label, dict.fromkeys(names, (WIDTH, 8))


def test_every_further_axis_has_all_places_so_there_are_not_many(monkeypatch):
    label, shapes = stream()
    carriers = carriers_from([label], shapes)
    every = label_axes([label], carriers, shapes)
    assert len(every) == N / graph_axes.MAX_VIEWS
    monkeypatch.setattr(graph_axes, "MAX_PLACES", 10 * N)
    few = label_axes([label], carriers, shapes)
    assert few == every[:11]  # the first, and ten more
    monkeypatch.setattr(graph_axes, "MAX_PLACES", 1)
    assert label_axes([label], carriers, shapes) == every[:2]
