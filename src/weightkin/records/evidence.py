"""What a comparison consists of: models, tests, axes, blocks, parts, direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from weightkin.notebooks import InShort
from weightkin.records.codes import TestName
from weightkin.records.notes import Clue

Verdict = Literal["dependent", "aligned-only", "no-evidence", "not-testable"]
Basis = Literal[
    "exact", "exact-unconfirmed", "calibrated", "equal", "none"
]  # equal: the values themselves
Null = Literal["exact", "bound", "monte-carlo", "asymptotic", "calibrated"]
Trusts = Literal["a", "b", "either"]
# Whether a second, seeded run of units outside the sample shows the effect too. "whole": the sample
# is the axis; "sketch": only a sketch is at hand; "": not looked at, the sample shows too little.
Confirmed = Literal["", "whole", "second-run", "weights", "sketch", "refuted"]
Relation = Literal["kept", "dropped", "inserted", "repeated", "moved"]
Parent = Literal["a", "b", "undetermined"]


# columns of tables
BLOCK_COLUMNS = ("block_a", "block_b", "relation", "log10_pvalue", "effect=effect.observed")
PART_COLUMNS = ("name", "verdict", "log10_pvalue", "is_embedding")
AXIS_COLUMNS = (
    "axis", "passes", "log10_pvalue", "effect=effect.observed", "chance=effect.chance",
    "effect.ratio", "effect.agreement", "n_blocks", "trusts", "confirmed", "weight",
)  # fmt: skip
TEST_COLUMNS = (
    "name", "axis", "view", "block_a", "block_b", "n_units", "statistic", "log10_pvalue", "null",
    "trusts", "effect=effect.observed", "chance=effect.chance", "effect.ratio",
    "effect.agreement",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelRef(InShort):
    """Which model: where it was read, at which revision, and the digest of what was read."""

    source: str
    digest: str
    revision: str = ""  # of a hub; empty for local files
    full_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Effect(InShort):
    """How alike matched units are: median cosine, that of their best other match, the ratio.

    ``agreement`` is the share of the units that an independent view of the same block also matches.
    """

    observed: float
    chance: float
    ratio: float
    agreement: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Test(InShort):
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AxisEvidence(InShort):
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BlockRelation(InShort):
    """What became of one block."""

    block_a: str
    block_b: str
    relation: Relation
    log10_pvalue: float
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Part(InShort):
    """The verdict of one part (a stack, an embedding), corrected for the number of parts."""

    name: str
    verdict: Verdict
    log10_pvalue: float
    is_embedding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Calibration(InShort):
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Direction(InShort):
    """Which model is the parent, with its own probability."""

    parent: Parent = "undetermined"
    probability: float = 0.5
    evidence: tuple[Clue, ...] = ()
