"""Claim: the two-stage scan finds what scoring every vector finds."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from weightkin.scan import bits_of, n_differing, nearest


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("n_dims", [64, 128, 512, 1024])
def test_differing_bits_are_counted_as_by_hand(rng, n_dims):
    x = rng.normal(size=(300, n_dims))
    q = rng.normal(size=n_dims)
    expected = ((x > 0) != (q > 0)).sum(axis=1)
    assert np.array_equal(n_differing(bits_of(x), bits_of(q[None])[0]), expected)


def test_all_bits_may_differ():
    x = np.ones((3, 1024))
    assert n_differing(bits_of(x), bits_of(-x[:1])[0]).tolist() == [1024] * 3


def test_few_vectors_are_all_scored(rng):
    x = unit(rng.normal(size=(500, 64)))
    found, products = nearest(bits_of(x), x, x[7], 20)
    assert found.tolist() == np.argsort(-(x @ x[7]), kind="stable")[:20].tolist()
    assert products[0] == pytest.approx(1.0, abs=1e-6)


def test_relatives_among_many_strangers_are_found(rng):
    x = unit(rng.normal(size=(40_000, 1024)))
    q = unit(rng.normal(size=1024))
    for k, cosine in enumerate(np.linspace(0.3, 0.95, 30)):
        side = unit(x[k] - (x[k] @ q) * q)
        x[k] = cosine * q + np.sqrt(1 - cosine**2) * side
    found, products = nearest(bits_of(x), x, q, 30)
    assert set(found.tolist()) == set(range(30))
    assert np.all(np.diff(products) <= 0)


def chance_of_missing(cosine, n, n_dims, *, n_rescored):
    """Normal approximation of the number of differing bits; dimensions as good as independent."""
    cut = n_dims / 2 + np.sqrt(n_dims) / 2 * ndtri(n_rescored / n)
    share = float(np.arccos(cosine) / np.pi)
    return float(ndtr((n_dims * share - cut) / np.sqrt(n_dims * share * (1 - share))))


def test_the_chance_of_missing_falls_with_the_cosine_and_holds(rng):
    chances = [chance_of_missing(c, 100_000, 256, n_rescored=100) for c in (0.2, 0.4, 0.6)]
    assert chances == sorted(chances, reverse=True)
    x = unit(rng.normal(size=(20_000, 256)))
    q = unit(rng.normal(size=256))
    for k in range(200):
        side = unit(x[k] - (x[k] @ q) * q)
        x[k] = 0.4 * q + np.sqrt(1 - 0.16) * side
    found, _ = nearest(bits_of(x), x, q, 20_000, n_rescored=600)
    missed = 1 - len(set(found.tolist()) & set(range(200))) / 200
    assert missed == pytest.approx(chance_of_missing(0.4, 20_000, 256, n_rescored=600), abs=0.12)


def test_equal_vectors_do_not_flood_the_second_stage(rng):
    x = np.repeat(unit(rng.normal(size=(1, 64))), 5000, axis=0)
    found, _ = nearest(bits_of(x), x, x[0], 10, n_rescored=50)
    assert found.tolist() == list(range(10))


def test_no_vectors_give_no_neighbours():
    found, products = nearest(np.zeros((0, 16), np.uint64), np.zeros((0, 1024)), np.ones(1024), 5)
    assert len(found) == len(products) == 0
