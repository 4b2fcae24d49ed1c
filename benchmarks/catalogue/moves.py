"""Random relabellings that labels or axes allow, as orders of the entries of every tensor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from weightkin.anatomy.graph.labels import Atom as Label
from weightkin.anatomy.graph.labels import Dim, Factor, Labels
from weightkin.anatomy.types import Axis, Place

Order: TypeAlias = "np.ndarray"  # entry i of a flattened tensor is entry order[i] of what it was
Move: TypeAlias = Mapping[str, Order]  # by tensor
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Digit:
    """One atom that an index along a dimension is made of."""

    atom: int
    size: int
    stride: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Indices ``offset + sum(digit * stride)`` of one dimension."""

    offset: int
    digits: tuple[_Digit, ...]


def label_moves(
    labels: Labels, rng: np.random.Generator, *, names: Collection[str] | None = None
) -> dict[int, Move]:
    """Return a random relabelling of every free atom, tensors that it moves only.

    Parameters
    ----------
    labels : Labels
        What every dimension of every weight is made of.
    rng : numpy.random.Generator
        Where orders are drawn from.
    names : Collection[str], optional
        These tensors alone.

    Returns
    -------
    dict[int, Move]
        By number of the atom. Each is a symmetry by itself, so they may be applied one by one.

    Raises
    ------
    ValueError
        An atom lies within another one that does not stand beside it.
    """
    runs = {
        name: [_runs(labels, dim) for dim in dims]
        for name, dims in labels.dims.items()
        if all(_size(labels, dim) for dim in dims) and (names is None or name in names)
    }
    found: dict[int, Move] = {}
    for number, atom in labels.atoms.items():
        if not atom.is_free or max(atom.cells or (atom.size,)) < 2:
            continue
        table = _table(labels, number, rng)
        move = {
            name: _order(own, number, atom, table)
            for name, own in runs.items()
            if any(digit.atom == number for dim in own for run in dim for digit in run.digits)
        }
        if move:
            found[number] = move
    return found


def _table(labels: Labels, number: int, rng: np.random.Generator) -> np.ndarray:
    """For every index of what an atom lies within: an order of its indices."""
    atom = labels.atoms[number]
    shape = tuple(labels.atoms[x].size for x in atom.within)
    rows = [random_order(atom.cells or (atom.size,), rng) for _ in range(math.prod(shape))]
    return np.stack(rows).reshape(*shape, atom.size)


