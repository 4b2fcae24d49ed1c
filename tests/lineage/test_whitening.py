"""Whitened distances: what all trainings of a family share counts no more than anything else."""

import numpy as np
import pytest

from weightkin.lineage.whitening import FLOOR, N_NEAREST, whitened

SIDE = 32


@pytest.fixture
def rng():
    return np.random.default_rng(20261130)


def plain(x):
    """Squared distances of all members over all matrices, infinite on the diagonal."""
    far = ((x[:, :, None] - x[:, None]) ** 2).sum(axis=(0, 3, 4))
    np.fill_diagonal(far, np.inf)
    return far


def members(rng, n, matrices=3):
    """Unlike changes of one start."""
    start = rng.standard_normal((matrices, 1, SIDE, SIDE))
    sizes = rng.uniform(0.05, 0.3, (1, n, 1, 1))
    return (start + sizes * rng.standard_normal((matrices, n, SIDE, SIDE))).astype(np.float32)


def slowly(x, far):
    """The same as its definition: covariances summed change by change, roots by eigenvalues."""
    x = x.astype(np.float64)
    n = len(x)
    rows, columns, count = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE)), 0
    for i in range(n):
        for j in sorted((j for j in range(n) if j != i), key=lambda j: far[i, j])[:N_NEAREST]:
            change = (x[i] - x[j]) / np.linalg.norm(x[i] - x[j])
            rows += change @ change.T
            columns += change.T @ change
            count += 1
    sides = []
    for covariance in (rows / count, columns / count):
        values, vectors = np.linalg.eig(covariance * SIDE + FLOOR * np.eye(SIDE))
        sides.append((vectors @ np.diag(values**-0.5) @ np.linalg.inv(vectors)).real)
    white = [sides[0] @ one @ sides[1] for one in x]
    return np.array([[((a - b) ** 2).sum() for b in white] for a in white]), np.array(
        [(a**2).sum() for a in white]
    )


def test_as_by_definition(rng):
    x = members(rng, 5, matrices=1)
    squares, apart = whitened(x, plain(x))
    found, own = slowly(x[0], plain(x))
    assert squares[0] == pytest.approx(found / np.median(own), rel=1e-6, abs=1e-9)
    assert apart[0] == pytest.approx(found / (own[:, None] + own), rel=1e-6, abs=1e-9)


def test_turning_all_members_alike_changes_nothing(rng):
    x = members(rng, 6)
    left, right = (np.linalg.qr(rng.standard_normal((SIDE, SIDE)))[0] for _ in range(2))
    turned = (left @ x.astype(np.float64) @ right).astype(np.float32)
    assert whitened(turned, plain(x))[0] == pytest.approx(whitened(x, plain(x))[0], rel=1e-3)


def test_one_without_the_matrix_is_left_out(rng):
    x = members(rng, 5)
    far = plain(x)
    without = x.copy()
    without[1, 3] = np.nan
    squares, _ = whitened(without, far)
    assert np.isnan(squares[1, 3]).all()
    assert np.isnan(squares[1, :, 3]).all()
    rest = [0, 1, 2, 4]
    alone = whitened(x[:, rest], far[np.ix_(rest, rest)])[0]
    assert squares[1][np.ix_(rest, rest)] == pytest.approx(alone[1])
    assert squares[0] == pytest.approx(whitened(x, far)[0][0])


def test_equal_members_and_lone_ones_have_no_changes(rng):
    x = members(rng, 1)
    assert np.isnan(whitened(x, np.full((1, 1), np.inf))[0]).all()
    squares, apart = whitened(np.repeat(x, 3, axis=1), plain(np.repeat(x, 3, axis=1)))
    assert squares == pytest.approx(np.zeros((3, 3, 3)), abs=1e-9)
    assert apart == pytest.approx(np.zeros((3, 3, 3)), abs=1e-9)


def held(squares, u, v, r):
    """Share of the change from r to u that v holds."""
    a, b, c = (squares[:, i, j].sum() for i, j in ((u, r), (v, r), (u, v)))
    return (a + b - c) / 2 / a


def test_siblings_on_like_data_hold_little_of_each_other(rng):
    """All of them move alike in few directions; a child alone holds the rest as well."""
    start = rng.standard_normal((4, SIDE, SIDE))
    shared = rng.standard_normal((4, SIDE, 3)) @ rng.standard_normal((4, 3, SIDE)) / 3**0.5

    def trained(x, much):
        return x + much * (0.8 * shared + rng.standard_normal(x.shape))

    little, much, other = trained(start, 0.05), trained(start, 0.3), trained(start, 0.2)
    child = trained(little, 0.3)
    x = np.stack([start, little, much, child, other], axis=1).astype(np.float32)
    far = plain(x)
    white = whitened(x, far)[0]
    everything = ((x[:, :, None] - x[:, None]).astype(np.float64) ** 2).sum(axis=(3, 4))
    assert held(everything, 1, 2, 0) > 1.5  # plainly, the sibling holds all of it and more
    assert abs(held(white, 1, 2, 0)) < 0.5
    assert held(white, 1, 3, 0) > held(white, 1, 2, 0) + 0.6
