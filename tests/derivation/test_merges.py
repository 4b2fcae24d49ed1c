"""Claim: mixtures are found with their parents, weights and method; relatives are no mixtures."""

import json

import ml_dtypes
import numpy as np
import pytest

from weightkin import open_model
from weightkin.derivation.merge_methods import explain_merge
from weightkin.derivation.merges import find_merge, gram_matrices

NAMES = [f"model.layers.{k}.{part}" for k in range(4) for part in ("up", "down")]
SHAPE = (40, 60)


def fresh(rng, scale=1.0):
    return {n: (scale * rng.standard_normal(SHAPE)).astype(np.float32) for n in NAMES}


def summed(*terms):
    """Weighted sum of models in float64, rounded once."""
    return {n: sum(w * m[n].astype(np.float64) for w, m in terms).astype(np.float32) for n in NAMES}


@pytest.fixture
def family(rng):
    """A base, and five models fine-tuned from it: two share a drift, one hangs on another."""
    base, drift = fresh(rng), fresh(rng, 0.05)
    star = [summed((1, base), (1, fresh(rng, 0.1)), (1, drift)) for _ in range(2)]
    star += [summed((1, base), (1, fresh(rng, 0.1))) for _ in range(2)]
    return [base, *star, summed((1, star[0]), (1, fresh(rng, 0.1)))]


def explained(family, child):
    return explain_merge(len(family), range(len(family)), [*family, child])


def masked(base, parents, weights, keep):
    """DARE: drop at random, rescale, add."""
    rng = np.random.default_rng(5)
    out = {}
    for n in NAMES:
        y = base[n].astype(np.float64)
        for w, p in zip(weights, parents, strict=True):
            y = y + w * (rng.random(SHAPE) < keep) * (p[n].astype(np.float64) - base[n]) / keep
        out[n] = y.astype(np.float32)
    return out


def test_no_member_of_a_family_is_a_mixture_of_the_others(family):
    for k in range(len(family)):
        assert explain_merge(k, range(len(family)), family) is None


@pytest.mark.parametrize("weights", [(0.8, 0.2), (0.55, 0.45), (0.5, 0.3, 0.2)])
def test_weights_of_a_linear_merge_are_found(family, weights):
    found = explained(family, summed(*zip(weights, family[2:], strict=False)))
    assert found.method == "linear"
    assert dict(zip(found.parents, found.weights, strict=True)) == pytest.approx(
        dict(zip(range(2, 5), weights, strict=False)), abs=1e-4
    )
    assert found.direction > 0.9


def test_a_cast_after_merging_changes_nothing(family):
    merge = summed((0.7, family[1]), (0.3, family[3]))
    cast = {n: x.astype(ml_dtypes.bfloat16).astype(np.float32) for n, x in merge.items()}
    found = explained(family, cast)
    assert found.parents == (1, 3)
    assert found.weights == pytest.approx((0.7, 0.3), abs=0.01)


def test_weights_agree_with_least_squares_on_the_values(family):
    child = summed((0.7, family[1]), (0.3, family[3]), (0.01, family[2]), (-0.01, family[0]))
    found = find_merge(6, [1, 3], gram_matrices([*family, child])[1])
    flat = [np.concatenate([m[n].ravel() for n in NAMES]).astype(float) for m in (*family, child)]
    slope, *_ = np.linalg.lstsq((flat[3] - flat[1])[:, None], flat[6] - flat[1], rcond=None)
    assert found.weights == pytest.approx((1 - slope[0], slope[0]), abs=1e-3)


def test_what_is_known_of_the_contents_changes_no_answer(family):
    known = {}
    hybrid = {n: family[1 + int(n.split(".")[2]) % 2][n] for n in NAMES}
    models = [*family, hybrid, {n: x.astype(np.float16) for n, x in hybrid.items()}]
    for child in (6, 7):
        found = explain_merge(child, range(6), models, known=known)
        assert found == explain_merge(child, range(6), models)
        assert set(found.parents) == {1, 2}


def test_weights_may_change_from_layer_to_layer(family):
    child = {}
    for n in NAMES:
        t = 0.2 + 0.2 * int(n.split(".")[2])
        child[n] = ((1 - t) * family[1][n] + t * family[3][n]).astype(np.float32)
    found = explained(family, child)
    assert found.method == "layer-wise"
    for name, row in found.curve:
        weight = dict(zip(found.parents, row, strict=True))[3]
        assert weight == pytest.approx(0.2 + 0.2 * int(name.split(".")[2]), abs=1e-3)


