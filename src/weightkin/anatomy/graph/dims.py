"""What a dimension is made of, and what it means that two dimensions are one.

A dimension is a term: an atom, a sum (parts joined end to end, as by a concatenation) or a product
(outermost factor first, as by a reshape). Atoms are variables: an atom that turns out to be made of
parts is bound to a term. Unifying two terms makes them one, or, where their parts cannot be made to
agree, fixes both: a fixed atom may not be relabelled. ``cuts`` of an atom are the places that no
relabelling may carry a unit across.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(slots=True, eq=False)
class Atom:
    """An index that nothing takes apart, or (``bound``) the name of a term."""

    size: int
    is_fixed: bool = False
    cuts: set[int] = field(default_factory=set)
    bound: Term | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Parts joined end to end."""

    parts: tuple[Term, ...]

    @property
    def size(self) -> int:
        """Number of indices."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Factors, outermost first; without factors a dimension of size one."""

    factors: tuple[Term, ...]

    @property
    def size(self) -> int:
        """Number of indices."""
        return math.prod(factor.size for factor in self.factors)


Term: TypeAlias = Atom | Sum | Product
ONE = Product(())


def fresh(size: int, *, is_fixed: bool = False) -> Term:
    """A new dimension of which nothing is known."""
    return ONE if size == 1 else Atom(size, is_fixed)


def resolved(term: Term) -> Term:
    """The term with its bound atoms replaced: a sum of products, without factors of size one."""
    match term:
        case Atom(bound=None):
            return ONE if term.size == 1 else term
        case Atom():
            assert term.bound is not None
            term.bound = resolved(term.bound)
            return term.bound
        case Sum():
            parts: list[Term] = []
            for part in map(resolved, term.parts):
                parts += part.parts if isinstance(part, Sum) else [part] if part.size else []
            return parts[0] if len(parts) == 1 else Sum(tuple(parts))
        case Product():
            return _product(term)


def _product(term: Product) -> Term:
    factors: list[Term] = []
    for factor in map(resolved, term.factors):
        factors += factor.factors if isinstance(factor, Product) else [factor]
    if len(factors) == 1:
        return factors[0]
    if factors and isinstance(factors[0], Sum):
        rest = tuple(factors[1:])
        return resolved(Sum(tuple(Product((part, *rest)) for part in factors[0].parts)))
    return Product(tuple(factors))


def atoms(term: Term) -> Iterator[Atom]:
    """Every atom of a term, as often as it stands there."""
    match resolved(term):
        case Atom() as atom:
            yield atom
        case Sum(parts=inner) | Product(factors=inner):
            for part in inner:
                yield from atoms(part)


def fix(*terms: Term) -> None:
    """Say that no index of these dimensions may move."""
    for term in terms:
        for atom in atoms(term):
            atom.is_fixed = True


def join(parts: Sequence[Term]) -> Term:
    """A concatenation."""
    return resolved(Sum(tuple(parts)))


def multiply(factors: Sequence[Term]) -> Term:
    """Dimensions merged by a reshape, outermost first."""
    return resolved(Product(tuple(factors)))


