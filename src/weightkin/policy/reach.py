"""What a comparison could have shown: how much of a model entered a test, the smallest p in reach.

"No evidence" is worth as much as the test behind it. The gate lets a model pass only where a test
could have found the forbidden one, and where what no test reached is too small to hold that one.
What a tensor can hold is counted in bytes, whatever its numbers are said to be.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.graph.axes import BESIDE
from weightkin.anatomy.types import Anatomy, Axis
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.windows import largest_window
from weightkin.formats import Model, Storage
from weightkin.formats.adapter import Joined
from weightkin.formats.adapter_deltas import CHANGES
from weightkin.formats.computed import ComputedStorage
from weightkin.formats.ledger import n_outside, own_ledger
from weightkin.records import Comparison, Skipped, left_out
from weightkin.records.accounting import Ledger
from weightkin.sketch.stand_in import n_parameters, sketch_behind

LEAST_TESTED = 0.5  # share of the bytes of a model
MOST_OUTSIDE = 0.25  # share that is on no axis, where no model is forbidden by name
LEAST_BYTES = 0.5  # of a parameter of the other model, in the smallest form in use: four bits
FREE = 1 << 15  # bytes outside tensors that are not counted: names and shapes of small models
DENSE = 2  # what a byte that is compressed already counts: parameters of two bits fit in it
PLAIN_FLOATS = ("F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")  # wider ones may hold several numbers
WIDEST = 20  # powers of two between the sizes of nearly all weights of a tensor, at most
LOOKED_AT, MOST_WIDTH = 1 << 12, 1 << 22  # values of a tensor, and of a row, which is read whole
A_FACTOR = 4  # bytes of a number in a factor of an adapter, of which only the product is seen
PAID = 3.5  # digits that several stages and effects cost together, at most
NO_PROOF = ("residual", "heads")  # axes that show a copy only beside others
OWN_AXES = ("units", "vo")


@dataclass(frozen=True, slots=True)
class Unreached:
    """Of one model against another; ``log10_pvalue`` is the smallest in reach."""

    hidden: int  # bytes that what no test reached may hold, those outside tensors among them
    share: float  # of the bytes of tensors, those on an axis that entered a test or beside one
    of_other: int  # parameters
    log10_pvalue: float

    @property
    def bound(self) -> float:
        """Bytes that would hold the other model."""
        return LEAST_BYTES * self.of_other

    def lacking(self, alpha: float) -> Skipped | None:
        """Why "no evidence" would say too much, None if it would not."""
        if self.log10_pvalue > math.log10(alpha):
            return left_out("", "out-of-reach", pvalue=10**self.log10_pvalue, alpha=alpha)
        if self.share < LEAST_TESTED:
            return left_out("", "tests-reach-little", share=self.share)
        if self.hidden > self.bound:
            return left_out("", "untested-could-hold", n_bytes=self.hidden)
        return None


@dataclass(frozen=True)
class Submitted:
    """The model at the gate, with what is asked of its anatomy again and again."""

    model: Model

    @cached_property
    def ledger(self) -> Ledger:
        """Of the files that it was read from."""
        return own_ledger(self.model)

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is unread."""
        return self.ledger.is_whole and not self.model.is_partial

    @cached_property
    def _anatomy(self) -> Anatomy:
        return read_anatomy(self.model)

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        """Bytes of each tensor; codes of a packed one have eight bits at most."""
        return {
            name: math.prod(info.shape) if info.packed else info.n_bytes
            for name, info in self.model.tensors.items()
        }

    @cached_property
    def _holds(self) -> Mapping[str, int]:
        """Bytes that each tensor may hold: floats of a known part are one parameter each.

        One byte, so that half as many as the other model has are too many. What is not understood
        may be anything, and holds all its bytes.
        """
        floats = {
            name: math.prod(self.model.tensors[name].shape)
            for name, role in self._anatomy.roles
            if role != "other" and self.model.tensors[name].dtype in PLAIN_FLOATS
        }
        return {**self._sizes, **floats}

    @cached_property
    def _cells(self) -> Mapping[tuple[str, str], int]:
        """Inside how many units those of an axis may be moved, by its block and its name."""
        return {
            (block_name(axis), axis.name): axis.head_size
            for axis in self._anatomy.axes
            if axis.kind in OWN_AXES and axis.head_size
        }

    def _held(self, name: str) -> int:
        """The same of a tensor whose values were looked at: bytes read as floats are no weights."""
        is_plain = self.model.revision or _are_weights(self.model, name)
        return self._holds[name] if is_plain else self._sizes[name]

    @cached_property
    def _beside(self) -> int:
        """Bytes outside tensors, and of the factors of an adapter."""
        outside = max(0, n_outside(self.model.storage) - FREE)
        return DENSE * outside + A_FACTOR * _in_factors(self.model.storage)

    @cached_property
    def n_bytes(self) -> int:
        """Of all tensors, and of what is beside them."""
        return sum(self._sizes.values()) + self._beside

    @cached_property
    def n_outside(self) -> int:
        """Bytes that no test of any model could reach: on no axis that is known."""
        on_axes = {x.tensor for axis in self._anatomy.axes for x in axis.places}
        return self._beside + sum(n for x, n in self._holds.items() if x not in on_axes)

    def reach(self, record: Comparison, other: Model) -> Unreached:
        """Of a comparison in which this model was ``b``."""
        ran = {(t.block_b, t.axis) for t in record.tests if t.n_units}
        views = {t.view for t in record.tests if t.axis == "residual"}
        tested: set[str] = set()
        blocks: set[tuple[str, int]] = set()
        for axis in self._anatomy.axes:
            is_stream = axis.kind == "residual" or (axis.kind == "units" and axis.block < 0)
            if is_stream or (block_name(axis), axis.name) not in ran:
                continue
            tested |= _looked_at(axis)
            blocks |= {(axis.stack, axis.block)} if axis.kind in OWN_AXES else set()
        near = tested.union(
            *(_looked_at(x) for x in self._anatomy.axes if (x.stack, x.block) in blocks)
        )
        left = {name: size for name, size in self._sizes.items() if name not in near}
        holds = {name: self._held(name) for name in left}
        for name, role in self._tables(ran, views):
            n, most = self.model.tensors[name].shape[0], _rows_of(other, role)
            left[name] = holds[name] = self._sizes[name] * max(0, n - most) // max(1, n)
        total = sum(self._sizes.values())
        return Unreached(
            hidden=sum(holds.values()) + self._beside,
            share=1.0 - sum(left.values()) / max(1, total),
            of_other=n_parameters(other),
            log10_pvalue=smallest(record, self._cells),
        )

    def _tables(
        self, ran: Collection[tuple[str, str]], views: Collection[str]
    ) -> Iterator[tuple[str, str]]:
        """Tensors whose rows (tokens, positions) were tested one by one, and their roles."""
        for axis in self._anatomy.axes:
            if axis.kind == "residual" and (block_name(axis), axis.name) in ran:
                yield from ((x.tensor, x.role) for x in axis.places if x.role in views)


