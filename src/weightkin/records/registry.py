"""The records of the registry: what was added, what a search found, where a model hangs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

from weightkin.notebooks import InNotebooks, InOneLine, InShort, short
from weightkin.records.built import built
from weightkin.records.codes import DeclaredCode
from weightkin.records.comparison import Looked, Summary
from weightkin.records.evidence import Basis, Effect, Verdict
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of
from weightkin.records.kinds import Kind
from weightkin.records.notes import Clue, Note, Skipped
from weightkin.text import counted

SEARCH_SCHEMA = "weightkin/search/2"
TRACE_SCHEMA = "weightkin/trace/2"

RELATIVE_COLUMNS = (
    "model.id", "model.name", "relation", "steps", "verdict", "basis", "log10_pvalue", "kind",
    "effect=summary.effect.observed", "summary.tested_share", "looked_at", "cosine",
    "model.licence", "model.declared_parents", "model.source", "model.digest",
)  # fmt: skip
STEP_COLUMNS = (
    "parent", "child", "kind", "direction", "parent_probability", "direction_probability",
    "log10_pvalue", "support", "weight", "parent_id", "child_id", "parent_digest", "child_digest",
)  # fmt: skip

Among = Literal["", "registry", "nearest"]
State = Literal["confirmed", "contradicted", "undeclared", "possible", "unverifiable"]
Relation = Literal[  # of one model to another, over edges of determined direction alone
    "", "identical", "parent", "merged-into", "child", "sibling", "ancestor", "descendant",
    "relative", "unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Registered(InShort):
    """One model of a registry: what it was called, what it held, what it said, and since when."""

    id: int
    name: str
    source: str
    revision: str
    digest: str
    full_digest: str
    added: str  # UTC, ISO 8601; of an imported model what the file said
    declared_parents: tuple[str, ...] = ()
    licence: str = ""
    imported: str = ""  # UTC, ISO 8601; empty: registered here
    claimed: bool = False  # the digest is what a sketch says of itself: nobody here computed it
    notes: tuple[Note, ...] = ()  # same contents as another, or another under this name


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative(InOneLine):
    """A registered model that was compared, with the verdict of `compare`.

    ``cosine`` and ``invariant_cosine`` are those of the search vectors, which proposed it and are
    no evidence. ``relation`` is what it is to the model that was searched for: ``merged-into`` is
    one of several parents, ``relative`` shares an ancestor further up.
    """

    model: Registered
    summary: Summary  # its p-value is that of the pair, compared with ``paid_alpha`` of the search
    cosine: float
    invariant_cosine: float
    relation: Relation = ""  # empty: not related, or found by an earlier version
    steps: int = 0  # between the two, of an ancestor or a descendant

    @property
    def verdict(self) -> Verdict:
        """That of the comparison."""
        return self.summary.verdict

    @property
    def kind(self) -> tuple[str, ...]:
        """How the two were made from each other."""
        return self.summary.kind

    @property
    def basis(self) -> Basis:
        """What the verdict rests on."""
        return self.summary.basis

    @property
    def log10_pvalue(self) -> float:
        """That of the pair."""
        return self.summary.log10_pvalue

    @property
    def effect(self) -> Effect | None:
        """How alike matched units are."""
        return self.summary.effect

    @property
    def looked_at(self) -> Looked:
        """Whether the sketches or the weights were compared."""
        return self.summary.looked_at

    def __repr__(self) -> str:
        verdict = f"{self.verdict} ({self.basis}, log10 p {self.log10_pvalue:.1f})"
        return f"<Relative #{self.model.id} {short(self.model.name)}: {verdict}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One edge of the way from a model to its root."""

    parent: str  # name in the graph; "unobserved-1" ... for one that was inferred
    child: str
    parent_id: int = 0  # in the registry; 0: not there
    child_id: int = 0
    parent_digest: str = ""
    child_digest: str = ""
    kind: Kind = "unknown"
    weight: float = 1.0
    log10_pvalue: float = 0.0
    direction: str = "undetermined"
    direction_probability: float = 0.5
    support: float = 0.0
    evidence: tuple[Clue, ...] = ()
    parent_probability: float | None = None  # of this parent among all candidates

    def __repr__(self) -> str:
        how = f"{self.kind}, {self.direction} ({self.probability:.2f})"
        return f"<Step {short(self.parent)} -> {short(self.child)}: {how}>"

    @property
    def probability(self) -> float:
        """That of the parent, or of the direction in a record without it."""
        known = self.parent_probability
        return self.direction_probability if known is None else known


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeclaredParent(InOneLine):
    """A parent that a model declares, or does not, and what its weights say.

    ``summary`` is that of the comparison with it, where one tells the state. A parent that was
    inferred and is not declared is ``undeclared`` where it is determined, else ``possible``.
    """

    name: str
    state: State
    code: DeclaredCode
    data: dict[str, Any] = field(default_factory=dict)
    summary: Summary | None = None
    id: int = 0  # in the registry: the model that was held against it; 0: not there

    @property
    def is_declared(self) -> bool:
        """Whether the model names it."""
        return self.state not in ("undeclared", "possible")

    @property
    def is_possible(self) -> bool:
        """Whether it is related and perhaps a parent; earlier records call that undeclared."""
        return self.code == "perhaps"

    @property
    def is_undeclared(self) -> bool:
        """Whether it is a determined parent that the model does not name."""
        return self.state == "undeclared" and not self.is_possible

    @property
    def nested(self) -> dict[str, Any]:
        """What is known of it, as it stands in the data of another code."""
        return {"code": self.code, **self.data}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(InNotebooks):
    """Who is related to a model, among all that are registered."""

    name: str
    source: str
    digest: str
    n_scanned: int
    n_compared: int
    alpha: float
    paid_alpha: float  # level of one pair: alpha over all that were scanned
    relatives: tuple[Relative, ...]  # nearest first
    others: tuple[Relative, ...] = ()  # compared, and no relatives
    parents: tuple[Step, ...] = ()
    children: tuple[Step, ...] = ()
    path: tuple[Step, ...] = ()  # from the model up to its root
    placed_among: Among = ""  # all models of the registry, or its nearest relatives alone
    first_registered: str = ""  # of it and its relatives; empty if one call added several
    registered: Registered | None = None  # the model itself, if it is
    skipped: tuple[Skipped, ...] = ()
    bytes_read: int = 0
    seconds: float = 0.0
    seed: int = 0
    version: str = ""
    incomplete: bool = False
    not_testable: Skipped | None = None  # why no test of it is known; equal contents are found
    fits: tuple[Registered, ...] = ()  # of an adapter: by names and shapes of what it changes

    def __repr__(self) -> str:
        found = f"{counted(len(self.relatives), 'relative')} among {self.n_compared} compared"
        counts = f"{counted(len(self.parents), 'parent')}, children: {len(self.children)}"
        return f"<Search of {short(self.name)}: {found}, {counts}; {len(self.skipped)} skipped>"

    def to_pandas(self) -> Any:
        """Return the relatives as a `pandas.DataFrame`, a row each, nearest first.

        Columns: ``id``, ``name``, ``relation``, ``steps``, ``verdict``, ``basis``,
        ``log10_pvalue``, ``kind``, ``effect`` (cosine of matched units), ``tested_share``,
        ``looked_at``, ``cosine`` (of search vectors), ``licence``, ``declared_parents``,
        ``source``, ``digest``.
        """
        return frame_of(self.relatives, RELATIVE_COLUMNS)

    @property
    def untested(self) -> tuple[Relative, ...]:
        """Models that were compared and could not be tested."""
        return tuple(x for x in self.others if x.verdict == "not-testable")

    @property
    def unrelated(self) -> tuple[Relative, ...]:
        """Models that were tested, without evidence."""
        return tuple(x for x in self.others if x.verdict != "not-testable")

    @property
    def is_tested(self) -> bool:
        """Whether that nothing was found says anything."""
        return not self.not_testable and len(self.untested) < max(1, self.n_scanned)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON without empty optional fields; refuses NaN and infinity."""
        return to_text(SEARCH_SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Search:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SEARCH_SCHEMA, partial(built, Search))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(InNotebooks):
    """The way of a model to its root, and what it declares beside it."""

    search: Search
    declared: tuple[DeclaredParent, ...] = ()
    licence: str = ""

    def __repr__(self) -> str:
        counts = f"steps to its root: {len(self.path)}, declared parents: {len(self.declared)}"
        return f"<Trace of {short(self.search.name)}: {counts}>"

    @property
    def path(self) -> tuple[Step, ...]:
        """Edges from the model up to its root."""
        return self.search.path

    def to_pandas(self) -> Any:
        """Return the path as a `pandas.DataFrame`, a row for each step, from the model upwards.

        Columns: ``parent``, ``child``, ``kind``, ``direction``, ``parent_probability``,
        ``direction_probability``, ``log10_pvalue``, ``support``, ``weight``, ``parent_id``,
        ``child_id`` (in the registry; 0: not there), ``parent_digest``, ``child_digest``.
        """
        return frame_of(self.path, STEP_COLUMNS)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON without empty optional fields; refuses NaN and infinity."""
        return to_text(TRACE_SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Trace:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, TRACE_SCHEMA, partial(built, Trace))
