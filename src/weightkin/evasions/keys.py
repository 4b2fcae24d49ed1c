"""Rewrites of queries and keys: any basis, or rotary planes, that keeps their scalar products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from weightkin.anatomy.types import Anatomy, Axis
from weightkin.catalogue import entries
from weightkin.errors import UsageError
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Ints,
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
from weightkin.evasions.whole import WholeAnatomy, check_unclipped

Rotary = Literal["half-split", "none"]
QUARTERS = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])  # cosine and sine


class Basis(NamedTuple):
    """What may be done to the keys of each head of one attention."""

    axis: Axis
    size: int  # of a key
    planes: tuple[Ints, Ints]  # first and second dimensions of what positions turn
    free: Ints  # dimensions of which any invertible matrix may be made


def rotate_queries_keys(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    rotary: Rotary | None = None,
    spread: float = 1.5,
) -> Rewritten:
    """Change the basis of queries and keys in each head, keeping all their scalar products.

    Every rotary plane is turned and rescaled by itself, which commutes with positions; what they do
    not turn is multiplied by any invertible matrix. Biases and grouped queries are carried along.
    Preserves the function if what positions do is right.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie; a `WholeAnatomy` says more of positions, and of heads.
    rng : Generator
        Draws the matrices.
    rotary : {"half-split", "none"}, optional
        Half-split: planes are dimensions ``j`` and ``j + size / 2``, as in transformers, of the
        whole head. ``"none"``: positions turn nothing. By default what is certain of the model
        type; else Llama-like models are half-split, those with stored positions not rotary.
    spread : float
        Scales lie between ``1 / spread`` and ``spread``; over 1.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        Queries or keys pass a norm or are clipped, how positions act on heads is not known, or
        heads do not fit.
    """
    check_unclipped(anatomy)

    def draw(basis: Basis) -> Floats:
        n, n_free, n_planes = basis.axis.n_units, len(basis.free), len(basis.planes[0])
        angle = rng.uniform(0, 2 * np.pi, (n, n_planes))
        length = random_scales(rng, (n, n_planes), spread)
        cos, sin = length * np.cos(angle), length * np.sin(angle)
        matrices = plane_matrices(cos, sin, basis.size, basis.planes)
        left, right = (random_rotations(rng, n, n_free) for _ in "lr")
        mixed = (left * random_scales(rng, (n, 1, n_free), spread)) @ right
        matrices[:, basis.free[:, None], basis.free] = mixed
        return matrices

    return _change_keys(arrays, key_bases(anatomy, rotary), draw, "rotate_queries_keys")


def turn_planes(
    arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator, *, is_quarter: bool = False
) -> Rewritten:
    """Turn every rotary plane of each key head, and of all queries that read it, by an angle.

    Preserves the function: turns of a plane commute with positions. Unlike `rotate_queries_keys` it
    leaves all lengths alone, and dimensions that are not rotary.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie; a `WholeAnatomy` says more of positions, and of heads.
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
    if not is_quarter:
        check_unclipped(anatomy)
    bases = key_bases(anatomy)
    if not any(len(basis.planes[0]) for basis in bases):
        raise UsageError(f"a {anatomy.family} model: its heads have no rotary planes")

    def draw(basis: Basis) -> Floats:
        shape = basis.axis.n_units, len(basis.planes[0])
        if is_quarter:
            cos, sin = np.moveaxis(QUARTERS[rng.integers(4, size=shape)], -1, 0)
        else:
            angle = rng.uniform(0, 2 * np.pi, shape)
            cos, sin = np.cos(angle), np.sin(angle)
        return plane_matrices(cos, sin, basis.size, basis.planes)

    return _change_keys(arrays, bases, draw, "turn_planes")


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
    arrays: Arrays, bases: Sequence[Basis], draw: Callable[[Basis], Floats], done: str
) -> Rewritten:
    """Multiply K of each head by a matrix, and Q of all heads that read it by what makes up."""
    wide = widen(arrays)
    for basis in bases:
        change_keys(wide, basis.axis, draw(basis))
    return finish(wide, done)


def key_bases(anatomy: Anatomy, rotary: Rotary | None = None) -> list[Basis]:
    """What may be done to queries and keys of every attention.

    Parameters
    ----------
    anatomy : Anatomy
        Where its axes lie.
    rotary : {"half-split", "none"}, optional
        As in `rotate_queries_keys`.

    Returns
    -------
    list of Basis

    Raises
    ------
    UsageError
        Queries or keys pass a norm, how positions act on heads is not known, or heads do not fit.
    """
    if any(role in ("attn.q_norm", "attn.k_norm") for _, role in anatomy.roles):
        raise UsageError(f"a {anatomy.family} model: queries and keys pass a norm, no rotation")
    if rotary is None and isinstance(anatomy, WholeAnatomy) and anatomy.keys:
        if any({"attn.v", "attn.o"} - {p.role for p in x.axis.places} for x in anatomy.keys):
            raise UsageError(f"a {anatomy.family} model: its heads do not fit")
        return [
            Basis(x.axis, x.size, x.planes(), np.arange(x.n_turned, x.size)) for x in anatomy.keys
        ]
    is_turned = (rotary or key_layout(anatomy)) == "half-split"
    found = []
    for axis in axes_of(anatomy, "heads", "attn.q", "attn.k"):
        size = _key_size(axis)
        dims = np.arange(size)
        if is_turned and size % 2:
            raise UsageError(f"rotary heads of {size} dimensions, not an even number")
        half = size // 2 if is_turned else 0
        found.append(Basis(axis, size, (dims[:half], dims[half : 2 * half]), dims[2 * half :]))
    return found


def plane_matrices(cos: Floats, sin: Floats, size: int, planes: tuple[Ints, Ints]) -> Floats:
    """Matrices that turn planes of the dimensions of a head, and nothing else.

    Parameters
    ----------
    cos, sin : ndarray
        ``(n_heads, n_planes)``.
    size : int
        Of a head.
    planes : (ndarray, ndarray)
        First and second dimension of every plane.

    Returns
    -------
    ndarray
        ``(n_heads, size, size)``.
    """
    first, second = planes
    matrices = np.tile(np.eye(size), (len(cos), 1, 1))
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
