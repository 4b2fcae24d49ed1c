"""Parts of one model that share nothing with the other: whose they are, if anybody's."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from weightkin.derivation.distances import PairRelation, TensorDistance
from weightkin.derivation.head_bases import FACTORS, Part
from weightkin.derivation.unchanged import NamedKind
from weightkin.records import Clue, clue

DONOR = 0.1  # change of norm, in logs, up to which a replaced block was trained as long
FUSED = ("attn.qkv",)  # roles in which both factors of a part may stand


def replaced(
    relation: PairRelation, whole: set[int], partly: set[int], looked: frozenset[Part]
) -> NamedKind:
    """Part of one model is unrelated: another model's blocks, or an initialisation trained anew.

    Whole blocks whose norms are those of the blocks they stand for were trained as long, in another
    model: a hybrid. Where both factors of heads are lost, whose bases nobody looked at, they may
    as well be the other model's in another basis. Anything else was begun afresh here.

    Parameters
    ----------
    relation : PairRelation
        Of the two models.
    whole, partly : set of int
        Blocks of b that share nothing, and those of which a part does not.
    looked : frozenset of Part
        Parts of heads whose bases were looked at.

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
    if is_equal and whole and not partly and shift is not None and shift < DONOR:
        roles = sorted({t.role for t in lost})
        found = clue("blocks-share-nothing", n=len(whole))
        return ("hybrid",), numbers | {"blocks": sorted(whole), "roles": roles}, (found,)
    heads = _unread_heads(lost, whole, looked)
    clues: list[Clue] = [clue("heads-not-looked-at", n=len(heads))] if heads else []
    if fresh := [t for t in lost if t.name_b not in heads]:
        numbers["reinitialised"] = _where(relation, fresh, whole, partly)
        clues.insert(0, clue("matrices-share-nothing", n=len(fresh)))
    is_moved = bool(fresh) or any(not t.is_equal for t in relation.tensors if t.name_b not in heads)
    return ("fine-tuned" if is_moved else "unknown",), numbers, tuple(clues)


def numbers_of(relation: PairRelation) -> dict[str, Any]:
    """Distances of two models and the share of equal values, as records hold them."""
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
        return {"blocks": sorted(whole), "names": names}
    return {"roles": sorted({t.role for t in fresh}), "names": names}


def _shift(lost: tuple[TensorDistance, ...]) -> float | None:
    """How much norms changed, in logs; None where there is no ratio."""
    norms = [(t.squared_norm_a, t.squared_norm_b) for t in lost]
    ratios = [0.5 * np.log(y / x) for x, y in norms if 0 < x < np.inf and 0 < y < np.inf]
    return float(np.median(np.abs(ratios))) if ratios else None


def _unread_heads(
    lost: tuple[TensorDistance, ...], whole: set[int], looked: frozenset[Part]
) -> set[str]:
    """Names of matrices that may be those of the same heads in another basis."""
    by_block: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for t in lost:
        if t.block_b not in whole:
            by_block[t.block_b][t.role].append(t.name_b)
    found: set[str] = set()
    for roles in by_block.values():
        for part in FACTORS.keys() - looked:
            if all(role in roles for role in FACTORS[part]):
                found.update(name for role in FACTORS[part] for name in roles[role])
        if len(looked) < len(FACTORS):
            found.update(name for role in FUSED for name in roles.get(role, ()))
    return found
