"""Claim: runs of labels that are copies inside a model are found by content, others are not."""

import numpy as np
import pytest
from scipy.stats import norm

from tests import naive
from weightkin.stats.copies import copied_runs, copied_units, groups_of, narrowed, trace_z


def _runs(rng, n=12, rows=16, width=64):
    return [{"v": rng.standard_normal((rows, width)).astype(np.float32)} for _ in range(n)]


def _noisy(run, rng, drift=0.3):
    return {role: x + np.float32(drift) * rng.standard_normal(x.shape) for role, x in run.items()}


CHANGES = {
    "as it is": lambda x, rng: x,
    "trained apart": lambda x, rng: x + 0.7 * rng.standard_normal(x.shape),
    "rescaled": lambda x, rng: x * rng.uniform(0.2, 5, (len(x), 1)),
    "signs turned": lambda x, rng: x * rng.choice([-1, 1], (len(x), 1)),
    "all signs turned": lambda x, rng: -x,
    "permuted": lambda x, rng: x[rng.permutation(len(x))],
    "permuted and signs turned": lambda x, rng: -x[rng.permutation(len(x))],
    "half of it new": lambda x, rng: np.concatenate([x[:8], rng.standard_normal((8, 64))]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_whatever_became_of_them(rng, change):
    runs = _runs(rng)
    for i in (3, 7):
        runs.append({"v": CHANGES[change](runs[i]["v"], rng).astype(np.float32)})
    groups = copied_runs(runs)
    assert (groups[12], groups[13]) == (groups[3], groups[7])
    assert len(set(groups)) == 12


def test_copies_of_copies_are_copies(rng):
    runs = _runs(rng, n=4)
    x = runs[0]["v"]
    third = np.concatenate([x[:8], rng.standard_normal((8, 64)).astype(np.float32)])
    fourth = np.concatenate([third[:0], rng.standard_normal((8, 64)).astype(np.float32), third[8:]])
    groups = copied_runs([*runs, {"v": third}, {"v": fourth}])
    assert groups[0] == groups[4] == groups[5]


def test_one_view_is_enough(rng):
    """Grouped queries stored as whole heads: V is copied, O is each query's own."""
    runs = [r | {"o": rng.standard_normal((16, 32)).astype(np.float32)} for r in _runs(rng, n=3)]
    runs.append({"v": runs[1]["v"], "o": rng.standard_normal((16, 32)).astype(np.float32)})
    assert copied_runs(runs) == (0, 1, 2, 1)


@pytest.mark.parametrize("rows", [2, 4])
def test_copies_of_few_rows_are_found_by_their_likeness(rng, rows):
    runs = _runs(rng, n=20, rows=rows)
    runs.append(_noisy(runs[5], rng, drift=0.1))
    assert copied_runs(runs) == (*range(20), 5)


@pytest.mark.parametrize("width", [4, 16, 400])
def test_runs_that_are_no_copies_are_left_apart(rng, width):
    """A level of 1e-3 for all pairs of one model together."""
    n_wrong = sum(len(set(copied_runs(_runs(rng, n=24, width=width)))) < 24 for _ in range(40))
    assert n_wrong <= 1


def test_the_level_of_one_look_is_that_of_all_relabellings(rng):
    """The trace in standard deviations agrees with its moments over every relabelling."""
    table = rng.standard_normal((6, 6)).astype(np.float32)
    mean, variance = naive.trace_moments(table)
    assert trace_z(table[None])[0] == pytest.approx((np.trace(table) - mean) / variance**0.5)
    assert trace_z(1e-3 * table[None]) == pytest.approx(trace_z(table[None]))
    assert trace_z(np.ones((1, 6, 6), np.float32)) == 0.0  # every relabelling is alike


@pytest.mark.parametrize("is_sign_blind", [False, True])
@pytest.mark.parametrize("n", [2, 3])
def test_the_level_is_shared_by_all_pairs_and_both_ways_of_looking(rng, n, is_sign_blind):
    """Of narrow rows the trace alone decides, exactly from the level of one look on."""
    x, noise, *others = (run["v"] for run in _runs(rng, n=n, rows=16, width=8))
    cut = -norm.ppf(1e-3 / (n * (n - 1) // 2 * (1 if is_sign_blind else 2)))
    sure = 0
    for share in np.linspace(0, 1, 101, dtype=np.float32):
        y = share * x + (1 - share) * noise
        cosine = narrowed(x) @ narrowed(y).T
        z = trace_z(np.abs(cosine))
        z = z if is_sign_blind else max(z, trace_z(cosine))
        groups = copied_runs([{"v": v} for v in (x, y, *others)], is_sign_blind=is_sign_blind)
        assert (groups[1] == 0) == (z >= cut)
        sure += abs(z - cut) < 0.1
    assert sure  # the level was crossed in small steps


def test_a_sign_blind_answer_does_not_move_when_signs_do(rng):
    runs = [*_runs(rng, n=8)]
    runs.append(_noisy(runs[2], rng))
    turned = [{"v": r["v"] * rng.choice([-1, 1], (16, 1)).astype(np.float32)} for r in runs]
    found = copied_runs(runs, is_sign_blind=True)
    assert found == copied_runs(turned, is_sign_blind=True) == (*range(8), 2)


def test_groups_are_those_of_the_definition(rng):
    runs = _runs(rng, n=9, rows=8)
    runs += [_noisy(runs[i], rng) for i in (0, 4, 4, 8)]
    assert copied_runs(runs) == naive.copied_runs([r["v"] for r in runs])


def test_clones_are_grouped_whatever_their_sign_and_size(rng):
    gate, up = (rng.standard_normal((20, 48)).astype(np.float32) for _ in range(2))
    picked = np.array([*range(20), 3, 3, 11])
    scale = np.ones((23, 1), np.float32)
    scale[20:] = [[-2.0], [0.5], [-1.0]]
    drift = 0.1 * rng.standard_normal((2, 23, 48)).astype(np.float32)
    views = {"mlp.gate": gate[picked] + drift[0], "mlp.up": scale * up[picked] + drift[1]}
    groups = copied_units(views, {"mlp.gate": 0.7, "mlp.up": 0.7}, signed=("mlp.gate",))
    assert groups == (*range(20), 3, 3, 11)


def test_closure_follows_every_chain():
    assert groups_of(6, [(1, 0), (2, 1), (5, 4)]) == (0, 0, 0, 3, 4, 4)
    assert groups_of(2, []) == (0, 1)


def test_narrow_rows_keep_their_cosines(rng):
    x = rng.standard_normal((30, 3000)).astype(np.float32)
    y = x + 0.5 * rng.standard_normal(x.shape).astype(np.float32)
    cosine = (narrowed(x) * narrowed(y)).sum(axis=1)
    assert narrowed(x).shape == (30, 256)
    assert cosine.mean() == pytest.approx(1 / 1.25**0.5, abs=0.03)


@pytest.mark.parametrize("most", [1, 5000])
def test_groups_do_not_depend_on_how_many_are_looked_at_together(most, rng, monkeypatch):
    runs = _runs(rng, n=9, rows=8)
    runs += [_noisy(runs[i], rng) for i in (0, 4, 4, 8)]
    whole = copied_runs(runs)
    monkeypatch.setattr("weightkin.stats.copies.MAX_COSINES", most)
    assert copied_runs(runs) == whole
