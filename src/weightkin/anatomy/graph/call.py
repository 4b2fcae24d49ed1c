"""One node as a rule sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightkin.anatomy.graph.dims import Term, fresh, resolved, unify

Dims = list[Term]


class Mismatch(Exception):  # noqa: N818 (not an error: the node is opaque then)
    """A node is not what its kind says."""


@dataclass(frozen=True, slots=True)
class Call:
    """One node as a rule sees it: dimensions of its inputs, shapes of its outputs, facts."""

    inputs: list[Dims]
    shapes: list[tuple[int, ...]]
    facts: Mapping[str, Any]

    @property
    def first(self) -> Dims:
        """Dimensions of the first input."""
        return self.inputs[0]

    def dim(self) -> int:
        """Which dimension of the first input the node is about."""
        return place(int(self.facts["dim"]), len(self.first))


def place(dim: int, rank: int) -> int:
    """Number of a dimension, counted from the front."""
    if not -rank <= dim < rank:
        raise Mismatch(f"dimension {dim} of {rank}")
    return dim % rank


def sizes(dims: Dims) -> tuple[int, ...]:
    """Shape of a value."""
    return tuple(term.size for term in dims)


def united(terms: Sequence[Term], size: int) -> Term:
    """One dimension of several that are one, but for those of size one (broadcast)."""
    wide = [term for term in terms if term.size != 1]
    if any(term.size != size for term in wide):
        raise Mismatch("sizes differ")
    for term in wide[1:]:
        unify(wide[0], term)
    return resolved(wide[0]) if wide else fresh(size, is_fixed=True)
