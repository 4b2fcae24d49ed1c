"""Rewrites of attention: heads, value dimensions, query and key dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from weightkin.anatomy.types import Anatomy, Axis
from weightkin.catalogue import entries
from weightkin.errors import UsageError
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Rewritten,
    Wide,
    along,
    axes_of,
    by_labels,
    finish,
    mix,
    random_rotations,
    random_scales,
    random_signs,
    widen,
)

Rotary = Literal["half-split", "none"]


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
            block[...] = heads[order].reshape(block.shape)
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
        No V/O dimensions are known, or ``spread`` is not over 1.
    """

    def draw(n: int, size: int) -> Floats:
        left, right = random_rotations(rng, n, size), random_rotations(rng, n, size)
        return np.asarray((left * random_scales(rng, (n, 1, size), spread)) @ right)

    return _change_values(arrays, anatomy, draw, "change_value_basis")


def rotate_queries_keys(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    rotary: Rotary | None = None,
    spread: float = 1.5,
) -> Rewritten:
    """Change the basis of queries and keys in each head, keeping all their scalar products.

    Preserves the function if ``rotary`` is right; biases and grouped queries are carried along.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the matrices.
    rotary : {"half-split", "none"}, optional
        Half-split: every frequency (dimensions ``j`` and ``j + size / 2``, as in transformers) is
        turned and rescaled by itself, which commutes with rotary positions over the whole head.
        ``"none"``: the matrix of a head is any invertible one. By default Llama-like models are
        half-split, models with stored position tables not rotary.
    spread : float
        Scales lie between ``1 / spread`` and ``spread``; over 1.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        Queries or keys pass a norm, how positions act on heads is not known, or heads do not fit.
    """
    layout = rotary or _layout(anatomy)
    if any(role in ("attn.q_norm", "attn.k_norm") for _, role in anatomy.roles):
        raise UsageError(f"a {anatomy.family} model: queries and keys pass a norm, no rotation")
    wide = widen(arrays)
    for axis in axes_of(anatomy, "heads", "attn.q", "attn.k"):
        size = _key_size(axis)
        keys = _key_matrices(rng, axis.n_units, size, layout, spread)
        queries = _inverse_transposes(keys)
        for place in axis.places:
            if place.role in ("attn.q", "attn.k"):
                mix(wide, place, queries if place.role == "attn.q" else keys)
    return finish(wide, "rotate_queries_keys")


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
    readers = _inverse_transposes(matrices)
    for place in axis.places:
        if place.role in ("attn.v", "attn.o"):
            mix(wide, place, matrices if place.role == "attn.v" else readers)


def _inverse_transposes(matrices: Floats) -> Floats:
    return np.linalg.inv(matrices).transpose(0, 2, 1).astype(np.float64)


def _change_values(
    arrays: Arrays, anatomy: Anatomy, draw: Callable[[int, int], Floats], done: str
) -> Rewritten:
    wide = widen(arrays)
    for axis in axes_of(anatomy, "vo", "attn.v", "attn.o"):
        change_values(wide, axis, draw(axis.n_units // axis.head_size, axis.head_size))
    return finish(wide, done)


def _key_matrices(
    rng: np.random.Generator, n: int, size: int, layout: Rotary, spread: float
) -> Floats:
    """Random matrices that may act on the keys of each head; shape ``(n, size, size)``."""
    if layout == "none":
        left, right = random_rotations(rng, n, size), random_rotations(rng, n, size)
        return np.asarray((left * random_scales(rng, (n, 1, size), spread)) @ right)
    if size % 2:
        raise UsageError(f"rotary heads of {size} dimensions, not an even number")
    half = size // 2
    angle = rng.uniform(0, 2 * np.pi, (n, half))
    length = random_scales(rng, (n, half), spread)
    first, second = np.arange(half), np.arange(half, size)
    matrices = np.zeros((n, size, size))
    matrices[:, first, first] = matrices[:, second, second] = length * np.cos(angle)
    matrices[:, second, first] = length * np.sin(angle)
    matrices[:, first, second] = -length * np.sin(angle)
    return matrices


def _key_size(axis: Axis) -> int:
    """Key dimensions of one head; queries and keys must agree on it."""
    sizes = {
        place.size // (axis.n_units * place.repeat)
        for place in axis.places
        if place.role in ("attn.q", "attn.k")
    }
    if len(sizes) != 1:
        raise UsageError(f"{axis.stack} block {axis.block}: queries and keys differ in size")
    return sizes.pop()


def _layout(anatomy: Anatomy) -> Rotary:
    """Say how positions reach queries and keys, or refuse."""
    roles = {role for _, role in anatomy.roles}
    if roles & {"position", "position_grid"}:
        return "none"
    entry = entries().get(anatomy.family)
    planes = entry.label("p") if entry else {}
    if planes.get("turn") == "half" and _is_there(planes.get("when", ""), anatomy):
        return "half-split"
    raise UsageError(f"a {anatomy.family} model: how positions act on its heads is not known")


def _is_there(wanted: str, anatomy: Anatomy) -> bool:
    """Whether tensors are there, or not there, as a label of the catalogue wants it."""
    for name in filter(None, wanted.split(", ")):
        module = name.removeprefix("not ")
        if any(module in tensor for tensor, _ in anatomy.roles) != (module == name):
            return False
    return True
