"""Claim: narrow rows find moved blocks, and agree with the full test of one pair."""

import numpy as np

from weightkin.evidence.scan import narrow, scan_pairs
from weightkin.stats.coincidences import mix_log_evalue


def _blocks(rng, n_blocks=4, n=64, d=32):
    return [rng.standard_normal((n, d)).astype(np.float32) for _ in range(n_blocks)]


def _narrow(blocks, rng, n_units=64):
    return [narrow(x, n_units, rng) for x in blocks]


def test_the_right_pairs_stand_out(rng):
    blocks = _blocks(rng)
    child = [blocks[0], blocks[2], blocks[3]]
    table, is_testable = scan_pairs(_narrow(blocks, rng), _narrow(child, rng))
    evidence = np.array([[mix_log_evalue(cell) for cell in row] for row in table])
    assert is_testable.all()
    assert [tuple(x) for x in np.argwhere(evidence > 50)] == [(0, 0), (2, 1), (3, 2)]
    assert np.sort(evidence.ravel())[:-3].max() < 10


def test_folding_wide_rows_keeps_the_answer(rng):
    blocks = _blocks(rng, d=2000)
    child = [x + 0.5 * rng.standard_normal(x.shape).astype(np.float32) for x in blocks]
    table, _ = scan_pairs(_narrow(blocks, rng), _narrow(child, rng))
    evidence = np.array([[mix_log_evalue(cell) for cell in row] for row in table])
    assert (np.diag(evidence) > 100).all()
    assert (evidence[~np.eye(4, dtype=bool)] < 10).all()


def test_dropped_units_are_found_in_a_scan_too(rng):
    blocks = _blocks(rng)
    child = [x[np.sort(rng.choice(64, 40, replace=False))] for x in blocks[1:3]]
    table, _ = scan_pairs(_narrow(blocks, rng), _narrow(child, rng, n_units=40))
    evidence = np.array([[mix_log_evalue(cell) for cell in row] for row in table])
    assert [tuple(x) for x in np.argwhere(evidence > 30)] == [(1, 0), (2, 1)]


def test_blocks_of_other_width_are_not_testable(rng):
    a, b = _narrow(_blocks(rng, d=32), rng), _narrow(_blocks(rng, d=24), rng)
    _, is_testable = scan_pairs(a, b)
    assert not is_testable.any()
