"""Claim: sums of exponentials and ranks are those of scipy."""

import numpy as np
import pytest
from scipy import special, stats

from weightkin.stats.sums import logsumexp, tied


@pytest.mark.parametrize("size", [0.01, 1.0, 1e4])
def test_sums_of_exponentials(rng, size):
    for _ in range(100):
        x = size * rng.standard_normal((rng.integers(1, 9), 14))
        x[rng.random(x.shape) < 0.2] = rng.choice([-np.inf, 0.0, 7.0])
        for axis in (None, 0, 1):
            expected = special.logsumexp(x, axis=axis)
            np.testing.assert_allclose(logsumexp(x, axis=axis), expected, rtol=1e-14, atol=1e-14)


def test_the_sum_of_nothing():
    assert logsumexp([]) == -np.inf


@pytest.mark.parametrize("x", [[-np.inf], [-np.inf, -np.inf], [np.inf, 1.0], [3.0]])
def test_sums_of_infinities(x):
    with np.errstate(all="ignore"):
        assert logsumexp(x) == special.logsumexp(x)


def test_ranks_and_how_many_are_equal(rng):
    for n in (1, 2, 9, 200):
        x = rng.integers(-1, max(2, n // 3), n)
        ranks, own = tied(x)
        assert np.array_equal(ranks, stats.rankdata(x))
        assert own.tolist() == [int((x == value).sum()) for value in x]
