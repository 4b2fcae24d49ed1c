"""The record of `compare`: the verdict about two models, with all it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from weightkin.notebooks import InNotebooks, InOneLine
from weightkin.records.accounting import (
    Accounting,
    Challenge,
    Equal,
    EqualBasis,
    Extent,
    FreshRun,
    ViewAgreement,
)
from weightkin.records.built import built
from weightkin.records.codes import TestName
from weightkin.records.components import ComponentRelation
from weightkin.records.form import from_text, to_text
from weightkin.records.kinds import Kind, equal_kinds
from weightkin.records.notes import Clue, Skipped

SCHEMA = "weightkin/comparison/2"
T = TypeVar("T")

Verdict = Literal["dependent", "aligned-only", "no-evidence", "not-testable"]
Basis = Literal[
    "exact", "exact-unconfirmed", "calibrated", "equal", "none"
]  # equal: the values themselves
Null = Literal["exact", "bound", "monte-carlo", "asymptotic", "calibrated"]
Trusts = Literal["a", "b", "either"]
# Whether a second, seeded run of units outside the sample shows the effect too. "whole": the sample
# is the axis; "sketch": only a sketch is at hand; "": not looked at, the sample shows too little.
Confirmed = Literal["", "whole", "second-run", "weights", "sketch", "refuted"]
LawNull = Literal["gap-order-exchangeable"]  # of neighbouring singular values, in the bulk
WhyAligned = Literal["not-confirmed", "losses-copy", "too-weak"]
Relation = Literal["kept", "dropped", "inserted", "repeated", "moved"]
Parent = Literal["a", "b", "undetermined"]
Looked = Literal["", "sketch", "weights", "imported"]  # imported: on the word of a file


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """Which model: where it was read, at which revision, and the digest of what was read."""

    source: str
    digest: str
    revision: str = ""  # of a hub; empty for local files
    full_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How alike matched units are: median cosine, that of their best other match, the ratio.

    ``agreement`` is the share of the units that an independent view of the same block also matches.
    """

    observed: float
    chance: float
    ratio: float
    agreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test of one pair of blocks (or of a model-wide axis, where the blocks are empty)."""

    __test__ = False  # a name pytest would collect

    name: TestName
    axis: str
    trusts: Trusts
    block_a: str
    block_b: str
    n_units: int
    statistic: float
    log10_pvalue: float
    null: Null
    effect: Effect | None = None
    view: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisEvidence:
    """One stage of the ladder: all blocks of one kind of axis, paid for by its weight.

    ``confirmed`` says whether units outside the sample show the effect as well, and
    ``second_effect`` how alike those are. ``over_arrangement`` is how alike the units drawn are,
    over what turning and reordering can reach (from 1 on that is excluded).
    """

    axis: str
    weight: float
    log10_pvalue: float  # paid for: that of the stage divided by its weight
    n_blocks: int
    trusts: Trusts
    passes: bool
    effect: Effect | None = None
    confirmed: Confirmed = ""
    second_effect: Effect | None = None
    over_arrangement: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRelation:
    """What became of one block."""

    block_a: str
    block_b: str
    relation: Relation
    log10_pvalue: float
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The verdict of one part (a stack, an embedding), corrected for the number of parts."""

    name: str
    verdict: Verdict
    log10_pvalue: float
    is_embedding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A statistic ranked among controls: pairs of one class and size known to be independent.

    ``margin`` is how far it lies above the largest control, in units of the distance of that one
    from their median. ``wrong_depth`` is the same statistic between blocks of unequal depth of the
    two models: a sanity figure, never a null.
    """

    model_class: str
    statistic: float
    wrong_depth: float
    n_controls: int
    calibrated_pvalue: float
    margin: float
    largest_control: float
    median_control: float
    controls: str  # digest of the set of controls used
    is_above: bool  # whether the rule for `dependent` holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """Which model is the parent, with its own probability."""

    parent: Parent = "undetermined"
    probability: float = 0.5
    evidence: tuple[Clue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(InOneLine):
    """What was found about another model, which is ``a``: the facts of a comparison that are kept.

    `Comparison.summary` alone makes it. A registry stores it, findings of a policy and relatives
    carry it, reports and pages show it. ``n_blocks`` is that of the axis with most, ``parent`` and
    ``probability`` are the direction, ``parts`` where weights are shared if not in all parts, and
    ``reason`` is why nothing could be tested.
    """

    verdict: Verdict
    basis: Basis
    log10_pvalue: float
    n_blocks: int = 0
    kind: tuple[Kind, ...] = ()
    kind_details: dict[str, Any] = field(default_factory=dict)
    effect: Effect | None = None
    parent: Parent = "undetermined"
    probability: float = 0.5
    parts: tuple[str, ...] = ()
    incomplete: bool = False
    equal_share: float | None = None
    equal_basis: EqualBasis | None = None
    tested_share: float | None = None  # of the parameters of the smaller model
    aligned: WhyAligned | None = None
    n_controls: int | None = None
    calibrated_pvalue: float | None = None
    margin: float | None = None
    reason: Skipped | None = None
    alpha: float = 0.0  # the level of the comparison
    components: tuple[ComponentRelation, ...] = ()
    looked_at: Looked = ""  # by a registry
    fresh: FreshRun | None = None  # of a registry, which compares what anybody may know first

    @property
    def is_same(self) -> bool:
        """Whether both hold the same values."""
        return bool(equal_kinds(self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(InNotebooks):
    """The verdict about two models. ``log10_pvalue`` comes from exact and bound tests only."""

    a: ModelRef
    b: ModelRef
    verdict: Verdict
    basis: Basis
    log10_pvalue: float
    alpha: float
    axes: tuple[AxisEvidence, ...]
    tests: tuple[Test, ...]
    skipped: tuple[Skipped, ...]
    kind: tuple[Kind, ...] = ()
    kind_details: dict[str, Any] = field(default_factory=dict)
    direction: Direction = field(default_factory=Direction)
    layers: tuple[BlockRelation, ...] = ()
    parts: tuple[Part, ...] = ()
    calibration: Calibration | None = None
    smallest_log10_pvalue: float = 0.0  # what the tests could have shown at best
    tested_share: float = 0.0  # of the parameters of the smaller model, on axes that were tested
    equal: Equal | None = None
    bytes_read: int
    seconds: float
    method: str
    parameters: dict[str, Any]
    seed: int
    version: str
    incomplete: bool = False  # part of a model could not be read
    accounting: Accounting | None = None
    extent: Extent | None = None
    challenge: Challenge | None = None
    token_views: ViewAgreement | None = None  # of two sketches
    components: tuple[ComponentRelation, ...] = ()  # of diffusion models
    law_log10_evalue: float | None = None  # by `law_null`, a measured law: never a p-value
    law_null: LawNull | None = None

    def __repr__(self) -> str:
        kind = f", {' '.join(self.kind)}" if self.kind else ""
        parent = f", parent {self.direction.parent}" if self.verdict == "dependent" else ""
        counts = f"{len(self.tests)} tests, {len(self.skipped)} skipped"
        log10_p = f"log10 p {self.log10_pvalue:.1f}"
        return f"<Comparison {self.verdict} ({self.basis}, {log10_p}){kind}{parent}; {counts}>"

    @property
    def summary(self) -> Summary:
        """What was found about ``a``."""
        x = self.calibration if self.basis == "calibrated" else None
        shared = tuple(part.name for part in self.parts if part.verdict == "dependent")
        is_all = all(x.verdict == "dependent" or x.is_embedding for x in self.parts)
        return Summary(
            verdict=self.verdict,
            basis=self.basis,
            log10_pvalue=self.log10_pvalue,
            n_blocks=max((axis.n_blocks for axis in self.axes), default=0),
            kind=self.kind,
            kind_details=self.kind_details,
            effect=self.effect,
            parent=self.direction.parent,
            probability=self.direction.probability,
            parts=() if is_all else shared,
            incomplete=self.incomplete,
            equal_share=None if self.equal is None else self.equal.share,
            equal_basis=None if self.equal is None else self.equal.basis,
            tested_share=None if self.accounting is None else self.accounting.tested_share,
            aligned=self._why_aligned if self.verdict == "aligned-only" else None,
            n_controls=None if x is None else x.n_controls,
            calibrated_pvalue=None if x is None else x.calibrated_pvalue,
            margin=None if x is None else x.margin,
            reason=self.skipped[0] if self.verdict == "not-testable" and self.skipped else None,
            alpha=self.alpha,
            components=self.components,
        )

    @property
    def _why_aligned(self) -> WhyAligned:
        """What keeps an axis that lines up from settling the matter."""
        if any(axis.confirmed == "refuted" for axis in self.axes):
            return "not-confirmed"
        return "losses-copy" if any(axis.passes for axis in self.axes) else "too-weak"

    @property
    def effect(self) -> Effect | None:
        """How alike matched units are on the axis of the smallest p-value."""
        measured = [axis for axis in self.axes if axis.effect is not None]
        return min(measured, key=lambda axis: axis.log10_pvalue).effect if measured else None

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON without empty optional fields; refuses NaN and infinity."""
        return to_text(SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Comparison:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, Comparison))
