"""Score what was said of a random family against its truth, contracted over hidden members.

Members of equal values are one node. The true parents of a node are the nearest members above it
that are present; a node without any is a root. Every true edge is ``right`` (stated with its
direction), ``open`` (not stated, or without a direction) or ``wrong`` (another parent is stated
for the child, or the edge the other way round).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

Truth = Mapping[str, Any]
Outcome = Literal["right", "open", "wrong"]
TRAINED = ("fine-tune", "continue", "objective", "lora", "new-layer", "new-head")


@dataclass(frozen=True, slots=True)
class Edge:
    """One true edge and what became of it."""

    child: str
    parent: str
    outcome: Outcome
    said: str  # of a wrong one: what the stated parent is to the child
    kind: str
    depth: int
    drift: bool  # a sibling that is present saw the same batches
    complete: bool  # the parent itself is present, no ancestor of it stands in
    net: str


@dataclass(frozen=True, slots=True)
class Stated:
    """One edge that was stated between two members."""

    probability: float
    support: float
    determined: bool
    right: bool
    kind: str  # as it was stated
    behind: float | None = None  # of the runner-up, if there is one


@dataclass(frozen=True, slots=True)
class Scored:
    """A family: its true edges, what was stated, and roots that were given a parent."""

    edges: tuple[Edge, ...]
    stated: tuple[Stated, ...]
    n_roots: int
    n_roots_wrong: int


def score(truth: Truth, answer: Mapping[str, Any], *, claims_all: bool = False) -> Scored:
    """Compare an answer with the truth; with ``claims_all`` every edge counts as determined."""
    nodes = Nodes(truth, answer["same"])
    claimed: dict[str, set[str]] = {}
    drawn: dict[str, set[str]] = {}
    stated = []
    for above, below, kind, is_determined, probability, support, behind in answer["edges"]:
        u, v = nodes.of(above), nodes.of(below)
        if u is None or v is None or u == v:
            continue  # an unobserved ancestor, or two copies
        drawn.setdefault(v, set()).add(u)
        if is_determined or claims_all:
            claimed.setdefault(v, set()).add(u)
        is_right = u in nodes.parents[v]
        stated.append(Stated(probability, support, bool(is_determined), is_right, kind, behind))
    edges = [
        _edge(truth, nodes, claimed, parent, child)
        for child, parents in nodes.parents.items()
        for parent in sorted(parents)
    ]
    roots = [v for v, parents in nodes.parents.items() if not parents]
    n_wrong = sum(bool(claimed.get(v)) for v in roots)
    return Scored(tuple(edges), tuple(stated), len(roots), n_wrong)


def _edge(
    truth: Truth, nodes: Nodes, claimed: Mapping[str, set[str]], parent: str, child: str
) -> Edge:
    own = claimed.get(child, set())
    others = own - nodes.parents[child]
    is_reversed = child in claimed.get(parent, set())
    outcome: Outcome = "right" if parent in own else "wrong" if others or is_reversed else "open"
    said = ""
    if outcome == "wrong":
        said = "its child" if is_reversed else nodes.relation(min(others), child)
    made = truth["members"][nodes.made_as(child)]
    return Edge(
        child=child,
        parent=parent,
        outcome=outcome,
        said=said,
        kind=kind_of(made["operations"]),
        depth=made["depth"],
        drift=nodes.drifts(child),
        complete=nodes.is_complete(parent, child),
        net=truth["net"],
    )


def kind_of(operations: Sequence[Mapping[str, Any]]) -> str:
    """A single step by its name, several by their number."""
    if len(operations) == 1:
        return str(operations[0]["op"])
    if operations[0]["op"] == "merge":
        return "merge and more"
    return "two steps" if len(operations) == 2 else "three to five steps"


class Nodes:
    """The members that are present, copies taken together, with their true parents."""

    def __init__(self, truth: Truth, same: Iterable[Sequence[str]]) -> None:
        self.members = truth["members"]
        self.present = [name for name, m in self.members.items() if not m["hidden"]]
        first = {name: name for name in self.present}
        for group in same:
            first |= dict.fromkeys(group, min(group))
        self._first = first
        self.parents: dict[str, set[str]] = {}
        for name in self.present:
            node = first[name]
            above = {first[u] for u in self._nearest(name)} - {node}
            self.parents.setdefault(node, set()).update(above)

    def of(self, name: str) -> str | None:
        """The node of a member; None of an ancestor that was inferred."""
        return self._first.get(name)

    def _nearest(self, name: str) -> set[str]:
        """Nearest members above that are present."""
        found: set[str] = set()
        for parent in self.members[name]["parents"]:
            above = parent["name"]
            found |= self._nearest(above) if self.members[above]["hidden"] else {above}
        return found

    def made_as(self, node: str) -> str:
        """The member of a node that was not made as a copy of another one of it."""
        group = [x for x in self.present if self._first[x] == node]
        for name in group:
            above = {self._first[u] for u in self._nearest(name)}
            if above and node not in above:
                return name
        return group[0]

    def is_complete(self, parent: str, child: str) -> bool:
        """Whether nobody hidden stands between the two."""
        direct = {p["name"] for p in self.members[self.made_as(child)]["parents"]}
        return parent in {self._first.get(name) for name in direct}

    def drifts(self, node: str) -> bool:
        """Whether a present sibling of a trained member saw the same batches in the same order."""
        name = self.made_as(node)
        order = _order(self.members[name])
        return order is not None and any(
            _order(self.members[other]) == order
            and self.members[other]["parents"] == self.members[name]["parents"]
            for other in self.present
            if other != name
        )

    def ancestors(self, node: str) -> set[str]:
        """Nodes above a node."""
        found: set[str] = set()
        waiting = list(self.parents[node])
        while waiting:
            above = waiting.pop()
            if above not in found:
                found.add(above)
                waiting += self.parents[above]
        return found

    def relation(self, stated: str, child: str) -> str:
        """What a wrong parent is to the child."""
        above, below = self.ancestors(child), self.ancestors(stated)
        if stated in above:
            return "an ancestor farther up"
        if child in below:
            return "a descendant"
        if self.parents[stated] & self.parents[child]:
            return "a sibling"
        return "another relative" if above & below or self._hidden_kin(stated, child) else "no kin"

    def _hidden_kin(self, a: str, b: str) -> bool:
        return bool(self._line(self.made_as(a)) & self._line(self.made_as(b)))

    def _line(self, name: str) -> set[str]:
        above = [p["name"] for p in self.members[name]["parents"]]
        return {name}.union(*(self._line(u) for u in above))


def _order(member: Mapping[str, Any]) -> int | None:
    return next((x["order"] for x in member["operations"] if x["op"] in TRAINED), None)


def sibling_pairs(truth: Truth) -> tuple[int, int]:
    """Pairs of trained siblings on the same batches, and all pairs of trained siblings."""
    groups: dict[str, list[int]] = {}
    for member in truth["members"].values():
        order = _order(member)
        if order is not None and len(member["parents"]) == 1:
            groups.setdefault(member["parents"][0]["name"], []).append(order)
    pairs = [a == b for group in groups.values() for a, b in combinations(group, 2)]
    return sum(pairs), len(pairs)
