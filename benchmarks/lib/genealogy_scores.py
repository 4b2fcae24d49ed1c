"""Score what was said of a random family against its truth, contracted over hidden members.

Members of equal values are one node. The true parents of a node are the nearest members above it
that are present; a node without any is a root. Every true edge is ``right`` (claimed with its
direction), ``open`` (nothing is claimed) or ``wrong`` (another parent is claimed for the child, or
the edge the other way round). An edge is claimed from a probability of the parent of 0.8 on; older
answers have none, there an edge is claimed where its direction is determined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from benchmarks.lib.genealogy_nodes import ROOT, UNOBSERVED, Nodes, Stratum, batches

Truth = Mapping[str, Any]
Outcome = Literal["right", "open", "wrong"]
CLAIMED_FROM = 0.8


@dataclass(frozen=True, slots=True)
class Edge:
    """One true edge and what became of it."""

    child: str
    parent: str
    outcome: Outcome
    said: str  # of a wrong one: what the claimed parent is to the child
    stratum: Stratum


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One edge that was stated, into a member that is there."""

    probability: float  # of the parent; of the direction in answers that have no other
    direction: float
    claimed: bool
    right: bool
    reversed_: bool = False  # the child is above the parent
    is_line: bool = True  # one of the two is above the other
    observed: bool = True  # the parent is a member, not an ancestor that was inferred
    stratum: Stratum


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentSet:
    """The possible parents that were stated for one member, as nodes, `unobserved` and `root`."""

    covered: bool
    size: int
    unobserved: bool
    root: bool
    stratum: Stratum


@dataclass(frozen=True, slots=True)
class Scored:
    """A family: its true edges, what was stated, and roots that a parent was claimed for."""

    edges: tuple[Edge, ...]
    stated: tuple[Stated, ...]
    sets: tuple[ParentSet, ...]
    n_roots: int
    n_roots_wrong: int


def score(truth: Truth, answer: Mapping[str, Any], *, claims_all: bool = False) -> Scored:
    """Compare an answer with the truth; with ``claims_all`` every edge counts as claimed."""
    nodes = Nodes(truth, answer["same"])
    claimed: dict[str, set[str]] = {}
    stated = []
    for above, below, _, is_determined, direction, _, _, *more in answer["edges"]:
        u, v = nodes.of(above), nodes.of(below)
        if v is None or u == v or (u is None and not more):
            continue  # into an inferred ancestor, or from one in an older answer; or two copies
        is_claimed = claims_all or (more[0] >= CLAIMED_FROM if more else bool(is_determined))
        if u is not None and is_claimed:
            claimed.setdefault(v, set()).add(u)
        one = Stated(
            probability=more[0] if more else direction,
            direction=direction,
            claimed=is_claimed,
            right=(u or UNOBSERVED) in nodes.true_parents(v),
            reversed_=u is not None and v in nodes.ancestors(u),
            is_line=u is not None and (v in nodes.ancestors(u) or u in nodes.ancestors(v)),
            observed=u is not None,
            stratum=nodes.stratum(v),
        )
        stated.append(one)
    edges = [
        _edge(nodes, claimed, parent, child)
        for child, parents in nodes.parents.items()
        for parent in sorted(parents)
    ]
    roots = [v for v, parents in nodes.parents.items() if not parents]
    n_wrong = sum(bool(claimed.get(v)) for v in roots)
    return Scored(tuple(edges), tuple(stated), _sets(nodes, answer), len(roots), n_wrong)


def _edge(nodes: Nodes, claimed: Mapping[str, set[str]], parent: str, child: str) -> Edge:
    own = claimed.get(child, set())
    others = own - nodes.parents[child]
    is_reversed = child in claimed.get(parent, set())
    outcome: Outcome = "right" if parent in own else "wrong" if others or is_reversed else "open"
    said = ""
    if outcome == "wrong":
        said = "its child" if is_reversed else nodes.relation(min(others), child)
    return Edge(child, parent, outcome, said, nodes.stratum(child))


def _sets(nodes: Nodes, answer: Mapping[str, Any]) -> tuple[ParentSet, ...]:
    """Sets of all members of found families; a member that is drawn on top states ``root``."""
    stated: dict[str, set[str]] = {}
    above, below, copies = set(), set(), set()
    for parent, child, *_, possible in (e for e in answer["edges"] if len(e) > 7):
        u, v = nodes.of(parent), nodes.of(child)
        if u == v:
            copies.add(child)
            continue
        above.add(u)
        below.add(v)
        if v is not None and possible is not None:
            stated.setdefault(child, set()).update(_node(nodes, name) for name, _ in possible)
    found = [(nodes.of(name), own) for name, own in stated.items() if name not in copies]
    found += [(v, {ROOT}) for v in above - below] if stated else []
    return tuple(
        ParentSet(
            covered=bool(own & nodes.true_parents(v)),
            size=len(own),
            unobserved=UNOBSERVED in own,
            root=ROOT in own,
            stratum=nodes.stratum(v),
        )
        for v, own in found
        if v is not None
    )


def _node(nodes: Nodes, name: str) -> str:
    """A node, ``root`` or ``unobserved``."""
    return ROOT if name == ROOT else nodes.of(name) or UNOBSERVED


def sibling_pairs(truth: Truth) -> tuple[int, int]:
    """Pairs of trained siblings on the same batches, and all pairs of trained siblings."""
    groups: dict[str, list[int]] = {}
    for member in truth["members"].values():
        order = batches(member)
        if order is not None and len(member["parents"]) == 1:
            groups.setdefault(member["parents"][0]["name"], []).append(order)
    pairs = [a == b for group in groups.values() for a, b in combinations(group, 2)]
    return sum(pairs), len(pairs)