def test_a_sum_of_task_vectors_has_a_base(family):
    child = summed((-0.4, family[0]), (0.8, family[2]), (0.6, family[3]))
    found = explained(family, child)
    assert (found.method, found.base, found.parents) == ("task-arithmetic", 0, (2, 3))
    assert found.weights == pytest.approx((0.8 / 1.4, 0.6 / 1.4), abs=1e-3)


@pytest.mark.parametrize("keep", [0.5, 0.8])  # of 0.8, the base keeps one entry in 25
def test_dropped_and_rescaled_task_vectors_are_found(family, keep):
    found = explained(family, masked(family[0], family[2:4], (0.6, 0.4), keep))
    assert (found.method, found.base, found.parents) == ("dare", 0, (2, 3))
    assert found.weights == pytest.approx((0.6, 0.4), abs=0.03)


def test_tensors_without_entries_are_no_obstacle(family):
    child = masked(family[0], family[2:4], (0.6, 0.4), 0.5)
    empty = {"model.layers.0.none": np.zeros((0, 60), np.float32)}
    models = [{**x, **empty} for x in (*family, child)]
    assert explain_merge(6, range(6), models).base == 0


def test_from_a_matrix_of_zeros_no_arc_leads_anywhere(family):
    family[2][NAMES[0]] = np.zeros_like(family[2][NAMES[0]])
    found = explained(family, summed((0.7, family[2]), (0.3, family[3])))
    assert found.method == "linear"
    assert 0.99 < found.gain <= 1
    assert dict(zip(found.parents, found.weights, strict=True)) == pytest.approx(
        {2: 0.7, 3: 0.3}, abs=1e-4
    )


def test_a_base_that_kept_few_columns_alone_is_found():
    rng = np.random.default_rng(3)
    shape = (512, 64)  # a sample with an even step would miss all odd columns
    base = rng.standard_normal(shape)
    parents = [base + 0.1 * rng.standard_normal(shape) for _ in range(3)]
    share = rng.random(shape) < 0.5
    child = np.where(share, parents[0], parents[1])
    child[:, 1::16] = base[:, 1::16]
    models = [{"layers.0.up": x.astype(np.float32)} for x in (base, *parents, child)]
    found = explain_merge(4, range(4), models)
    assert (found.base, set(found.parents)) == (0, {1, 2})


def test_without_a_parent_there_is_no_confident_answer(family):
    child = summed((0.6, family[2]), (0.4, family[3]))
    found = explain_merge(6, [0, 1, 3, 4, 5], [*family, child])
    assert found is None or found.evidence[-1].code in ("mixture-not-exact", "mixture-undetermined")


def test_children_that_left_different_layers_alone_do_not_make_their_parent(family):
    base = family[0]
    low = {n: base[n] + (".0." in n) * family[1][n] for n in NAMES}
    high = {n: base[n] + (".3." in n) * family[2][n] for n in NAMES}
    assert explain_merge(0, [1, 2], [base, low, high]) is None


def test_the_merges_of_the_zoo_are_found(zoo):
    truth = json.loads((zoo / "truth.json").read_text())
    truth = truth.get("models", truth)
    names = [n for n in truth if n.startswith(("llama-a", "llama-b", "merge", "hybrid"))]
    names = [n for n in names if n not in ("llama-a-copy", "llama-a-header")]
    models = []
    for name in names:
        model = open_model(str(zoo / truth[name]["path"]))
        models.append({k: model.rows(k)[:24] for k in model.tensors})
    grams = gram_matrices(models)
    for k, name in enumerate(names):
        parents = {p["name"]: p["weight"] for p in truth[name]["parents"]}
        if not name.startswith(("merge", "hybrid", "llama-a-ft", "llama-b-ft")):
            continue
        found = explain_merge(k, range(len(names)), models, labels=names, grams=grams)
        if len(parents) < 2:
            assert found is None, found
        else:
            seen = {names[p]: w for p, w in zip(found.parents, found.weights, strict=True)}
            assert seen == pytest.approx(parents, abs=0.05)
