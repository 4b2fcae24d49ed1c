"""The record of `tree`: models as nodes, derivations as edges, and what each edge rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, get_args

from weightkin.notebooks import InNotebooks
from weightkin.records.built import built
from weightkin.records.comparison import Skipped
from weightkin.records.form import from_text, to_text
from weightkin.records.kinds import KINDS, Kind

SCHEMA = "weightkin/family/1"

Determined = Literal["determined", "undetermined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyNode:
    """One model; ``observed`` is false for an ancestor that was inferred, which has no name.

    ``id`` is the name of the model's folder or file, made unique; ``duplicates`` are the sources
    whose contents are the same. ``registered`` are numbers in a registry: of the model itself, then
    of its duplicates.
    """

    id: str
    name: str = ""
    source: str = ""
    digest: str = ""
    observed: bool = True
    duplicates: tuple[str, ...] = ()
    registered: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """The parent that would have been next, and by how much it is behind (0.0: as good).

    ``unit`` is what ``behind`` counts: ``log-odds`` of distance, direction and inheritance together
    (trained models), ``log distance`` (natural logarithm of the ratio of the two distances: lossy
    copies) or ``distance`` (relative distance: hidden copies).
    """

    parent: str
    behind: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyEdge:
    """``child`` was made from ``parent``, in which way, and how sure that is.

    ``log10_pvalue`` is about relatedness alone, ``direction_probability`` about which of the two
    came first, ``support`` about this parent rather than another: the share of resamples of the
    matrices in which the edge comes back. ``weight`` is the parent's share in the child: 1.0 for an
    only parent, the coefficient in a merge.
    """

    parent: str
    child: str
    kind: Kind = "unknown"
    kind_details: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    log10_pvalue: float = 0.0  # <= 0
    direction: Determined = "undetermined"
    direction_probability: float = 0.5
    distance: float = 0.0
    support: float = 0.0
    evidence: tuple[str, ...] = ()  # sentences
    runner_up: RunnerUp | None = None


def rests_on_values(edge: FamilyEdge, alpha: float) -> bool:
    """Whether equal values join two models, rounded or not, where no test does."""
    return 10**edge.log10_pvalue > alpha and KINDS[edge.kind].is_shown_by_values


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyGraph(InNotebooks):
    """The family of many models: no directed cycle, nodes with none, one or several parents.

    Raises
    ------
    ValueError
        What is said about nodes, edges and components does not fit together.
    """

    nodes: tuple[FamilyNode, ...]
    edges: tuple[FamilyEdge, ...]
    components: tuple[tuple[str, ...], ...]
    alpha: float
    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    seed: int = 0
    seconds: float = 0.0
    bytes_read: int = 0
    version: str = ""
    incomplete: bool = False  # a model could not be read, or not all of it
    not_testable: tuple[str, ...] = ()  # nodes that no test joins to any other node

    def __post_init__(self) -> None:
        _check_nodes(self.nodes)
        ids = {node.id for node in self.nodes}
        for edge in self.edges:
            _check_edge(edge, ids)
        _check_no_repeats("an edge", ((edge.parent, edge.child) for edge in self.edges))
        _check_components(self.components, ids, self.edges)
        _check_no_cycle(self.edges)
        for name in ("alpha", "seconds", "bytes_read", "seed"):
            _check_number(name, getattr(self, name), 0.0, math.inf)

    @property
    def sentence(self) -> str:
        """What the family looks like, as one line."""
        n_hidden = sum(not node.observed for node in self.nodes)
        n_same = sum(len(node.duplicates) for node in self.nodes)
        n_untested = len(self.untested)
        n_alone = sum(len(x) == 1 for x in self.components) - n_untested
        n_models = len(self.nodes) - n_hidden + n_same
        parts = [_counted(len(self.families), "family")] if self.families else ["no family"]
        parts += [f"{n_alone} without relatives here"] if n_alone else []
        parts += [f"{n_untested} not testable"] if n_untested else []
        parts += [_counted(n_same, "duplicate")] if n_same else []
        parts += [_counted(n_hidden, "unobserved ancestor")] if n_hidden else []
        if self.edges:
            n_open = sum(edge.direction == "undetermined" for edge in self.edges)
            parts.append(f"{_counted(len(self.edges), 'edge')}, {n_open} of undetermined direction")
        return f"{_counted(n_models, 'model')}: {', '.join(parts)}"

    @property
    def untested(self) -> tuple[str, ...]:
        """Nodes without relatives of which that says nothing: they could not be tested."""
        alone = {x[0] for x in self.components if len(x) == 1}
        return tuple(x for x in self.not_testable if x in alone)

    @property
    def families(self) -> tuple[tuple[str, ...], ...]:
        """Components of more than one node."""
        return tuple(x for x in self.components if len(x) > 1)

    def parents_of(self, child: str) -> tuple[FamilyEdge, ...]:
        """Edges into a node, the one that counts most first."""
        into = [edge for edge in self.edges if edge.child == child]
        return tuple(sorted(into, key=lambda edge: -abs(edge.weight)))

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON without empty optional fields; refuses NaN and infinity."""
        return to_text(SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> FamilyGraph:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, FamilyGraph))


