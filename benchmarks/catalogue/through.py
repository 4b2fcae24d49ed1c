"""Proof of an entry by running: weights to entry, entry to axes, axes to relabellings, outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.catalogue.bench import Bench
from benchmarks.catalogue.in_file import of_module
from benchmarks.catalogue.moves import Move, axis_moves
from benchmarks.catalogue.problems import partners_of
from benchmarks.catalogue.prove import EFFECT, prove
from benchmarks.catalogue.shapes import Traced, Trees
from weightkin.anatomy.graph.labels import Dim, Factor, Labels
from weightkin.anatomy.traced.axes import named_labels, reach, traced_axes
from weightkin.anatomy.traced.instance import Instance, instantiate
from weightkin.anatomy.traced.matching import matched
from weightkin.catalogue.traced import TracedEntry

N_CONTROLS = 3  # tensors left out, one after the other, until one of them matters


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running one instance says about its entry."""

    n_axes: int
    broken: tuple[str, ...]  # labels of axes whose relabelling changes outputs
    unproven: frozenset[int]  # components: no relabelling of them could be run, or none matters
    share: float  # of all parameters that stand on axes


def proven_through(
    entry: TracedEntry, traced: Traced, bench: Bench, shown: set[int] | None = None
) -> Outcome:
    """Relabel a running instance by every axis that its entry gives.

    Parameters
    ----------
    entry : TracedEntry
        The entry, as it was read from the store.
    traced : Traced
        The instance. Its labels say where units stand in concatenations whose sizes an entry does
        not know; a relabelling has to move those too.
    bench : Bench
        The instance, ready to run.
    shown : set of int, optional
        Components of which some label of some instance has shown that a part of its relabelling
        changes outputs (an expert that no token takes shows nothing): what is shown here is added,
        and not shown again.

    Returns
    -------
    Outcome
        The entry is right where nothing is broken and nothing unproven.
    """
    shapes = {name: traced.shapes[name] for name in traced.labels.dims}
    known, _ = matched(entry, shapes)
    instance = instantiate(entry, known, shapes, traced.config)
    axes = {axis.labels: axis for axis in traced_axes(entry, instance, known, shapes)}
    completed = named_labels(entry, _completed(instance, traced), known)
    owners = {f"{label.stack}.{label.block}.{label.name}": label for label in completed}
    labels = {name: owners[name] for name in axes if name in owners}
    whole = [
        replace(axis, places=labels[name].places) for name, axis in axes.items() if name in labels
    ]
    moves = {
        name: of_module(traced, move)
        for name, move in axis_moves(whole, shapes, np.random.default_rng(1)).items()
    }
    broken: list[str] = []
    if moves and bench.deviation(list(moves.values())) > bench.limit:
        proofs = prove(bench, moves)
        broken += sorted(name for name, x in proofs.items() if x.state == "broken") or ["together"]
    one_each = {(axis.stack, axis.name): name for name, axis in axes.items() if name in moves}
    own = {f"{x.stack}.{x.block}.{x.name}": x for x in named_labels(entry, instance, known)}
    shown = set() if shown is None else shown
    components = {
        name: {key[0] for atom, key in instance.keys.items() if atom in own[name].atoms}
        for name in one_each.values()
    }
    for name, parts in components.items() if not broken else ():
        if not parts <= shown and _has_effect(bench, moves[name]):
            shown |= parts
    without = {x for x, parts in components.items() if not broken and not parts <= shown}
    missing = [own[name].atoms for name in without | (axes.keys() - moves.keys())]
    unproven = {key[0] for atom, key in instance.keys.items() if any(atom in x for x in missing)}
    return Outcome(
        len(axes), tuple(broken), frozenset(unproven), reach(list(axes.values()), traced.shapes)
    )


def _has_effect(bench: Bench, move: Move) -> bool:
    """Whether outputs change where a relabelling leaves out one of its tensors."""
    largest = sorted(move, key=lambda name: -len(move[name]))[:N_CONTROLS]
    return len(move) > 1 and any(
        bench.deviation([{x: order for x, order in move.items() if x != name}])
        > EFFECT * bench.limit
        for name in largest
    )


def _completed(instance: Instance, traced: Traced) -> Instance:
    """The instance with its mixed dimensions as they are in truth."""
    trees = Trees(traced)
    partners = {b: min(own) for b, own in partners_of(instance, trees).items()}
    atoms = dict(instance.labels.atoms)
    for b, atom in trees.atoms.items():
        if b not in partners:
            partners[b] = len(atoms) + 1
            atoms[partners[b]] = replace(atom, is_free=False, cells=(), within=())
    dims = dict(instance.labels.dims)
    for name, i in instance.mixed:
        own = list(dims[name])
        own[i] = _renamed(trees.dims[name][i], partners)
        dims[name] = tuple(own)
    return replace(instance, labels=Labels(atoms, dims), mixed={})


def _renamed(dim: Dim, names: dict[int, int]) -> Dim:
    return tuple(tuple(_factors(part, names)) for part in dim)


def _factors(part: tuple[Factor, ...], names: dict[int, int]) -> Iterator[Factor]:
    for factor in part:
        yield names[factor] if isinstance(factor, int) else _renamed(factor, names)