def random_order(cells: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Return a random order inside each of several runs; no run of two or more stays as it is."""
    starts = np.cumsum([0, *cells[:-1]])
    return np.concatenate([s + _deranged(n, rng) for s, n in zip(starts, cells, strict=True)])


def _deranged(n: int, rng: np.random.Generator) -> np.ndarray:
    """One random cycle: no index stays where it is."""
    cycle = rng.permutation(n)
    order = np.empty(n, dtype=np.int64)
    order[cycle] = np.roll(cycle, 1)
    return order


def _size(labels: Labels, factor: Factor) -> int:
    if isinstance(factor, int):
        return labels.atoms[factor].size
    return sum(math.prod(_size(labels, f) for f in part) for part in factor)


def _runs(labels: Labels, dim: Dim) -> list[_Run]:
    """The runs that a dimension consists of; parts inside a product make one run each."""
    found, start = [], 0
    for part in dim:
        stride = math.prod(_size(labels, factor) for factor in part)
        length = stride
        choices: list[list[_Run]] = []
        for factor in part:
            stride //= _size(labels, factor)
            if isinstance(factor, int):
                choices.append([_Run(0, (_Digit(factor, labels.atoms[factor].size, stride),))])
            else:
                choices.append([_scaled(run, stride) for run in _runs(labels, factor)])
        for choice in itertools.product(*choices):
            digits = tuple(digit for run in choice for digit in run.digits)
            found.append(_Run(start + sum(run.offset for run in choice), digits))
        start += length
    return found


def _scaled(run: _Run, stride: int) -> _Run:
    digits = tuple(_Digit(d.atom, d.size, d.stride * stride) for d in run.digits)
    return _Run(run.offset * stride, digits)


def _order(dims: Sequence[Sequence[_Run]], number: int, atom: Label, table: np.ndarray) -> Order:
    sizes = [
        max(r.offset + sum((d.size - 1) * d.stride for d in r.digits) for r in runs) + 1
        for runs in dims
    ]
    strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    order = np.arange(math.prod(sizes))
    for block in itertools.product(*dims):
        digits = [(i, digit) for i, run in enumerate(block) for digit in run.digits]
        if not any(digit.atom == number for _, digit in digits):
            continue
        start = sum(run.offset * stride for run, stride in zip(block, strides, strict=True))
        grid = np.indices([digit.size for _, digit in digits], sparse=True)
        new, old = np.asarray(start), np.asarray(start)
        for own, (i, digit) in zip(grid, digits, strict=True):
            moved = own
            if digit.atom == number:
                moved = table[(*_beside(atom, i, digits, grid), own)]
            new = new + own * digit.stride * strides[i]
            old = old + moved * digit.stride * strides[i]
        order[new.reshape(-1)] = old.reshape(-1)
    return order


def _beside(
    atom: Label, dim: int, digits: Sequence[tuple[int, _Digit]], grid: Sequence[np.ndarray]
) -> Iterator[np.ndarray]:
    """Indices of what an atom lies within: those of its own dimension, else of another one."""
    for outer in atom.within:
        own = [k for k, (i, digit) in enumerate(digits) if digit.atom == outer and i == dim]
        own = own or [k for k, (_, digit) in enumerate(digits) if digit.atom == outer]
        if len(own) != 1:
            raise ValueError(f"{len(own)} places of atom {outer} beside one that lies within it")
        yield grid[own[0]]


def axis_moves(axes: Iterable[Axis], shapes: Shapes, rng: np.random.Generator) -> dict[str, Move]:
    """Return a random relabelling of every axis; those of equal ``labels`` are one.

    Parameters
    ----------
    axes : Iterable[Axis]
        Axes of one model.
    shapes : Mapping[str, tuple[int, ...]]
        Shapes of its tensors.
    rng : numpy.random.Generator
        Where orders are drawn from.

    Returns
    -------
    dict[str, Move]
        By ``Axis.labels``.
    """
    found: dict[str, dict[str, Order]] = {}
    orders: dict[str, np.ndarray] = {}
    for axis in axes:
        if axis.labels not in orders:
            has_cells = axis.head_size and axis.kind in ("units", "vo")
            cell = axis.head_size if has_cells else axis.n_units
            orders[axis.labels] = random_order([cell] * (axis.n_units // cell), rng)
        move = found.setdefault(axis.labels, {})
        for place in axis.places:
            shape = shapes[place.tensor]
            before = move.get(place.tensor, np.arange(math.prod(shape)))
            move[place.tensor] = _placed(axis, place, orders[axis.labels], before.reshape(shape))
    return {name: move for name, move in found.items() if move}


def _placed(axis: Axis, place: Place, order: np.ndarray, before: np.ndarray) -> Order:
    """Move the entries of one place of an axis."""
    after = before.copy()
    source, target = (
        np.moveaxis(x if place.index is None else x[place.index], place.dim, 0)
        for x in (before, after)
    )
    at = positions(axis, place)  # (units, entries of each)
    target[at] = source[at[order]]
    return after.reshape(-1)


def positions(axis: Axis, place: Place) -> np.ndarray:
    """Return where along the dimension of a place each unit stands: (units, entries of each)."""
    n = axis.n_units
    if axis.kind == "heads":
        return place.start + np.arange(place.size).reshape(n, -1)
    cell = axis.head_size if place.repeat > 1 or axis.kind == "vo" else n
    block = n * place.repeat
    runs = np.arange(block).reshape(n // cell, place.repeat, cell).transpose(0, 2, 1)
    units = runs.reshape(n, 1, place.repeat, 1)
    outer = np.arange(place.outer).reshape(1, -1, 1, 1) * block
    spread = (outer + units) * place.inner + np.arange(place.inner)
    return place.start + spread.reshape(n, -1)
