"""The sketch of a model: a small sample of every tensor, which can stand in for the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.roles import RoleKey
from weightkin.anatomy.types import Anatomy
from weightkin.arrays import Floats, Ints
from weightkin.formats.dtypes import to_float32
from weightkin.formats.factorised import MARK
from weightkin.notebooks import Drawn
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.tables import is_table

Lattice = Literal[
    "fp8_e4m3", "fp8_e5m2", "fp16&bf16", "fp16", "bf16", "fp32", "fp64", "integer", "none"
]
ViewReason = Literal["no-embedding", "no-mlp-in-both", "no-key-heads", "few-tokens", "no-view-read"]
VIEW_REASONS: tuple[str, ...] = get_args(ViewReason)


@dataclass(frozen=True, kw_only=True, eq=False)
class SketchedTensor:
    """The sample of one tensor, of one expert's matrix, or of one part of a fused tensor.

    A tensor of more than two dimensions is seen as a matrix of ``shape[0]`` rows; one of fewer as
    a matrix of one column. ``rows`` holds the runs first (``n_run`` of them), then the scattered
    rows; each part ascends. Facts are those of the finite values of ``stored``.
    """

    key: RoleKey
    stored_name: str  # of the tensor; of one expert's matrix ``tensor[expert]``
    role: str  # "other" where unknown
    stack: str  # "" outside every stack
    block: int  # -1 outside the blocks
    shape: tuple[int, ...]  # of the original
    dtype: str  # safetensors name of the original
    rows: Ints
    columns: Ints
    n_run: int
    stored: npt.NDArray[Any]  # (len(rows), len(columns)), in the dtype of the original
    tail_rows: Ints  # of a token table; empty elsewhere
    tail_columns: Ints
    tail_stored: npt.NDArray[Any]  # (len(tail_rows), len(tail_columns))
    row_starts: tuple[int, ...]  # of the runs: 0, and where a fused part begins
    column_starts: tuple[int, ...]
    digest: str  # "wkt1-" and SHA-256 of dtype, shape and sampled bytes
    n_finite: int
    share_zeros: float
    lattice: Lattice  # narrowest format that represents all values exactly
    mean: float
    sum_squares: float
    fourth_moment: float  # mean of the fourth powers of (value - mean)
    packed: str = ""  # how the original stores what `stored` holds unpacked
    is_cut: bool = False  # out of a tensor that holds other roles as well
    is_turned: bool = False  # the original is stored (in, out), this is not

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"<SketchedTensor {self.name!r}: {self.stored.size} values of {shape} {self.dtype}>"

    @property
    def name(self) -> str:
        """The role key in words: equal ones of two models stand for each other."""
        return str(self.key)

    @property
    def rank(self) -> int:
        """That of the factors which the original is stored as; 0 where it is no product."""
        return int(self.packed.removeprefix(MARK)) if self.packed.startswith(MARK) else 0

    @property
    def code(self) -> str:
        """How the original stores its values in few bits; empty where it does not."""
        return "" if self.rank else self.packed

    @property
    def values(self) -> Floats:
        """The sample as float32, ``(len(rows), len(columns))``: exact up to float32."""
        return to_float32(self.stored)

    @property
    def tail_values(self) -> Floats:
        """The tail as float32, ``(len(tail_rows), len(tail_columns))``."""
        return to_float32(self.tail_stored)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Rows and columns of the original, seen as a matrix."""
        return matrix_shape(self.shape)

    @cached_property
    def is_table(self) -> bool:
        """Whether a formula makes what is held: see `sketch.tables`."""
        return is_table(self)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Rows of the token table in a fixed order, and digests of their texts where those are known.

    The first 63 bits of the SHA-256 of a text; no digests at all where rows were chosen by number.
    """

    rows: Ints  # (n_tokens,)
    texts: Ints  # (n_tokens,), or (0,)

    @property
    def names(self) -> Ints:
        """What tokens of two models are told by."""
        return self.texts if len(self.texts) else self.rows


@dataclass(frozen=True, slots=True, eq=False)
class BlockViews:
    """Two views of some blocks: ``(n_blocks, 2, n_units, n_tokens)`` or ``(n_blocks, 2, 256)``."""

    blocks: tuple[tuple[str, int], ...]  # (stack, block), ascending
    stored: npt.NDArray[np.int8]
    scales: Floats  # of each row: the shape of `stored` without its last dimension

    @property
    def values(self) -> Floats:
        """The numbers that were rounded, in the shape of ``stored``."""
        return self.stored * self.scales[..., None]


@dataclass(frozen=True, slots=True, eq=False)
class TokenViews:
    """Views of units and heads through the same tokens, or why there are none."""

    tokens: Tokens
    units: BlockViews | ViewReason
    heads: BlockViews | ViewReason


@dataclass(frozen=True, kw_only=True, eq=False)
class Sketch(Drawn):
    """A sample of every tensor of a model, with what is needed to test, measure and file it.

    ``anatomy`` is that of the model of the sampled runs: its places are cut to what is held, while
    ``n_units`` of an axis stays that of the model.
    """

    name: str
    source: str
    digest: str  # of the model: wk1-...
    full_digest: str | None
    scheme: Scheme
    n_parameters: int
    n_bytes: int  # of the model's tensors
    family: str
    stacks: tuple[tuple[str, int], ...]  # (stack, number of blocks)
    tensors: Mapping[str, SketchedTensor]  # by name, which is the role; in order of stored names
    anatomy: Anatomy
    views: TokenViews | None = None  # of a scheme that keeps some
    config: Mapping[str, Any]  # declared facts that matter: head counts, positions, vocabulary
    bytes_read: int  # of the model, when the sketch was taken
    problems: tuple[tuple[str, str], ...] = ()  # what of the model could not be read, and why
    is_partial: bool = False
    revision: str | None = None
    before: Mapping[str, SketchedTensor] | None = None  # `tensors`, before some were cut or turned

    @property
    def as_stored(self) -> Mapping[str, SketchedTensor]:
        """The tensors as the model stores them."""
        return self.tensors if self.before is None else self.before

    @cached_property
    def tables(self) -> frozenset[str]:
        """Names of its tensors that a formula makes."""
        return frozenset(name for name, tensor in self.tensors.items() if tensor.is_table)

    def __repr__(self) -> str:
        size = f"{len(self.tensors)} tensors, {self.n_parameters:,} parameters"
        return f"<Sketch of {self.name!r}: {size}>"


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a tensor seen as a matrix."""
    if len(shape) < 2:
        return (int(np.prod(shape, dtype=np.int64)), 1)
    return shape[0], int(np.prod(shape[1:], dtype=np.int64))
