"""Rewrites that add MLP units which change nothing: what they write is zero, or cancels."""

from __future__ import annotations

import numpy as np

from weightkin.anatomy.types import Anatomy, Place
from weightkin.errors import UsageError
from weightkin.evasions.places import Arrays, Rewritten, Wide, finish, values_along, widen
from weightkin.evasions.widths import equal_axes, grow, grown, mingle, width_key


def pad_units(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    n_extra: int = 8,
    shuffle: bool = False,
) -> Rewritten:
    """Add units with random rows and zero down columns to every MLP.

    Preserves the function of every MLP: nothing reads the new units. Their rows are normal with the
    spread of their tensor. The config must follow: see ``config_changes``.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the rows and their places.
    n_extra : int
        Units to add to each MLP, at least 1.
    shuffle : bool
        Put units in a random order; else new ones come last.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        As in `split_units`.
    """
    key = width_key(anatomy)
    wide = widen(arrays)
    for axis in equal_axes(anatomy, n_extra):
        alive = np.concatenate([np.ones(axis.n_units), np.zeros(n_extra)])
        grow(wide, axis, rng.integers(axis.n_units, size=n_extra), alive)
        _draw_rows(wide, grown(axis, n_extra), n_extra, rng)
        mingle(wide, axis, n_extra, rng if shuffle else None)
    return finish(wide, "pad_units", **{key: axis.n_units + n_extra})


def cancel_units(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    n_pairs: int = 4,
    shuffle: bool = False,
) -> Rewritten:
    """Add pairs of units with equal random rows and opposite down columns, ``+w`` and ``-w``.

    Preserves the function of every MLP: the two cancel. Rows and columns are normal with the spread
    of their tensor, so that no unit of a pair is silent. The config must follow.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws rows, columns and places.
    n_pairs : int
        Pairs to add to each MLP, at least 1.
    shuffle : bool
        Put units in a random order; else new ones come last.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        As in `split_units`.
    """
    key, n_extra = width_key(anatomy), 2 * n_pairs
    wide = widen(arrays)
    for axis in equal_axes(anatomy, n_extra):
        grow(wide, axis, rng.integers(axis.n_units, size=n_extra), np.ones(axis.n_units + n_extra))
        places = grown(axis, n_extra)
        _draw_rows(wide, places, n_pairs, rng)
        for place in places:
            block = values_along(wide, place)
            new = block[-n_pairs:]
            if place.role == "mlp.down":
                new = block.std() * rng.standard_normal((n_pairs, *block.shape[1:]))
                block[-n_pairs:] = new
                new = -new
            block[-n_extra:-n_pairs] = new
        mingle(wide, axis, n_extra, rng if shuffle else None)
    return finish(wide, "cancel_units", **{key: axis.n_units + n_extra})


def spread_units(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    n_extra: int = 8,
    strength: float = 1.0,
    shuffle: bool = False,
) -> Rewritten:
    """Split random units ``(g, u, d)`` into ``(g, u + v, d / 2)`` and ``(g, u - v, d / 2)``.

    Preserves the function of gated MLPs, whose up path is linear, for any ``v``: here a random row.
    The config must follow.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the units, the rows ``v`` and places.
    n_extra : int
        Units of each MLP to split, at least 1.
    strength : float
        Spread of ``v`` in that of up.
    shuffle : bool
        Put units in a random order; else new ones come last.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        As in `split_units`; an MLP is not gated, or has fewer units than are to be split.
    """
    key = width_key(anatomy)
    wide = widen(arrays)
    for axis in equal_axes(anatomy, n_extra):
        if not axis.is_gated or n_extra > axis.n_units:
            raise UsageError(f"a {anatomy.family} model: no {n_extra} gated units to split")
        chosen = rng.choice(axis.n_units, n_extra, replace=False)
        shares = np.ones(axis.n_units + n_extra)
        shares[chosen] = shares[axis.n_units :] = 0.5
        grow(wide, axis, chosen, shares)
        for place in grown(axis, n_extra):
            if place.role == "mlp.up" and values_along(wide, place).ndim > 1:  # no bias
                block = values_along(wide, place)
                v = strength * block.std() * rng.standard_normal((n_extra, *block.shape[1:]))
                block[chosen] += v
                block[-n_extra:] -= v
        mingle(wide, axis, n_extra, rng if shuffle else None)
    return finish(wide, "spread_units", **{key: axis.n_units + n_extra})


def _draw_rows(wide: Wide, places: tuple[Place, ...], n: int, rng: np.random.Generator) -> None:
    """Make the last units of a grown axis normal in all that they read, in place."""
    for place in places:
        if place.role != "mlp.down":
            block = values_along(wide, place)
            block[-n:] = block.std() * rng.standard_normal((n, *block.shape[1:]))
