"""Rewrites of queries and keys: any basis, or rotary planes, that keeps their scalar products."""

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
    axes_of,
    finish,
    inverse_transposes,
    mix,
    random_rotations,
    random_scales,
    widen,
)

Rotary = Literal["half-split", "none"]
QUARTERS = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])  # cosine and sine


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
    layout = rotary or key_layout(anatomy)

    def draw(n: int, size: int) -> Floats:
        return _key_matrices(rng, n, size, layout, spread)

    return _change_keys(arrays, anatomy, draw, "rotate_queries_keys")


def turn_planes(
    arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator, *, is_quarter: bool = False
) -> Rewritten:
    """Turn every rotary plane of each key head, and of all queries that read it, by an angle.

    Preserves the function of heads that are rotary over all their dimensions: turns of a plane
    commute with positions. Unlike `rotate_queries_keys` it leaves all lengths alone.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the angles.
    is_quarter : bool
        Multiples of 90 degrees alone: entries change places and signs, and no value is new.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        Queries or keys pass a norm, or rotary planes are not known.
    """
    if (layout := key_layout(anatomy)) != "half-split":
        raise UsageError(f"a {anatomy.family} model: its heads have no rotary planes ({layout})")

    def draw(n: int, size: int) -> Floats:
        shape = n, size // 2
        if is_quarter:
            cos, sin = np.moveaxis(QUARTERS[rng.integers(4, size=shape)], -1, 0)
        else:
            angle = rng.uniform(0, 2 * np.pi, shape)
            cos, sin = np.cos(angle), np.sin(angle)
        return plane_matrices(cos, sin, size)

    return _change_keys(arrays, anatomy, draw, "turn_planes")


def change_keys(wide: Wide, axis: Axis, matrices: Floats) -> None:
    """Multiply K of each head by its matrix and Q by the inverse transpose, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    axis : Axis
        Heads of one attention.
    matrices : ndarray
        ``(n_heads, size, size)``, invertible, one for each key-value head.

    Raises
    ------
    UsageError
        Q or K holds whole numbers.
    """
    queries = inverse_transposes(matrices)
    for place in axis.places:
        if place.role in ("attn.q", "attn.k"):
            mix(wide, place, queries if place.role == "attn.q" else matrices)


def _change_keys(
    arrays: Arrays, anatomy: Anatomy, draw: Callable[[int, int], Floats], done: str
) -> Rewritten:
    """Multiply K of each head by a matrix, and Q of all heads that read it by what makes up."""
    if any(role in ("attn.q_norm", "attn.k_norm") for _, role in anatomy.roles):
        raise UsageError(f"a {anatomy.family} model: queries and keys pass a norm, no rotation")
    wide = widen(arrays)
    for axis in axes_of(anatomy, "heads", "attn.q", "attn.k"):
        change_keys(wide, axis, draw(axis.n_units, _key_size(axis)))
    return finish(wide, done)


def _key_matrices(
    rng: np.random.Generator, n: int, size: int, layout: Rotary, spread: float
) -> Floats:
    """Random matrices that may act on the keys of each head; shape ``(n, size, size)``."""
    if layout == "none":
        left, right = random_rotations(rng, n, size), random_rotations(rng, n, size)
        return np.asarray((left * random_scales(rng, (n, 1, size), spread)) @ right)
    angle = rng.uniform(0, 2 * np.pi, (n, size // 2))
    length = random_scales(rng, (n, size // 2), spread)
    return plane_matrices(length * np.cos(angle), length * np.sin(angle), size)


def plane_matrices(cos: Floats, sin: Floats, size: int) -> Floats:
    """Matrices that turn dimensions ``j`` and ``j + size / 2`` of a head: ``(n, size, size)``."""
    if size % 2:
        raise UsageError(f"rotary heads of {size} dimensions, not an even number")
    first, second = np.arange(size // 2), np.arange(size // 2, size)
    matrices = np.zeros((len(cos), size, size))
    matrices[:, first, first] = matrices[:, second, second] = cos
    matrices[:, second, first], matrices[:, first, second] = sin, -sin
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


def key_layout(anatomy: Anatomy) -> Rotary:
    """How positions reach queries and keys.

    Raises
    ------
    UsageError
        It is not known.
    """
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
