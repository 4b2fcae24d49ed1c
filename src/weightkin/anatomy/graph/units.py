"""From the labels of one graph to labels of units: which atoms are tested, and where they stand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from weightkin.anatomy.graph.axes import Carriers, UnitLabel, label_axes
from weightkin.anatomy.graph.labels import Factor, Labels
from weightkin.anatomy.types import Axis, Place

STACK = "graph"
MIN_UNITS = 8
MAX_LABELS = 512
MAX_INDEX = 64  # experts whose units are axes of their own


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an atom stands along a dimension: what it is multiplied with there, and an offset.

    ``is_apart`` where its runs are joined with others inside of a product, so that no offset and
    stride describe them.
    """

    tensor: str
    dim: int
    start: int
    before: tuple[Factor, ...]  # outermost first
    after: tuple[Factor, ...]
    is_apart: bool = False


def graph_axes(labels: Labels, shapes: Mapping[str, tuple[int, ...]]) -> list[Axis]:
    """Return the axes of a network that is known by its graph alone.

    Parameters
    ----------
    labels : Labels
        What every dimension is made of.
    shapes : mapping of str to tuple of int
        Shapes of the tensors in the model.

    Returns
    -------
    list of Axis
        One for every label, in the order in which the network computes them; at most `MAX_LABELS`,
        the largest.
    """
    found = [x for _, x in all_units(labels)]
    large = sorted(range(len(found)), key=lambda i: -found[i].n_units)[:MAX_LABELS]
    numbered = [replace(found[i], block=rank) for rank, i in enumerate(sorted(large))]
    return label_axes(numbered, carriers_of(labels), shapes)


def carriers_of(labels: Labels) -> Carriers:
    """Which atoms stand along each dimension of every tensor."""
    return {
        name: tuple(frozenset(_atoms(dim)) for dim in dims) for name, dims in labels.dims.items()
    }


def _atoms(factor: Factor) -> Iterator[int]:
    if isinstance(factor, int):
        yield factor
    else:
        for part in factor:
            for inner in part:
                yield from _atoms(inner)


def spots_of(labels: Labels) -> dict[int, list[Spot]]:
    """Every place of every atom, in the order of the tensors."""
    found: dict[int, list[Spot]] = {}
    for name, dims in labels.dims.items():
        for i, dim in enumerate(dims):
            start = 0
            for part in dim:
                for j, factor in enumerate(part):
                    is_apart = not isinstance(factor, int)
                    spot = Spot(name, i, start, part[:j], part[j + 1 :], is_apart)
                    for atom in set(_atoms(factor)):
                        found.setdefault(atom, []).append(spot)
                start += _product(labels, part)
    return found


def size_of(labels: Labels, factor: Factor) -> int:
    """Number of indices of a factor."""
    if isinstance(factor, int):
        return labels.atoms[factor].size
    return sum(_product(labels, part) for part in factor)


def _product(labels: Labels, factors: Iterable[Factor]) -> int:
    return math.prod(size_of(labels, factor) for factor in factors)


def all_units(labels: Labels) -> list[tuple[int, UnitLabel]]:
    """Every label of units, with the atom that it is of.

    An atom that another one is relabelled within (heads) is no label of its own, unless a matrix
    shows it alone (queries and keys whose dimensions are fixed): then it comes before that one.
    """
    spots = spots_of(labels)
    found = [(atom, x) for atom in sorted(spots) for x in unit_labels(atom, labels, spots[atom])]
    both = [x for _, x in found if len(x.atoms) > 1]
    taken = frozenset[Hashable]().union(*(x.atoms for x in both))
    indexed = frozenset[Hashable]().union(*(x.atoms for x in both if x.places[0].index is not None))
    own = {
        atom
        for atom, x in found
        if len(x.atoms) == 1 and atom in taken - indexed and _is_alone(x, labels)
    }
    return [
        (atom, replace(x, atoms=x.atoms - own, given=x.atoms & own) if len(x.atoms) > 1 else x)
        for atom, x in found
        if len(x.atoms) > 1 or atom not in taken or atom in own
    ]


