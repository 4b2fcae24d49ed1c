"""Claim: the matrix, unit maps and tensor scan find what was planted, and nothing in strangers."""

import numpy as np
import pytest

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.evidence.sample import make_plan
from weightkin.evidence.unitmap import SCORES_AT_ONCE, match_units
from weightkin.formats import model_from_arrays
from weightkin.localise.blockscan import correct, scan_blocks
from weightkin.localise.tensorscan import scan_tensors
from weightkin.stats.matching import unit_rows


def _side(arrays):
    model = model_from_arrays(arrays, config=models.CONFIG)
    return Side(model, read_anatomy(model))


def _scan(x, y):
    a, b = _side(x), _side(y)
    plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
    scans, _ = scan_blocks(a, b, plan, seed=0)
    return scans, correct(scans, [])[0]


def _free(role):
    return role == "up"


def test_both_axes_stand_out_at_the_right_pairs(rng):
    old = models.base(rng)
    scans, tables = _scan(old, models.child(models.keep_blocks(old, [2, 0]), rng))
    assert [scan.kind for scan in scans] == ["units", "vo"]
    for table in tables:
        assert [tuple(x) for x in np.argwhere(table < -4).tolist()] == [(0, 1), (2, 0)]


@pytest.mark.claim
def test_pvalues_of_strangers_are_no_smaller_than_chance_allows():
    smallest = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        _, tables = _scan(models.base(rng), models.base(rng))
        smallest.append(min(float(table.min()) for table in tables))
    assert sum(p <= -1 for p in smallest) <= 9  # Binomial(40, 0.1) stays below with 0.995


def test_correction_pays_for_every_pair_of_both_axes(rng):
    scans, tables = _scan(models.base(rng), models.base(rng))
    raw = np.concatenate([scan.by_blocks[scan.is_testable] for scan in scans])
    least = min(float(table.min()) for table in tables)
    assert least == pytest.approx(min(0.0, raw.min() + np.log10(len(raw))))


def test_units_are_matched_through_order_sign_scale_and_loss(rng):
    gate, up = (rng.standard_normal((50, 40)).astype(np.float32) for _ in range(2))
    kept = rng.permutation(50)[:30]
    sign = rng.choice([-1, 1], 30)[:, None]
    found = match_units(
        {"gate": gate, "up": up}, {"gate": 3 * gate[kept], "up": sign * up[kept]}, _free
    )
    assert dict(zip(found.units_b.tolist(), found.units_a.tolist(), strict=True)) == dict(
        enumerate(kept.tolist())
    )


def test_units_of_strangers_hardly_match(rng):
    share = []
    for _ in range(20):
        x, y = (rng.standard_normal((200, 40)).astype(np.float32) for _ in range(2))
        share.append(len(match_units({"w": x}, {"w": y}, _free).units_a) / 200)
    assert np.mean(share) < 0.03


def test_matching_in_chunks_is_matching_at_once(rng):
    n = SCORES_AT_ONCE + 300
    x = rng.standard_normal((n, 40)).astype(np.float32)
    y = x[rng.permutation(n)] + 0.4 * rng.standard_normal((n, 40)).astype(np.float32)
    found = match_units({"w": x}, {"w": y}, _free)
    score = unit_rows(x) @ unit_rows(y).T  # naive: the whole table
    forward, backward = score.argmax(axis=1), score.argmax(axis=0)
    mutual = {(i, int(forward[i])) for i in range(n) if backward[forward[i]] == i}
    pairs = set(zip(found.units_a.tolist(), found.units_b.tolist(), strict=True))
    assert pairs <= mutual
    assert len(pairs) > 0.5 * n
    for i, j in list(pairs)[:50]:
        rest = max(np.delete(score[i], j).max(), np.delete(score[:, j], i).max())
        assert score[i, j] >= 1.25 * rest - 1e-5


def test_units_of_copies_match_nothing_rather_than_a_guess(rng):
    x = rng.standard_normal((20, 16)).astype(np.float32)
    found = match_units({"w": x}, {"w": np.concatenate([x[:1], x])}, _free)
    assert 0 not in found.units_a
    assert len(found.units_a) == 19


def test_equal_tensors_are_found_under_other_names(rng):
    x = {f"a.{i}": rng.standard_normal((16, 12)).astype(np.float32) for i in range(6)}
    y = {f"b.{i}": v for i, v in enumerate(x.values()) if i % 2}
    y |= {"b.0": rng.standard_normal((16, 12)).astype(np.float32), "c": np.ones((16, 12), "f4")}
    found, _ = scan_tensors(model_from_arrays(x), model_from_arrays(y))
    assert {(r.name_a, r.name_b, r.relation) for r in found} == {
        ("a.0", "b.0", "other"),  # of one role: listed in any case
        ("a.1", "b.1", "equal"),
        ("a.3", "b.3", "equal"),
        ("a.5", "b.5", "equal"),
    }


def test_a_longer_table_is_compared_on_the_rows_both_have(rng):
    x = rng.standard_normal((40, 8)).astype(np.float32)
    y = np.concatenate([x, rng.standard_normal((9, 8)).astype(np.float32)])
    found, _ = scan_tensors(model_from_arrays({"e": x}), model_from_arrays({"e": y}))
    assert [(r.relation, r.shape_a, r.shape_b) for r in found] == [("equal", (40, 8), (49, 8))]


def test_strangers_have_no_close_tensors(rng):
    x, y = models.base(rng), models.base(rng)
    found, _ = scan_tensors(model_from_arrays(x), model_from_arrays(y))
    assert {r.relation for r in found} == {"other"}
    assert len(found) == sum(v.ndim == 2 for v in x.values())  # norms are constant


def test_non_finite_tensors_are_skipped_and_said_so(rng):
    x = {"w": rng.standard_normal((8, 8)).astype(np.float32)}
    y = {"w": x["w"].copy()}
    y["w"][0, 0] = np.nan
    found, skipped = scan_tensors(model_from_arrays(x), model_from_arrays(y))
    assert found == ()
    assert [s.what for s in skipped] == ["b: w"]
