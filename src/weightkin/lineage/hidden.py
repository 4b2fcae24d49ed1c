"""Models without aligned relatives are compared again, from their weights, blind to labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.derivation.shared import Doubles
from weightkin.evidence.stage import Side
from weightkin.evidence.views import frames, token_views
from weightkin.lineage.member import Member
from weightkin.lineage.relatives import Told
from weightkin.lineage.support import support_of
from weightkin.records import Comparison
from weightkin.sketch.invariant import token_likeness
from weightkin.stats.matching import unit_rows
from weightkin.verbs.compare import compare

SEEN = ("mlp.up", "mlp.in0", "mlp.in1")  # rows through which units are matched
MAX_UNITS = 1024
PROPOSED = 0.5  # correlation of two models' token likeness from which they are compared
AS_NEAR = 1e-5  # difference of distances that rounding may make
NOTHING_SEEN = 2.0  # distance where no block can be seen
MAX_LOOKS = 200  # pairs compared from their weights


@dataclass(frozen=True, slots=True)
class Found:
    """A hidden relative: whom it is nearest to, how near, and the record that says so."""

    child: int
    parent: int
    distance: float
    record: Comparison
    runner_up: int  # -1: none
    behind: float
    support: float  # share of resamples of the blocks in which it stays the nearest
    is_rooted: bool  # whether the parent has relatives of its own order of units


def find_hidden(
    members: Sequence[Member],
    alone: Sequence[int],
    families: Sequence[Sequence[int]],
    roots: Sequence[int],
    alpha: float,
    seed: int,
    told: Told | None = None,
) -> tuple[list[Found], list[int]]:
    """Compare every model that is alone with the roots it may hang on, then with that family.

    ``families[k]`` are the possible parents that hang on ``roots[k]``, the oldest first. Models
    that are alone are compared with each other too. Pairs are proposed by the likeness of tokens to
    each other, which no relabelling or rotation changes, at most `MAX_LOOKS` of them. The p-values
    are those of `compare`; ``alpha`` is paid by the caller. ``told`` hears how many pairs are done.

    Returns
    -------
    tuple
        Hidden relatives, and the models for which not all proposed pairs were looked at.
    """
    tokens = {
        i: None if (model := members[i].model) is None else token_likeness(model, members[i].sketch)
        for i in (*alone, *roots)
    }
    family_of = dict(zip(roots, families, strict=True))
    proposed = sorted(  # roots first: a model that is alone may be a hidden relative itself
        (other not in family_of, -_correlation(tokens[other], tokens[child]), child, other)
        for k, child in enumerate(alone)
        for other in (*roots, *alone[:k])
        if members[other].model
        and members[child].model  # a sketch cannot be looked at again
        and _may_be_kin(members[other], members[child])
    )
    found: list[Found] = []
    placed: set[int] = set()
    n_looks = 0
    left: set[int] = set()
    for n_done, (_, likeness, child, other) in enumerate(proposed):
        if -likeness < PROPOSED or child in placed:
            continue
        if n_looks >= MAX_LOOKS:
            left.add(child)
            continue
        n_looks += 1
        if told is not None:
            told(n_done, len(proposed))
        record = _compared(members, other, child, alpha, seed)
        if record is None or record.verdict != "dependent":
            continue
        placed.add(child)
        if other in family_of:
            found.append(_nearest(members, family_of[other], child, record, alpha, seed))
        else:
            far = _mean(unseen_distances(members, other, child))
            found.append(Found(child, other, far, record, -1, 0.0, 1.0, is_rooted=False))
    return found, sorted(left - placed)


def _correlation(x: Doubles | None, y: Doubles | None) -> float:
    """Correlation of two sets of cosines; what cannot be compared is proposed last."""
    if x is None or y is None or len(x) != len(y) or not np.ptp(x) or not np.ptp(y):
        return PROPOSED
    return float(np.corrcoef(x, y)[0, 1])


def unseen_distances(members: Sequence[Member], parent: int, child: int) -> dict[str, float]:
    """How far units are from their best partners, seen through shared tokens, signs ignored.

    For each block the median of ``1 - |cosine|``; blind to permutation, rotation and signs. Empty
    where nothing can be seen.
    """
    a, b = _side(members[parent]), _side(members[child])
    if a is None or b is None:
        return {}
    shared = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)
    if isinstance(shared, str):
        return {}
    there = {(x.stack, x.block, x.name): x for x in b.axes("units")}
    medians: dict[str, float] = {}
    for axis in a.axes("units"):
        other = there.get((axis.stack, axis.block, axis.name))
        if other is None:
            continue
        x = token_views(a.model, a.anatomy, axis, shared[0], MAX_UNITS)
        y = token_views(b.model, b.anatomy, other, shared[1], MAX_UNITS)
        role = next((r for r in SEEN if r in x and r in y), None)
        if role is not None:
            cosine = np.abs(unit_rows(x[role]) @ unit_rows(y[role]).T)
            median = float(np.median(1.0 - cosine.max(axis=1)))
            medians[f"{axis.stack}.{axis.block} {axis.name}"] = median
    return medians


def _mean(medians: Mapping[str, float]) -> float:
    return float(np.mean(list(medians.values()))) if medians else NOTHING_SEEN


def _nearest(
    members: Sequence[Member],
    family: Sequence[int],
    child: int,
    record: Comparison,
    alpha: float,
    seed: int,
) -> Found:
    seen = {u: unseen_distances(members, u, child) for u in family}
    far = {u: _mean(medians) for u, medians in seen.items()}
    nearest = min(far.values())
    parent = next(u for u in family if far[u] <= nearest + AS_NEAR)  # equals: the oldest
    distance = far.pop(parent)
    own = _compared(members, parent, child, alpha, seed) or record
    runner_up = min(far, key=lambda u: far[u], default=-1)
    behind = max(0.0, far[runner_up] - distance) if far else 0.0
    rivals = [seen[u] for u in far if seen[u].keys() == seen[parent].keys()]
    support = support_of(
        np.array(list(seen[parent].values())) - AS_NEAR,
        np.array([list(medians.values()) for medians in rivals]),
        seed,
    )
    return Found(child, parent, distance, own, runner_up, behind, support, is_rooted=True)


def _compared(
    members: Sequence[Member], a: int, b: int, alpha: float, seed: int
) -> Comparison | None:
    x, y = members[a], members[b]
    if x.model is None or y.model is None or not _may_be_kin(x, y):
        return None
    return compare(x.model, y.model, alpha=alpha, seed=seed)


def _may_be_kin(a: Member, b: Member) -> bool:
    """Of one family, or of one residual width."""
    if a.sketch.family == b.sketch.family:
        return True
    widths = [{x.n_units for x in m.sketch.anatomy.axes if x.kind == "residual"} for m in (a, b)]
    return bool(widths[0] & widths[1])


def _side(member: Member) -> Side | None:
    if member.model is None:
        return None
    return Side(member.model, read_anatomy(member.model))