def _is_alone(label: UnitLabel, labels: Labels) -> bool:
    """Whether somewhere in a matrix nothing that stands inside or outside of a label may move."""
    return any(
        len(labels.dims[place.tensor]) > 1 and not any(labels.atoms[int(x)].is_free for x in around)  # type: ignore[call-overload]
        for place, around in zip(label.places, label.around, strict=True)
    )


def unit_labels(atom: int, labels: Labels, spots: list[Spot]) -> Iterator[UnitLabel]:
    """The label of one atom, together with what it may be relabelled within, where that fits."""
    own = labels.atoms[atom]
    ends = itertools.accumulate(own.cells)
    cell = math.gcd(*ends) if own.cells else 0
    if not own.is_free or own.size < 2 or cell == 1 or any(spot.is_apart for spot in spots):
        return
    for outer in sorted(own.within, key=lambda x: -labels.atoms[x].size):
        n = own.size * labels.atoms[outer].size
        both = frozenset((atom, outer))
        if n >= MIN_UNITS and (places := _combined(outer, labels, spots, n)):
            around = _around(spots, both)
            yield UnitLabel(
                STACK, 0, "units", n, cell or own.size, both, places, frozenset(), around
            )
            return
        if own.size >= MIN_UNITS and (n := _n_apart(outer, labels, spots)):
            for index in range(min(n, MAX_INDEX)):
                places = tuple(
                    replace(place, dim=place.dim - 1, index=index)
                    for place in _places(own.size, labels, spots)
                )
                yield UnitLabel(STACK, 0, f"units.{index}", own.size, cell, both, places)
            return
    if own.size >= MIN_UNITS:
        places, alone = _places(own.size, labels, spots), frozenset((atom,))
        around = _around(spots, alone)
        yield UnitLabel(STACK, 0, "units", own.size, cell, alone, places, frozenset(), around)


def _around(spots: Iterable[Spot], own: frozenset[int]) -> tuple[frozenset[int], ...]:
    """What stands in one product with a label at each of its spots."""
    return tuple(
        frozenset(x for factor in (*spot.before, *spot.after) for x in _atoms(factor)) - own
        for spot in spots
    )


def _places(n_units: int, labels: Labels, spots: Iterable[Spot]) -> tuple[Place, ...]:
    """Places of an atom that is one axis."""
    found = []
    for i, spot in enumerate(spots):
        outer, inner = _product(labels, spot.before), _product(labels, spot.after)
        size = outer * n_units * inner
        place = Place(spot.tensor, spot.dim, spot.start, size, f"{i}", outer=outer, inner=inner)
        found.append(place)
    return tuple(found)


def _combined(outer: int, labels: Labels, spots: list[Spot], n: int) -> tuple[Place, ...]:
    """Places of an atom and another that stands outside of it in every product, () if it does not.

    What stands between the two repeats the cells (queries of one key head).
    """
    found = []
    for i, spot in enumerate(spots):
        if outer not in spot.before:
            return ()
        at = spot.before.index(outer)
        repeat = _product(labels, spot.before[at + 1 :])
        around = _product(labels, spot.before[:at]), _product(labels, spot.after)
        if repeat > 1 and around != (1, 1):
            return ()
        size = n * repeat * around[0] * around[1]
        found.append(
            Place(
                spot.tensor,
                spot.dim,
                spot.start,
                size,
                f"{i}",
                repeat,
                outer=around[0],
                inner=around[1],
            )
        )
    return tuple(found)


def _n_apart(outer: int, labels: Labels, spots: list[Spot]) -> int:
    """Size of an atom that is the first dimension of every tensor (experts); 0 if it is not."""
    is_first = all(spot.dim > 0 and labels.dims[spot.tensor][0] == ((outer,),) for spot in spots)
    return labels.atoms[outer].size if is_first else 0
