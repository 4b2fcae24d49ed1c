"""Tensors of a state dict that the file takes apart: experts that a library keeps as one stack.

What a tensor holds for every expert is a tensor of its own in the file. Where units of one expert
may be relabelled alone, they are a label of their own then; the order of the experts is one of
names, which no axis runs along.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from weightkin.anatomy.graph.labels import Dim, Factor, Labels


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor of a file that is a run of entries of one of the state dict."""

    name: str
    shape: tuple[int, ...]
    start: int  # entry of the flattened tensor


@dataclass(frozen=True, slots=True)
class _Cut:
    """A piece of a tensor of experts: which expert, and what its dimensions are made of."""

    piece: Piece
    expert: int
    dims: tuple[Dim, ...]


def pieces_of(
    saved: Mapping[str, np.ndarray],
    starts: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, tuple[Piece, ...]]:
    """Which tensors of a state dict a file holds in pieces, and nowhere else.

    Parameters
    ----------
    saved : mapping of str to array
        Tensors of the file that have no name of the state dict, of numbers that count its entries.
    starts : mapping of str to int
        First number of every tensor of the state dict.
    shapes : mapping of str to tuple of int
        Their shapes.

    Returns
    -------
    dict of str to tuple of Piece
        Pieces in their order, by the tensor that they make up.
    """
    names = list(starts)
    firsts = np.array([starts[name] for name in names])
    found: dict[str, list[Piece]] = {}
    for name, x in saved.items():
        flat = x.reshape(-1)
        if not flat.size or not np.array_equal(flat, flat[0] + np.arange(flat.size)):
            continue
        whole = names[int(np.searchsorted(firsts, flat[0], side="right")) - 1]
        found.setdefault(whole, []).append(Piece(name, x.shape, int(flat[0]) - starts[whole]))
    return {
        whole: ordered
        for whole, pieces in found.items()
        for ordered in [tuple(sorted(pieces, key=lambda x: x.start))]
        if _is_all(ordered, math.prod(shapes[whole]))
    }


def _is_all(pieces: tuple[Piece, ...], size: int) -> bool:
    at = 0
    for piece in pieces:
        if piece.start != at:
            return False
        at += math.prod(piece.shape)
    return at == size


def labels_of_pieces(
    labels: Labels,
    shapes: Mapping[str, tuple[int, ...]],
    split: Mapping[str, tuple[Piece, ...]],
) -> tuple[Labels, dict[str, tuple[Piece, ...]]]:
    """The labels of the tensors of a file, where it takes those of experts apart.

    Parameters
    ----------
    labels : Labels
        Of the state dict.
    shapes : mapping of str to tuple of int
        Of the state dict.
    split : mapping of str to tuple of Piece
        What the file takes apart.

    Returns
    -------
    tuple
        Labels with pieces in the places of their tensors, and the tensors that were taken apart: a
        piece must be some rows of one expert, and end where a label does.
    """
    atoms = dict(labels.atoms)
    cuts = {
        name: own
        for name, pieces in split.items()
        if name in labels.dims and (own := _cuts(labels, name, shapes[name], pieces))
    }
    if not cuts:
        return labels, {}
    experts = {_first(labels.dims[name][0]) for name in cuts} - {-1}
    elsewhere = {
        atom for name, dims in labels.dims.items() if name not in cuts for atom in _atoms(dims)
    }
    alone = {
        atom for name in cuts if not any(labels.dims[name][0]) for atom in _atoms(labels.dims[name])
    }
    own_one: dict[tuple[int, int], int] = {}

    def of_expert(factor: Factor, expert: int) -> Factor:
        if not isinstance(factor, int):
            return tuple(tuple(of_expert(x, expert) for x in part) for part in factor)
        is_own = factor in alone or bool(experts & set(atoms[factor].within))
        if factor in elsewhere or not is_own:
            return factor
        if (factor, expert) not in own_one:
            number = own_one[factor, expert] = max(atoms) + 1
            atoms[number] = replace(atoms[factor], within=_without(atoms[factor].within, experts))
        return own_one[factor, expert]

    dims: dict[str, tuple[Dim, ...]] = {}
    for name, own in labels.dims.items():
        for cut in cuts.get(name, ()):
            told = (of_expert(dim, cut.expert) for dim in cut.dims)
            dims[cut.piece.name] = tuple(x for x in told if not isinstance(x, int))
        if name not in cuts:
            dims[name] = own
    for number in atoms:
        atom = replace(atoms[number], within=_without(atoms[number].within, experts))
        atoms[number] = replace(atom, is_free=False) if number in experts else atom
    used = {atom for own in dims.values() for atom in _atoms(own)}
    kept = {number: atom for number, atom in atoms.items() if number in used}
    return replace(labels, atoms=kept, dims=dims), {name: split[name] for name in cuts}


def _cuts(
    labels: Labels, name: str, shape: tuple[int, ...], pieces: tuple[Piece, ...]
) -> tuple[_Cut, ...]:
    """Every piece as rows of one expert; none where one is something else."""
    dims = labels.dims[name]
    are_alone = not any(dims[0])  # taken one by one in the network too
    if len(shape) < 2 or not (are_alone or _first(dims[0]) >= 0):
        return ()
    found = []
    for piece in pieces:
        expert, at = divmod(piece.start, math.prod(shape[1:]))
        first, rest = divmod(at, math.prod(shape[2:]))
        rows = _rows(labels, dims[1], first, piece.shape[0]) if piece.shape else None
        if rest or rows is None or piece.shape[1:] != shape[2:]:
            return ()
        found.append(_Cut(piece, expert, (rows, *dims[2:])))
    return tuple(found)


def _rows(labels: Labels, dim: Dim, first: int, n: int) -> Dim | None:
    """The parts of a dimension that are some of its indices, None where one is cut."""
    found, at = [], 0
    for part in dim:
        size = math.prod(_size(labels, factor) for factor in part)
        if first <= at and at + size <= first + n:
            found.append(part)
        elif at < first + n and first < at + size:
            return None
        at += size
    return tuple(found) if found else None


def _size(labels: Labels, factor: Factor) -> int:
    if isinstance(factor, int):
        return labels.atoms[factor].size
    return sum(math.prod(_size(labels, x) for x in part) for part in factor)


def _first(dim: Dim) -> int:
    """The atom that a dimension is, -1 where it is made of several."""
    is_one = len(dim) == 1 and len(dim[0]) == 1
    return dim[0][0] if is_one and isinstance(dim[0][0], int) else -1


def _atoms(dims: tuple[Dim, ...] | Dim) -> Iterator[int]:
    for x in dims:
        if isinstance(x, int):
            yield x
        else:
            yield from _atoms(x)  # type: ignore[arg-type]


def _without(atoms: tuple[int, ...], left_out: set[int]) -> tuple[int, ...]:
    return tuple(x for x in atoms if x not in left_out)