def _looked_at(axis: Axis) -> set[str]:
    """Tensors of an axis, but for those that only belong to its units."""
    return {x.tensor for x in axis.places if not x.role.startswith(BESIDE)}


def _are_weights(model: Model, name: str) -> bool:
    """Whether the first values of a tensor are finite, and of sizes as weights have them."""
    shape = model.tensors[name].shape
    if 0 in shape or not shape or math.prod(shape[1:]) > MOST_WIDTH:
        return True
    n_rows = max(1, LOOKED_AT // math.prod(shape[1:]))
    values = model.rows(name, slice(0, n_rows)).reshape(-1)[:LOOKED_AT]
    if not np.isfinite(values).all():
        return False
    sizes = np.abs(values[values != 0])
    low, high = np.quantile(np.log2(sizes), (0.02, 0.98)) if len(sizes) else (0.0, 0.0)
    return bool(high - low <= WIDEST)


def _rows_of(model: Model, role: str) -> int:
    """Rows of the longest table of a role: of rows beyond them, none was compared."""
    sketch = sketch_behind(model)
    whole = model.tensors if sketch is None else {t.stored_name: t for t in sketch.tensors.values()}
    rows = [0]
    for axis in read_anatomy(model).axes:
        for place in axis.places if axis.kind == "residual" else ():
            if place.role == role:
                rows.append(whole[place.tensor].shape[0])
    return max(rows)


def _in_factors(storage: Storage) -> int:
    if not isinstance(storage, ComputedStorage):
        return 0
    recipes = [x for x in storage.recipes.values() if isinstance(x, CHANGES)]
    inner = storage.inner.base if isinstance(storage.inner, Joined) else storage.inner
    return sum(x.n_factors for x in recipes) + _in_factors(inner)


def smallest(record: Comparison, cells: Mapping[tuple[str, str], int]) -> float:
    """The p-value if every unit of every block had matched, by the kind of test that shows most.

    Parameters
    ----------
    record : Comparison
        Of the model at the gate as ``b``.
    cells : mapping of (str, str) to int
        By block and axis of that model: inside how many units its order is free, where not in all.

    Returns
    -------
    float
        Log10 of it, at most 0.
    """
    best: dict[tuple[str, str], float] = defaultdict(float)
    for test in record.tests:
        is_in_block = test.block_b.rpartition(".")[2].isdecimal()
        if test.null == "calibrated" or test.axis in NO_PROOF or not is_in_block:
            continue
        n = test.n_units
        cell = cells.get((test.block_b, test.axis), 0)
        window = largest_window(cell) if cell else max(1, n)
        digits = n / window * math.lgamma(window + 1) / math.log(10)
        if test.name in ("signs", "turns"):
            digits = n * math.log10(2)
        key = test.name, test.block_b
        best[key] = max(best[key], digits)
    by_name: dict[str, float] = defaultdict(float)
    for (name, _), digits in best.items():
        by_name[name] += digits
    return min(0.0, PAID - max(by_name.values(), default=0.0))
