"""Claim: sign agreements are fair coins under the null, by enumeration of all sign patterns."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from weightkin.stats.matching import best_rows
from weightkin.stats.signs import agreements_log10_sf, log_evalue, mutual_matches


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_tail_equals_enumeration_of_all_sign_patterns(n):
    counts = [sum(pattern) for pattern in product((0, 1), repeat=n)]
    for t in range(n + 1):
        exact = np.mean([count >= t for count in counts])
        assert 10 ** agreements_log10_sf(t, n) == pytest.approx(exact)
    assert np.mean([math.exp(log_evalue(count, n)) for count in counts]) == pytest.approx(1.0)


def test_tail_agrees_with_the_library_and_never_underflows():
    assert agreements_log10_sf(70, 100) == pytest.approx(binom.logsf(69, 100, 0.5) / math.log(10))
    assert agreements_log10_sf(5000, 5000) == pytest.approx(-5000 * math.log10(2))
    assert agreements_log10_sf(0, 0) == agreements_log10_sf(0, 7) == 0.0
    assert log_evalue(0, 0) == pytest.approx(0.0)


def _matches_as_defined(score, rng):
    """Everything shuffled, matched, and put back."""
    rows, columns = rng.permutation(score.shape[0]), rng.permutation(score.shape[1])
    shuffled = score[rows][:, columns]
    forward, backward = shuffled.argmax(axis=1), shuffled.argmax(axis=0)
    return [
        (rows[i], columns[j])
        for i, j in enumerate(forward)
        if backward[j] == i and np.isfinite(shuffled[i, j])
    ]


@pytest.mark.parametrize("kind", ["as drawn", "ties", "rows out", "columns out", "nan", "equal"])
def test_matches_agree_with_the_definition(rng, kind):
    for seed in range(100):
        score = rng.standard_normal(rng.integers(1, 40, 2)).astype(np.float32)
        if kind == "ties":
            score = np.round(score)
        if kind == "rows out":
            score[rng.random(len(score)) < 0.3] = -np.inf
        if kind == "columns out":
            score[:, rng.random(score.shape[1]) < 0.3] = -np.inf
        if kind == "nan":
            score[rng.random(score.shape) < 0.02] = np.nan
        if kind == "equal":
            score[:] = 1.0
        assert np.array_equal(best_rows(score), score.argmax(axis=0))
        found = mutual_matches(score, np.random.default_rng(seed))
        defined = _matches_as_defined(score, np.random.default_rng(seed))
        assert list(zip(*found, strict=True)) == defined


def test_best_rows_of_tall_tables_are_the_first_of_each_column(rng):
    score = np.round(rng.standard_normal((700, 5))).astype(np.float32)
    assert np.array_equal(best_rows(score), score.argmax(axis=0))


def test_matches_are_mutual_and_one_to_one(rng):
    score = rng.standard_normal((30, 40)).astype(np.float32)
    score[3] = -np.inf
    rows, columns = mutual_matches(score, rng)
    assert len(set(rows)) == len(rows) == len(set(columns))
    assert 3 not in rows
    for i, j in zip(rows, columns, strict=True):
        assert score[i].argmax() == j
        assert score[:, j].argmax() == i
