"""Claim: a model stored as factors is found as its dense one would be, and named."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models import base, child
from weightkin import compare, evasions
from weightkin.anatomy import read_anatomy
from weightkin.formats import model_from_arrays

MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def in_factors(arrays, share):
    """Every matrix of the blocks as two of lower rank, by singular values."""
    out = dict(arrays)
    for name in list(arrays):
        stem = name.removesuffix(".weight")
        if stem.endswith(MATRICES):
            u, s, v = np.linalg.svd(out.pop(name).astype(float), full_matrices=False)
            rank = int(share * len(s))
            out[f"{stem}.1.weight"] = (u[:, :rank] * s[:rank]).astype(np.float32)
            out[f"{stem}.0.weight"] = v[:rank].astype(np.float32)
    return out


@pytest.fixture(scope="module")
def arrays():
    return base(np.random.default_rng(3))


@pytest.mark.parametrize(("share", "parent"), [(0.8, "a"), (1.0, "undetermined")])
def test_of_lower_rank_it_is_the_child_of_equal_rank_either(arrays, share, parent):
    made = model_from_arrays(in_factors(arrays, share))
    record = compare(model_from_arrays(arrays), made, seed=0)
    assert (record.verdict, record.basis) == ("dependent", "exact")
    assert record.kind == ("factorised",)
    assert record.direction.parent == parent
    dense = compare(model_from_arrays(arrays), model_from_arrays(arrays), seed=0)
    assert record.tested_share == dense.tested_share > 0.6


def test_unrelated_models_stored_as_factors_share_nothing(arrays):
    other = in_factors(base(np.random.default_rng(4)), 0.8)
    record = compare(model_from_arrays(arrays), model_from_arrays(other), seed=0)
    assert record.verdict == "no-evidence"


def test_a_child_whose_mlps_are_two_factors_is_found(arrays):
    rng = np.random.default_rng(7)
    moved = child(arrays, rng)
    hidden = evasions.factorise_mlps(moved, read_anatomy(model_from_arrays(moved)), rng)
    assert not {x for x in hidden.arrays if x.endswith("up_proj.weight")}
    back = model_from_arrays(hidden.arrays)
    for name, x in moved.items():
        np.testing.assert_allclose(back.rows(name), x, rtol=1e-4, atol=1e-5)
    assert compare(model_from_arrays(arrays), back, seed=0).basis == "exact"