def cut(term: Term, points: Iterable[int]) -> None:
    """Say that no relabelling carries an index of the term across one of these points."""
    inside = {p for p in points if 0 < p < term.size}
    if not inside:
        return
    match resolved(term):
        case Atom() as atom:
            atom.cuts |= inside
        case Sum(parts=parts):
            start = 0
            for part in parts:
                cut(part, {p - start for p in inside})
                start += part.size
        case Product(factors=(first, *rest)):
            within = Product(tuple(rest))
            n = within.size
            if any(p % n for p in inside):
                fix(first)
                cut(within, {p % n for p in inside})
            else:
                cut(first, {p // n for p in inside})


def split(term: Term, points: Sequence[int]) -> list[Term]:
    """Take a dimension apart at ascending points: one more part than points."""
    ends = [0, *points, term.size]
    sizes = [b - a for a, b in zip(ends, ends[1:], strict=False)]
    parts = _split(resolved(term), sizes)
    if parts is None:
        fix(term)
        parts = [fresh(size, is_fixed=True) for size in sizes]
    return parts


def _split(term: Term, sizes: Sequence[int]) -> list[Term] | None:
    if len(sizes) == 1:
        return [term]
    match term:
        case Atom():
            parts = [fresh(size) for size in sizes]
            _bind(term, Sum(tuple(parts)))
            return [resolved(part) for part in parts]
        case Sum():
            return _split_sum(term, sizes)
        case Product(factors=(first, *rest)):
            inner = Product(tuple(rest))
            n = inner.size
            if any(size % n for size in sizes):
                return None
            outer = _split(resolved(first), [size // n for size in sizes])
            return outer and [multiply((part, inner)) for part in outer]
    return None


def _split_sum(term: Sum, sizes: Sequence[int]) -> list[Term] | None:
    waiting = list(reversed(term.parts))
    found: list[Term] = []
    for size in sizes:
        own: list[Term] = []
        left = size
        while left:
            part = resolved(waiting.pop())
            if part.size > left:
                cut_off = _split(part, [left, part.size - left])
                if cut_off is None:
                    return None
                part, rest = cut_off
                waiting.append(rest)
            own.append(part)
            left -= part.size
        found.append(join(own) if own else Sum(()))
    return found


def divide(term: Term, n_inner: int) -> tuple[Term, Term]:
    """Take a dimension apart into an outer and an inner factor, the inner one of a given size."""
    found = _divide(resolved(term), n_inner)
    if found is None:
        fix(term)
        return fresh(term.size // n_inner, is_fixed=True), fresh(n_inner, is_fixed=True)
    return found


def _divide(term: Term, n_inner: int) -> tuple[Term, Term] | None:
    if n_inner == 1:
        return term, ONE
    if n_inner == term.size:
        return ONE, term
    if not n_inner or term.size % n_inner:
        return None
    match term:
        case Atom():
            outer, inner = fresh(term.size // n_inner), fresh(n_inner)
            _bind(term, Product((outer, inner)))
            return resolved(outer), resolved(inner)
        case Product():
            return _divide_product(term, n_inner)
        case Sum():
            return _divide_sum(term, n_inner)


def _divide_product(term: Product, n_inner: int) -> tuple[Term, Term] | None:
    inner: list[Term] = []
    left = n_inner
    for i in range(len(term.factors) - 1, -1, -1):
        factor = term.factors[i]
        if left % factor.size == 0:
            inner.insert(0, factor)
            left //= factor.size
            if left == 1:
                return multiply(term.factors[:i]), multiply(inner)
            continue
        halves = _divide(resolved(factor), left)
        if halves is None:
            return None
        return multiply((*term.factors[:i], halves[0])), multiply((halves[1], *inner))
    return None


def _divide_sum(term: Sum, n_inner: int) -> tuple[Term, Term] | None:
    if all(part.size % n_inner == 0 for part in term.parts):
        halves = [divide(part, n_inner) for part in term.parts]
        for _, inner in halves[1:]:
            unify(halves[0][1], inner)
        return join([outer for outer, _ in halves]), resolved(halves[0][1])
    n_outer = term.size // n_inner
    if (groups := _split_sum(term, [n_inner] * n_outer)) is None:
        return None
    for group in groups[1:]:
        unify(groups[0], group)
    return fresh(n_outer, is_fixed=True), resolved(groups[0])


def unify(x: Term, y: Term) -> None:
    """Make two dimensions one; where that cannot be, fix both."""
    x, y = resolved(x), resolved(y)
    if x is y:
        return
    if x.size != y.size or not _unified(x, y):
        fix(x, y)


def _unified(x: Term, y: Term) -> bool:
    match x, y:
        case Atom(), _:
            return _bind(x, y)
        case _, Atom():
            return _bind(y, x)
        case Sum(), Sum():
            ends = sorted({*_ends(x), *_ends(y)})
            for own, other in zip(split(x, ends), split(y, ends), strict=True):
                unify(own, other)
        case (Product(factors=()), _) | (_, Product(factors=())):
            return True
        case _:
            inner = [t.factors[-1].size for t in (x, y) if isinstance(t, Product)]
            n = min(inner)
            halves = [_divide(resolved(t), n) for t in (x, y)]
            if halves[0] is None or halves[1] is None:
                return False
            for own, other in zip(*halves, strict=True):
                unify(own, other)
    return True


def _ends(term: Sum) -> list[int]:
    """Where the parts of a sum meet."""
    ends, at = [], 0
    for part in term.parts[:-1]:
        at += part.size
        ends.append(at)
    return ends


def _bind(atom: Atom, term: Term) -> bool:
    """Let an atom be a term from now on; what held for it holds for the term."""
    if any(other is atom for other in atoms(term)):
        return False
    atom.bound = term
    if atom.is_fixed:
        fix(term)
    cut(term, atom.cuts)
    return True
