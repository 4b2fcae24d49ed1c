"""The record of `tree`: models as nodes, derivations as edges, and what each edge rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, get_args

from weightkin.notebooks import InNotebooks, InShort, short
from weightkin.records.accounting import PossibleParent
from weightkin.records.built import built
from weightkin.records.components import NodeComponent
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of, needed
from weightkin.records.kinds import KINDS, Kind
from weightkin.records.notes import Clue, Skipped
from weightkin.records.registry import Step
from weightkin.text import counted

SCHEMA = "weightkin/family/2"

Unit = Literal["", "log-odds", "log distance", "distance"]
Determined = Literal["determined", "undetermined"]
NOT_HERE = ("unobserved", "root")  # candidates that are no nodes: a model elsewhere, none
EDGE_COLUMNS = (
    "parent", "child", "kind", "direction", "parent_probability", "direction_probability",
    "log10_pvalue", "distance", "support", "weight", "runner_up=runner_up.parent", "kind_details",
)  # fmt: skip
CLAIMED = 0.8  # probability of a parent from which an edge is determined


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FamilyNode(InShort):
    """One model; ``observed`` is false for an ancestor that was inferred, which has no name.

    ``id`` is the name of the model's folder or file, made unique; ``duplicates`` are the sources
    whose contents are the same. ``registered`` are numbers in a registry: of the model itself, then
    of its duplicates. ``components`` are given where any model has several, as diffusion models do.
    """

    id: str
    name: str = ""
    source: str = ""
    digest: str = ""
    observed: bool = True
    duplicates: tuple[str, ...] = ()
    registered: tuple[int, ...] = ()
    components: tuple[NodeComponent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RunnerUp(InShort):
    """The parent that would have been next, and by how much it is behind (0.0: as good).

    ``unit`` is what ``behind`` counts: ``log-odds`` (natural logarithm of the ratio of the two
    probabilities) or, of earlier versions, ``distance`` and ``log distance``.
    """

    parent: str
    behind: float
    unit: Unit = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyEdge:
    """``child`` was made from ``parent``, in which way, and how sure that is.

    ``log10_pvalue`` is about relatedness alone. ``parent_probability`` is that of this parent among
    all candidates (of a merge: of the merge), and the edge is determined where it reaches 0.8.
    ``parents`` are the candidates that a 95 % set holds, most probable first: nodes, ``unobserved``
    (made from a model that is not here) and ``root`` (made from none of them); of a merge they are
    its parents. ``direction_probability`` is that of the two this one is the older, ``support`` the
    share of resamples of the matrices in which no other model is nearer. ``weight`` is the parent's
    share in the child: 1.0 for an only parent, the coefficient in a merge.
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
    evidence: tuple[Clue, ...] = ()
    runner_up: RunnerUp | None = None
    parent_probability: float | None = None  # of this parent among all candidates
    parents: tuple[PossibleParent, ...] | None = None

    def __repr__(self) -> str:
        how = f"{self.kind}, {self.direction} ({self.probability:.2f})"
        return f"<FamilyEdge {short(self.parent)} -> {short(self.child)}: {how}>"

    @property
    def probability(self) -> float:
        """That of the parent, or of the direction in a record without it."""
        known = self.parent_probability
        return self.direction_probability if known is None else known


def rests_on_values(edge: FamilyEdge | Step, alpha: float) -> bool:
    """Whether equal values join two models, rounded or not, where no test does."""
    return 10**edge.log10_pvalue > alpha and KINDS[edge.kind].is_shown_by_values


def is_calibrated(edge: FamilyEdge | Step) -> bool:
    """Whether calibrated evidence shows that the two are related."""
    compared = (x.data["summary"] for x in edge.evidence if x.code == "compared")
    return any(x["basis"] == "calibrated" for x in compared)


def is_unconfirmed(edge: FamilyEdge | Step) -> bool:
    """Whether nothing but rows of sketches shows that the two are related."""
    return any(x.code == "sketches-alone" for x in edge.evidence)


def is_related(edge: FamilyEdge | Step, alpha: float) -> bool:
    """Whether an exact test, equal values or calibrated evidence relate the two.

    A merge of unrelated models joins them in one family, and the graph draws an edge between them.
    """
    is_exact = 10**edge.log10_pvalue <= alpha
    return is_exact or rests_on_values(edge, alpha) or is_calibrated(edge)


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

    def __repr__(self) -> str:
        n_hidden = sum(not node.observed for node in self.nodes)
        n_open = sum(edge.direction == "undetermined" for edge in self.edges)
        nodes = f"{counted(len(self.nodes), 'node')} ({n_hidden} unobserved)"
        edges = f"{counted(len(self.edges), 'edge')} ({n_open} undetermined)"
        families = counted(len(self.families), "family")
        return f"<FamilyGraph {nodes}, {edges}, {families}; {len(self.skipped)} skipped>"

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

    def to_pandas(self) -> Any:
        """Return the edges as a `pandas.DataFrame`, a row each.

        Columns: ``parent``, ``child``, ``kind``, ``direction``, ``parent_probability``,
        ``direction_probability``, ``log10_pvalue``, ``distance``, ``support``, ``weight``,
        ``runner_up`` (the next candidate), ``kind_details`` (a dict).
        """
        return frame_of(self.edges, EDGE_COLUMNS)

    def to_networkx(self) -> Any:
        """Return a `networkx.DiGraph` with edges from parent to child, and all their fields."""
        networkx = needed("networkx", "to_networkx")
        graph = networkx.DiGraph()
        for node in self.nodes:
            fields = asdict(node)
            graph.add_node(fields.pop("id"), **fields)
        for edge in self.edges:
            fields = asdict(edge)
            graph.add_edge(fields.pop("parent"), fields.pop("child"), **fields)
        return graph

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
    for x in edge.parents or ():
        if x.parent not in (ids if x.observed else NOT_HERE):
            raise ValueError(f"{where}: there is no candidate {x.parent!r}")
    if edge.kind not in KINDS:
        raise ValueError(f"{where}: kind {edge.kind!r}")
    if edge.direction not in get_args(Determined):
        raise ValueError(f"{where}: direction {edge.direction!r}")
    _check_number(f"{where}: weight", edge.weight, -math.inf, math.inf)
    _check_number(f"{where}: log10_pvalue", edge.log10_pvalue, -math.inf, 0.0)
    _check_number(f"{where}: distance", edge.distance, 0.0, math.inf)
    _check_number(f"{where}: direction_probability", edge.direction_probability, 0.0, 1.0)
    chances = [x.probability for x in edge.parents or ()]
    for p in (edge.parent_probability, *chances):
        _check_number(f"{where}: parent_probability", 0.0 if p is None else p, 0.0, 1.0)
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
            raise ValueError(f"{where} has {value!r}, not a text")


def _check_number(name: str, value: float, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}, not a number from {low:g} to {high:g}")
