"""What traced dimensions of one pattern have in common: one tree, or nothing that is certain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from weightkin.anatomy.graph.labels import Atom, Dim, Factor, Labels, Part

Path = tuple[int, ...]
ONE: Dim = ((),)


@dataclass(frozen=True, slots=True)
class Source:
    """Entries of a tensor of a state dict: so many from one on, of all."""

    name: str
    start: int
    n: int
    n_all: int


@dataclass(frozen=True)
class Traced:
    """One tiny instance of a class: its labels, the shapes of its tensors, and its config.

    Names are those of its file; ``modules`` has what they are of the state dict, end to end, where
    that is something else.

    ``groups`` are the numbers of groups of all its group norms; ``unused`` are tensors that no
    output depends on, and integers; ``buffers`` are those of them that are not learned.
    """

    labels: Labels
    shapes: Mapping[str, tuple[int, ...]]
    config: Mapping[str, Any] = field(default_factory=dict)
    groups: frozenset[int] = frozenset()
    unused: tuple[str, ...] = ()
    buffers: frozenset[str] = frozenset()
    modules: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)


class Trees:
    """The dimensions of one instance with fixed atoms merged where they stand side by side.

    Merged atoms are new ones, with negative numbers.
    """

    def __init__(self, traced: Traced) -> None:
        self._merged: dict[Dim | tuple[str, int], int] = {}
        self.atoms: dict[int, Atom] = dict(traced.labels.atoms)
        self.dims = {
            name: tuple(self._sum(dim) for dim in dims) for name, dims in traced.labels.dims.items()
        }

    def size(self, factor: Factor) -> int:
        """Number of indices of a factor."""
        if isinstance(factor, int):
            return self.atoms[factor].size
        return sum(math.prod(self.size(x) for x in part) for part in factor)

    def is_fixed(self, dim: Dim) -> bool:
        """Whether nothing along a dimension is free."""
        return not any(self.atoms[atom].is_free for atom, _ in leaves(dim))

    def _one(self, dim: Dim) -> int:
        """The one fixed atom for all that is fixed in a dimension; equal ones are one atom."""
        number = self._merged.setdefault(dim, -1 - len(self._merged))
        self.atoms[number] = Atom(self.size(dim), is_free=False)
        return number

    def repeated(self, name: str, i: int) -> Dim:
        """A dimension whose parts are all one part (shifts and scales of a stream) as a product."""
        dim = self.dims[name][i]
        if len(dim) < 2 or len(set(dim)) > 1:
            return dim
        where = name, i
        number = self._merged.setdefault(where, -1 - len(self._merged))
        self.atoms[number] = Atom(len(dim), is_free=False)
        return ((number, *dim[0]),)

    def _sum(self, dim: Dim) -> Dim:
        parts = [self._product(part) for part in dim]
        found: list[Part] = []
        for part in parts:
            if found and self.is_fixed((part,)) and self.is_fixed((found[-1],)):
                part = (self._one((found.pop(), part)),)
            found.append(part)
        return tuple(found)

    def _product(self, part: Part) -> Part:
        found: list[Factor] = []
        for factor in part:
            own: Part = (factor,)
            if not isinstance(factor, int):
                inner = self._sum(factor)
                own = inner[0] if len(inner) == 1 else (inner,)
            for x in own:
                before = found[-1] if found else None
                if before is not None and self.is_fixed(((before,),)) and self.is_fixed(((x,),)):
                    found[-1] = self._one(((before, x),))
                else:
                    found.append(x)
        return tuple(found)


def leaves(dim: Dim, path: Path = ()) -> Iterator[tuple[int, Path]]:
    """Every atom of a dimension with its path: part, factor, part, factor ..."""
    for i, part in enumerate(dim):
        for j, factor in enumerate(part):
            if isinstance(factor, int):
                yield factor, (*path, i, j)
            else:
                yield from leaves(factor, (*path, i, j))


def outline(dim: Dim) -> Any:
    """The tree without its atoms: equal for dimensions that are built alike."""
    return tuple(tuple(0 if isinstance(x, int) else outline(x) for x in part) for part in dim)
