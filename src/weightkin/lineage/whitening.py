"""Differences of members where no direction counts for more than another.

Trainings move a matrix mostly along few directions, those of one family along the same: there two
children of a model are alike though neither holds what the other learned. What is private to a
training lies in all the others. So the corners of matrices are multiplied from both sides by the
inverse roots of the covariances that changes have, as far as the members themselves show them
(Mahalanobis distances with a covariance that is a product of rows and columns).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles

N_NEAREST = 3  # members that each is subtracted from
FLOOR = 0.03  # added to each share of the changes, of one on average


def whitened(corners: npt.NDArray[np.float32], far: Doubles) -> tuple[Doubles, Doubles]:
    """Squared distances of whitened corners.

    Parameters
    ----------
    corners : (c, n, side, side) array
        Of c matrices of n members, NaN where one has none.
    far : (n, n) array
        Squared distances by which the nearest members are chosen, infinite on the diagonal.

    Returns
    -------
    squares, apart : (c, n, n) array
        In the typical squared norm of the matrix, and in the sum of both. NaN where a member has no
        such matrix. Cost: two eigenvalue problems and one product of corners for each matrix.
    """
    c, n, side, _ = corners.shape
    squares, apart = (np.full((c, n, n), np.nan) for _ in range(2))
    for k, every in enumerate(corners):
        who = np.flatnonzero(np.isfinite(every[:, 0, 0]))
        if len(who) < 2:
            continue
        x = every[who].astype(np.float64)
        left, right = _covariances(x, far[np.ix_(who, who)])
        flat = (_inverse_root(left) @ x @ _inverse_root(right)).reshape(len(who), side * side)
        own = (flat**2).sum(axis=1)
        both = own[:, None] + own[None, :]
        found = np.maximum(both - 2.0 * flat @ flat.T, 0.0)
        np.fill_diagonal(found, 0.0)
        at = np.ix_(who, who)
        squares[k][at] = found / max(float(np.median(own)), 1e-300)
        apart[k][at] = found / np.maximum(both, 1e-300)
    return squares, apart


def _covariances(x: Doubles, far: Doubles) -> tuple[Doubles, Doubles]:
    """Mean covariance of rows and of columns of what each member differs in from its nearest."""
    n, side, _ = x.shape
    near = np.argsort(far, axis=1, kind="stable")[:, : min(N_NEAREST, n - 1)]
    change = x[np.repeat(np.arange(n), near.shape[1])] - x[near.ravel()]
    length = np.sqrt((change**2).sum(axis=(1, 2)))
    change = change[length > 0] / length[length > 0][:, None, None]
    rows = change.transpose(1, 0, 2).reshape(side, -1)
    columns = change.reshape(-1, side)
    count = max(1, len(change))
    return rows @ rows.T / count, columns.T @ columns / count


def _inverse_root(covariance: Doubles) -> Doubles:
    """Inverse root of a covariance of trace one, so scaled that one like all others stays."""
    values, vectors = np.linalg.eigh(covariance)
    scale = 1.0 / np.sqrt(np.maximum(values, 0.0) * len(values) + FLOOR)
    root: Doubles = (vectors * scale) @ vectors.T
    return root
