"""What a comparison could have shown: the parameters that entered a test, the smallest p in reach.

"No evidence" is worth as much as the test behind it. The gate lets a model pass only where a test
could have found the forbidden one, and where what no test reached is too small to be that one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.types import Axis
from weightkin.records import Comparison
from weightkin.sketch import Sketch
from weightkin.sketch.stand_in import SketchStorage
from weightkin.weights import Model, Storage
from weightkin.weights.adapter import Joined, Merged
from weightkin.weights.computed import ComputedStorage

LEAST_TESTED = 0.5  # share of the parameters of a model
MOST_OUTSIDE = 0.25  # share that is on no axis, where no model is forbidden by name
MOST_HIDDEN = 0.5  # what no test reached, as a share of the other model
FLOATS = ("F", "BF", "C")  # how names of dtypes of numbers begin; others may be packed
PAID = 3.5  # digits that several stages and effects cost together, at most
NO_PROOF = ("residual", "heads")  # axes that show a copy only beside others
OWN_AXES = ("units", "vo")


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one model against another, in parameters; ``log10_pvalue`` is the smallest in reach."""

    hidden: int  # reached by no test, and in no block of which anything was tested
    n_parameters: int
    of_other: int
    log10_pvalue: float

    @property
    def share(self) -> float:
        """Of the parameters, how many are on an axis that entered a test or beside one."""
        return 1.0 - self.hidden / max(1, self.n_parameters)

    @property
    def bound(self) -> float:
        """What may be hidden, in one model or in all of one call together."""
        return MOST_HIDDEN * self.of_other

    def lacking(self, alpha: float) -> str:
        """Why "no evidence" would say too much, "" if it would not."""
        if self.log10_pvalue > math.log10(alpha):
            return f"too few units to reach alpha {alpha:g}: p at best 1e{self.log10_pvalue:.0f}"
        if self.share < LEAST_TESTED:
            return f"only {self.share:.0%} of the parameters are in reach of a test"
        if self.hidden > self.bound:
            n = f"{self.hidden:,} parameters are in no part that could be tested"
            return f"{n}, as many as would hold it"
        return ""


@dataclass(frozen=True)
class Candidate:
    """The model at the gate, with what is asked of its anatomy again and again."""

    model: Model

    @cached_property
    def _axes(self) -> tuple[Axis, ...]:
        return read_anatomy(self.model).axes

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Parameters of each tensor; bytes that are no numbers may hold two in each."""
        return {
            name: math.prod(info.shape)
            if info.dtype.startswith(FLOATS)
            else max(math.prod(info.shape), 2 * info.n_bytes)
            for name, info in self.model.tensors.items()
        }

    @cached_property
    def n_parameters(self) -> int:
        """Of all tensors, and of the factors of an adapter, of which only the product is seen."""
        return sum(self.sizes.values()) + _in_factors(self.model.storage)

    @cached_property
    def n_outside(self) -> int:
        """Parameters that no test of any model could reach: on no axis that is known."""
        on_axes = {x.tensor for axis in self._axes for x in axis.places}
        return self.n_parameters - sum(self.sizes[x] for x in on_axes)

    def reach(self, record: Comparison, n_other: int) -> Reach:
        """Of a comparison in which this model was ``b``."""
        ran = {(t.block_b, t.axis) for t in record.tests if t.n_units}
        views = {t.view for t in record.tests if t.axis == "residual"}
        tested: set[str] = set()
        blocks: set[tuple[str, int]] = set()
        for axis in self._axes:
            place = axis.stack if axis.block < 0 else f"{axis.stack}.{axis.block}"
            if (place, axis.name) not in ran:
                continue
            if axis.kind == "residual":
                tested |= {x.tensor for x in axis.places if x.role in views}
            else:
                tested |= {x.tensor for x in axis.places}
                blocks |= {(axis.stack, axis.block)} if axis.kind in OWN_AXES else set()
        near = {
            x.tensor for a in self._axes if (a.stack, a.block) in blocks for x in a.places
        } | tested
        return Reach(
            hidden=self.n_parameters - sum(self.sizes[x] for x in near),
            n_parameters=self.n_parameters,
            of_other=n_other,
            log10_pvalue=_smallest(record),
        )


def _in_factors(storage: Storage) -> int:
    if not isinstance(storage, ComputedStorage):
        return 0
    recipes = [x for x in storage.recipes.values() if isinstance(x, Merged)]
    inner = storage.inner.base if isinstance(storage.inner, Joined) else storage.inner
    return sum(x.rank * sum(x.shape) for x in recipes) + _in_factors(inner)


def n_parameters(model: Model) -> int:
    """Of a model, or of that which a sketch stands in for."""
    if isinstance(model.storage, SketchStorage):
        sketch: Sketch = model.storage.sketch
        return sketch.n_parameters
    return sum(math.prod(info.shape) for info in model.tensors.values())


def _smallest(record: Comparison) -> float:
    """The p-value if every unit of every block had matched, by the kind of test that shows most."""
    best: dict[tuple[str, str], float] = defaultdict(float)
    for test in record.tests:
        if test.null == "calibrated" or test.axis in NO_PROOF:
            continue
        n = test.n_units
        digits = n * math.log10(2) if test.name == "signs" else math.lgamma(n + 1) / math.log(10)
        key = test.name, test.block_b
        best[key] = max(best[key], digits)
    by_name: dict[str, float] = defaultdict(float)
    for (name, _), digits in best.items():
        by_name[name] += digits
    return min(0.0, PAID - max(by_name.values(), default=0.0))
