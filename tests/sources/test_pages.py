"""The page ledger counts each page once, whatever the order of marking."""

import numpy as np

from weightkin.sources.touched import PAGE, TouchedPages


def test_a_byte_costs_its_page():
    ledger = TouchedPages()
    ledger.touch(PAGE - 1, PAGE + 1)
    assert ledger.n_bytes == 2 * PAGE


def test_nothing_costs_nothing():
    ledger = TouchedPages()
    ledger.touch(PAGE, PAGE)
    assert ledger.n_bytes == 0
    assert TouchedPages().n_bytes == 0


def test_marking_agrees_with_a_set_of_pages():
    rng = np.random.default_rng(0)
    ledger, pages = TouchedPages(), set()
    for start in rng.integers(0, 1000 * PAGE, 200).tolist():
        stop = min(start + int(rng.integers(0, 20_000)), 1000 * PAGE + 5)
        ledger.touch(start, stop)
        pages |= {byte // PAGE for byte in range(start, stop)}
    starts = rng.integers(0, 1000 * PAGE, 100)
    ledger.touch_each(starts, 4)
    pages |= {(int(start) + byte) // PAGE for start in starts for byte in range(4)}
    assert ledger.n_bytes == PAGE * len(pages)
