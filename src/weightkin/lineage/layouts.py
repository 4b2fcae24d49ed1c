"""Models that hold the same values in another layout, and models that no test can join.

Equal ones are proposed by the keys of their rows, then compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np

from weightkin.derivation.equality import Equality, equality, is_rounded_copy
from weightkin.derivation.networks import SharedPart, contained_part
from weightkin.derivation.vectors import Keys, views_of
from weightkin.evidence.reach import LEAST_TESTED, axes_of, reachable_share
from weightkin.lineage.candidates import Member
from weightkin.sketch import Sketch

N_KEYS = 64  # rows of a model by which it is found: those of the smallest keys
MIN_SHARED = 4  # of them that two models share
MOST_TRIED = 8  # models that are compared with one
MOST_HOLDERS = 64  # models of one row beyond which it is no sign
BY_ROWS = ("matrix", "pieces")


def equal_pairs(
    sketches: Sequence[Sketch], groups: Sequence[Sequence[int]]
) -> dict[tuple[int, int], SharedPart | None]:
    """Pairs of models in unlike groups of which one holds all values of the other.

    What they share stands with a pair where it is but a small network of the larger one.
    """
    group_of = {i: k for k, group in enumerate(groups) for i in group}
    holders: dict[int, list[int]] = defaultdict(list)
    for i in sorted(group_of):
        for key in _keys(sketches[i]).tolist():
            holders[key].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for those in holders.values():
        if len(those) <= MOST_HOLDERS:
            shared.update(p for p in combinations(those, 2) if group_of[p[0]] != group_of[p[1]])
    found: dict[tuple[int, int], SharedPart | None] = {}
    n_tried: Counter[int] = Counter()
    for (i, j), n in shared.most_common():
        is_open = n >= MIN_SHARED and max(n_tried[i], n_tried[j]) < MOST_TRIED
        if is_open and sketches[i].scheme == sketches[j].scheme:
            n_tried.update((i, j))
            held = equality(sketches[i], sketches[j])
            if held.is_part:
                found[i, j] = _contained(sketches[i], sketches[j], held)
    return found | dict.fromkeys(_rounded(sketches, group_of))


def _contained(a: Sketch, b: Sketch, found: Equality) -> SharedPart | None:
    """The small network of one model that is all of the other."""
    held = tuple({n for n, x in side.items() if x.share == 1.0} for side in (found.a, found.b))
    return contained_part(a, b, (held[0], held[1]))


def _rounded(sketches: Sequence[Sketch], group_of: Mapping[int, int]) -> set[tuple[int, int]]:
    """Pairs of which no axis is known and one is the other, rounded."""
    untested = [i for i in sorted(group_of) if not sketches[i].anatomy.axes]
    pairs = combinations(untested, 2) if len(untested) <= MOST_HOLDERS else ()
    return {
        (i, j)
        for i, j in pairs
        if group_of[i] != group_of[j]
        and sketches[i].scheme == sketches[j].scheme
        and is_rounded_copy(sketches[i], sketches[j])
    }


def _keys(sketch: Sketch) -> Keys:
    """The smallest keys of rows that could not be equal by chance."""
    found = [np.zeros(0, dtype=np.uint64)]
    for tensor in sketch.tensors.values():
        for view in views_of(tensor):
            if view.kind not in BY_ROWS:
                break
            found.append(view.keys[view.is_told])
    return np.unique(np.concatenate(found))[:N_KEYS]


def not_testable(members: Sequence[Member], alone: Collection[str]) -> tuple[str, ...]:
    """Models of which no test could show that they are related to any other here.

    A test needs one kind of axis in both models, and enough of the smaller one on such axes.

    Parameters
    ----------
    members : sequence of Member
        All models.
    alone : collection of str
        Ids of those that are related to no other one.

    Returns
    -------
    tuple of str
        Ids among ``alone``.
    """
    groups = {(axes_of(m.sketch.anatomy), m.sketch.n_parameters): m.sketch for m in members}
    n_of = Counter((axes_of(m.sketch.anatomy), m.sketch.n_parameters) for m in members)
    found = []
    for m in (x for x in members if x.id in alone):
        own = axes_of(m.sketch.anatomy), m.sketch.n_parameters
        others = [x for key, x in groups.items() if key != own or n_of[own] > 1]
        is_open = own[0] and (len(members) == 1 or any(_is_in_reach(m.sketch, x) for x in others))
        if not is_open:
            found.append(m.id)
    return tuple(found)


def _is_in_reach(a: Sketch, b: Sketch) -> bool:
    """Whether a test of two models reaches enough of the smaller one."""
    both = axes_of(a.anatomy) & axes_of(b.anatomy)
    smaller = b if b.n_parameters < a.n_parameters else a
    return bool(both) and reachable_share(smaller, both) >= LEAST_TESTED
