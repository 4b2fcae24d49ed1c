"""Parts of one model that share nothing with the other: whose they are, if anybody's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from weightkin.derivation.distances import PairRelation, TensorDistance
from weightkin.derivation.heads_looked import FACTORS, Settled
from weightkin.derivation.pairing import TensorPair
from weightkin.derivation.unchanged import NamedKind
from weightkin.records import Clue, clue

DONOR = 0.1  # change of norm, in logs, up to which a replaced block was trained as long
FUSED: Mapping[str, frozenset[str]] = {"attn.qkv": frozenset({"attn.q", "attn.k", "attn.v"})}
OF_HEADS = {*FUSED, *(role for both in FACTORS.values() for role in both)}


def replaced(
    relation: PairRelation, whole: set[int], partly: set[int], settled: frozenset[Settled]
) -> NamedKind:
    """Part of one model is unrelated: another model's blocks, or an initialisation trained anew.

    Whole blocks whose norms are those of the blocks they stand for were trained as long, in another
    model: a hybrid. Where both factors of heads may have changed together, and nobody compared the
    heads, they may as well be the other model's in another basis. Anything else was begun afresh
    here.

    Parameters
    ----------
    relation : PairRelation
        Of the two models.
    whole, partly : set of int
        Blocks of b that share nothing, and those of which a part does not.
    settled : frozenset of Settled
        Matrices of heads that were compared and are in no other basis.

    Returns
    -------
    NamedKind
        The kind, its numbers and what it rests on.
    """
    lost = relation.unrelated
    rest = [t for t in relation.tensors if t.block_b >= 0 and t.block_b not in whole]
    numbers = numbers_of(relation)
    shift = _shift(lost)
    if shift is not None:
        numbers["log_norm_ratio"] = round(shift, 4)
    is_equal = bool(rest) and all(t.is_equal for t in rest)
    heads, around = _open_heads(relation, whole, settled)
    if is_equal and whole and not partly and not heads and shift is not None and shift < DONOR:
        roles = sorted({t.role for t in lost})
        found = clue("blocks-share-nothing", n=len(whole))
        return ("hybrid",), numbers | {"blocks": sorted(whole), "roles": roles}, (found,)
    clues: list[Clue] = [clue("heads-not-looked-at", n=len(heads))] if heads else []
    if fresh := [t for t in lost if t.name_b not in heads]:
        numbers["reinitialised"] = _where(relation, fresh, whole, partly)
        clues.insert(0, clue("matrices-share-nothing", n=len(fresh)))
    is_moved = bool(fresh) or any(
        not t.is_equal for t in relation.tensors if t.name_b not in around
    )
    return ("fine-tuned" if is_moved else "unknown",), numbers, tuple(clues)


def numbers_of(relation: PairRelation) -> dict[str, Any]:
    """Distances of two models and the share of equal values, as records hold them.

    Descriptive: no null hypothesis. Without comparable tensors all three are 0.

    Parameters
    ----------
    relation : PairRelation
        Of the two models.

    Returns
    -------
    dict
        ``relative_distance`` of all tensors and ``typical_distance`` of matrices, in units of the
        geometric mean of both norms; ``share_equal`` of the entries in both samples, 0 to 1. All
        with five decimals.
    """
    return {
        "relative_distance": round(relation.relative_distance, 5),
        "typical_distance": round(relation.typical_distance, 5),
        "share_equal": round(relation.share_equal, 5),
    }


def _where(
    relation: PairRelation, fresh: list[TensorDistance], whole: set[int], partly: set[int]
) -> dict[str, Any]:
    stored = {pair.b.name: pair.b.stored_name for pair in relation.pairs}
    names = sorted(stored[t.name_b] for t in fresh)
    if whole and not partly:
        return {"blocks": sorted({t.block_b for t in fresh}), "names": names}
    return {"roles": sorted({t.role for t in fresh}), "names": names}


def _shift(lost: tuple[TensorDistance, ...]) -> float | None:
    """How much norms changed, in logs; None where there is no ratio."""
    norms = [(t.squared_norm_a, t.squared_norm_b) for t in lost]
    ratios = [0.5 * np.log(y / x) for x, y in norms if 0 < x < np.inf and 0 < y < np.inf]
    return float(np.median(np.abs(ratios))) if ratios else None


def _open_heads(
    relation: PairRelation, whole: set[int], settled: frozenset[Settled]
) -> tuple[set[str], set[str]]:
    """Lost matrices that may be the same heads in another basis; all that would change with them.

    Of a fused matrix the factor that changed may be too small a part for it to count as lost.
    """
    lost = {t.name_b for t in relation.unrelated}
    others = {t.block_b for t in relation.unrelated if t.role not in OF_HEADS}
    by_block: dict[tuple[str, int], list[tuple[TensorPair, TensorDistance]]] = defaultdict(list)
    for pair, t in zip(relation.pairs, relation.tensors, strict=True):
        if t.role in OF_HEADS and not (t.block_b in whole and t.block_b in others):
            by_block[t.stack, t.block_b].append((pair, t))
    found: set[str] = set()
    around: set[str] = set()
    for attention in by_block.values():
        fused = {
            role
            for pair, t in attention
            if not (t.is_equal and t.n_common == math.prod(pair.b.shape))
            for role in FUSED.get(t.role, ())
        }
        for factors in FACTORS.values():
            own = [(pair, t) for pair, t in attention if FUSED.get(t.role, {t.role}) & {*factors}]
            open_ = {
                t.name_b: t.role
                for pair, t in own
                if t.name_b in lost and not _is_settled(pair, t, factors, settled)
            }
            if open_ and fused.union(open_.values()).issuperset(factors):
                found |= open_.keys()
                around |= {t.name_b for _, t in own}
    return found, around


def _is_settled(
    pair: TensorPair, t: TensorDistance, factors: tuple[str, str], settled: frozenset[Settled]
) -> bool:
    """Whether heads were compared of every factor that a matrix holds."""
    names = pair.a.stored_name, pair.b.stored_name
    return all(
        Settled(*names, role) in settled for role in FUSED.get(t.role, {t.role}) & {*factors}
    )
