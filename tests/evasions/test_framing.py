"""Claim: framing keeps an innocent model's function and forges coincidences, not likeness."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evasions.real import distance, output
from weightkin.errors import UsageError
from weightkin.evasions import frame, permute_residual, split_units
from weightkin.evasions.places import along, widen
from weightkin.stats.matching import match_rows


def coincidences(a, b, anatomy, rng):
    """Units whose nearest unit has their own index, by role, summed over blocks; and medians."""
    counts, cosines = {}, {}
    a, b = widen(a), widen(b)
    for axis in (axis for axis in anatomy.axes if axis.kind == "units"):
        for place in axis.places:
            x, y = (along(m, place).astype(np.float32) for m in (a, b))
            if x.ndim > 1:
                matching = match_rows(x, y, rng)
                hits = int((matching.forward == np.arange(len(x))).sum())
                counts[place.role] = counts.get(place.role, 0) + hits
                cosines.setdefault(place.role, []).append(np.median(np.diag(matching.cosine)))
    return counts, {role: float(np.median(values)) for role, values in cosines.items()}


@pytest.mark.parametrize("with_rotation", [False, True])
@pytest.mark.parametrize("family", ["llama", "llama-tied", "gpt2", "vit", "mixtral"])
def test_framing_preserves_the_function_and_raises_coincidences(
    family, with_rotation, models, tmp_path, rng
):
    innocent, reference = models(family, 1), models(family)
    framed = frame(
        innocent.arrays,
        innocent.anatomy,
        reference.arrays,
        rounds=3,
        with_rotation=with_rotation,
    )
    config = innocent.config | framed.config_changes
    assert distance(innocent.output, output(tmp_path, framed.arrays, config)) < 1e-4
    before, _ = coincidences(innocent.arrays, reference.arrays, innocent.anatomy, rng)
    after, _ = coincidences(framed.arrays, reference.arrays, innocent.anatomy, rng)
    views = [a for a in innocent.anatomy.axes if a.kind == "units" for r in after]
    assert sum(before.values()) < 2 * len(views)  # strangers have about one in each view
    assert sum(after.values()) > 3 * len(views)


def test_framing_by_permutation_works_where_rotation_is_refused(models, tmp_path):
    innocent, reference = models("bert", 1), models("bert")
    pair = innocent.arrays, innocent.anatomy, reference.arrays
    framed = frame(*pair, rounds=2, with_rotation=False)
    assert distance(innocent.output, output(tmp_path, framed.arrays, innocent.config)) < 1e-4
    with pytest.raises(UsageError, match="which matrix reads which norm"):
        frame(*pair, with_rotation=True)


@pytest.mark.parametrize("with_rotation", [False, True])
def test_a_hidden_copy_is_brought_back_whole(models, with_rotation, rng):
    """Framing a permuted copy finds the way back: what it fails to do to strangers, it can do."""
    model = models("llama")
    hidden = permute_residual(model.arrays, model.anatomy, np.random.default_rng(4)).arrays
    framed = frame(hidden, model.anatomy, model.arrays, rounds=2, with_rotation=with_rotation)
    for name, x in model.arrays.items():
        np.testing.assert_allclose(framed.arrays[name], x, atol=1e-4)


def test_a_fit_on_one_block_aligns_that_block_more(models, tmp_path, rng):
    innocent, reference = models("llama", 1), models("llama")
    pair = innocent.arrays, innocent.anatomy, reference.arrays
    first = [a for a in innocent.anatomy.axes if a.kind == "units" and a.block == 0]
    anatomy = type("OneBlock", (), {"axes": first})
    medians = []
    for blocks in (None, [0]):
        framed = frame(*pair, rounds=5, blocks=blocks)
        config = innocent.config | framed.config_changes
        assert distance(innocent.output, output(tmp_path, framed.arrays, config)) < 1e-4
        cosines = coincidences(framed.arrays, reference.arrays, anatomy, rng)[1]
        medians.append(np.mean(list(cosines.values())))
    assert medians[1] > medians[0]


def test_framing_refuses_what_cannot_be_meant(models):
    model = models("llama")
    pair = model.arrays, model.anatomy, model.arrays
    with pytest.raises(UsageError, match="rounds must be at least 1, not 0"):
        frame(*pair, rounds=0)
    with pytest.raises(UsageError, match="none of them"):
        frame(*pair, blocks=[7])
    wider = split_units(model.arrays, model.anatomy, np.random.default_rng(0))
    with pytest.raises(UsageError, match="the models have the shapes"):
        frame(model.arrays, model.anatomy, wider.arrays)
