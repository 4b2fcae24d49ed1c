"""Axes of a traced class that reading by names finds as well, under the names it gives them.

One model may be read by names, where its config says how many heads there are, and by its class
where it has none: what both know must be called alike.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import Axis, Place

Spot = tuple[str, int, int, int, int, int | None]


def under_known_names(
    traced: Sequence[Axis], named: Sequence[Axis], matrices: Set[str]
) -> tuple[Axis, ...]:
    """Put an axis by names in the place of each traced axis that has its units and its views.

    Parameters
    ----------
    traced : sequence of Axis
        Axes of a model by its class.
    named : sequence of Axis
        Axes of the same model by the names of its tensors.
    matrices : set of str
        Tensors of more than one dimension: no other of them may become a view, or the evidence of
        its other axis would be multiplied with the same.

    Returns
    -------
    tuple of Axis
        As many as there are traced ones; those by names come last.
    """
    known = {_spot(axis.places[0]): axis for axis in named if axis.kind in ("units", "vo")}
    kept, found = [], []
    for axis in traced:
        spots = {_spot(place) for place in axis.places}
        views = {_spot(place) for place in axis.places if is_view(place)}
        same = next((known[spot] for spot in spots if spot in known), None)
        if same is not None and _is_same(same, axis, (spots, views), matrices):
            found.append(same)
        else:
            kept.append(axis)
    return (*kept, *found)


def _is_same(
    named: Axis, traced: Axis, seen: tuple[set[Spot], set[Spot]], matrices: Set[str]
) -> bool:
    spots, views = seen
    own = {_spot(place) for place in named.places}
    sizes = (named.n_units, named.head_size)
    is_within = own <= spots and sizes == (traced.n_units, traced.head_size)
    return is_within and {spot for spot in own if spot[0] in matrices} == views


def _spot(place: Place) -> Spot:
    return place.tensor, place.dim, place.start, place.size, place.repeat, place.index
