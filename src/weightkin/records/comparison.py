"""The record of `compare`: the verdict about two models, with all it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from weightkin.errors import UsageError
from weightkin.notebooks import InNotebooks, InOneLine, name_of
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
from weightkin.records.components import ComponentRelation
from weightkin.records.differing import BlockDifference
from weightkin.records.evidence import (
    AXIS_COLUMNS,
    BLOCK_COLUMNS,
    PART_COLUMNS,
    TEST_COLUMNS,
    AxisEvidence,
    Basis,
    BlockRelation,
    Calibration,
    Direction,
    Effect,
    ModelRef,
    Parent,
    Part,
    Test,
    Verdict,
)
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of
from weightkin.records.kinds import Kind, equal_kinds
from weightkin.records.notes import Skipped
from weightkin.text import counted

SCHEMA = "weightkin/comparison/2"
T = TypeVar("T")

LawNull = Literal["gap-order-exchangeable"]  # of neighbouring singular values, in the bulk
WhyAligned = Literal["not-confirmed", "losses-copy", "too-weak"]
Rows = Literal["parts", "axes", "tests", "blocks"]
Looked = Literal["", "sketch", "weights", "imported"]  # imported: on the word of a file


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
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
    blocks: tuple[BlockDifference, ...] = ()  # of related models

    def __repr__(self) -> str:
        kind = f", {' '.join(self.kind)}" if self.kind else ""
        parent = f", parent {self.direction.parent}" if self.verdict == "dependent" else ""
        counts = f"{counted(len(self.tests), 'test')}, {len(self.skipped)} skipped"
        log10_p = f"log10 p {self.log10_pvalue:.1f}"
        names = f"{name_of(self.a.source)} and {name_of(self.b.source)}"
        found = f"{self.verdict} ({self.basis}, {log10_p}){kind}{parent}"
        return f"<Comparison of {names}: {found}; {counts}>"

    def to_pandas(self, rows: Rows = "parts") -> Any:
        """Return a list of the record as a `pandas.DataFrame`, a row for each item.

        Parameters
        ----------
        rows : str
            ``parts``: ``name``, ``verdict``, ``log10_pvalue``, ``is_embedding``.
            ``axes``: ``axis``, ``passes``, ``log10_pvalue``, ``effect`` (cosine of matched units),
            ``chance`` (of their best other match), ``ratio``, ``agreement``, ``n_blocks``,
            ``trusts``, ``confirmed``, ``weight``.
            ``tests``: ``name``, ``axis``, ``view``, ``block_a``, ``block_b``, ``n_units``,
            ``statistic``, ``log10_pvalue``, ``null``, ``trusts``, ``effect``, ``chance``,
            ``ratio``, ``agreement``.
            ``blocks``: ``block_a``, ``block_b``, ``relation``, ``log10_pvalue``, ``effect``.

        Raises
        ------
        UsageError
            There is no such list, or pandas is not installed.
        """
        lists = {
            "parts": (self.parts, PART_COLUMNS),
            "axes": (self.axes, AXIS_COLUMNS),
            "tests": (self.tests, TEST_COLUMNS),
            "blocks": (self.layers, BLOCK_COLUMNS),
        }
        if rows not in lists:
            raise UsageError(f"rows is {rows!r}, not one of {', '.join(lists)}")
        return frame_of(*lists[rows])

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
