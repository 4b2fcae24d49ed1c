"""One class of a library to its entry: two tiny instances, traced, generalised, and proven."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from benchmarks.catalogue.as_read import as_read
from benchmarks.catalogue.bench import Bench
from benchmarks.catalogue.generalise import generalise
from benchmarks.catalogue.in_file import as_in_file, in_file
from benchmarks.catalogue.moves import label_moves
from benchmarks.catalogue.patterns import kinds_of
from benchmarks.catalogue.problems import problems_of
from benchmarks.catalogue.prove import prove, proven_labels
from benchmarks.catalogue.running import hidden_outputs
from benchmarks.catalogue.shapes import Traced
from benchmarks.catalogue.starts import labels_from_starts
from benchmarks.catalogue.through import proven_through
from benchmarks.catalogue.trace import trace
from weightkin.anatomy.traced.axes import reach, traced_axes
from weightkin.anatomy.traced.instance import instantiate
from weightkin.anatomy.traced.matching import matched
from weightkin.catalogue.traced import TracedEntry

GAIN, MAX_LOSS = 1.2, 0.01  # in labels, and in their share: where kinds of blocks are told apart


@dataclass(frozen=True)
class Tiny:
    """A tiny instance ready to run."""

    module: torch.nn.Module
    inputs: Mapping[str, Any]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """How a class is built: ``build(which, seed)``, ``which`` below the number of instances."""

    name: str  # as ``library.Class``
    model_types: tuple[str, ...]
    build: Callable[[int, int], Tiny]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    n_instances: int = 2
    are_members: bool = False  # models as they are published


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
    instances, benches = list[Traced](), list[Bench]()
    opaque, fixed = set[str](), list[str]()
    for which in range(recipe.n_instances):
        traced, bench, unknown, broken = _traced(recipe, which)
        instances.append(traced)
        benches.append(bench)
        opaque |= set(unknown)
        fixed += broken
    pairs = list(zip(instances, benches, strict=True))
    found = Made(None, "no instance")
    for entry in entries_of(recipe, instances):
        found = _proven(entry, pairs, fixed)
        if found.entry is not None:
            break
    return replace(found, opaque=tuple(sorted(opaque)))


def entries_of(recipe: Recipe, instances: Sequence[Traced]) -> list[TracedEntry]:
    """Entries of a class, the best first: with its blocks told apart by kinds where that is more.

    Parameters
    ----------
    recipe : Recipe
        The class.
    instances : sequence of Traced
        Its instances.

    Returns
    -------
    list of TracedEntry
        The last one takes all members of a list for one kind; those before it are right for all
        instances, where they give more labels that reach as much.
    """
    matrices = [[(x, len(t.shapes[x])) for x in t.labels.dims] for t in instances]
    plain, *others = [
        generalise(
            (recipe.name,),
            instances,
            model_types=recipe.model_types,
            defaults=recipe.defaults,
            are_members=recipe.are_members,
            kinds=kinds,
        )
        for kinds in (None, *kinds_of(matrices))
    ]
    if not others:
        return [plain]
    n_labels, reached = _worth(plain, instances)
    worth = [(_worth(entry, instances), i) for i, entry in enumerate(others)]
    better = [
        others[i]
        for (n, share), i in sorted(worth, reverse=True)
        if n > GAIN * n_labels and share > reached - MAX_LOSS
    ]
    return [*better, plain]


def _worth(entry: TracedEntry, instances: Sequence[Traced]) -> tuple[int, float]:
    """Number of labels on axes of all instances, and the mean share on them; 0 where wrong."""
    n_labels, shares = 0, 0.0
    for traced in instances:
        if problems_of(entry, traced):
            return 0, 0.0
        shapes = {name: traced.shapes[name] for name in traced.labels.dims}
        known, _ = matched(entry, shapes)
        axes = traced_axes(entry, instantiate(entry, known, shapes, traced.config), known, shapes)
        n_labels += len({axis.labels for axis in axes})
        shares += reach(axes, traced.shapes)
    return n_labels, shares / len(instances)


def _proven(
    entry: TracedEntry, pairs: Sequence[tuple[Traced, Bench]], broken: Sequence[str]
) -> Made:
    """An entry as running all instances proves it; some of their labels are broken already."""
    wrong = [line for traced, _ in pairs for line in problems_of(entry, traced)]
    if wrong:
        return Made(None, f"claims too much: {wrong[0]}", fixed=tuple(sorted({*broken})))
    fixed = set(broken)
    outcomes = [proven_through(entry, t, b) for t, b in pairs]
    while unproven := frozenset[int]().union(*(x.unproven for x in outcomes)):
        entry = _without(entry, unproven)
        fixed |= {entry.components[i].name for i in unproven}
        outcomes = [proven_through(entry, t, b) for t, b in pairs]
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


def _traced(recipe: Recipe, which: int) -> tuple[Traced, Bench, Sequence[str], list[str]]:
    """One instance with the labels that running it proves."""
    tiny, other = recipe.build(which, 0), recipe.build(which, 1)
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
    return traced, bench, list(found.opaque), broken


def _has(dims: Any, number: int) -> bool:
    return any(x == number if isinstance(x, int) else _has(x, number) for x in dims)


def _arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {
        name: x.detach().to(torch.float64).numpy()
        for name, x in module.state_dict().items()
        if x.is_floating_point()
    }
