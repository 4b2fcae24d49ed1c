"""Families that no aligned test joins are compared again, from their weights, blind to labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.networks import MOST_CONTAINED, SharedPart
from weightkin.derivation.opened import Settings, pair_of
from weightkin.derivation.pair import compare_pair
from weightkin.evidence.draws import pinned
from weightkin.lineage.candidates import Member
from weightkin.lineage.groups import Groups
from weightkin.lineage.relatives import OnProgress
from weightkin.records import Comparison
from weightkin.records.kinds import is_lineage
from weightkin.sketch import Sketch
from weightkin.sketch.invariant import N_ANCHORS, token_likeness

PROPOSED = 0.5  # correlation of two models' token likeness from which they are compared
MAX_LOOKS = 200  # pairs compared from their weights
LOOKS_EACH = 3  # pairs of the same two families
MAX_ASKED = 2000  # models that are looked at by their tokens, ...
MAX_ASKED_EACH = 16  # ... and of one family


@dataclass(frozen=True, slots=True)
class Look:
    """Two models that are related, and the record that says so; None: an aligned test did."""

    a: int
    b: int
    record: Comparison | None


def look_for_relatives(
    members: Sequence[Member],
    families: Sequence[Sequence[int]],
    alpha: float,
    seed: int,
    on_progress: OnProgress | None = None,
) -> tuple[list[Look], list[int], dict[tuple[int, int], SharedPart]]:
    """Compare models of different families that their tokens propose.

    Pairs are proposed by the likeness of tokens to each other, which no relabelling or rotation
    changes: a few of every two families, at most `MAX_LOOKS` of all. The p-values are those of
    `compare`.

    Parameters
    ----------
    members : sequence of Member
        All models.
    families : sequence of sequence of int
        Positions of members, family by family.
    alpha : float
        Level of one comparison, which is paid for all pairs.
    seed : int
        Of the comparisons.
    on_progress : callable, optional
        Called with the number of pairs that are done.

    Returns
    -------
    tuple
        Pairs that are related; models for which not all proposed pairs were looked at; and pairs
        that share one network and nothing else.
    """
    settings = Settings(alpha=alpha, seed=seed, challenge=pinned(seed))
    joined = Groups(range(len(families)))
    family_of = {i: k for k, family in enumerate(families) for i in family}
    n_tried: Counter[tuple[int, int]] = Counter()
    found: list[Look] = []
    unseen: set[int] = set()
    parts: dict[tuple[int, int], SharedPart] = {}
    n_looks = 0
    proposed = _proposed(members, families)
    for n_done, (i, j) in enumerate(proposed):
        pair = family_of[i], family_of[j]
        if joined.are_one(*pair) or n_tried[pair] >= LOOKS_EACH:
            continue
        if n_looks >= MAX_LOOKS:
            unseen.update(families[pair[0]], families[pair[1]])
            continue
        if on_progress is not None:
            on_progress(n_done, len(proposed))
        n_looks += 1
        n_tried[pair] += 1
        record = compared(members[i], members[j], settings)
        if record is not None and _is_of_whole(record, members[i], members[j]):
            joined.join(*pair)
            found.append(Look(i, j, record))
        elif record is not None and record.verdict == "dependent":
            shared = tuple(record.kind_details.get("parts", ())) or record.summary.parts
            parts[min(i, j), max(i, j)] = SharedPart(shared, (), 0.0)
    return found, sorted(unseen), parts


def _proposed(
    members: Sequence[Member], families: Sequence[Sequence[int]]
) -> list[tuple[int, int]]:
    """Pairs of different families that may be related, the most alike first."""
    if len(families) < 2:
        return []
    n_each = max(1, min(MAX_ASKED_EACH, MAX_ASKED // len(families)))
    asked = [i for family in families for i in _spread(members, family, n_each)][:MAX_ASKED]
    family_of = {i: k for k, family in enumerate(families) for i in family}
    sizes = (_n_tokens(members[i].sketch) for i in asked)
    n_tokens = min((n for n in sizes if n >= N_ANCHORS), default=N_ANCHORS)
    seen: dict[int, Doubles | None] = {}
    for i in asked:
        model = members[i].model
        x = None if model is None else token_likeness(model, members[i].sketch, n_tokens)
        seen[i] = None if x is None or not np.ptp(x) else x
    pairs = []
    for k, i in enumerate(asked):
        for j in asked[:k]:
            if family_of[i] != family_of[j] and _may_be_kin(members[i], members[j]):
                alike = _correlation(seen[i], seen[j])
                if alike >= PROPOSED:
                    pairs.append((-alike, j, i))
    return [(i, j) for _, i, j in sorted(pairs)]


def _spread(members: Sequence[Member], family: Sequence[int], n: int) -> list[int]:
    """Some models of a family whose weights are at hand, spread evenly."""
    able = [i for i in family if members[i].model is not None]
    at = np.unique(np.linspace(0, len(able) - 1, min(n, len(able))).astype(int))
    return [able[k] for k in at.tolist()]


def _n_tokens(sketch: Sketch) -> int:
    """Rows of the token table; 0 where there is none."""
    tables = (t for t in sketch.tensors.values() if t.role == "embed" and len(t.shape) == 2)
    return next((t.shape[0] for t in tables), 0)


def _correlation(x: Doubles | None, y: Doubles | None) -> float:
    """Correlation of two sets of cosines; what cannot be compared is proposed last."""
    if x is None or y is None or len(x) != len(y):
        return PROPOSED
    return float(np.corrcoef(x, y)[0, 1])


def compared(a: Member, b: Member, settings: Settings) -> Comparison | None:
    """What two models show on the sample of the seed, and on a fresh one where that is a part.

    Anybody may know the first, which comes out again; the second must show the same.

    Parameters
    ----------
    a, b : Member
        Two models.
    settings : Settings
        With the bytes that follow from the seed.

    Returns
    -------
    Comparison or None
        None where the weights of one are not at hand.
    """
    if a.model is None or b.model is None:
        return None
    record = compare_pair(pair_of(a.model, b.model, settings))
    if record.verdict != "dependent" or record.challenge is None:
        return record
    again = compare_pair(pair_of(a.model, b.model, replace(settings, challenge=None)))
    return record if again.verdict == "dependent" else again


def _is_of_whole(record: Comparison, a: Member, b: Member) -> bool:
    """Whether two models are relatives as a whole, and not by one network of one of them."""
    small, large = sorted(member.sketch.n_parameters for member in (a, b))
    is_part = "part" in record.kind or "stacks" in record.kind_details
    is_contained = is_part and small < MOST_CONTAINED * large
    return record.verdict == "dependent" and is_lineage(record.kind) and not is_contained


def _may_be_kin(a: Member, b: Member) -> bool:
    """Of one family, or of one residual width."""
    widths = [{x.n_units for x in m.sketch.anatomy.axes if x.kind == "residual"} for m in (a, b)]
    return a.sketch.family == b.sketch.family or bool(widths[0] & widths[1])