def _check_nodes(nodes: tuple[FamilyNode, ...]) -> None:
    for node in nodes:
        _check_texts("a node", (node.id, node.name, node.source, node.digest, *node.duplicates))
        if not all(isinstance(k, int) and k > 0 for k in node.registered):
            raise ValueError(f"node {node.id!r} has numbers {node.registered!r}")
        if not node.id:
            raise ValueError("a node has no id")
        if not node.observed and (node.name or node.source or node.duplicates):
            raise ValueError(f"node {node.id!r} is unobserved but has a name or source")
    _check_no_repeats("a node", (node.id for node in nodes))


def _check_edge(edge: FamilyEdge, ids: set[str]) -> None:
    where = f"edge {edge.parent!r} -> {edge.child!r}"
    ends = [edge.parent, edge.child]
    if edge.runner_up is not None:
        ends.append(edge.runner_up.parent)
        _check_number(f"{where}: behind", edge.runner_up.behind, 0.0, math.inf)
    for end in ends:
        if end not in ids:
            raise ValueError(f"{where}: there is no node {end!r}")
    _check_texts(where, (edge.kind, *edge.evidence))
    _check_texts(where, [edge.runner_up.unit] if edge.runner_up else [])
    if edge.direction not in get_args(Determined):
        raise ValueError(f"{where}: direction {edge.direction!r}")
    _check_number(f"{where}: weight", edge.weight, -math.inf, math.inf)
    _check_number(f"{where}: log10_pvalue", edge.log10_pvalue, -math.inf, 0.0)
    _check_number(f"{where}: distance", edge.distance, 0.0, math.inf)
    _check_number(f"{where}: direction_probability", edge.direction_probability, 0.0, 1.0)
    _check_number(f"{where}: support", edge.support, 0.0, 1.0)


def _check_components(
    components: tuple[tuple[str, ...], ...], ids: set[str], edges: tuple[FamilyEdge, ...]
) -> None:
    home = {x: i for i, component in enumerate(components) for x in component}
    if sorted(x for component in components for x in component) != sorted(ids):
        raise ValueError("components do not partition the nodes")
    if any(not component for component in components):
        raise ValueError("a component is empty")
    for edge in edges:
        if home[edge.parent] != home[edge.child]:
            raise ValueError(f"edge {edge.parent!r} -> {edge.child!r} joins two components")


def _check_no_cycle(edges: tuple[FamilyEdge, ...]) -> None:
    before: dict[str, list[str]] = {}
    for edge in edges:
        before.setdefault(edge.child, []).append(edge.parent)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        raise ValueError(f"a cycle: {' -> '.join(map(repr, error.args[1]))}") from None


def _check_no_repeats(what: str, values: Iterable[object]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} is there twice: {value!r}")
        seen.add(value)


def _check_texts(where: str, values: Iterable[object]) -> None:
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"{where} has {value!r}, expected a text")


def _check_number(name: str, value: float, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}, expected a number from {low:g} to {high:g}")


def _counted(n: int, word: str) -> str:
    if n == 1:
        return f"1 {word}"
    return f"{n} {word[:-1]}ies" if word.endswith("y") else f"{n} {word}s"
