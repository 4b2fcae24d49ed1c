"""Claim: spectral coins are fair for unrelated random matrices, and blind to what hides a copy."""

import math
from itertools import product

import numpy as np
import pytest

from tests import naive
from weightkin.stats.spectra import XS, coin_log_evalues, gap_coins, singular_values
from weightkin.stats.sums import logsumexp


def _coins(x):
    return gap_coins(singular_values(x))


def _laws():
    """Ways to draw a matrix: its law is shared by both models, its numbers are not."""
    sizes = np.arange(1, 49)
    mixing = np.random.default_rng(99).standard_normal((48, 48)) / 7

    def gaussian(rng):
        return rng.standard_normal((96, 48))

    def sparse(rng):
        x = gaussian(rng)
        rank = np.argsort(np.argsort(np.abs(x).reshape(96, -1, 4), -1), -1)
        return x * (rank >= 2).reshape(96, 48)

    return {
        "gaussian": gaussian,
        "power law": lambda rng: gaussian(rng) * sizes**-0.7,
        "two sizes": lambda rng: gaussian(rng) * np.where(sizes % 2, 1.0, 0.6),
        "shared mixing": lambda rng: gaussian(rng) @ mixing,
        "heavy tails": lambda rng: rng.standard_t(2.5, (96, 48)),
        "two of four": sparse,
        "square": lambda rng: rng.standard_normal((48, 48)),
    }


def test_singular_values_are_those_of_numpy(rng):
    for shape in ((20, 7), (7, 20)):
        x = rng.standard_normal(shape)
        assert np.allclose(singular_values(x), np.linalg.svd(x, compute_uv=False))


def test_coins_and_evalues_are_those_of_the_definition(rng):
    x, y = rng.standard_normal((2, 90, 60))
    for first in (0, 1):
        for matrix in (x, y):
            mine = _coins(matrix)[first]
            assert np.allclose(mine, naive.gap_coins(singular_values(matrix), first), atol=1e-8)
    wanted = [
        sum(naive.coin_evalue(a, b, p) for a, b in zip(_coins(x), _coins(y), strict=True)) / 2
        for p in XS
    ]
    assert np.allclose(np.exp(coin_log_evalues(_coins(x), _coins(y))), wanted)


def test_over_all_orders_of_the_gaps_the_evalue_is_one_on_average(rng):
    """Each pair of gaps of one model in either order, 2^8 ways, the other model as it is."""
    a, b = np.abs(rng.standard_normal(8)), rng.standard_normal(8)
    nothing = np.zeros(0)
    every = [
        np.exp(coin_log_evalues((np.array(s) * a, nothing), (b, nothing))) * 2 - 1
        for s in product((1, -1), repeat=8)
    ]
    assert np.allclose(np.mean(every, axis=0), 1.0)


def test_a_pair_in_the_other_order_leaves_the_other_coins_as_they_are(rng):
    """The trend is fitted to pairs as wholes: it does not know which of two gaps came first."""
    logs = np.log(singular_values(rng.standard_normal((120, 80))))
    gaps = logs[:-1] - logs[1:]
    pair = slice(math.ceil(0.12 * len(logs)) + 10, math.ceil(0.12 * len(logs)) + 12)
    gaps[pair] = gaps[pair][::-1]
    moved = logs[0] - np.concatenate([[0], np.cumsum(gaps)])
    before, after = gap_coins(np.exp(logs))[0], gap_coins(np.exp(moved))[0]
    others = np.arange(len(before)) != 5
    assert np.allclose(before[others], after[others], atol=1e-9)
    assert after[5] == pytest.approx(-before[5], abs=0.2)  # up to the trend between the two


def test_orders_rotations_signs_and_scale_change_no_coin(rng):
    x = rng.standard_normal((60, 40))
    turn, other = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (60, 40))
    for moved in (x[rng.permutation(60)], turn @ x @ other, -x, 3.0 * x, x.T):
        for first, second in zip(_coins(x), _coins(moved), strict=True):
            assert np.allclose(first, second, atol=1e-6)


def test_short_and_broken_spectra_have_no_coins(rng):
    assert all(len(x) == 0 for x in gap_coins(np.linspace(2, 1, 8)))
    assert all(len(x) == 0 for x in gap_coins(np.zeros(50)))
    values = singular_values(rng.standard_normal((120, 80)))
    values[:40] *= 5  # a break in the middle
    coins = gap_coins(values)[0]
    assert (coins == 0).any()
    assert np.isfinite(coins).all()


@pytest.mark.parametrize("law", list(_laws()))
def test_coins_of_unrelated_matrices_are_fair(law):
    rng = np.random.default_rng(1)
    draw = _laws()[law]
    n_agree = n = n_high = 0
    for _ in range(120):
        a, b = _coins(draw(rng)), _coins(draw(rng))
        agree = np.sign(a[0] * b[0])
        n_agree, n = n_agree + int((agree > 0).sum()), n + int((agree != 0).sum())
        n_high += float(logsumexp(coin_log_evalues(a, b))) - math.log(len(XS)) >= math.log(100)
    assert abs(n_agree / n - 0.5) < 3.5 * 0.5 / math.sqrt(n)
    assert n_high <= 5  # 1.2 expected at most


def test_a_copy_with_a_little_noise_shows(rng):
    x = rng.standard_normal((200, 128))
    y = x[rng.permutation(200)] + 0.01 * rng.standard_normal((200, 128))
    assert float(logsumexp(coin_log_evalues(_coins(x), _coins(y)))) > math.log(1e4)
