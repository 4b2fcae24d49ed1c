"""Rewrites of MLP units: their order, scale and sign."""

from __future__ import annotations

import numpy as np

from weightkin.anatomy.types import Anatomy, Axis
from weightkin.errors import UsageError
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Rewritten,
    Wide,
    axes_of,
    by_labels,
    finish,
    movable_units,
    random_order,
    random_scales,
    random_signs,
    relabel,
    scale,
    widen,
)

_HOMOGENEOUS = ("relu", "leaky_relu")  # f(c x) = c f(x) for c > 0


def permute_units(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Put the hidden units of every MLP, expert by expert, in a random order.

    Units of axes that come from a graph are moved too, inside their cells. Preserves the function
    exactly, but for the order of sums.

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
        No MLP with up and down is known, and no axis comes from a graph.
    """
    wide = widen(arrays)
    for axis, places in by_labels(movable_units(anatomy)):
        relabel(wide, axis, places, random_order(rng, axis))
    return finish(wide, "permute_units")


def rescale_units(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    spread: float = 2.0,
    activation: str = "unknown",
) -> Rewritten:
    """Multiply the up row of every unit by a random ``c > 0`` and divide its down column by it.

    Preserves the function of gated MLPs, whose up path is linear, and of plain ones with a
    homogeneous activation. GELU and similar ones are refused.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the factors.
    spread : float
        Factors lie between ``1 / spread`` and ``spread``; over 1.
    activation : str
        Of plain MLPs; ``"relu"`` and ``"leaky_relu"`` allow rescaling.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        No MLP may be rescaled, or ``spread`` is not over 1.
    """
    axes = _linear_axes(anatomy, "rescaled", plain_too=activation in _HOMOGENEOUS)
    wide = widen(arrays)
    for axis in axes:
        multiply_units(wide, axis, random_scales(rng, axis.n_units, spread))
    return finish(wide, "rescale_units")


def flip_unit_signs(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Flip up row and down column of a random half of the units.

    Preserves the function of gated MLPs in which only odd operations act between up and down.

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
        No MLP is gated.
    """
    axes = _linear_axes(anatomy, "flipped", plain_too=False)
    wide = widen(arrays)
    for axis in axes:
        multiply_units(wide, axis, random_signs(rng, axis.n_units))
    return finish(wide, "flip_unit_signs")


def multiply_units(wide: Wide, axis: Axis, factor: Floats) -> None:
    """Multiply up rows (and their biases) by ``factor``, divide down columns by it, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    axis : Axis
        Units of one MLP.
    factor : ndarray
        ``(n_units,)``, never zero.

    Raises
    ------
    UsageError
        A tensor holds whole numbers.
    """
    for place in axis.places:
        if place.role == "mlp.up":
            scale(wide, place, factor)
        elif place.role == "mlp.down":
            scale(wide, place, 1 / factor)


def _linear_axes(anatomy: Anatomy, what: str, *, plain_too: bool) -> tuple[Axis, ...]:
    axes = axes_of(anatomy, "units", "mlp.up", "mlp.down")
    chosen = tuple(axis for axis in axes if axis.is_gated or plain_too)
    if not chosen:
        raise UsageError(f"a {anatomy.family} model: no MLP whose units may be {what}")
    return chosen
