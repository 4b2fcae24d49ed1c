"""Whether an entry is right for an instance it was made from: its labels may only be coarser."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from benchmarks.catalogue.shapes import ONE, Traced, Trees, leaves, outline
from weightkin.anatomy.graph.labels import Atom, Dim
from weightkin.anatomy.traced.instance import Instance, instantiate
from weightkin.anatomy.traced.matching import matched
from weightkin.anatomy.traced.sizes import Contradiction
from weightkin.catalogue.traced import TracedEntry


def problems_of(entry: TracedEntry, traced: Traced) -> list[str]:
    """Say where an entry claims more of a traced instance than its graph shows; none is right.

    Parameters
    ----------
    entry : TracedEntry
        The entry.
    traced : Traced
        An instance of its class.

    Returns
    -------
    list of str
        One line for each claim that is too strong.
    """
    shapes = {name: traced.shapes[name] for name in traced.labels.dims}
    known, unknown = matched(entry, shapes)
    if unknown:
        return [f"{unknown[0]}: no pattern knows it"]
    try:
        found = instantiate(entry, known, shapes, traced.config)
    except Contradiction as why:
        return [str(why)]
    return list(_compared(found, Trees(traced)))


def partners_of(found: Instance, trees: Trees) -> dict[int, set[int]]:
    """Labels of the entry at every place of each traced label, where both are built alike."""
    partners: dict[int, set[int]] = {}
    for name, dims in found.labels.dims.items():
        for i, own in enumerate(dims):
            true = _true(trees, name, i, own)
            if outline(own) == outline(true) and (name, i) not in found.mixed:
                for (a, _), (b, _) in zip(leaves(own), leaves(true), strict=True):
                    partners.setdefault(b, set()).add(a)
    return partners


def _true(trees: Trees, name: str, i: int, own: Dim) -> Dim:
    """A traced dimension, as the entry writes it if that says the same."""
    true = trees.dims[name][i]
    if outline(own) != outline(true) and outline(own) == outline(trees.repeated(name, i)):
        return trees.repeated(name, i)
    return true


def _compared(found: Instance, trees: Trees) -> Iterator[str]:
    """Every traced label must be one label of the entry, with no larger group."""
    partners = partners_of(found, trees)
    for (name, i), inside in found.mixed.items():
        true_inside = {x for b, _ in leaves(trees.dims[name][i]) for x in partners.get(b, ())}
        if any(found.labels.atoms[x].is_free for x in true_inside - inside):
            yield f"{name} {i}: has labels that the entry does not see there"
    for name, dims in found.labels.dims.items():
        for i, own in enumerate(dims):
            if (name, i) in found.mixed:
                continue
            true = _true(trees, name, i, own)
            if outline(own) == outline(true):
                pairs = zip(leaves(own), leaves(true), strict=True)
                if any(
                    found.labels.atoms[a].size != trees.atoms[b].size for (a, _), (b, _) in pairs
                ):
                    yield f"{name} {i}: sizes differ"
            elif own != ONE:
                yield from _coarse(name, i, own, true, found, partners, trees)
    for b, mine in partners.items():
        free = {a for a in mine if found.labels.atoms[a].is_free}
        true_atom = trees.atoms[b]
        if free and not true_atom.is_free:
            yield f"label {b} is fixed, the entry says it is free"
        elif free and len(mine) > 1:
            yield f"label {b} is one label, the entry says {len(mine)}"
        elif free:
            (a,) = free
            yield from _smaller(b, true_atom, found.labels.atoms[a], partners)


def _coarse(
    name: str,
    i: int,
    own: Dim,
    true: Dim,
    found: Instance,
    partners: dict[int, set[int]],
    trees: Trees,
) -> Iterator[str]:
    """A dimension that the entry cannot take apart: all that is in it must be fixed there."""
    mine = {atom for atom, _ in leaves(own)}
    if any(found.labels.atoms[atom].is_free for atom in mine):
        yield f"{name} {i}: built in another way"
    for b, _ in leaves(true):
        if trees.atoms[b].is_free:
            partners.setdefault(b, set()).update(mine)


def _smaller(b: int, true: Atom, own: Atom, partners: dict[int, set[int]]) -> Iterator[str]:
    if true.cells:
        cell = own.cells[0] if own.cells else own.size
        ends = list(itertools.accumulate(true.cells))
        if math.gcd(*ends) % cell:
            yield f"label {b} is cut at {ends[:3]}, cells of the entry have {cell}"
    allowed = {x for other in true.within for x in partners.get(other, ())}
    if not set(own.within) <= allowed:
        yield f"label {b} is relabelled within {set(own.within) - allowed} by the entry alone"
