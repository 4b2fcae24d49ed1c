"""Labels on which several readings of one model agree."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from weightkin.anatomy.graph.axes import UnitLabel


def agreed(labels: Iterable[UnitLabel], other: Sequence[UnitLabel]) -> list[UnitLabel]:
    """Return the labels of one reading whose relabellings are some of another reading's too.

    That is so where the places of a label are those of one label of the other, or of several that
    the other lets move apart, and units move no farther than they do there: moving them together,
    within smaller cells, is one of the things that it allows.

    Parameters
    ----------
    labels : iterable of UnitLabel
        Of the first reading.
    other : sequence of UnitLabel
        All of the second.

    Returns
    -------
    list of UnitLabel
        Some of the first, in order.
    """
    owners = {spot: i for i, label in enumerate(other) for spot in spots(label)}
    found = []
    for label in labels:
        own = spots(label)
        parts = {owners.get(spot, -1) for spot in own}
        if -1 in parts or sum(len(other[part].places) for part in parts) != len(own):
            continue
        if all(_holds(other[part].cell, label.cell) for part in parts):
            found.append(label)
    return found


def spots(label: UnitLabel) -> frozenset[tuple[Hashable, ...]]:
    """Where a label stands, whatever its places are called."""
    return frozenset(
        (label.n_units, p.tensor, p.dim, p.start, p.size, p.repeat, p.index, p.outer, p.inner)
        for p in label.places
    )


def _holds(cell: int, smaller: int) -> bool:
    """Whether cells of one size are made of cells of another; 0 is one cell of everything."""
    return not cell or bool(smaller) and cell % smaller == 0
