"""What a traced class is: patterns of tensor names, and what each of their dimensions is made of.

Such an entry was generalised from the graphs of two tiny instances of a library class, and proven
by relabelling both. Its dimensions are trees whose leaves are *components*: all labels that play
one part in the class. In a model, leaves of one component are one label where the first ``scope``
numbers of their names are equal and their sizes are.

A pattern has ``#`` for every number of a list. Where the members of a list are of several kinds
(blocks with another set of matrices), patterns of each kind have ``#1``, ``#2`` ... there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias


def is_number(word: str) -> bool:
    """Whether a word of a pattern stands for a number."""
    return word.startswith("#")


def general(name: str) -> str:
    """A name, or a pattern, with every number taken for one of a list, of whatever kind."""
    words = name.split(".")
    return ".".join("#" if word.isdecimal() or is_number(word) else word for word in words)


def without_kinds(words: Iterable[str]) -> tuple[str, ...]:
    """Words of a pattern, members of all kinds taken for one."""
    return tuple("#" if is_number(word) else word for word in words)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A component at one place of a pattern, and where it is fixed there.

    ``fixed`` is ``always``, or in the ``first`` or ``last`` member of the list whose number is the
    one at ``position`` of the name; ``never`` where nothing fixes it.
    """

    component: int
    fixed: Literal["never", "always", "first", "last"] = "never"
    position: int = 0


Factor: TypeAlias = "Leaf | Dim"
Part: TypeAlias = tuple[Factor, ...]  # a product, outermost factor first
Dim: TypeAlias = tuple[Part, ...]  # parts joined end to end


@dataclass(frozen=True, slots=True)
class Mixture:
    """A dimension in which some components stand nobody knows where."""

    components: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of a normalisation: their number is under a key of the config, or a constant."""

    number: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """Labels that play one part.

    ``has_one_size`` where all labels with equal numbers have one size, so that it can be solved for
    from any tensor; ``keys`` of the config say it too, or quotients of keys (``a/b``).
    """

    name: str
    scope: int = 0
    is_free: bool = True
    has_one_size: bool = False
    within: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    groups: tuple[Groups, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern with its dimensions."""

    pattern: str
    dims: tuple[Dim | Mixture, ...]


@dataclass(frozen=True, slots=True)
class TracedEntry:
    """One library class, or several that are alike.

    ``ignored`` are patterns of tensors that its outputs do not depend on: vectors that are only
    used in training, and buffers, which are not learned.
    """

    classes: tuple[str, ...]  # as ``library.Class``
    model_types: tuple[str, ...]
    components: tuple[Component, ...]
    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of its first class."""
        return self.classes[0]


_FIXED = {"!": "always", "<": "first", ">": "last"}
_SIGNS = {word: sign for sign, word in _FIXED.items()}


def entry_facts(entry: TracedEntry) -> dict[str, Any]:
    """The plain facts of an entry, as JSON can hold them."""
    return {
        "classes": list(entry.classes),
        "model_types": list(entry.model_types),
        "components": [_component_facts(c) for c in entry.components],
        "rows": {
            # patterns that differ in rank alone are told apart by it
            f"{row.pattern} {len(row.dims)}": [_dim_facts(dim) for dim in row.dims]
            for row in entry.rows
        },
        **({"ignored": list(entry.ignored)} if entry.ignored else {}),
    }


def entry_of(facts: Mapping[str, Any]) -> TracedEntry:
    """The entry of its plain facts. Malformed ones raise: they are ours."""
    return TracedEntry(
        classes=tuple(facts["classes"]),
        model_types=tuple(facts["model_types"]),
        components=tuple(_component(x) for x in facts["components"]),
        rows=tuple(
            Row(key.rpartition(" ")[0], tuple(_dim(x) for x in dims))
            for key, dims in facts["rows"].items()
        ),
        ignored=tuple(facts.get("ignored", ())),
    )


def _component_facts(c: Component) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": c.name}
    if not c.is_free:
        facts["fixed"] = 1
    if c.scope:
        facts["scope"] = c.scope
    if c.has_one_size:
        facts["one"] = 1
    if c.within:
        facts["within"] = list(c.within)
    if c.keys:
        facts["keys"] = list(c.keys)
    if c.groups:
        facts["groups"] = [[g.number, g.key] for g in c.groups]
    return facts


def _component(facts: Mapping[str, Any]) -> Component:
    return Component(
        name=facts["name"],
        scope=facts.get("scope", 0),
        is_free="fixed" not in facts,
        has_one_size="one" in facts,
        within=tuple(facts.get("within", ())),
        keys=tuple(facts.get("keys", ())),
        groups=tuple(Groups(number, key) for number, key in facts.get("groups", ())),
    )


def _dim_facts(dim: Dim | Mixture) -> Any:
    """A lone leaf is a number or a word, a mixture an object, everything else lists of lists."""
    if isinstance(dim, Mixture):
        return {"mixed": list(dim.components)}
    if len(dim) == 1 and len(dim[0]) == 1 and isinstance(leaf := dim[0][0], Leaf):
        return _leaf_facts(leaf)
    return [[_factor_facts(factor) for factor in part] for part in dim]


def _factor_facts(factor: Factor) -> Any:
    return _leaf_facts(factor) if isinstance(factor, Leaf) else _dim_facts(factor)


def _leaf_facts(leaf: Leaf) -> Any:
    if leaf.fixed == "never":
        return leaf.component
    position = "" if leaf.fixed == "always" else leaf.position
    return f"{leaf.component}{_SIGNS[leaf.fixed]}{position}"


def _dim(facts: Any) -> Dim | Mixture:
    if isinstance(facts, dict):
        return Mixture(tuple(facts["mixed"]))
    return _sum(facts)


def _sum(facts: Any) -> Dim:
    if not isinstance(facts, list):
        return ((_leaf(facts),),)
    return tuple(tuple(_factor(x) for x in part) for part in facts)


def _factor(facts: Any) -> Factor:
    return _sum(facts) if isinstance(facts, list) else _leaf(facts)


def _leaf(facts: Any) -> Leaf:
    if isinstance(facts, int):
        return Leaf(facts)
    sign = next(x for x in facts if x in _FIXED)
    component, _, position = facts.partition(sign)
    return Leaf(int(component), _FIXED[sign], int(position or 0))  # type: ignore[arg-type]
