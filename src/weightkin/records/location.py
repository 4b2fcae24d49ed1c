"""The record of `locate`: which blocks, units, dimensions and tensors of one model are in another.

P-values are Holm-corrected over everything that was looked at. The maps (blocks, units, dimensions,
tensors) are descriptive: they are maxima, and say where what the p-values prove is to be found.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from weightkin.notebooks import InNotebooks, InShort, name_of
from weightkin.records.built import built
from weightkin.records.evidence import BLOCK_COLUMNS, BlockRelation, Effect, ModelRef, Trusts
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of
from weightkin.records.notes import Skipped

SCHEMA = "weightkin/location/2"

Likeness = Literal["equal", "close", "other"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Matrix(InShort):
    """Evidence of all block pairs of one stack on one kind of axis.

    ``log10_pvalues[i][j]`` is corrected; 0.0 also where the pair could not be tested. When
    ``trusts`` is empty the guard refused the axis in both models and no p-value is given.
    """

    stack: str
    axis: str  # "units" or "vo"
    trusts: Trusts | Literal[""]
    blocks_a: tuple[str, ...]
    blocks_b: tuple[str, ...]
    n_tested: int
    log10_pvalues: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scale(InShort):
    """Norms of B's units over those of A's: median, and interquartile range over the median."""

    median: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UnitMap(InShort):
    """Which units of one block of A are which units of a matched block of B."""

    axis: str  # "units" or "vo"
    name_a: str  # of the axis inside its block: "mlp", "mlp.3", "vo"
    name_b: str
    block_a: str
    block_b: str
    n_units_a: int
    n_units_b: int
    n_looked_a: int  # units that were read
    n_looked_b: int
    units_a: tuple[int, ...]  # units_a[k] of A is units_b[k] of B
    units_b: tuple[int, ...]
    share_kept: float  # of the units of A that were read
    in_order: bool
    n_flipped: int  # units whose sign was turned
    scale: dict[str, Scale]  # by view
    effect: Effect | None  # likeness at the matched units, that of their best other match


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResidualMap(InShort):
    """Which dimensions of the residual width B kept; ``kept_a[k]`` of A is ``kept_b[k]`` of B."""

    stack: str
    test: str  # "coincidences" at equal widths, "order" otherwise
    trusts: Trusts | Literal[""]
    n_a: int
    n_b: int
    n_tested: int
    log10_pvalue: float
    kept_a: tuple[int, ...]
    kept_b: tuple[int, ...]
    in_order: bool
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TensorRelation(InShort):
    """Two tensors on the sampled values: share of equal values, and cosine less their means."""

    name_a: str
    name_b: str
    shape_a: tuple[int, ...]
    shape_b: tuple[int, ...]
    equal_share: float
    cosine: float
    relation: Likeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Location(InNotebooks):
    """Where two models are alike. ``sentence`` is what can be quoted."""

    a: ModelRef
    b: ModelRef
    alpha: float
    n_hypotheses: int  # corrected for
    matrices: tuple[Matrix, ...]
    layers: tuple[BlockRelation, ...]
    descriptive: tuple[str, ...]  # axes whose relations carry no p-value, the guard refused them
    monotone_map: tuple[tuple[str, str], ...]  # by dynamic programming
    is_monotone: bool
    unit_maps: tuple[UnitMap, ...]
    residual: tuple[ResidualMap, ...]
    tensors: tuple[TensorRelation, ...]
    n_tensors_a: int
    n_tensors_b: int
    skipped: tuple[Skipped, ...]
    bytes_read: int
    seconds: float
    method: str
    parameters: dict[str, Any]
    seed: int
    version: str
    incomplete: bool = False

    @property
    def log10_pvalue(self) -> float:
        """Smallest corrected p-value of all."""
        cells = [p for m in self.matrices for row in m.log10_pvalues for p in row]
        return min([0.0, *cells, *(r.log10_pvalue for r in self.residual)])

    def __repr__(self) -> str:
        maps = f"{len(self.unit_maps)} unit maps, {len(self.residual)} residual maps"
        n_found = len({x.name_b for x in self.tensors if x.relation in ("equal", "close")})
        counts = f"{n_found} of {self.n_tensors_b} tensors found, {len(self.skipped)} skipped"
        names = f"{name_of(self.a.source)} and {name_of(self.b.source)}"
        return f"<Location of {names}: {len(self.matched)} pairs of blocks, {maps}; {counts}>"

    @property
    def matched(self) -> tuple[BlockRelation, ...]:
        """Pairs of blocks that belong together."""
        return tuple(x for x in self.layers if x.block_a and x.block_b)

    def to_pandas(self) -> Any:
        """Return what became of each block as a `pandas.DataFrame`, a row each.

        Columns: ``block_a``, ``block_b``, ``relation``, ``log10_pvalue`` (corrected), ``effect``
        (cosine of matched units).
        """
        return frame_of(self.layers, BLOCK_COLUMNS)

    @property
    def residual_is_found(self) -> bool:
        """Whether the residual width of a is in b."""
        return any(10**r.log10_pvalue <= self.alpha for r in self.residual)

    def to_json(self, indent: int | None = None) -> str:
        """Return the record as JSON; one line by default, as unit maps are long."""
        return to_text(SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Location:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, Location))
