"""Rewrites that add copies of MLP units, which share what they write. The config must follow."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.errors import UsageError
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Ints,
    Rewritten,
    Wide,
    axes_of,
    finish,
    scale,
    widen,
)
from weightkin.evasions.whole import entry_of


def split_units(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    n_extra: int = 8,
    shares: tuple[float, float] = (0.2, 0.8),
    shuffle: bool = False,
) -> Rewritten:
    """Add copies of random units to every MLP; each pair shares its down column.

    Preserves the function of every MLP. The config must follow: see ``config_changes``. A mixture
    of experts is widened in every expert.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the units, their shares and their places.
    n_extra : int
        Units to add to each MLP, at least 1.
    shares : (float, float)
        Bounds of the share of the column that copies of a unit take; the original keeps the rest.
    shuffle : bool
        Put units in a random order; else new ones come last.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        ``n_extra`` is under 1, MLPs differ in width, or the config entry of the width is not known.
    """
    key = width_key(anatomy)
    wide = widen(arrays)
    for axis in equal_axes(anatomy, n_extra):
        chosen = rng.choice(axis.n_units, n_extra, replace=n_extra > axis.n_units)
        share = rng.uniform(*shares, n_extra) / np.bincount(chosen)[chosen]
        kept = np.ones(axis.n_units)
        np.subtract.at(kept, chosen, share)
        grow(wide, axis, chosen, np.concatenate([kept, share]))
        mingle(wide, axis, n_extra, rng if shuffle else None)
    return finish(wide, "split_units", **{key: axis.n_units + n_extra})


def duplicate_units(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    n_extra: int = 8,
    shuffle: bool = False,
) -> Rewritten:
    """Add exact copies of random units; copy and original share the down column equally.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the units and their places.
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
    halves = (0.5, 0.5)
    rewritten = split_units(arrays, anatomy, rng, n_extra=n_extra, shares=halves, shuffle=shuffle)
    return Rewritten(
        arrays=rewritten.arrays,
        config_changes=rewritten.config_changes,
        done=("duplicate_units",),
    )


def grow(wide: Wide, axis: Axis, copied: Ints, weights: Floats) -> None:
    """Append copies of units in place; down columns, old and new, are multiplied by ``weights``."""
    source = np.concatenate([np.arange(axis.n_units), copied])
    _gather(wide, axis.places, source)
    for place in grown(axis, len(copied)):
        if place.role == "mlp.down":
            scale(wide, place, weights)


def mingle(wide: Wide, axis: Axis, n_extra: int, rng: np.random.Generator | None) -> None:
    """Put old and new units of a grown axis in one random order, in place; none without ``rng``."""
    if rng is not None:
        _gather(wide, grown(axis, n_extra), rng.permutation(axis.n_units + n_extra))


def _gather(wide: Wide, places: tuple[Place, ...], source: Ints) -> None:
    """Rebuild every tensor with the units ``source``, in that order, half by half if fused."""
    ordered = sorted(places, key=lambda p: (p.tensor, p.dim, p.start))
    for (tensor, dim), halves in groupby(ordered, key=lambda p: (p.tensor, p.dim)):
        index = np.concatenate([half.start + source for half in halves])
        wide[tensor] = wide[tensor].take(index, axis=dim)


def grown(axis: Axis, n_extra: int) -> tuple[Place, ...]:
    """Return the places of an axis after `_grow`."""
    return tuple(
        Place(p.tensor, p.dim, p.start // p.size * (p.size + n_extra), p.size + n_extra, p.role)
        for p in axis.places
    )


def equal_axes(anatomy: Anatomy, n_extra: int) -> tuple[Axis, ...]:
    """All MLPs of a model, which must have one width, each expert its own tensors."""
    if n_extra < 1:
        raise UsageError(f"units to add must be at least 1, not {n_extra}")
    axes = axes_of(anatomy, "units", "mlp.up", "mlp.down")
    if len({axis.n_units for axis in axes}) > 1:
        raise UsageError(f"a {anatomy.family} model: its MLPs differ in width")
    if any(place.index is not None for axis in axes for place in axis.places):
        raise UsageError(f"a {anatomy.family} model: stacked experts cannot be widened one by one")
    return axes


def width_key(anatomy: Anatomy) -> str:
    """Name of the config entry that holds the number of units."""
    tensors = [p.tensor for a in anatomy.axes if "." in a.name for p in a.places]
    is_known = all("block_sparse_moe" in name for name in tensors)  # Mixtral
    entry = entry_of(anatomy)
    key = entry.label("u").get("n") if entry else None
    if key is None or not is_known:
        raise UsageError(f"a {anatomy.family} model: the config entry of its width is not known")
    return key
