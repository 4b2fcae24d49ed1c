"""Who came from whom among models of one layout that were trained: root, parents, directions.

For every candidate root the cheapest arborescence is found. An edge costs its distance, what speaks
against its direction, and what speaks against inheritance along it. Roots are then weighed by the
cost of their tree, by whether the norms change with one sign along all edges, and by how many
children they have; the weights of all roots together give the probability of every direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, expit, logsumexp

from weightkin.arrays import Doubles, Ints
from weightkin.derivation.inheritance import descent_log_odds
from weightkin.lineage.arborescence import arborescence
from weightkin.lineage.candidates import N_RESAMPLES
from weightkin.lineage.measured import REPLACED_DISTANCE, Group, Pairwise, distances

DISTANCE = 2.0  # cost of a factor e in squared distance
ONE_SIGN = 0.5  # both parameters of the Beta law of the share of edges along which norms grow
CHILDREN = 2.0  # log-odds of a root for each factor e in its number of children
TIE = 1e-3  # of the mean log distance to everybody: equals go to the more central parent
MAX_ROOTS = 8  # candidate roots that are tried
FEWER_ROWS = 4.0  # against a parent with fewer untouched token rows than another candidate
SLACK_ROWS = 2  # rows that may be missing for other reasons
REPLACED = 4.0  # against an edge along which a matrix was replaced: there is one for each event
MAX_PASSES = 4  # of inheritance along the path


@dataclass(frozen=True, slots=True)
class Orientation:
    """Parents (-1 for the root) with what is known about each edge. Arrays have one entry a model.

    ``direction`` is the probability that the edge points this way given that it is one;
    ``support`` the share of resampled trees (over matrices) with the same parent;
    ``runner_up`` the second best parent (-1 where there is none), ``margin`` its extra cost.
    """

    parents: Ints
    direction: Doubles
    support: Doubles
    runner_up: Ints
    margin: Doubles
    held: Doubles  # share of the parent's change from the root that the child holds; NaN: root
    roots: dict[int, float]  # probability of each candidate


def orient(group: Group, seed: int = 0, root: int | None = None) -> Orientation:
    """Find the root, unless it is known, and all parents.

    Cost: one singular value decomposition for each candidate root, model and looked-at matrix.

    Parameters
    ----------
    group : Group
        What was measured of the models.
    seed : int
        Of the resamples.
    root : int, optional
        Position of the root, where it is known.

    Returns
    -------
    Orientation
        Parents by position, with what is known about each edge.
    """
    n = group.n
    everything = np.ones(len(group.weights))
    trees = {r: _tree(group, r, everything) for r in candidate_roots(group, root)}
    scores = {r: _score(group, r, trees[r]) for r in trees}
    total = float(logsumexp([-s for s in scores.values()]))
    roots = {r: float(np.exp(-scores[r] - total)) for r in scores}
    best = min(scores, key=lambda r: (scores[r], r))
    parents, costs = trees[best].parents, trees[best].costs
    direction = np.ones(n)
    for v in range(n):
        u = int(parents[v])
        if u < 0:
            continue
        along = sum(p for r, p in roots.items() if trees[r].parents[v] == u)
        against = sum(p for r, p in roots.items() if trees[r].parents[u] == v)
        direction[v] = along / (along + against) * _not_swapped(costs, parents, u, v)
    runner_up, margin = _second(costs, parents)
    return Orientation(
        parents=parents,
        direction=direction,
        support=_support(group, best, parents, seed),
        runner_up=runner_up,
        margin=margin,
        held=_held(group, best, parents),
        roots=roots,
    )


def candidate_roots(group: Group, known: int | None = None) -> list[int]:
    """Models that may be the root: central ones, and those that nothing makes younger."""
    n = group.n
    if known is not None or n <= MAX_ROOTS:
        return list(range(n)) if known is None else [known]
    centrality = np.log(distances(group) + np.eye(n)).sum(axis=1)
    younger = (group.pairwise.direction < -1).sum(axis=1)
    first = np.argsort(centrality, kind="stable")[: MAX_ROOTS // 2]
    oldest = np.lexsort((centrality, younger))[: MAX_ROOTS // 2]
    return sorted({int(r) for r in (*first, *oldest)})


@dataclass(frozen=True, slots=True)
class _Tree:
    """The cheapest arborescence from one root, and the costs it was found with: all ``(n, n)``."""

    parents: Ints
    costs: Doubles  # spread + against - descent
    spread: Doubles
    against: Doubles
    descent: Doubles


def _tree(group: Group, root: int, counts: Doubles) -> _Tree:
    """Find it in a few passes: what is asked of an edge depends on the tree above and below it."""
    n = group.n
    far = np.log(distances(group, counts))
    spread = DISTANCE * far + TIE * far.mean(axis=1, keepdims=True)
    backwards = np.logaddexp(0.0, -group.pairwise.direction) + REPLACED * group.is_replaced
    against = backwards
    looked_at = group.inheritance.looked_at
    from_root = np.zeros((n, n))
    for u in (x for x in range(n) if x != root):
        from_root[u] = descent_log_odds(group.inheritance.held(root, u, counts[looked_at]))
    descent = from_root
    parents = np.full(n, -1, dtype=np.int64)
    costs = spread
    for _ in range(MAX_PASSES):
        costs = spread + against - descent
        costs[:, root] = np.inf
        prices = np.full(n, np.inf)
        prices[root] = 0.0
        found = arborescence(costs, prices)
        if (found == parents).all():
            break
        parents = found
        descent = _along_path(group, root, parents, from_root, counts[looked_at])
        against = backwards + _missing_rows(group.pairwise, parents)
    return _Tree(parents, costs, spread, against, descent)


def _along_path(
    group: Group, root: int, parents: Ints, from_root: Doubles, counts: Doubles
) -> Doubles:
    """The last change of a candidate must be inherited too, not only all of them together."""
    descent = from_root.copy()
    for u in range(group.n):
        origin = int(parents[u])
        if origin not in (-1, root):
            last = descent_log_odds(group.inheritance.held(origin, u, counts))
            last[[u, origin]] = 0.0
            descent[u] = np.minimum(from_root[u], last)
    return descent


def _missing_rows(pairwise: Pairwise, parents: Ints) -> Doubles:
    """Against parents that share fewer untouched rows with a child than another model does.

    A child keeps the token rows that its own data never used, up to decay; whoever changed one of
    them since is no ancestor, and whoever lacks changes that the parent made shares fewer. What
    hangs below a child shares rows with it for the same reason and does not count.
    """
    known = np.where(np.isnan(pairwise.untouched), -1.0, pairwise.untouched)
    np.fill_diagonal(known, -1.0)
    for v in range(len(parents)):
        known[sorted(descendants(parents, v)), v] = -1.0
    fewer = known < known.max(axis=0, keepdims=True) - SLACK_ROWS
    cost: Doubles = np.where(fewer & (known >= 0), FEWER_ROWS, 0.0)
    return cost


def _score(group: Group, root: int, tree: _Tree) -> float:
    """Cost of a whole tree: smaller is better. Inheritance counts only where it is missing."""
    parents = tree.parents
    children = np.flatnonzero(parents >= 0)
    edges = parents[children], children
    missing = np.minimum(0.0, tree.descent[edges])
    total = float((tree.spread[edges] + tree.against[edges] - missing).sum())
    n_children = max(1, int((parents == root).sum()))
    return total - _one_sign(group, parents) - CHILDREN * float(np.log(n_children))


def _one_sign(group: Group, parents: Ints) -> float:
    """Log-likelihood of the signs of norm growth along the edges, whichever sign it is."""
    signs = []
    for v in np.flatnonzero(parents >= 0):
        u = int(parents[v])
        squares = group.squares[:, u, v]
        changed = (squares > 1e-9) & (squares < REPLACED_DISTANCE)
        growth = (group.log_norms[changed, v] - group.log_norms[changed, u]).sum()
        if growth:
            signs.append(growth > 0)
    n, grown = len(signs), sum(signs)
    return float(betaln(grown + ONE_SIGN, n - grown + ONE_SIGN) - betaln(ONE_SIGN, ONE_SIGN))


def _not_swapped(costs: Doubles, parents: Ints, u: int, v: int) -> float:
    """Probability of u before v when the place of the two in the tree is kept."""
    above = int(parents[u])
    if above < 0:
        return 1.0  # that is the question of the root
    swapped = costs[above, v] + costs[v, u] - costs[above, u] - costs[u, v]
    return float(expit(swapped))


def _second(costs: Doubles, parents: Ints) -> tuple[Ints, Doubles]:
    """Second best parent of each model outside its own descendants, and its extra cost."""
    n = len(parents)
    runner_up, margin = np.full(n, -1, dtype=np.int64), np.zeros(n)
    for v in np.flatnonzero(parents >= 0):
        below = descendants(parents, int(v))
        others = [u for u in range(n) if u not in below and u != parents[v]]
        if others:
            second = min(others, key=lambda u: costs[u, v])
            runner_up[v] = second
            margin[v] = costs[second, v] - costs[parents[v], v]
    return runner_up, margin


def descendants(parents: Ints, v: int) -> set[int]:
    """A model and all that hangs below it."""
    found, todo = {v}, [v]
    while todo:
        here = todo.pop()
        below = [int(x) for x in np.flatnonzero(parents == here) if int(x) not in found]
        found.update(below)
        todo += below
    return found


def _support(group: Group, root: int, parents: Ints, seed: int) -> Doubles:
    """Share of trees from resampled matrices in which each model has the same parent."""
    rng = np.random.default_rng([seed, group.n])
    n_tensors = len(group.weights)
    same = np.zeros(group.n)
    for _ in range(N_RESAMPLES):
        drawn = np.bincount(rng.integers(n_tensors, size=n_tensors), minlength=n_tensors)
        if (drawn * group.weights).sum() > 0:
            same += _tree(group, root, drawn.astype(np.float64)).parents == parents
    return same / N_RESAMPLES


def _held(group: Group, root: int, parents: Ints) -> Doubles:
    held = np.full(group.n, np.nan)
    for v in np.flatnonzero(parents >= 0):
        if parents[v] != root:
            held[v] = group.inheritance.held(root, int(parents[v]))[v]
    return held
