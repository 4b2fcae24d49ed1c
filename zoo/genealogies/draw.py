"""The truth of a random family, from its seed and the mix alone: no training, no weights.

Each member has parents (none, one, or several with their shares), the operations that lead from
them to it, and a layout: what its tensors look like. ``hidden`` members are made, as others come
from them, and then left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.genealogies.chance import Draws
from zoo.genealogies.steps import (
    BASE,
    TRAINED,
    Layout,
    Operation,
    applies,
    equal_values,
    step,
    training,
)

Truth = dict[str, Any]
MOST_TRIES = 400


def draw(seed: int) -> Truth:
    """Everything that is true about the family of a seed."""
    return _Family(seed).truth()


class _Family:
    """A family while it is drawn."""

    def __init__(self, seed: int) -> None:
        self.draws, self.seed = Draws(seed), seed
        self.mix = self.draws.mix
        self.net = self.draws.weighted(self.mix["family"]["architectures"])
        sizes = self.mix["sizes"][self.net]
        self.sizes = {key: self.draws.one(choices) for key, choices in sizes.items()}
        self.form = self.draws.weighted(self.mix["family"]["forms"])
        if self._perhaps(self.mix["family"].get("one_recipe")):
            self.draws.recipes = {}
        main = self.mix["family"].get("main_steps")
        self.main_step = self.draws.weighted(main) if main else None
        self.members: dict[str, dict[str, Any]] = {}
        self.layouts: dict[str, Layout] = {}
        self.batches: dict[str, Operation] = {}  # those of the first trained child of a parent
        self.rootstock: set[str] = set()  # who may have children

    def truth(self) -> Truth:
        n = self.draws.integer(*self.mix["family"]["members"])
        base = self._base()
        shares = self.mix["decoys"]
        decoys = [x for x in ("stranger", "twin", "distilled") if self.draws.happens(shares[x])]
        for _ in range(MOST_TRIES):
            if len(self.members) >= n - len(decoys):
                break
            self._grow()
        for decoy in decoys:
            self._decoy(base, decoy)
        if decoys and self._perhaps(shares.get("merged")):
            self._merge_across()
        self._hide()
        return {
            "seed": self.seed,
            "net": self.net,
            "form": self.form,
            "sizes": self.sizes,
            "members": self.members,
        }

    def _base(self) -> str:
        layout = Layout(
            net=self.net,
            layers=self.sizes["layers"],
            units=self.sizes.get("units", 0),
            rows=0 if self.net in ("vit", "resnet") else 128,
            experts=self.sizes.get("experts", 0),
            dtype=self.draws.weighted(self.mix["family"]["dtypes"]),
            naming="strip" if self._perhaps(self.mix["family"].get("bare")) else "",
        )
        said = training("base", self.draws) | {"domains": list(BASE[layout.media])}
        self.rootstock.add("m00")
        return self._add({}, [said], layout)

    def _perhaps(self, share: float | None) -> bool:
        """A coin that is not tossed where the mix does not name its share."""
        return share is not None and self.draws.happens(share)

    def _add(
        self,
        parents: Mapping[str, float],
        operations: Sequence[Operation],
        layout: Layout,
        decoy: str = "",
    ) -> str:
        name = f"m{len(self.members):02d}"
        self.members[name] = {
            "parents": [{"name": u, "weight": w} for u, w in parents.items()],
            "operations": list(operations),
            "depth": 1 + max((self.members[u]["depth"] for u in parents), default=-1),
            "decoy": decoy,
            "hidden": False,
            "equal": bool(parents) and equal_values(operations),
            "dtype": layout.dtype,
            "naming": layout.naming,
        }
        self.layouts[name] = layout
        return name

    def _grow(self) -> None:
        """Add a child or a merge, if one applies."""
        if self.draws.happens(self.mix["family"]["merges"]) and self._merge():
            return
        parent = self._parent()
        operations, layout = self._steps(parent)
        if operations:
            child = self._add({parent: 1.0}, operations, layout)
            self._may_have_children(child)

    def _may_have_children(self, name: str) -> None:
        if self.members[name]["depth"] < self.mix["family"]["deepest"]:
            self.rootstock.add(name)

    def _parent(self) -> str:
        """Star: mostly the root; chain: mostly the last one; mixed: often one of the last."""
        able = sorted(self.rootstock)
        usual = {"star": able[:1], "chain": able[-1:], "mixed": able[-4:]}[self.form]
        return str(self.draws.one(usual if self.draws.happens(0.7) else able))

    def _steps(self, parent: str) -> tuple[list[Operation], Layout]:
        """Draw one step, or several without a member in between."""
        at = self.layouts[parent]
        if at.naming and self.draws.happens(0.6):
            at = replace(at, naming="")  # whoever trains a renamed model mostly saves its own names
        found: list[Operation] = []
        for op in self._names():
            op = self._applying(at) if op is None else op
            if op is None or not applies(op, at):
                continue
            said, at = step(op, self.draws, at)
            found.append(self._on_common_batches(parent, said) if op in TRAINED else said)
        return found, at

    def _names(self) -> list[str | None]:
        """Names of steps; None where any that applies will do."""
        own = self.mix["compositions"]
        if not self.draws.happens(own["share"]):
            is_main = self._perhaps(self.mix["family"].get("main_step"))
            return [self.main_step if is_main else None]
        n = int(self.draws.weighted(own["lengths"]))
        begun = self.draws.one(own["pairs"]) if self.draws.happens(own["known"]) else []
        return [*begun, *[None] * (n - len(begun))]

    def _applying(self, at: Layout) -> str | None:
        weights = {op: w for op, w in self.mix["operations"].items() if applies(op, at)}
        return self.draws.weighted(weights)

    def _on_common_batches(self, parent: str, said: Operation) -> Operation:
        """Siblings mostly see the data of the first of them, in the same order."""
        if said["op"] == "objective":
            return said
        first = self.batches.setdefault(parent, said)
        if first is said or not self.draws.happens(self.mix["family"]["one_order"]):
            return said
        return said | {"order": first["order"], "domains": first["domains"]}

    def _merge(self) -> bool:
        """Merge two or three members of one layout that differ by training."""
        groups: dict[tuple[object, ...], dict[str, str]] = {}
        for name, layout in self.layouts.items():
            if name in self.rootstock:
                groups.setdefault(layout.shape, {}).setdefault(self._last_trained(name), name)
        able = [list(group.values()) for group in groups.values() if len(group) >= 3]
        if not able:
            return False
        group = self.draws.one(able)
        method = self.draws.weighted(self.mix["merges"])
        n = 3 if method in ("linear", "dare") and self.draws.happens(0.25) else 2
        parents = self.draws.some(group, n)
        said, shares, layers = self._merging(method, parents)
        at = replace(self.layouts[parents[0]], layers=layers, pruned=False, rounded=False)
        at = replace(at, naming="")
        own = self.mix["compositions"]
        if at.rows and at.rows < 160 and self.draws.happens(own["extended_first"]):
            said["extended"], at = step("extend", self.draws, at)
        operations = [said]
        if self.draws.happens(own["merged_further"]):
            op = self.draws.one(own["after_merge"])
            if applies(op, at):
                more, at = step(op, self.draws, at)
                operations.append(more)
        self._may_have_children(self._add(dict(zip(parents, shares, strict=True)), operations, at))
        return True

    def _merge_across(self) -> None:
        """Merge a member with a model of its own, of the same shape but another base."""
        own = [x for x in self.layouts if not self._line(x) & self._decoys]
        other = self.draws.one(sorted(x for x in self.layouts if self._line(x) & self._decoys))
        able = [x for x in own if self.layouts[x].shape == self.layouts[other].shape]
        parents = [self.draws.one(able), other] if able else []
        if parents:
            method = self.draws.one(("linear", "slerp", "hybrid", "stack"))
            said, shares, layers = self._merging(method, parents)
            at = replace(self.layouts[other], layers=layers, pruned=False, rounded=False)
            self._add(dict(zip(parents, shares, strict=True)), [said], at)

    @property
    def _decoys(self) -> set[str]:
        return {name for name, m in self.members.items() if m["decoy"]}

    def _merging(self, method: str, parents: Sequence[str]) -> tuple[Operation, list[float], int]:
        """Parameters of a merge, the share of each parent, and how many layers result."""
        n_layers = self.layouts[parents[0]].layers
        if method in ("ties", "dare"):
            base = self._common_base(parents)
            method = method if base else "linear"
        first = self.draws.integer(30, 70) / 100
        rest = round((1 - first) / (len(parents) - 1), 3)
        shares = [round(1 - rest * (len(parents) - 1), 3), *[rest] * (len(parents) - 1)]
        said: Operation = {"op": "merge", "method": method}
        if method == "ties":
            said |= {"base": base, "density": self.draws.one((0.2, 0.4, 0.6))}
            shares = [1 / len(parents)] * len(parents)
        elif method == "dare":
            said |= {"base": base, "weights": shares, "seed": self.draws.seed()}
        elif method == "slerp":
            said["t"] = shares[1]
        elif method == "linear":
            said["weights"] = shares
        elif method == "hybrid":
            other = self.draws.some(range(n_layers), max(1, n_layers // 2))
            said["layers"] = other
            shares = [1 - len(other) / n_layers, len(other) / n_layers]
        else:  # a stack
            cut = self.draws.integer(1, n_layers - 1)
            parts = [list(range(cut)), list(range(cut - 1, n_layers))]
            said["layers"] = parts
            n_layers = len(parts[0]) + len(parts[1])
            shares = [len(part) / n_layers for part in parts]
        return said, [round(x, 3) for x in shares], n_layers

    def _last_trained(self, name: str) -> str:
        """The nearest ancestor, itself included, that was trained, merged or begun."""
        member = self.members[name]
        if any(x["op"] in (*TRAINED, "merge") for x in member["operations"]):
            return name
        return self._last_trained(member["parents"][0]["name"])

    def _common_base(self, parents: Sequence[str]) -> str | None:
        """The nearest common ancestor, if it has the layout of the parents and is none of them."""
        lines = [self._line(name) for name in parents]
        common = [u for u in lines[0] if all(u in line for line in lines) and u not in parents]
        same = [u for u in common if self.layouts[u].shape == self.layouts[parents[0]].shape]
        return max(same, default=None)

    def _line(self, name: str) -> set[str]:
        above = [p["name"] for p in self.members[name]["parents"]]
        return {name}.union(*(self._line(u) for u in above))

    def _decoy(self, base: str, decoy: str) -> None:
        """A model of its own that looks like a relative, or is one by its initialisation alone."""
        said = dict(self.members[base]["operations"][0])
        own = training("base", self.draws)
        if decoy == "twin":
            domains = ["net", "tables"] if self.net not in ("vit", "resnet") else ["rotated"]
            said |= {"order": own["order"], "domains": domains}
        else:
            said |= {"seed": own["seed"], "lr": own["lr"], "optimiser": own["optimiser"]}
            said["decay"] = own["decay"]
        if decoy == "distilled":
            said |= {"teacher": base, "order": own["order"]}
        at = self.layouts[base]
        name = self._add({}, [said], at, decoy)
        if self.draws.happens(self.mix["decoys"]["with_child"]):
            more, at = step("fine-tune", self.draws, at)
            self._add({name: 1.0}, [self._on_common_batches(base, more)], at)

    def _hide(self) -> None:
        """Leave out some of those that have children: the stated share, rounded by a coin."""
        above = sorted({p["name"] for m in self.members.values() for p in m["parents"]})
        wanted = self.mix["family"]["hidden"] * len(above)
        n = int(wanted) + self.draws.happens(wanted % 1)
        for name in self.draws.some(above, n):
            self.members[name]["hidden"] = True
