"""Claim: distances tell which of a model and its coarser copies a finer child was made from."""

import math

import numpy as np
import pytest

from tests.lineage.simulated import base, model, trained_on
from weightkin import family_graph
from weightkin.lineage.member_measures import Measured
from weightkin.lineage.trained import Beside, told_by_distance

ORIGINAL, COPY, CHILD, OTHER = range(4)


def measured(far, sizes, digits):
    """Four members of which distances and bits alone are known."""
    t, n = len(sizes), len(digits)
    rest = {x: np.zeros((t, n)) for x in ("norms", "zeros", "tails", "gains", "biases")} | {
        "n_parameters": np.ones(n),
        "n_rows": np.zeros(n, dtype=int),
    }
    return Measured(
        sizes=np.array(sizes),
        squares=far,
        apart=far,
        digits=np.array(digits, dtype=float),
        corners=np.zeros((0, n, 32, 32), dtype=np.float32),
        **rest,
    )


def by_definition(far, sizes):
    """Shares of the original and its copy: densities of normal changes of the likeliest size."""
    likely = []
    for u in (ORIGINAL, COPY):
        log = 0.0
        for k, size in enumerate(sizes):
            if min(far[k, ORIGINAL, CHILD], far[k, COPY, CHILD]) > 0:  # no NaN either
                log -= size / 2 * math.log(far[k, u, CHILD])
        likely.append(log)
    most = max(likely)
    every = [math.exp(x - most) for x in likely]
    return [x / sum(every) for x in every]


@pytest.fixture
def far(rng):
    half = rng.uniform(0.9, 1.1, (3, 4, 4))
    return half + half.transpose(0, 2, 1)


def test_shares_are_those_of_the_definition(far):
    far[1, ORIGINAL, CHILD] = np.nan  # a matrix that one of them lacks
    sizes = [7, 1000, 30]
    told = told_by_distance(
        measured(far, sizes, [23, 7, 23, 23]), Beside({COPY: ORIGINAL}, frozenset())
    )
    assert told[ORIGINAL, CHILD] == pytest.approx(by_definition(far, sizes), abs=1e-12)
    assert set(told) == {(ORIGINAL, CHILD), (ORIGINAL, OTHER)}


def test_nothing_is_told_of_children_as_coarse_as_the_copy(far):
    told = told_by_distance(
        measured(far, [9, 9, 9], [23, 7, 7, 23]), Beside({COPY: ORIGINAL}, frozenset())
    )
    assert set(told) == {(ORIGINAL, OTHER)}


def test_of_two_that_differ_in_rows_alone_neither_is_stated_as_the_parent(rng):
    root = base(rng)
    cut = {k: x[:80] if x.shape[0] == 96 else x for k, x in root.items()}
    tuned = {f"ft{k}": trained_on(root, rng) for k in range(2)}
    models = {"root": root, "cut": cut, **tuned}
    graph = family_graph([model(name, arrays) for name, arrays in models.items()])
    between = [e for e in graph.edges if {e.parent, e.child} == {"root", "cut"}]
    assert [e.direction for e in between] == ["undetermined"]
