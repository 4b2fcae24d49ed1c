"""What a first posterior says about every candidate pair, for a second and sharper one.

Which relative is right to measure a pair against depends on the tree itself: the change that a
child must hold is that since its parent's own parent. So the first probabilities choose it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weightkin.arrays import Doubles
from weightkin.lineage.family_law import law_features
from weightkin.lineage.triples import Around, Triples

STAYS = 0.999  # of each step on the way down, so that loops of undecided edges end


def second_look(
    around: Around, features: Mapping[str, Doubles], edges: Doubles, roots: Doubles
) -> dict[str, Doubles]:
    """Features from probabilities of all edges ``(n, n)`` and roots ``(n,)``: ``(m,)`` each."""
    u, v = around.parents, around.children
    below = descent(edges)
    likely = edges.max(axis=0)
    ordered = np.sort(edges, axis=0)
    second = ordered[-2] if len(edges) > 1 else ordered[-1]
    rival = np.where(edges >= likely, second, likely)
    siblings = edges.T @ edges
    dense = {
        "edge": edges,
        "edge_back": edges.T,
        "rival": rival,
        "below": below,
        "above": below.T,
        "siblings": siblings,
        "grandparent": edges @ edges,
        "uncle": siblings @ edges,
    }
    found = {name: x[u, v] for name, x in dense.items()}
    n_children = edges.sum(axis=1)
    found |= {
        "root_u": roots[u],
        "root_v": roots[v],
        "children_u": n_children[u],
        "children_v": n_children[v],
        "placed_u": likely[u],
    }
    found |= law_features(u, v, features, edges)
    for sort, triples in (("", around.plain), ("white_", around.white)):
        own = _by_relatives(around, triples, edges, roots, below)
        found |= {sort + name: x for name, x in own.items()}
    return found


def descent(edges: Doubles) -> Doubles:
    """Expected share in which the column descends from the row, up to loops."""
    reach = np.linalg.inv(np.eye(len(edges)) - STAYS * edges)
    share: Doubles = np.maximum(reach / np.diag(reach)[:, None], 0.0)
    return share


def _by_relatives(
    around: Around, triples: Triples, edges: Doubles, roots: Doubles, below: Doubles
) -> dict[str, Doubles]:
    """Cosines and shares held, measured against the relatives that the first posterior favours."""
    u, v, r = around.parents[:, None], around.children[:, None], np.maximum(around.relatives, 0)
    is_told = (around.relatives >= 0) & np.isfinite(triples.held)
    outside = (1 - np.minimum(below[u, r], 1)) * (1 - np.minimum(below[v, r], 1))
    above = np.where(is_told, edges[r, u] * outside, -1.0)  # r as the parent of u
    beside = np.where(is_told, edges[u, r], -1.0)  # r as another child of u
    under = np.where(is_told, edges[v, r], -1.0)  # r as a child of v
    oldest = np.where(is_told, roots[r], -1.0)
    bent_u, bent_v = np.abs(triples.at_u), np.abs(triples.at_v)
    not_under = np.where(is_told, 1 - np.minimum(below[v, r], 1), 0.0)
    return {
        "held_since_parent": _at_first(triples.held, above),
        "at_u_parent": _at_first(triples.at_u, above),
        "at_v_parent": _at_first(triples.at_v, above),
        "held_since": _mean(triples.held, above),
        "at_u_sibling": _at_first(triples.at_u, beside),
        "bent_siblings": _mean(bent_u, beside),
        "held_since_root": _at_first(triples.held, oldest),
        "at_v_children": _mean(triples.at_v, under),
        "bent_outside": (not_under * np.nan_to_num(bent_u)).max(axis=1),
        "bent_both": (not_under * np.nan_to_num(np.fmin(bent_u, bent_v))).max(axis=1),
    }


def _at_first(x: Doubles, weight: Doubles) -> Doubles:
    at = np.argmax(weight, axis=1)[:, None]
    chosen = np.take_along_axis(x, at, axis=1)[:, 0]
    is_some = np.take_along_axis(weight, at, axis=1)[:, 0] >= 0
    return np.where(is_some, chosen, np.nan)


def _mean(x: Doubles, weight: Doubles) -> Doubles:
    w = np.where(np.isfinite(x), np.maximum(weight, 0.0), 0.0)
    return np.asarray((w * np.nan_to_num(x)).sum(axis=1) / (w.sum(axis=1) + 1e-9))
