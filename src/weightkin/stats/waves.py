"""Are the rows or columns of a table waves? Then a formula made them: positions, Fourier bases."""

from __future__ import annotations

import numpy as np

from weightkin.arrays import Doubles, Floats
from weightkin.stats.sinusoids import is_sinusoidal

LEAST_POWER = 0.95  # of a wave, around its frequency; a random row of 56 values has a third of it
LEAST_WAVES = 0.9  # share of the rows or columns
LEAST_LENGTH = 32
NEAR = 2  # frequencies on both sides over which the window spreads a wave
MOST_LOOKED = 256  # rows and columns
LEAST_EXPLAINED = 0.99  # of tables that have no single wave in a column
LEAST_SMOOTH = 0.3  # mean cosine of neighbouring rows, from which those are looked for


def is_of_waves(table: Floats) -> bool:
    """Whether most rows or most columns of a table are single waves, or positions of a grid.

    Parameters
    ----------
    table : ndarray
        ``(n_rows, n_columns)``.

    Returns
    -------
    bool
        Of matrices that were trained, and of random ones, False.
    """
    x: Doubles = np.asarray(table, dtype=np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        return False
    if _are_waves(_some(x)) or _are_waves(_some(x.T)):
        return True
    return _smoothness(x) >= LEAST_SMOOTH and is_sinusoidal(table, LEAST_EXPLAINED)


def _some(x: Doubles) -> Doubles:
    at = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_LOOKED)).astype(int))
    kept: Doubles = x[at]
    return kept


def _are_waves(rows: Doubles) -> bool:
    n = rows.shape[1]
    if n < LEAST_LENGTH or not len(rows):
        return False
    centred = rows - rows.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred * np.hanning(n), axis=1)) ** 2  # (n_rows, n // 2 + 1)
    total = power.sum(axis=1)
    summed = np.cumsum(np.pad(power, ((0, 0), (NEAR + 1, NEAR))), axis=1)
    best = (summed[:, 2 * NEAR + 1 :] - summed[:, : -2 * NEAR - 1]).max(axis=1)
    turning = total > 1e-12 * max(float(total.max()), 1e-300)
    is_wave = best[turning] >= LEAST_POWER * total[turning]
    return bool(len(is_wave)) and float(is_wave.mean()) >= LEAST_WAVES


def _smoothness(x: Doubles) -> float:
    norms = np.sqrt((x * x).sum(axis=1))
    both = norms[1:] * norms[:-1]
    products = (x[1:] * x[:-1]).sum(axis=1)
    return float(np.mean(products[both > 0] / both[both > 0])) if (both > 0).any() else 0.0
