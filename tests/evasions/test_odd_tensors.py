"""Claim: tensors of no dimension, no element or whole numbers are kept, or refused in words."""

from functools import partial

import numpy as np
import pytest

from tests.lineage.simulated import BLOCKS, CONFIG, base
from weightkin import evasions, read_anatomy
from weightkin.errors import UsageError
from weightkin.formats import model_from_arrays

OTHERS = ("Rewritten", "frame", "apply_maps", "change_all", "insert_blocks", "enlarge_rows")
OTHERS += ("WholeAnatomy", "whole_anatomy")
REWRITES = [
    *(getattr(evasions, name) for name in evasions.__all__ if name not in OTHERS),
    partial(evasions.insert_blocks, before=[BLOCKS]),
    partial(evasions.enlarge_rows, rows=[0]),
]
ODD = {
    "model.layers.0.self_attn.q_proj.scale": np.float32(3),
    "model.layers.0.mlp.experts.scale": np.float32(2),
    "logit_scale": np.int64(7),
    "model.norm.bias": np.float32(0),
    "nothing": np.zeros((4, 0), np.float32),
    "model.layers.1.mlp.mask": np.zeros((2, 0, 3), bool),
    "model.layers.0.self_attn.q_proj.bias": np.zeros(0, np.float32),
}


def rewritten(rewrite, arrays):
    anatomy = read_anatomy(model_from_arrays(arrays, config=CONFIG))
    return rewrite(arrays, anatomy, np.random.default_rng(1)).arrays


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda f: getattr(f, "func", f).__name__)
def test_what_is_no_matrix_stays_as_it_is(rewrite):
    arrays = base(np.random.default_rng(0)) | {k: np.asarray(x) for k, x in ODD.items()}
    try:
        found = rewritten(rewrite, arrays)
    except UsageError:
        return
    for name, x in ODD.items():
        assert found[name].shape == np.shape(x), name
        assert found[name].dtype == np.asarray(x).dtype, name
        assert np.array_equal(found[name], x), name


def test_rewrites_that_a_plain_model_can_undergo_are_not_refused_for_a_number_beside_it():
    arrays = base(np.random.default_rng(0)) | {"logit_scale": np.asarray(np.float32(3))}
    for rewrite in (evasions.permute_units, evasions.rotate_residual, evasions.permute_heads):
        assert rewritten(rewrite, arrays)["logit_scale"].shape == ()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, bool])
def test_whole_numbers_are_permuted_and_never_rounded(dtype):
    arrays = base(np.random.default_rng(0))
    name = "model.layers.0.mlp.up_proj.weight"
    arrays[name] = (10 * arrays[name]).astype(dtype)
    found = rewritten(evasions.permute_units, arrays)[name]
    assert found.dtype == dtype
    assert np.array_equal(np.sort(found, axis=None), np.sort(arrays[name], axis=None))
    for rewrite in (evasions.rescale_units, evasions.rotate_residual):
        with pytest.raises(UsageError, match=f"{name}: its values are"):
            rewritten(rewrite, arrays)


def test_a_number_that_all_experts_share_is_no_expert():
    arrays = base(np.random.default_rng(0))
    for k in range(4):
        for part, shape in (("w1", (40, 32)), ("w3", (40, 32)), ("w2", (32, 40))):
            path = f"model.layers.0.block_sparse_moe.experts.{k}.{part}.weight"
            arrays[path] = np.full(shape, k, np.float32)
    arrays["model.layers.0.block_sparse_moe.gate.weight"] = np.eye(4, 32, dtype=np.float32)
    arrays["model.layers.0.block_sparse_moe.experts.scale"] = np.asarray(np.float32(5))
    found = rewritten(evasions.permute_experts, arrays)
    assert found["model.layers.0.block_sparse_moe.experts.scale"] == 5
