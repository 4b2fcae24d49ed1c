"""Claim: distances, ranks, clocks and levels agree with slow twins and with what was planted."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tests.derivation import naive
from tests.derivation.families import sketch
from weightkin.anatomy.roles import RoleKey
from weightkin.derivation.clock import collinear_rows
from weightkin.derivation.distances import relate
from weightkin.derivation.lattice import NF4, find_levels
from weightkin.derivation.pairing import match_blocks
from weightkin.derivation.rank import rank_of_difference
from weightkin.formats import model_from_arrays
from weightkin.papers.distances import largest_change, plain_distance, summed_rank
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.facts import sketched_tensor


def tensor(values):
    empty = np.zeros(0, dtype=np.int64)
    return sketched_tensor(
        values,
        values[:0, :0],
        key=RoleKey("decoder", 0, "mlp.up"),
        stored_name="x",
        role="mlp.up",
        stack="decoder",
        block=0,
        shape=values.shape,
        dtype="F32",
        rows=np.arange(len(values)),
        columns=np.arange(values.shape[1]),
        n_run=len(values),
        tail_rows=empty,
        tail_columns=empty,
        row_starts=(0,),
        column_starts=(0,),
    )


def test_relations_of_tensors_agree_with_their_definition(zoo):
    relation = relate(sketch("vit-a"), sketch("vit-a-ft1"))
    for pair, t in zip(relation.pairs[:6], relation.tensors[:6], strict=True):
        distance, product, norm_a, norm_b, equal = naive.relation(
            pair.both.values_a, pair.both.values_b
        )
        assert t.squared_distance == pytest.approx(distance, rel=1e-9)
        assert t.inner_product == pytest.approx(product, rel=1e-9)
        assert (t.squared_norm_a, t.squared_norm_b) == pytest.approx((norm_a, norm_b), rel=1e-9)
        assert t.share_equal == equal


def test_sampled_distances_are_near_the_whole_ones(zoo):
    whole = relate(sketch("llama-a"), sketch("llama-a-ft1"))
    sample = relate(sketch("llama-a", Scheme()), sketch("llama-a-ft1", Scheme()))
    true = {t.name_a: t.relative_distance for t in whole.matrices}
    ratios = [t.relative_distance / true[t.name_a] for t in sample.matrices]
    assert np.mean(np.abs(np.log(ratios)) < 0.2) > 0.9
    assert sample.typical_distance == pytest.approx(whole.typical_distance, rel=0.1)


def test_blocks_of_unequal_depth_find_each_other(zoo):
    found = match_blocks(sketch("llama-a"), sketch("llama-a-depth"))
    assert [(i, j) for _, i, j in found] == [(0, 0), (1, 1), (3, 2), (5, 3)]


@pytest.mark.parametrize(("planted", "lattice"), [(1, "fp32"), (5, "fp32"), (3, "bf16")])
def test_planted_ranks_are_found_and_agree_with_the_twin(rng, planted, lattice):
    x = rng.standard_normal((48, 96)).astype(np.float32)
    low = rng.standard_normal((48, planted)) @ rng.standard_normal((planted, 96))
    y = (x + low).astype(np.float32)
    if lattice == "bf16":
        x, y = (v.astype(ml_dtypes.bfloat16).astype(np.float32) for v in (x, y))
    found = rank_of_difference(x, y, lattice, lattice)
    bits = 24 if lattice == "fp32" else 8
    assert found.rank == naive.rank(x, y, bits, -126)
    assert found.rank == planted


def test_rounding_alone_has_no_rank(rng):
    x = rng.standard_normal((64, 96)).astype(np.float32)
    y = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    assert rank_of_difference(x, y, "fp32", "bf16").rank == 0


def test_a_change_that_rounding_swallowed_is_not_resolvable(rng):
    x = rng.standard_normal((64, 96)).astype(np.float32)
    y = x.copy()
    y[:10] += 1
    assert rank_of_difference(x, y, "fp32", "fp32").rank is None


def test_collinear_rows_agree_with_the_twin(zoo):
    a, b = sketch("llama-a"), sketch("llama-a-ft1")
    name = "decoder.embed"
    slow = naive.collinear(a.tensors[name].values, b.tensors[name].values)
    fast = collinear_rows(a, b)
    assert [row for _, row in fast.rows] == [i for i, _ in slow]
    assert fast.c == pytest.approx(np.median([c for _, c in slow]), abs=1e-6)


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("group", [32, 64, None])
@pytest.mark.parametrize("is_symmetric", [True, False])
def test_planted_levels_are_found_after_writing_float32_back(rng, bits, group, is_symmetric):
    x = rng.standard_normal((48, 256))
    parts = x.reshape(48, -1, group or 256)
    low = parts.min(axis=-1, keepdims=True)
    if is_symmetric:
        step = np.abs(parts).max(axis=-1, keepdims=True) / (2 ** (bits - 1) - 1)
        y = np.rint(parts / step) * step
    else:
        step = (parts.max(axis=-1, keepdims=True) - low) / (2**bits - 1)
        y = np.rint((parts - low) / step) * step + low
    found = find_levels(tensor(y.reshape(x.shape).astype(np.float32)))
    assert (found.bits, found.group) == (bits, group)
    assert found.scheme == ("symmetric" if is_symmetric else "asymmetric")


def test_one_scale_for_a_whole_matrix_is_seen(rng):
    x = rng.standard_normal((48, 96))
    step = np.abs(x).max() / 127
    found = find_levels(tensor((np.rint(x / step) * step).astype(np.float32)))
    assert (found.bits, found.scope) == (8, "matrix")


def test_normal_float_levels_are_seen(rng):
    x = rng.standard_normal((48, 256)).reshape(48, -1, 64)
    scale = np.abs(x).max(axis=-1, keepdims=True)
    nearest = np.abs((x / scale)[..., None] - NF4).argmin(axis=-1)
    found = find_levels(tensor((NF4[nearest] * scale).reshape(48, 256).astype(np.float32)))
    assert (found.bits, found.group, found.scheme) == (4, 64, "nf4")


def test_plain_and_rounded_weights_have_no_levels(rng):
    x = rng.standard_normal((48, 256)).astype(np.float32)
    assert find_levels(tensor(x)) is None
    half = tensor(x.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert find_levels(half) is None
    assert "bf16" in half.lattice


def test_the_second_papers_distances_have_their_names(zoo):
    near = relate(sketch("llama-a"), sketch("llama-a-ft1"))
    far = relate(sketch("llama-a"), sketch("llama-a-long"))
    assert 0 < largest_change(near) < largest_change(far)
    assert plain_distance(near) < plain_distance(far)
    adapted = relate(sketch("llama-a"), sketch("llama-a-lora4"))
    assert summed_rank(adapted) == 6 * 4  # q of every layer is square, v is not


def test_a_model_of_zeros_is_as_far_from_others_as_unrelated_ones(rng):
    """Once it counted as equal: nothing over nothing."""
    names = [f"model.layers.{k}.mlp.up_proj.weight" for k in range(2)]
    x = {name: rng.normal(size=(40, 30)).astype(np.float32) for name in names}
    zeros = {name: np.zeros_like(value) for name, value in x.items()}
    a, b = (take_sketch(model_from_arrays(y), Scheme.whole()) for y in (x, zeros))
    found = relate(a, b)
    assert found.relative_distance == found.typical_distance == pytest.approx(np.sqrt(2))
    assert relate(b, b).relative_distance == 0
