"""From labels to axes: where the units of a label stand, and which matrices may tell them apart.

Every label becomes an axis of its own, and what is found on different axes is multiplied. That is
valid because labels are put in an order: a view of a label (a matrix, one row a unit) may have
other labels along its further dimensions only if they come earlier in the order. Given all earlier
labels, those of this axis are uniform, so each factor has expectation one at most given those
before it. A label without such a view is not tested, and then it stands in nobody's way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from weightkin.anatomy.types import Axis, Place

MAX_VIEWS = 4
MAX_PLACES = 1 << 20  # of all further axes of one stream
MIN_FEATURES = 4  # of a view, where another has more
MIN_STREAM = 8  # matrices along which a label runs that belongs to no one block
VIEW, BESIDE = "w:", "b:"  # how roles of places begin: a view, or what only belongs to a unit

Atoms = frozenset[Hashable]
Carriers = Mapping[str, Sequence[Atoms]]  # which atoms stand along each dimension of a tensor
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class UnitLabel:
    """One label of a model: how many units, in cells of which size (0: one), and where they stand.

    ``atoms`` is all that a relabelling of it moves; it is uniform once labels of the atoms in
    ``given`` are known. Roles of ``places`` are equal in two models that have the label.
    """

    stack: str
    block: int
    name: str
    n_units: int
    cell: int
    atoms: Atoms
    places: tuple[Place, ...]
    given: Atoms = frozenset()
    around: tuple[Atoms, ...] = ()  # of each place, what else stands inside or outside of its units


@dataclass(frozen=True, slots=True)
class _View:
    place: Place
    n_features: int
    beside: Atoms


def carriers_from(labels: Sequence[UnitLabel], shapes: Shapes) -> Carriers:
    """Return which atoms run along which dimension, where all of them have their places."""
    found = {p.tensor: [frozenset[Hashable]()] * len(shapes[p.tensor])
             for label in labels for p in label.places}  # fmt: skip
    for label in labels:
        for place in label.places:
            found[place.tensor][place.dim + (place.index is not None)] |= label.atoms
    return found


def label_axes(labels: Sequence[UnitLabel], carriers: Carriers, shapes: Shapes) -> list[Axis]:
    """Return an axis for every label that has a view, in the order of the labels.

    Parameters
    ----------
    labels : sequence of UnitLabel
        In an order in which a network computes them: earlier ones are tested first.
    carriers : mapping of str to sequence of frozenset
        Atoms along every dimension of every tensor that has any.
    shapes : mapping of str to tuple of int
        Shapes of the tensors.

    Returns
    -------
    list of Axis
        Of kind ``units``; places in the order given, roles of views begin with ``w:``. Labels that
        run through many matrices are those of a stream: their block is -1. Matrices that lie on
        streams alone are views on further axes of the same ``labels``.
    """
    views = [list(_views(label, carriers, shapes)) for label in labels]
    chosen = _in_order(labels, views)
    axes = {i: _in_stream(_axis(labels[i], _best(chosen[i])), shapes) for i in sorted(chosen)}
    return [*axes.values(), *_more_of_streams(axes, labels, chosen)]


def _in_stream(axis: Axis, shapes: Shapes) -> Axis:
    """The axis outside of all blocks, if that is where it belongs: teachers are copied there."""
    matrices = {place.tensor for place in axis.places if len(shapes[place.tensor]) > 1}
    if len(matrices) < MIN_STREAM:
        return axis
    return replace(axis, block=-1, name=f"{axis.name}.{axis.block}")


def _more_of_streams(
    axes: Mapping[int, Axis], labels: Sequence[UnitLabel], chosen: Mapping[int, Sequence[_View]]
) -> Iterator[Axis]:
    """Axes of streams again, with other views: of matrices that no other axis reaches.

    Of a stream with very many places not all such matrices are reached.
    """
    held = {
        place.tensor
        for axis in axes.values()
        for place in axis.places
        if axis.block >= 0 or place.role.startswith(VIEW)
    }
    for i, axis in axes.items():
        if axis.block >= 0:
            continue
        rest: dict[str, _View] = {}
        for view in _ranked(chosen[i]):
            if view.place.tensor not in held and view.n_features >= MIN_FEATURES:
                rest.setdefault(view.place.tensor, view)
        held |= rest.keys()
        most = MAX_VIEWS * max(1, MAX_PLACES // len(axis.places))  # every axis has all places
        for first in range(0, min(len(rest), most), MAX_VIEWS):
            more = _axis(labels[i], list(rest.values())[first : first + MAX_VIEWS])
            name = f"{axis.name}+{first // MAX_VIEWS + 1}"
            yield replace(more, block=axis.block, name=name, labels=axis.labels)


def _views(label: UnitLabel, carriers: Carriers, shapes: Shapes) -> Iterator[_View]:
    """Matrices of a label of which no further dimension carries it too."""
    for i, place in enumerate(label.places):
        shape, along = shapes[place.tensor], list(carriers[place.tensor])
        if place.index is not None:
            shape, along = shape[1:], along[1:]
        if len(shape) < 2:
            continue
        others = [x for dim, x in enumerate(along) if dim != place.dim]
        if max(place.outer, place.inner, place.repeat) > 1:
            others.append(label.around[i] if label.around else along[place.dim] - label.atoms)
        beside = label.given.union(*others)
        if not beside & label.atoms:
            n = math.prod(shape) // shape[place.dim] * place.outer * place.inner * place.repeat
            yield _View(place, n, beside)


def _in_order(
    labels: Sequence[UnitLabel], views: Sequence[Sequence[_View]]
) -> dict[int, list[_View]]:
    """Views of every label that can be tested after those before it."""
    owners: dict[Hashable, set[int]] = {}
    for i, label in enumerate(labels):
        for atom in label.atoms:
            owners.setdefault(atom, set()).add(i)
    needs = [
        [frozenset(j for atom in view.beside for j in owners.get(atom, ())) - {i} for view in own]
        for i, own in enumerate(views)
    ]
    waiting = {i for i in range(len(labels)) if views[i]}
    chosen: dict[int, list[_View]] = {}
    while waiting:
        ready = [i for i in sorted(waiting) if any(not need & waiting for need in needs[i])]
        for i in ready:
            if own := [v for v, need in zip(views[i], needs[i], strict=True) if not need & waiting]:
                chosen[i] = own
                waiting.discard(i)
        if not ready:
            asked = Counter(j for i in waiting for need in needs[i] for j in need & waiting)
            waiting.discard(max(sorted(waiting), key=lambda i: asked[i]))
    return chosen


def _best(views: Sequence[_View]) -> Sequence[_View]:
    rich = [view for view in views if view.n_features >= MIN_FEATURES] or views
    return _ranked(rich)[:MAX_VIEWS]


def _ranked(views: Sequence[_View]) -> list[_View]:
    """Rows first, long ones first."""
    return sorted(views, key=lambda v: (v.place.dim > 0, -v.n_features))


def _axis(label: UnitLabel, views: Sequence[_View]) -> Axis:
    seen = {view.place for view in views}
    places = [
        replace(place, role=f"{VIEW if place in seen else BESIDE}{place.role}")
        for place in label.places
    ]
    cells = f" in each of {label.n_units // label.cell} cells" if label.cell else ""
    return Axis(
        name=label.name,
        kind="units",
        stack=label.stack,
        block=label.block,
        n_units=label.n_units,
        group=f"S_{label.cell or label.n_units}{cells}",
        labels=f"{label.stack}.{label.block}.{label.name}",
        places=tuple(places),
        head_size=label.cell,
    )
