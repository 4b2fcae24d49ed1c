"""The record of `compare`: the verdict about two models, with all it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from weightkin.notebooks import InNotebooks
from weightkin.records.built import built
from weightkin.records.form import from_text, pvalue_words, to_text
from weightkin.records.kinds import Kind, equal_kinds

SCHEMA = "weightkin/comparison/1"
T = TypeVar("T")

Verdict = Literal["dependent", "aligned-only", "no-evidence", "not-testable"]
Basis = Literal["exact", "calibrated", "equal", "none"]  # equal: the values themselves
EqualBasis = Literal["digest", "all", "sample"]
Effort = Literal["quick", "standard", "thorough"]
Null = Literal["exact", "bound", "monte-carlo", "asymptotic", "calibrated"]
Trusts = Literal["a", "b", "either"]
# Whether a second, seeded run of units outside the sample shows the effect too. "whole": the sample
# is the axis; "sketch": only a sketch is at hand; "": not looked at, the sample shows too little.
Confirmed = Literal["", "whole", "second-run", "sketch", "refuted"]
Relation = Literal["kept", "dropped", "inserted", "repeated", "moved"]


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

    name: str
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
    ``second_effect`` how alike those are.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that was not tested, and why."""

    what: str
    why: str


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

    parent: Literal["a", "b", "undetermined"] = "undetermined"
    probability: float = 0.5
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Equal:
    """Parameters of the smaller model that the other one holds unchanged.

    ``basis`` says what was looked at: digests of everything, all values, or a sample of them.
    """

    n_parameters: int  # of the smaller model, as far as it could be read
    same_name: int
    other_name: int  # or in another layout, but nothing that chance would make equal
    basis: EqualBasis

    @property
    def share(self) -> float:
        """Equal parameters among all."""
        return (self.same_name + self.other_name) / max(1, self.n_parameters)


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

    @property
    def sentence(self) -> str:
        """The verdict as one line that can be quoted."""
        n = max((axis.n_blocks for axis in self.axes), default=0)
        blocks = f"{n} block{'s' if n != 1 else ''}"
        if self.verdict == "not-testable":
            why = self.skipped[0].why if self.skipped else "nothing the two models have in common"
            return f"not testable: {why}{self._equal_words}"
        p = pvalue_words(self.log10_pvalue)
        same = equal_kinds(self.kind)
        if self.verdict == "dependent" and self.basis == "equal":
            is_rounded = "cast" in self.kind and "part" not in self.kind
            how = "; equal after rounding" if is_rounded else self._equal_words
            return f"dependent ({', '.join(self.kind) or 'equal values'}{how})"
        if self.verdict == "dependent" and same:
            tested = f"; {p}, {self.basis}, {blocks}" if self.axes else self._equal_words
            return f"dependent ({same[0]}{tested})"
        if self.verdict == "dependent" and self.basis == "calibrated" and self.calibration:
            x = self.calibration
            above = f"above all {x.n_controls} controls, p = {x.calibrated_pvalue:.3f}"
            return f"dependent (calibrated: {above}, margin {x.margin:.1f})"
        if self.verdict == "dependent":
            return f"dependent ({p}, {self.basis}, {blocks})"
        if self.verdict == "aligned-only":
            return f"aligned only ({p}, {blocks}): {self._why_aligned}"
        return f"no evidence of shared weights ({p}, {blocks})"

    @property
    def _why_aligned(self) -> str:
        """What keeps an axis that lines up from settling the matter."""
        if any(axis.confirmed == "refuted" for axis in self.axes):
            return "units outside the sample do not show it"
        if any(axis.passes for axis in self.axes):
            return "the residual width alone, which losses on hidden states copy"
        return "too weakly alike to exclude an arranged order"

    @property
    def _equal_words(self) -> str:
        """How much is equal, rounded down; nothing in a record that does not say."""
        if self.equal is None:
            return ""
        seen = "sampled parameters" if self.equal.basis == "sample" else "parameters"
        seen = f"the {seen} that could be read" if self.incomplete else seen
        return f"; {int(100 * self.equal.share)} % of {seen} are equal"

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
