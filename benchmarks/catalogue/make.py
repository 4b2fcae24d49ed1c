"""One class of a library to its entry: two tiny instances, traced, generalised, and proven."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.catalogue.as_read import as_read
from benchmarks.catalogue.bench import Bench
from benchmarks.catalogue.choice import entries_of
from benchmarks.catalogue.in_file import as_in_file, in_file
from benchmarks.catalogue.moves import label_moves
from benchmarks.catalogue.problems import problems_of
from benchmarks.catalogue.prove import prove, proven_labels
from benchmarks.catalogue.recipe import Recipe, Tiny
from benchmarks.catalogue.running import hidden_outputs
from benchmarks.catalogue.shapes import Traced
from benchmarks.catalogue.starts import labels_from_starts
from benchmarks.catalogue.through import proven_through
from benchmarks.catalogue.trace import trace
from weightkin.catalogue.traced import TracedEntry


@dataclass(frozen=True)
class Made:
    """An entry, and what is to be said about how it was made."""

    entry: TracedEntry | None
    why: str = ""  # there is none
    shares: tuple[float, ...] = ()  # of the parameters of each instance that stand on axes
    n_axes: tuple[int, ...] = ()
    fixed: tuple[str, ...] = ()  # what running the instances took away
    opaque: tuple[str, ...] = ()  # operations that no rule knows


def made(recipe: Recipe) -> Made:
    """Make the entry of one class.

    Parameters
    ----------
    recipe : Recipe
        The class.

    Returns
    -------
    Made
        Without an entry where it would claim too much, or a relabelling by it changes outputs.
    """
    tinies = [partial(recipe.build, which) for which in range(recipe.n_instances)]
    own = [_traced(build, which) for which, build in enumerate(tinies)]
    alike = _alike(recipe)
    found = _best(recipe, [*own, alike], has_alike=True) if alike else Made(None)
    if found.entry is None:
        found = _best(recipe, own)
    return found


@dataclass(frozen=True)
class _Own:
    """One instance with the labels that running it proves."""

    traced: Traced
    bench: Bench
    opaque: Sequence[str]
    broken: Sequence[str]


def _alike(recipe: Recipe) -> _Own | None:
    """The instance with all widths alike, None where it cannot be built or run."""
    if recipe.build_alike is None:
        return None
    try:
        return _traced(recipe.build_alike, 0)
    except Exception:  # whatever the library raises: not every class can have it
        return None


def _best(recipe: Recipe, own: Sequence[_Own], *, has_alike: bool = False) -> Made:
    """The best entry of a class that running all its instances proves."""
    found = Made(None, "no instance")
    broken = [line for x in own for line in x.broken]
    pairs = [(x.traced, x.bench) for x in own]
    for entry in entries_of(recipe, [x.traced for x in own], has_alike=has_alike):
        found = _proven(entry, pairs, broken)
        if found.entry is not None:
            break
    return replace(found, opaque=tuple(sorted({name for x in own for name in x.opaque})))


def _proven(
    entry: TracedEntry, pairs: Sequence[tuple[Traced, Bench]], broken: Sequence[str]
) -> Made:
    """An entry as running all instances proves it; some of their labels are broken already."""
    wrong = [line for traced, _ in pairs for line in problems_of(entry, traced)]
    if wrong:
        return Made(None, f"claims too much: {wrong[0]}", fixed=tuple(sorted({*broken})))
    fixed, shown = set(broken), set[int]()
    outcomes = [proven_through(entry, t, b, shown) for t, b in pairs]
    while unproven := frozenset[int]().union(*(x.unproven for x in outcomes)):
        entry = _without(entry, unproven)
        fixed |= {entry.components[i].name for i in unproven}
        outcomes = [proven_through(entry, t, b, shown) for t, b in pairs]
    shares, n_axes = tuple(x.share for x in outcomes), tuple(x.n_axes for x in outcomes)
    found = Made(entry, "", shares, n_axes, tuple(sorted(fixed)))
    wrong = [label for outcome in outcomes for label in outcome.broken]
    if wrong:
        return replace(found, entry=None, why=f"changes outputs: {wrong[0]}")
    return found if any(n_axes) else replace(found, entry=None, why="no axis")


def _without(entry: TracedEntry, components: Collection[int]) -> TracedEntry:
    """The entry with some components fixed."""
    own = tuple(
        replace(x, is_free=False, within=()) if i in components else x
        for i, x in enumerate(entry.components)
    )
    return replace(entry, components=own)


def _traced(build: Callable[[int], Tiny], which: int) -> _Own:
    """An instance as the library builds it; ``which`` seeds the relabellings of its proof."""
    tiny, other = build(0), build(1)
    free = hidden_outputs(tiny.module, tiny.inputs)
    found = trace(tiny.module, tiny.inputs, free=free)
    graph, labels = labels_from_starts(found.graph, _arrays(tiny.module), _arrays(other.module))
    bench = Bench(tiny.module, tiny.inputs, free=free)
    moves = label_moves(labels, np.random.default_rng(which))
    broken: list[str] = []
    if moves and bench.deviation(list(moves.values())) > bench.limit:
        proofs = prove(bench, moves)
        broken = [
            next(name for name, dims in labels.dims.items() if _has(dims, number))
            for number, proof in proofs.items()
            if proof.state != "proven"
        ]
        labels = proven_labels(labels, proofs)
    state = tiny.module.state_dict()
    dims = {
        **labels.dims,
        **{x: labels.dims[y] for x, y in found.aliases.items() if y in labels.dims},
    }
    traced = Traced(
        labels=replace(labels, dims={name: dims[name] for name in state if name in dims}),
        shapes={name: tuple(x.shape) for name, x in state.items()},
        config=tiny.config,
        groups=frozenset(int(n.facts["groups"]) for n in graph.nodes if n.op == "group_norm"),
        unused=tuple(name for name in state if name not in dims),
        buffers=frozenset(x for x, _ in tiny.module.named_buffers() if x not in dims),
    )
    traced = as_read(as_in_file(traced, in_file(tiny.module)))
    return _Own(traced, bench, list(found.opaque), broken)


def _has(dims: Any, number: int) -> bool:
    return any(x == number if isinstance(x, int) else _has(x, number) for x in dims)


def _arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {
        name: x.detach().to(torch.float64).numpy()
        for name, x in module.state_dict().items()
        if x.is_floating_point()
    }
