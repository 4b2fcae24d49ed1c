"""What two models hold that is equal, under the same role or any other, and in whatever layout.

Tensors of one role are compared as they are. Of what is not equal so, a vector of one model is
looked up among all of the other: what no role tells, what was repeated or put in another order is
found again. What could be equal by chance is no proof. Every match is one of values, none of hashes
alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from weightkin.anatomy.naming import is_optimiser_state
from weightkin.arrays import Floats, Ints
from weightkin.derivation.lattice import FORMATS, cast_to
from weightkin.derivation.vectors import Flags, Keys, View, are_among, shared_keys, tells, views_of
from weightkin.sketch.overlap import common, held_by_both
from weightkin.sketch.types import Sketch, SketchedTensor

SMALL_REST = 1e-3  # share of parameters beside the weights: tables that are computed, shapes
FREE_ORDER = ("attn.q", "attn.k")  # rows that conversions put in another order
NO_KEYS: Keys = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorMatch:
    """How much of one tensor the other model holds, and where."""

    n_parameters: int
    is_same: bool = False  # under its own role, in its own shape
    is_other: bool = False  # the other model has other values under this role
    share: float = 1.0  # of its vectors
    told: float = 0.0  # of its parameters: found, and not so by chance
    is_told: bool = False  # whether anything of it is found that chance could not find
    is_table: bool = False  # made by a formula: equal in models that share nothing
    partners: tuple[str, ...] = ()
    is_turned: bool = False
    is_ordered: bool = True

    @property
    def is_moved(self) -> bool:
        """Whether all of it is in the other model, elsewhere."""
        return not self.is_same and self.is_told and self.share == 1.0


@dataclass(frozen=True, kw_only=True)
class Equality:
    """Equal parameters of two sketches of one scheme, by the names of the tensors."""

    a: Mapping[str, TensorMatch]
    b: Mapping[str, TensorMatch]
    roles: Mapping[str, str] = field(repr=False)
    ways: frozenset[str] = frozenset()  # in which the two store what has one role

    @cached_property
    def smaller(self) -> Mapping[str, TensorMatch]:
        """The side with fewer parameters."""
        return min((self.a, self.b), key=lambda side: _count(side.values()))

    @property
    def n_parameters(self) -> int:
        """Parameters of the smaller model."""
        return _count(self.smaller.values())

    @property
    def n_same(self) -> int:
        """Its parameters that are equal under the same role."""
        return _count(x for x in self.smaller.values() if x.is_same)

    @property
    def n_other(self) -> int:
        """Its parameters that are equal elsewhere."""
        rest = [x for x in self.smaller.values() if not x.is_same]
        is_part = self.is_part  # then what says nothing by itself is where it belongs
        return round(sum(x.n_parameters * (x.share if is_part else x.told) for x in rest))

    @property
    def n_tables(self) -> int:
        """Its parameters that are equal, and tables that a formula makes."""
        return _count(x for x in self.smaller.values() if x.is_table)

    @property
    def is_telling(self) -> bool:
        """Whether chance could not make equal what is, and did not find most of it elsewhere."""
        held = self.smaller.values()
        by_chance = _count(x for x in held if not (x.is_same or x.is_told))
        return 2 * by_chance <= self.n_parameters and any(x.is_told for x in held)

    def left(self, side: str) -> tuple[str, ...]:
        """Tensors of a model with values that the other does not hold."""
        held = self.a if side == "a" else self.b
        return tuple(name for name, x in held.items() if not x.is_same and x.share < 1.0)

    def covers(self, side: str) -> bool:
        """Whether the other model holds all of this one, but for a little it has no name for.

        What an optimiser keeps beside the weights is no part of a model.
        """
        held = self.a if side == "a" else self.b
        rest = [held[name] for name in self.left(side) if not is_optimiser_state(name)]
        is_small = _count(rest) <= SMALL_REST * _count(held.values())
        return is_small and not any(x.is_other for x in rest)

    @property
    def is_part(self) -> bool:
        """Whether one model holds all of the other, and enough of it to say so."""
        return (self.covers("a") or self.covers("b")) and self.is_telling

    @property
    def is_whole(self) -> bool:
        """Whether each model holds all of the other."""
        is_either = not self.left("a") or not self.left("b")
        return is_either and self.covers("a") and self.covers("b") and self.is_telling

    @property
    def reordered(self) -> tuple[str, ...]:
        """Roles whose rows are those of the other model in another order."""
        both = (*self.a.items(), *self.b.items())
        moved = {self.roles.get(n, "other") for n, x in both if x.is_moved and not x.is_ordered}
        return tuple(sorted(moved))

    @property
    def layout(self) -> tuple[str, ...]:
        """In which ways the layouts differ."""
        moved = [(n, x) for n, x in (*self.a.items(), *self.b.items()) if x.is_moved]
        sizes = [_count(x for x in side.values() if x.is_told) for side in (self.a, self.b)]
        found = {
            "other names": any(len(x.partners) == 1 and n not in x.partners for n, x in moved),
            "fused or split": any(len(x.partners) > 1 for _, x in moved),
            "transposed": any(x.is_turned for _, x in moved),
            "rows in another order": bool(self.reordered),
            "repeated": self.is_whole and sizes[0] != sizes[1],
        }
        return tuple(word for word, is_so in found.items() if is_so or word in self.ways)


def equality(a: Sketch, b: Sketch) -> Equality:
    """Compare all that two sketches of one scheme and layout hold."""
    both = [(a.tensors[name], b.tensors[name]) for name in a.tensors.keys() & b.tensors.keys()]
    same = {x.name: values for x, y in both if (values := equal_values(x, y)) is not None}
    is_all = len(same) == len(a.tensors) == len(b.tensors)
    views = [
        {n: () if is_all else tuple(views_of(t)) for n, t in x.tensors.items()} for x in (a, b)
    ]
    every = [[v for those in side.values() for v in those] for side in views]
    shared = shared_keys(*every)
    sides = []
    for i, (own, other) in enumerate(((a, b), (b, a))):
        pool = _Pool.of(every[1 - i], shared)
        side = {}
        for name, tensor in own.tensors.items():
            n = math.prod(tensor.shape)
            if name in same or not n:
                is_told = name in same and tells(same[name], tensor.lattice)
                made = is_told and tensor.is_table
                is_told = is_told and not made
                side[name] = TensorMatch(
                    n_parameters=n, is_same=True, is_told=is_told, is_table=made
                )
            else:
                found = _found(n, views[i][name], pool)
                if found.is_told and tensor.is_table:
                    found = replace(found, is_told=False, told=0.0, is_table=True)
                side[name] = replace(found, is_other=name in other.tensors)
        sides.append(side)
    roles = {n: t.role for x in (b, a) for n, t in x.tensors.items()}
    ways = frozenset(way for pair in both for way in _ways(*pair))
    return Equality(a=sides[0], b=sides[1], roles=roles, ways=ways)


def _ways(x: SketchedTensor, y: SketchedTensor) -> Iterator[str]:
    """How two tensors of one role are stored otherwise."""
    if x.stored_name != y.stored_name:
        yield "other names"
    if x.is_cut != y.is_cut:
        yield "fused or split"
    if x.is_turned != y.is_turned:
        yield "transposed"


def is_rounded_copy(a: Sketch, b: Sketch) -> bool:
    """Whether one model is the other, every value rounded to a narrower format of numbers."""
    return any(_is_rounding(p, c) for p, c in ((a, b), (b, a)))


def _is_rounding(parent: Sketch, child: Sketch) -> bool:
    """Equal roles and shapes; what is not equal is rounded, and says enough."""
    if parent.tensors.keys() != child.tensors.keys():
        return False
    n_told = 0
    for name, y in child.tensors.items():
        x = parent.tensors[name]
        if x.shape != y.shape:
            return False
        if not is_cast(x, y):
            return False
        n_told += tells(common(x, y).values_b, y.lattice)
    return n_told > 0


def is_cast(x: SketchedTensor, y: SketchedTensor) -> bool:
    """Whether the common sample of y is that of x, or that rounded to a format of y."""
    both = common(x, y)
    p, c = both.values_a, both.values_b
    formats = [f for f in FORMATS if f in y.lattice]
    return np.array_equal(p, c) or any(np.array_equal(cast_to(p, f), c) for f in formats)


def equal_values(x: SketchedTensor, y: SketchedTensor) -> Floats | None:
    """What both samples hold, if every value of it is equal as it is stored, and there is any."""
    if x.shape != y.shape:
        return None
    if x.digest == y.digest:
        return x.values
    at_x, at_y = held_by_both(x, y)
    p, q = x.stored[at_x], y.stored[at_y]
    is_equal = p.size and np.array_equal(p, q) and np.array_equal(x.tail_stored, y.tail_stored)
    return x.values[at_x] if is_equal else None


@dataclass(frozen=True, slots=True)
class _Pool:
    """Vectors of one model that the other may hold, by length: sorted keys, values, and places."""

    keys: Mapping[int, Keys]
    values: Mapping[int, Floats]
    homes: Mapping[int, Ints]  # position of the view
    ranks: Mapping[int, Ints]  # position inside the view
    views: Sequence[View]

    @classmethod
    def of(cls, views: Sequence[View], shared: Mapping[int, Keys]) -> _Pool:
        by_length: dict[int, list[tuple[int, Ints]]] = {}
        for i, view in enumerate(views):
            at = np.flatnonzero(are_among(view.keys, shared.get(view.vectors.shape[1], NO_KEYS)))
            if len(at):
                by_length.setdefault(view.vectors.shape[1], []).append((i, at))
        keys, values, homes, ranks = {}, {}, {}, {}
        for length, those in by_length.items():
            own = np.concatenate([views[i].keys[at] for i, at in those])
            order = np.argsort(own, kind="stable")
            keys[length] = own[order]
            values[length] = np.concatenate([views[i].vectors[at] for i, at in those])[order]
            homes[length] = np.repeat([i for i, _ in those], [len(at) for _, at in those])[order]
            ranks[length] = np.concatenate([at for _, at in those])[order]
        return cls(keys, values, homes, ranks, views)

    def look_up(self, view: View) -> tuple[Flags, Flags, Ints, Ints]:
        """Which vectors are here as well, which of them once; view and place of the first."""
        length = view.vectors.shape[1]
        none = np.zeros(len(view.vectors), dtype=np.int64)
        if length not in self.keys:
            return none.astype(bool), none.astype(bool), none, none
        keys = self.keys[length]
        first = np.searchsorted(keys, view.keys)
        at = np.minimum(first, len(keys) - 1)
        is_here = keys[at] == view.keys
        is_here[is_here] = (self.values[length][at[is_here]] == view.vectors[is_here]).all(axis=1)
        is_last = keys[np.minimum(first + 1, len(keys) - 1)] != view.keys
        is_once = is_here & (is_last | (first + 1 == len(keys)))
        return is_here, is_once, self.homes[length][at], self.ranks[length][at]


def _found(n: int, views: Sequence[View], pool: _Pool) -> TensorMatch:
    """Where the other model holds a tensor: seen along the dimension that shows most of it."""
    best = TensorMatch(n_parameters=n, share=0.0)
    for view in views:
        is_here, is_once, homes, ranks = pool.look_up(view)
        share = float(is_here.mean())
        if share <= best.share:
            continue
        used = np.flatnonzero(np.bincount(homes[is_here])).tolist()
        kinds = {pool.views[i].kind for i in used}
        steps = np.diff(ranks[is_once])[np.diff(homes[is_once]) == 0]
        best = replace(
            best,
            share=share,
            told=float((is_here & view.is_told).mean()),
            is_told=bool((is_here & view.is_told).any()),
            partners=tuple(dict.fromkeys(pool.views[i].name for i in used)),
            is_turned=(view.kind == "columns") != (kinds == {"columns"}),
            is_ordered=bool((steps > 0).all()),
        )
        if share == 1.0:
            break
    return best


def _count(found: Iterable[TensorMatch]) -> int:
    return sum(x.n_parameters for x in found)
