"""Rewrites of attention: heads and value dimensions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from weightkin.anatomy.types import Anatomy, Axis
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Rewritten,
    Wide,
    along,
    axes_of,
    by_labels,
    finish,
    inverse_transposes,
    mix,
    put_along,
    random_rotations,
    random_scales,
    random_signs,
    widen,
)
from weightkin.evasions.whole import check_unclipped


def permute_heads(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Put the key-value heads, each with the query heads that read it, in a random order.

    Preserves the function of every attention whose heads are alike, as the anatomy says.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the orders.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        No attention whose heads may be permuted is known.
    """
    needed = ("attn.q", "attn.k", "attn.v", "attn.o")
    wide = widen(arrays)
    for axis, places in by_labels(axes_of(anatomy, "heads", *needed)):
        order = rng.permutation(axis.n_units)
        for place in places:
            block = along(wide, place)
            heads = block.reshape(axis.n_units, len(block) // axis.n_units, *block.shape[1:])
            put_along(wide, place, heads[order].reshape(block.shape))
    return finish(wide, "permute_heads")


def permute_values(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Put the value dimensions of each head in a random order: rows of V, columns of O.

    Preserves the function of every attention.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws an order for each key-value head.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        No V/O dimensions are known.
    """

    def draw(n: int, size: int) -> Floats:
        return np.stack([np.eye(size)[rng.permutation(size)] for _ in range(n)])

    return _change_values(arrays, anatomy, draw, "permute_values")


def flip_value_signs(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Flip a random half of the V rows together with all O columns that read them.

    Preserves the function of every attention.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the signs.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        No V/O dimensions are known.
    """

    def draw(n: int, size: int) -> Floats:
        return np.asarray(random_signs(rng, n * size).reshape(n, size, 1) * np.eye(size))

    return _change_values(arrays, anatomy, draw, "flip_value_signs")


def change_value_basis(
    arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator, *, spread: float = 2.0
) -> Rewritten:
    """Multiply V of each key-value head by a random invertible matrix, O by its inverse.

    Preserves the function of every attention, grouped queries included: all query heads of a group
    read the value in its new basis.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the matrices.
    spread : float
        The condition number of each matrix is at most ``spread ** 2``; over 1.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        No V/O dimensions are known, values are clipped, or ``spread`` is not over 1.
    """
    check_unclipped(anatomy)

    def draw(n: int, size: int) -> Floats:
        left, right = random_rotations(rng, n, size), random_rotations(rng, n, size)
        return np.asarray((left * random_scales(rng, (n, 1, size), spread)) @ right)

    return _change_values(arrays, anatomy, draw, "change_value_basis")


def change_values(wide: Wide, axis: Axis, matrices: Floats) -> None:
    """Multiply V of each head by its matrix and O by the inverse, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    axis : Axis
        V/O dimensions of one attention.
    matrices : ndarray
        ``(n_heads, size, size)``, invertible, one for each key-value head.

    Raises
    ------
    UsageError
        V or O holds whole numbers.
    """
    readers = inverse_transposes(matrices)
    for place in axis.places:
        if place.role in ("attn.v", "attn.o"):
            mix(wide, place, matrices if place.role == "attn.v" else readers)


def _change_values(
    arrays: Arrays, anatomy: Anatomy, draw: Callable[[int, int], Floats], done: str
) -> Rewritten:
    wide = widen(arrays)
    for axis in axes_of(anatomy, "vo", "attn.v", "attn.o"):
        change_values(wide, axis, draw(axis.n_units // axis.head_size, axis.head_size))
    return finish(wide, done)
