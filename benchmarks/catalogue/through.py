"""Proof of an entry by running: weights to entry, entry to axes, axes to relabellings, outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.catalogue.moves import axis_moves
from benchmarks.catalogue.problems import partners_of
from benchmarks.catalogue.prove import Bench, Proof, prove
from benchmarks.catalogue.shapes import Traced, Trees
from weightkin.anatomy.graph.labels import Dim, Factor, Labels
from weightkin.anatomy.traced.axes import named_labels, reach, traced_axes
from weightkin.anatomy.traced.instance import Instance, instantiate
from weightkin.anatomy.traced.matching import matched
from weightkin.catalogue.traced import TracedEntry


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running one instance says about its entry."""

    n_axes: int
    broken: tuple[str, ...]  # labels of axes whose relabelling changes outputs
    without_effect: tuple[str, ...]  # leaving a tensor out changes nothing either
    share: float  # of all parameters that stand on axes


def proven_through(entry: TracedEntry, traced: Traced, bench: Bench) -> Outcome:
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

    Returns
    -------
    Outcome
        The entry is right where nothing is broken.
    """
    shapes = {name: traced.shapes[name] for name in traced.labels.dims}
    known, _ = matched(entry, shapes)
    instance = instantiate(entry, known, shapes, traced.config)
    axes = traced_axes(entry, instance, known, shapes)
    wanted = {axis.labels: axis for axis in axes}
    whole = [
        replace(own, places=label.places)
        for label in named_labels(entry, _completed(instance, traced), known)
        if (own := wanted.get(f"{label.stack}.{label.block}.{label.name}"))
    ]
    moves = axis_moves(whole, shapes, np.random.default_rng(1))
    proofs: dict[str, Proof] = prove(bench, moves) if moves else {}
    missing = wanted.keys() - moves.keys()
    return Outcome(
        n_axes=len(axes),
        broken=tuple(sorted({x for x, p in proofs.items() if p.state == "broken"} | missing)),
        without_effect=tuple(sorted(x for x, p in proofs.items() if p.state == "without effect")),
        share=reach(axes, traced.shapes),
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
