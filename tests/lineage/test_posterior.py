"""Claim: a mixture counts as often as it is probable, and never both ways."""

import numpy as np
import pytest

from weightkin.lineage.parents import drawn
from weightkin.lineage.posterior import Mixed, Posterior, joined
from weightkin.lineage.triples import Around

SHARE = 0.9


def around(n):
    parents, children = np.nonzero(~np.eye(n, dtype=bool))
    return Around(parents, children, np.zeros((len(parents), 0), dtype=int), None, None)


def test_a_mixture_keeps_its_other_parents_as_far_as_it_may_be_none(rng):
    said = rng.normal(size=12), rng.normal(size=4)
    plain, roots = joined(around(4), said).weights
    found, found_roots = joined(around(4), said, [Mixed(3, (1, 0), SHARE)]).weights
    assert found[:, 3] == pytest.approx((1 - SHARE) * plain[:, 3] + SHARE * np.eye(4)[1])
    assert found_roots[3] == pytest.approx((1 - SHARE) * roots[3])
    for above in (0, 1):
        back = plain[3, above]
        assert found[3, above] == pytest.approx((1 - SHARE) * back)  # and if it is none, as before
        others = np.delete(np.append(found[:, above], found_roots[above]), [3, above])
        before = np.delete(np.append(plain[:, above], roots[above]), [3, above])
        assert others / others.sum() == pytest.approx(before / before.sum())
    assert found.sum(axis=0) + found_roots == pytest.approx(1)
    assert found[:, 2] == pytest.approx(plain[:, 2])


@pytest.mark.parametrize(("share", "is_above"), [(0.9, False), (0.35, True)])
def test_of_a_mixture_above_its_parent_and_that_edge_the_less_probable_is_not_drawn(
    share, is_above
):
    edges = np.zeros((4, 4))
    edges[0, 1], edges[1, 2], edges[2, 3], edges[1, 3] = 0.95, 0.7, 0.4, 0.25  # 1: of 0 and 3
    roots = 1 - edges.sum(axis=0)
    parents = drawn(Posterior(edges, roots, (edges, roots), edges), [Mixed(1, (0, 3), share)])
    above = []
    at = 3
    while at >= 0:
        at = int(parents[at])
        above.append(at)
    assert (1 in above) == is_above
    assert parents[1] == 0
