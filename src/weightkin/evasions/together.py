"""All rewrites that a model can undergo, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from weightkin.anatomy.types import Anatomy
from weightkin.errors import UsageError
from weightkin.evasions.attention import (
    change_value_basis,
    flip_value_signs,
    permute_heads,
)
from weightkin.evasions.experts import permute_experts
from weightkin.evasions.keys import rotate_queries_keys
from weightkin.evasions.places import Arrays, Rewritten
from weightkin.evasions.residual import permute_residual, rotate_residual
from weightkin.evasions.units import flip_unit_signs, permute_units, rescale_units
from weightkin.evasions.widths import split_units

Rewrite = Callable[[Arrays, Anatomy, np.random.Generator], Rewritten]


def change_all(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    n_extra: int = 0,
    activation: str = "unknown",
    gain_offset: float = 0.0,
) -> Rewritten:
    """Apply every rewrite the model can undergo, in a fixed order; ``done`` names them.

    Signs, scales and bases first, then labels, then the rotation of the residual stream, last
    split units in random places. Rewrites that refuse the model are left out. Preserves what each
    rewrite preserves, under its condition.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws all rewrites, one after the other.
    n_extra : int
        Units to add to every MLP; 0 leaves widths alone.
    activation : str
        As in `rescale_units`.
    gain_offset : float
        As in `rotate_residual`.

    Returns
    -------
    Rewritten
        The model after all rewrites.

    Raises
    ------
    UsageError
        Every rewrite refuses the model: the first refusal.
    """
    steps: list[Rewrite] = [
        flip_unit_signs,
        flip_value_signs,
        partial(rescale_units, activation=activation),
        change_value_basis,
        rotate_queries_keys,
        permute_units,
        permute_heads,
        permute_experts,
        permute_residual,
        partial(rotate_residual, gain_offset=gain_offset),
    ]
    if n_extra:
        steps.append(partial(split_units, n_extra=n_extra, shuffle=True))
    changed: dict[str, Any] = dict(arrays)
    config_changes: dict[str, Any] = {}
    done: list[str] = []
    refusals: list[UsageError] = []
    for step in steps:
        try:
            rewritten = step(changed, anatomy, rng)
        except UsageError as refusal:
            refusals.append(refusal)
            continue
        changed = rewritten.arrays
        config_changes |= rewritten.config_changes
        done.extend(rewritten.done)
    if not done:
        raise refusals[0]
    return Rewritten(arrays=changed, config_changes=config_changes, done=tuple(done))
