"""Pairs that no lossy map joins, told from the first tensors that show it, most often one."""

from __future__ import annotations

import numpy as np

from weightkin.derivation.lattice import KnownLevels
from weightkin.derivation.lossy import image_of
from weightkin.derivation.noise import MIN_SIDE, is_white
from weightkin.sketch.overlap import common
from weightkin.sketch.types import Sketch


def may_be_made(a: Sketch, b: Sketch, known: KnownLevels) -> bool:
    """Whether one of two models may be a cast, quantised, pruned or noisy copy of the other.

    False is certain: `kind_of` would find none of these. Models whose shapes differ, which may have
    been cut or grown, are never ruled out.

    Parameters
    ----------
    a, b : Sketch
        The two models.
    known : KnownLevels
        Levels found before, added to.

    Returns
    -------
    bool
        Whether the pair must be looked at.
    """
    if a.scheme != b.scheme or not _is_one_layout(a, b):
        return True
    b_may, a_may, is_noise_left = True, True, True
    for name in sorted(a.tensors, key=lambda n: min(a.tensors[n].matrix_shape) < MIN_SIDE):
        p, q = a.tensors[name], b.tensors[name]
        both = common(p, q)
        x, y = both.values_a, both.values_b
        if not x.size:
            continue
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return True
        b_may = b_may and image_of(x, y, q, known)[0] != "changed"
        a_may = a_may and image_of(y, x, p, known)[0] != "changed"
        if is_noise_left and min(x.shape) >= MIN_SIDE:
            is_noise_left = is_white(x.astype(np.float64), y.astype(np.float64))
        if not (a_may or b_may or is_noise_left):
            return False
    return True


def _is_one_layout(a: Sketch, b: Sketch) -> bool:
    """Equal roles, shapes and blocks."""
    if a.stacks != b.stacks or a.tensors.keys() != b.tensors.keys():
        return False
    return all(
        (x.shape, x.stack, x.block) == (y.shape, y.stack, y.block)
        for x, y in ((a.tensors[name], b.tensors[name]) for name in a.tensors)
    )
