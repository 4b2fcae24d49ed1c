"""Claim: trees that are walked for all rows at once say what each row finds by itself."""

import numpy as np

from weightkin.lineage import posterior
from weightkin.lineage.boosted import AT_ONCE, boosted


def tree(rng, depth, said):
    """A random tree of at most that depth, written down; its node or leaf."""
    if depth == 0 or rng.random() < 0.2:
        said["leaves"].append(float(rng.normal()))
        return -len(said["leaves"])
    at = len(said["feature"])
    said["feature"].append(int(rng.integers(3)))
    said["threshold"].append(float(rng.normal()))
    said["missing_left"].append(int(rng.integers(2)))
    said["left"].append(0)
    said["right"].append(0)
    said["left"][at], said["right"][at] = (tree(rng, depth - 1, said) for _ in range(2))
    return at


def walked(model, row):
    total = 0.0
    for root in model.roots:
        at = root
        while at >= 0:
            value = row[model.feature[at]]
            is_left = model.missing_left[at] if np.isnan(value) else value <= model.threshold[at]
            at = model.left[at] if is_left else model.right[at]
        total += model.leaves[-1 - at]
    return total


def test_rows_at_once_are_rows_one_by_one(rng):
    said = {key: [] for key in ("roots", "feature", "threshold", "left", "right")}
    said |= {"missing_left": [], "leaves": [], "names": ["a", "b", "c"]}
    said["roots"] = [tree(rng, depth, said) for depth in (0, 1, 2, 6, 6, 9)]
    model = boosted(said)
    rows = rng.normal(size=(AT_ONCE + 30, 3))
    rows[rng.random(rows.shape) < 0.2] = np.nan
    found = model.sums(dict(zip("abc", rows.T, strict=True)))
    assert np.allclose(found, [walked(model, row) for row in rows], atol=1e-12)
    assert model.sums(dict.fromkeys("abc", np.zeros(0))).shape == (0,)


def test_the_weights_that_are_kept_are_whole_trees():
    for one in posterior.fitted().passes:
        for model in (one.pairs, one.roots):
            reached = [*model.roots, *model.left, *model.right]
            nodes, leaves = [x for x in reached if x >= 0], [-1 - x for x in reached if x < 0]
            assert sorted(nodes) == list(range(len(model.feature)))
            assert sorted(leaves) == list(range(len(model.leaves)))
            assert np.isfinite(model.leaves).all()
            assert np.isfinite(model.threshold).all()
            assert model.feature.max() < len(model.names)
