"""Which entry of a class is best: by what its patterns call the members of numbered lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from benchmarks.catalogue.generalise import generalise
from benchmarks.catalogue.patterns import Kinds, Words, fixed_lists, kinds_of
from benchmarks.catalogue.problems import problems_of
from benchmarks.catalogue.recipe import Published, Recipe
from benchmarks.catalogue.shapes import Traced
from weightkin.anatomy.side import tested_places
from weightkin.anatomy.traced.axes import reach, traced_axes
from weightkin.anatomy.traced.instance import instantiate
from weightkin.anatomy.traced.matching import matched
from weightkin.anatomy.traced.sizes import Contradiction
from weightkin.catalogue.traced import TracedEntry

GAIN, MAX_LOSS = 1.2, 0.01  # in labels, and in their share: where kinds of blocks are told apart
MORE = 0.02  # of a model at real size that names of the members of fixed lists must reach beyond


def entries_of(
    recipe: Recipe, instances: Sequence[Traced], *, has_alike: bool = False
) -> list[TracedEntry]:
    """Entries of a class, the best first.

    Parameters
    ----------
    recipe : Recipe
        The class.
    instances : sequence of Traced
        Its instances.
    has_alike : bool
        Whether one of them has all widths alike: labels that are one there (a residual sum where
        both sides are as wide) are one part of every entry.

    Returns
    -------
    list of TracedEntry
        The last one takes all members of a list for one kind; those before it are right for all
        instances. They tell the members of lists that are the same in every model by their names,
        where that reaches more of the class at real size (only beside an instance with all widths
        alike, for the sizes of two labels no longer make them one); or blocks by their kinds, where
        that gives more labels that reach as much.
    """
    matrices = [[(x, len(t.shapes[x])) for x in t.labels.dims] for t in instances]
    plain, *others = [_made(recipe, instances, kinds=x) for x in (None, *kinds_of(matrices))]
    better = list[TracedEntry]()
    if others:
        n_labels, reached = _worth(plain, instances)
        worth = [(_worth(entry, instances), i) for i, entry in enumerate(others)]
        better = [
            others[i]
            for (n, share), i in sorted(worth, reverse=True)
            if n > GAIN * n_labels and share > reached - MAX_LOSS
        ]
    found = [*better, plain]
    named = _by_name(recipe, instances, found[0]) if has_alike else None
    return [named, *found] if named is not None else found


def _by_name(recipe: Recipe, instances: Sequence[Traced], best: TracedEntry) -> TracedEntry | None:
    """The entry in whose patterns members of fixed lists are names; None where it is no gain."""
    shapes, config = _published(recipe)
    fixed = fixed_lists([t.labels.dims for t in instances], shapes)
    if not fixed:
        return None
    entry = _made(recipe, instances, fixed=fixed)
    if any(problems_of(entry, traced) for traced in instances):
        return None
    n_best, n_own = (_reached(x, shapes, config)[1] for x in (best, entry))
    return entry if n_own > n_best + MORE else None


def _published(recipe: Recipe) -> Published:
    """A class at real size; nothing where it cannot be built."""
    try:
        return recipe.published() if recipe.published is not None else ({}, {})
    except Exception:  # whatever the library raises: then nobody knows which lists are fixed
        return {}, {}


def _made(
    recipe: Recipe,
    instances: Sequence[Traced],
    *,
    kinds: Kinds | None = None,
    fixed: Set[Words] = frozenset(),
) -> TracedEntry:
    return generalise(
        (recipe.name,),
        instances,
        model_types=recipe.model_types,
        defaults=recipe.defaults,
        are_members=recipe.are_members,
        kinds=kinds,
        fixed=fixed,
    )


def _worth(entry: TracedEntry, instances: Sequence[Traced]) -> tuple[int, float]:
    """Number of labels on axes of all instances, and the mean share on them; 0 where wrong."""
    if any(problems_of(entry, traced) for traced in instances):
        return 0, 0.0
    own = [
        _reached(entry, {name: t.shapes[name] for name in t.labels.dims}, t.config)
        for t in instances
    ]
    return sum(n for n, _ in own), sum(share for _, share in own) / len(own)


def _reached(
    entry: TracedEntry, shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]
) -> tuple[int, float]:
    """Number of labels on axes of a model, and its share where a test of them may look."""
    known, _ = matched(entry, shapes)
    own = {one.tensor: shapes[one.tensor] for one in known}
    try:
        axes = traced_axes(entry, instantiate(entry, known, own, config), known, own)
    except Contradiction:
        return 0, 0.0
    tested = [replace(axis, places=tuple(tested_places(axis))) for axis in axes]
    return len({axis.labels for axis in axes}), reach(tested, shapes)
