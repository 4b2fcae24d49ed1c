"""The truth about a random family as far as it can be seen: nodes, their parents, their strata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightkin.lineage.groups import Groups

Truth = Mapping[str, Any]
TRAINED = ("fine-tune", "continue", "objective", "lora", "new-layer", "new-head")
UNOBSERVED, ROOT = "unobserved", "root"


@dataclass(frozen=True, slots=True)
class Stratum:
    """How a model was made, and how much of its family is there."""

    kind: str
    depth: int
    drift: bool  # a sibling that is present saw the same batches
    complete: bool  # its own parents are present, no ancestors of them stand in
    n_hidden: int  # members of the family that are left out
    net: str


class Nodes:
    """The members that are present, copies taken together, with their true parents.

    A copy stands for the model that it equals, also where that one is left out.
    """

    def __init__(self, truth: Truth, same: Iterable[Sequence[str]]) -> None:
        self.members, self._net = truth["members"], truth["net"]
        self.present = [name for name, m in self.members.items() if not m["hidden"]]
        equal = Groups(self.members)
        for name, m in self.members.items():
            if m["equal"]:
                equal.join(m["parents"][0]["name"], name)
        for group in same:
            for name in group:
                equal.join(group[0], name)
        self._first: dict[str, str] = {}
        for group in equal.all():
            if here := [name for name in self.present if name in group]:
                self._first |= dict.fromkeys(group, min(here))
        self.parents: dict[str, set[str]] = {}
        for name, node in self._first.items():
            self.parents.setdefault(node, set()).update(self._nearest(name) - {node})
        family = lines(self.members)
        twins = {name for name, m in self.members.items() if m["decoy"] == "twin"}
        self._family = {x: "m00" if own in twins else own for x, own in family.items()}

    def of(self, name: str) -> str | None:
        """The node of a member; None of an ancestor that was inferred."""
        return self._first.get(name)

    def true_parents(self, node: str) -> set[str]:
        """Its parents; without any, ``root``, ``unobserved``, or both.

        Both hold for the only one that is left of those at the top of a family, and for two models
        from one start: nobody can tell what they were made from.
        """
        if self.parents[node]:
            return self.parents[node]
        tops = [x for x, above in self.parents.items() if not above]
        has_others = sum(self._family[x] == self._family[node] for x in tops) > 1
        is_made = bool(self.members[self.made_as(node)]["parents"])
        found = {UNOBSERVED} if is_made or has_others else set()
        return found | (set() if is_made and has_others else {ROOT})

    def stratum(self, node: str) -> Stratum:
        """What its figures are told apart by."""
        made = self.members[self.made_as(node)]
        direct = {self._first.get(p["name"]) for p in made["parents"]}
        return Stratum(
            kind=kind_of(made["operations"]),
            depth=made["depth"],
            drift=self.drifts(node),
            complete=direct <= self.parents[node],
            n_hidden=len(self.members) - len(self.present),
            net=self._net,
        )

    def _nearest(self, name: str) -> set[str]:
        """Nearest nodes above a member."""
        found: set[str] = set()
        for parent in self.members[name]["parents"]:
            above = parent["name"]
            found |= {self._first[above]} if above in self._first else self._nearest(above)
        return found

    def made_as(self, node: str) -> str:
        """The member of a node that was not made as a copy of another one of it."""
        group = [x for x, first in self._first.items() if first == node]
        for name in group:
            above = self._nearest(name)
            if above and node not in above:
                return name
        return group[0]

    def drifts(self, node: str) -> bool:
        """Whether a present sibling of a trained member saw the same batches in the same order."""
        name = self.made_as(node)
        order = batches(self.members[name])
        return order is not None and any(
            batches(self.members[other]) == order
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
        is_related = self._family[stated] == self._family[child]
        return "another relative" if is_related else "no kin"


def lines(members: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The family of every member, hidden ones included, by the first of it."""
    found: dict[str, str] = {}
    for name, member in members.items():
        own = {found[p["name"]] for p in member["parents"]} or {name}
        found[name] = min(own)
        found |= {x: min(own) for x, first in found.items() if first in own}
    return found


def kind_of(operations: Sequence[Mapping[str, Any]]) -> str:
    """A single step by its name, several by their number."""
    if len(operations) == 1:
        return str(operations[0]["op"])
    if operations[0]["op"] == "merge":
        return "merge and more"
    return "two steps" if len(operations) == 2 else "three to five steps"


def batches(member: Mapping[str, Any]) -> int | None:
    """The order of the batches that a member was trained on, if it was."""
    return next((x["order"] for x in member["operations"] if x["op"] in TRAINED), None)
