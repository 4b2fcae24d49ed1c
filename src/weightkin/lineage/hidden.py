"""Models without aligned relatives are compared again, from their weights, blind to labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.evidence.stage import Side
from weightkin.evidence.views import frames, token_views
from weightkin.lineage.collection import Member
from weightkin.records import Comparison
from weightkin.stats.matching import unit_rows
from weightkin.verbs.compare import compare

SEEN = ("mlp.up", "mlp.in0", "mlp.in1")  # rows through which units are matched
MAX_UNITS = 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A hidden relative: whom it is nearest to, how near, and the record that says so."""

    child: int
    parent: int
    distance: float
    record: Comparison
    runner_up: int  # -1: none
    behind: float
    is_rooted: bool  # whether the parent has relatives of its own order of units


def find_hidden(
    members: Sequence[Member],
    alone: Sequence[int],
    families: Sequence[Sequence[int]],
    roots: Sequence[int],
    alpha: float,
    seed: int,
) -> list[Found]:
    """Compare every model that is alone with the root of each family, then with the family.

    ``families[k]`` are the possible parents that hang on ``roots[k]``. Models that are alone are
    compared with each other too. Only pairs of one family name or residual width are looked at.
    The p-values are those of `compare`; ``alpha`` is paid by the caller.
    """
    found: list[Found] = []
    placed: set[int] = set()
    for child in alone:
        for root, family in zip(roots, families, strict=True):
            record = _compared(members, root, child, alpha, seed)
            if record is not None and record.verdict == "dependent":
                found.append(_nearest(members, family, child, record, alpha, seed))
                placed.add(child)
                break
    rest = [i for i in alone if i not in placed]
    for k, child in enumerate(rest):
        for other in rest[:k]:
            record = _compared(members, other, child, alpha, seed)
            if record is not None and record.verdict == "dependent":
                found.append(
                    Found(
                        child,
                        other,
                        unseen_distance(members, other, child),
                        record,
                        -1,
                        0.0,
                        is_rooted=False,
                    )
                )
                break
    return found


def unseen_distance(members: Sequence[Member], parent: int, child: int) -> float:
    """How far units are from their best partners, seen through shared tokens, signs ignored.

    Mean over blocks of the median of ``1 - |cosine|``; blind to permutation, rotation and signs.
    2 where nothing can be seen.
    """
    a, b = _side(members[parent]), _side(members[child])
    if a is None or b is None:
        return 2.0
    shared = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)
    if isinstance(shared, str):
        return 2.0
    there = {(x.stack, x.block, x.name): x for x in b.axes("units")}
    medians = []
    for axis in a.axes("units"):
        other = there.get((axis.stack, axis.block, axis.name))
        if other is None:
            continue
        x = token_views(a.model, a.anatomy, axis, shared[0], MAX_UNITS)
        y = token_views(b.model, b.anatomy, other, shared[1], MAX_UNITS)
        role = next((r for r in SEEN if r in x and r in y), None)
        if role is not None:
            cosine = np.abs(unit_rows(x[role]) @ unit_rows(y[role]).T)
            medians.append(float(np.median(1.0 - cosine.max(axis=1))))
    return float(np.mean(medians)) if medians else 2.0


def _nearest(
    members: Sequence[Member],
    family: Sequence[int],
    child: int,
    record: Comparison,
    alpha: float,
    seed: int,
) -> Found:
    far = sorted((unseen_distance(members, u, child), u) for u in family)
    distance, parent = far[0]
    own = _compared(members, parent, child, alpha, seed) or record
    runner_up, behind = (far[1][1], far[1][0] - distance) if len(far) > 1 else (-1, 0.0)
    return Found(child, parent, distance, own, runner_up, behind, is_rooted=True)


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
