"""Kinds of two models whose values are equal: what was renamed, laid out anew, or left out."""

from __future__ import annotations

from typing import Any

from weightkin.derivation.distances import PairRelation
from weightkin.derivation.equality import FREE_ORDER, Equality
from weightkin.records import Clue, clue
from weightkin.sketch.types import Sketch

CLOSE = 0.9  # cosine of two matrices under which one may be the other in another order

NamedKind = tuple[tuple[str, ...], dict[str, Any], tuple[Clue, ...]]  # kinds, numbers, evidence


def may_be_equal(relation: PairRelation, a: Sketch, b: Sketch) -> bool:
    """Whether one model may hold the other's values: in other names, layouts or orders.

    Parameters
    ----------
    relation : PairRelation
        Distances of all comparable tensors.
    a, b : Sketch
        The two models.

    Returns
    -------
    bool
        False is certain up to the cut on cosines.
    """
    n_pairs = len({pair.a.name for pair in relation.pairs if pair.is_same_shape})
    if not n_pairs == len(relation.pairs) == len(a.tensors) == len(b.tensors):
        return True
    changed = [t for t in relation.tensors if not t.is_equal]
    return all(t.n_dims < 2 or t.cosine < CLOSE for t in changed)


def kind_of_equal(
    shared: Equality, a: Sketch, b: Sketch, *, is_other_file: bool
) -> NamedKind | None:
    """What equal values make of two models; None where values differ.

    Parameters
    ----------
    shared : Equality
        What is equal.
    a, b : Sketch
        The two models.
    is_other_file : bool
        Whether headers or configs differ.

    Returns
    -------
    tuple or None
        Kinds, their numbers and clues; None where values differ.
    """
    is_same = all(x.is_same for side in (shared.a, shared.b) for x in side.values())
    if _is_turned(shared, a) and not is_same:
        return ("equal-on-sample",), {"layout": ["rows in another order"]}, (clue("turned-rows"),)
    if not (is_same or shared.is_part):
        return None
    is_all = a.scheme.is_whole and b.scheme.is_whole
    layout = shared.layout
    details: dict[str, Any] = {"layout": list(layout)} if layout else {}
    moved = set(shared.reordered) - {*FREE_ORDER, "other"}
    if shared.is_whole and moved:
        roles = sorted(moved)
        return ("permuted",), details | {"roles": roles}, (clue("rows-reordered", roles=roles),)
    if order := _other_order(shared, a, b):
        return ("stacked",), details | order, (clue("blocks-in-other-order"),)
    if not (is_same or shared.is_whole):
        return ("part",), details | _only(shared), (clue("one-holds-other"),)
    if not is_all:
        return ("equal-on-sample",), details, (clue("equal-sample"),)
    is_same = is_same and not layout and a.tensors.keys() == b.tensors.keys()
    is_same = is_same and all(a.tensors[n].dtype == b.tensors[n].dtype for n in a.tensors)
    kind = "identical" if is_same and not is_other_file else "header-only"
    return (kind,), details, (clue("equal-all"),)


def _other_order(shared: Equality, a: Sketch, b: Sketch) -> dict[str, Any]:
    """Which blocks of a those of an equally deep stack of b are, where the order is another."""
    found: dict[str, dict[int, int]] = {}
    for name, match in shared.b.items():
        own = b.tensors[name]
        other = a.tensors.get(match.partners[0]) if len(match.partners) == 1 else None
        if not match.is_moved or other is None or min(own.block, other.block) < 0:
            continue
        if own.stack == other.stack and own.role == other.role and own.block != other.block:
            found.setdefault(own.stack, {})[own.block] = other.block
    depths = dict(a.stacks)
    for stack, order in found.items():
        if depths.get(stack) == dict(b.stacks).get(stack):
            layers = [order.get(i, i) for i in range(depths[stack])]
            return {"layers": layers, "stack": stack}
    return {}


def _is_turned(shared: Equality, a: Sketch) -> bool:
    """Whether a sample differs in nothing but the order of rows that conversions exchange."""
    both = [(n, x) for side in (shared.a, shared.b) for n, x in side.items() if not x.is_same]
    return not a.scheme.is_whole and all(
        shared.roles.get(n) in FREE_ORDER and x.told > 0 and not x.is_ordered for n, x in both
    )


def _only(shared: Equality) -> dict[str, Any]:
    """What one model holds and the other does not, by number."""
    return {f"n_only_{side}": n for side in "ab" if (n := len(shared.left(side)))}


def without_partner(relation: PairRelation) -> dict[str, Any]:
    """How many tensors have no partner in the other model."""
    only = {"n_only_a": len(relation.only_a), "n_only_b": len(relation.only_b)}
    return {key: n for key, n in only.items() if n}
