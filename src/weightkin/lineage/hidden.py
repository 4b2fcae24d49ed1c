"""Models without aligned relatives are compared again, from their weights, blind to labels."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.arrays import Doubles
from weightkin.derivation.pair import Settings, compare_pair, pair_of
from weightkin.evidence.sample import view_places
from weightkin.evidence.views import TokenRows, frames, unit_rows_of
from weightkin.lineage.candidates import Member, support_of
from weightkin.lineage.relatives import OnProgress
from weightkin.records import Comparison, Skipped
from weightkin.sketch.invariant import token_likeness

SEEN = ("mlp.gate", "mlp.up", "mlp.in0", "mlp.in1", "attn.v")  # rows that are matched
MAX_HIDDEN_UNITS = 1024
PROPOSED = 0.5  # correlation of two models' token likeness from which they are compared
AS_LIKELY = 0.05  # of that correlation: how far other roots may be behind that are asked too
COPY = 1e-8  # distance of units up to which a model is a copy in disguise, and no more
TIED_RATIO = 10.0  # times the distance of the nearest, within which others are as near
TINY_DISTANCE = 1e-12  # distance that rounding makes
MIN_UNIT_SHARE = 0.99  # share of the units for which something must hold
SAME_SIZE = 1e-3  # relative, of the norms of a unit
N_MATRICES = 4  # matrices whose values are compared in any order
NOTHING_SEEN = 2.0  # distance where no block can be seen
MAX_LOOKS = 200  # pairs compared from their weights


@dataclass(frozen=True, slots=True)
class HiddenPair:
    """A hidden relative: whom it is nearest to, how near, and the record that says so."""

    child: int
    parent: int
    distance: float
    record: Comparison
    runner_up: int  # -1: none
    behind: float
    support: float  # share of resamples of the blocks in which it stays the nearest
    is_rooted: bool  # whether the parent has relatives of its own order of units
    is_copy: bool = False  # whether nothing but the disguise lies between the two
    is_tied: bool = False  # whether another model is as near, and as simply rewritten into it


def find_hidden(
    members: Sequence[Member],
    alone: Sequence[int],
    family_of: Mapping[int, Sequence[int]],
    settings: Settings,
    on_progress: OnProgress | None = None,
) -> tuple[list[HiddenPair], list[int]]:
    """Compare every model that is alone with the roots it may hang on, then with those families.

    Models that are alone are compared with each other too. Pairs are proposed by the likeness of
    tokens to each other, which no relabelling or rotation changes, at most `MAX_LOOKS` of them. The
    p-values are those of `compare`.

    Parameters
    ----------
    members : sequence of Member
        All models.
    alone : sequence of int
        Those without relatives.
    family_of : mapping
        All possible parents that are relatives of a root, by the root.
    settings : Settings
        Of the comparisons; the level is paid by the caller.
    on_progress : callable, optional
        Called with the number of pairs that are done.

    Returns
    -------
    tuple
        Hidden relatives, and the models for which not all proposed pairs were looked at.
    """
    proposed = _proposed(members, alone, family_of)
    n_looks = 0
    related: dict[int, list[tuple[float, int, Comparison]]] = {}
    left: set[int] = set()
    for n_done, (_, likeness, child, other) in enumerate(proposed):
        first = related.get(child)
        is_behind = first and (other not in family_of or first[0][0] - AS_LIKELY > -likeness)
        if -likeness < PROPOSED or is_behind:
            continue
        if n_looks >= MAX_LOOKS:
            left.add(child)
            continue
        n_looks += 1
        if on_progress is not None:
            on_progress(n_done, len(proposed))
        record = _compared(members, other, child, settings)
        if record is not None and record.verdict == "dependent":
            related.setdefault(child, []).append((-likeness, other, record))
    looks = Looks(members)
    found: list[HiddenPair] = []
    for child, those in related.items():
        roots_of = [other for _, other, _ in those if other in family_of]
        if not roots_of:
            _, other, record = those[0]
            far = _mean(looks.distances(other, child))
            found.append(HiddenPair(child, other, far, record, -1, 0.0, 1.0, is_rooted=False))
            continue
        kin = [x for x, others in related.items() if {o for _, o, _ in others} & set(roots_of)]
        choices = dict.fromkeys((*(u for r in roots_of for u in family_of[r]), *kin))
        others = [u for u in choices if u != child]
        found.append(_nearest(looks, others, set(kin), child, those[0][2], settings))
    return found, sorted(left - related.keys())


def _proposed(
    members: Sequence[Member], alone: Sequence[int], roots: Collection[int]
) -> list[tuple[bool, float, int, int]]:
    """Pairs to compare, roots first: a model that is alone may be a hidden relative itself."""
    tokens = {
        i: None if (model := members[i].model) is None else token_likeness(model, members[i].sketch)
        for i in (*alone, *roots)
    }
    return sorted(
        (other not in roots, -_correlation(tokens[other], tokens[child]), child, other)
        for k, child in enumerate(alone)
        for other in (*roots, *alone[:k])
        if all(members[k].model for k in (other, child))  # a sketch cannot be looked at again
        and _may_be_kin(members[other], members[child])
    )


def _correlation(x: Doubles | None, y: Doubles | None) -> float:
    """Correlation of two sets of cosines; what cannot be compared is proposed last."""
    if x is None or y is None or len(x) != len(y) or not np.ptp(x) or not np.ptp(y):
        return PROPOSED
    return float(np.corrcoef(x, y)[0, 1])


@dataclass
class Looks:
    """Models looked at from their weights, each opened once."""

    members: Sequence[Member]
    _sides: dict[int, Side | None] = field(default_factory=dict)

    def side(self, i: int) -> Side | None:
        """A model with its anatomy, None where its weights are not at hand."""
        if i not in self._sides:
            model = self.members[i].model
            self._sides[i] = None if model is None else Side(model, read_anatomy(model))
        return self._sides[i]

    def distances(self, parent: int, child: int) -> dict[str, float]:
        """How far units are from their best partners, by block: the median of ``1 - |cosine|``.

        Seen through shared tokens: blind to permutation, rotation, scales and signs.
        """
        seen = self._seen(parent, child)
        return {
            block: max(0.0, float(np.median(1.0 - np.abs(c).max(axis=1)))) for block, (c, _) in seen
        }

    def simplicity(self, parent: int, child: int) -> tuple[bool, bool, bool, bool]:
        """What a disguise left alone: shapes, values in some order, signs and scales, the order."""
        is_plain, is_ordered = True, True
        for _, (cosine, sizes) in self._seen(parent, child):
            best = np.abs(cosine).argmax(axis=1)
            at = np.arange(len(best))
            is_plain &= bool((cosine[at, best] > 0).mean() > MIN_UNIT_SHARE)
            is_alike = np.abs(sizes[0] / sizes[1][best] - 1) < SAME_SIZE
            is_plain &= bool(is_alike.mean() > MIN_UNIT_SHARE)
            is_ordered &= bool((best == at).mean() > MIN_UNIT_SHARE)
        one, other = (self.members[i].sketch.tensors.values() for i in (parent, child))
        is_same = sorted(t.shape for t in one) == sorted(t.shape for t in other)
        return is_same, self._same_values(parent, child), is_plain, is_ordered

    def _seen(
        self, parent: int, child: int
    ) -> Iterator[tuple[str, tuple[Doubles, tuple[Doubles, Doubles]]]]:
        """Cosines of the units of two models seen through tokens, and their sizes, by matrix."""
        a, b = self.side(parent), self.side(child)
        if a is None or b is None:
            return
        shared = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)
        if isinstance(shared, Skipped):
            return
        both = (*b.axes("units"), *b.axes("vo"))
        there = {(x.stack, x.block, x.name): x for x in both}
        for axis in (*a.axes("units"), *a.axes("vo")):
            other = there.get((axis.stack, axis.block, axis.name))
            if other is None:
                continue
            views = [_units(s, x, f) for s, x, f in ((a, axis, shared[0]), (b, other, shared[1]))]
            for role in (r for r in SEEN if all(r in view for view in views)):
                x, y = (view[role] for view in views)
                sizes = (np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
                p, q = (
                    z / np.maximum(n, 1e-300)[:, None] for z, n in zip((x, y), sizes, strict=True)
                )
                yield f"{axis.stack}.{axis.block} {role}", (p @ q.T, sizes)

    def _same_values(self, parent: int, child: int) -> bool:
        """Whether a few matrices hold the same numbers, in whatever order."""
        a, b = self.members[parent], self.members[child]
        if a.model is None or b.model is None:
            return False
        there = b.sketch.tensors
        both = ((x, there[name]) for name, x in a.sketch.tensors.items() if name in there)
        small = sorted(
            (math.prod(x.shape), x.stored_name, y.stored_name)
            for x, y in both
            if x.shape == y.shape and len(x.shape) == 2 and not (x.is_cut or y.is_cut)
            if x.stored_name in a.model.tensors and y.stored_name in b.model.tensors
        )[:N_MATRICES]
        return bool(small) and all(
            np.array_equal(np.sort(a.model.rows(n), axis=None), np.sort(b.model.rows(m), axis=None))
            for _, n, m in small
        )


def _units(side: Side, axis: Axis, frame: TokenRows) -> dict[str, Doubles]:
    """Rows of units through tokens, in double precision and not centred: copies are exact."""
    found = {}
    for place in view_places(side.model, axis):
        if place.role in SEEN:
            rows = unit_rows_of(side.model, place, 0, min(MAX_HIDDEN_UNITS, place.size))
            if rows is not None and rows.shape[1] == frame.inputs.shape[1]:
                gain = gain_before(side.model, axis.stack, place).astype(np.float64)
                if np.isfinite(rows).all():
                    found[place.role] = (rows * gain) @ frame.inputs.astype(np.float64).T
    return found


def _mean(medians: Mapping[str, float]) -> float:
    return float(np.mean(list(medians.values()))) if medians else NOTHING_SEEN


def _nearest(
    looks: Looks,
    choices: Sequence[int],
    hidden: Set[int],
    child: int,
    record: Comparison,
    settings: Settings,
) -> HiddenPair:
    """The nearest of many; of those as near the one whose rewriting into the child is simplest.

    Models that are ``hidden`` themselves make a tie where they are as near, and are no parents.
    """
    seen = {u: looks.distances(u, child) for u in choices}
    far = {u: _mean(medians) for u, medians in seen.items()}
    limit = TIED_RATIO * max(min(far.values()), TINY_DISTANCE)
    near = [u for u in choices if far[u] <= limit]
    simple = {u: looks.simplicity(u, child) for u in near}
    best = [u for u in near if simple[u] == max(simple.values())]
    parent = next((u for u in best if u not in hidden), None)
    if parent is None:
        parent = min((u for u in choices if u not in hidden), key=lambda u: far[u])
    distance = far[parent]
    rivals = [u for u in best if u != parent]
    others = [u for u in choices if u != parent]
    runner_up = rivals[0] if rivals else min(others, key=lambda u: far[u], default=-1)
    same = [seen[u] for u in others if seen[u].keys() == seen[parent].keys()]
    support = support_of(
        np.array(list(seen[parent].values())) - TINY_DISTANCE,
        np.array([list(medians.values()) for medians in same]),
        settings.seed,
    )
    return HiddenPair(
        child,
        parent,
        distance,
        _compared(looks.members, parent, child, settings) or record,
        runner_up,
        0.0 if rivals or runner_up < 0 else max(0.0, far[runner_up] - distance),
        support,
        is_rooted=True,
        is_copy=distance <= COPY,
        is_tied=bool(rivals),
    )


def _compared(members: Sequence[Member], a: int, b: int, settings: Settings) -> Comparison | None:
    x, y = members[a], members[b]
    if x.model is None or y.model is None or not _may_be_kin(x, y):
        return None
    return compare_pair(pair_of(x.model, y.model, settings))


def _may_be_kin(a: Member, b: Member) -> bool:
    """Of one family, or of one residual width."""
    widths = [{x.n_units for x in m.sketch.anatomy.axes if x.kind == "residual"} for m in (a, b)]
    return a.sketch.family == b.sketch.family or bool(widths[0] & widths[1])
