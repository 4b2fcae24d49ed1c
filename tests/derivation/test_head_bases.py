"""Claim: heads in another basis are told from heads that were trained or made anew."""

import numpy as np
import pytest

from tests.derivation import naive
from tests.lineage.simulated import CONFIG, base
from weightkin import evasions
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import Options, compare
from weightkin.derivation.head_bases import (
    Heads,
    axes_of_heads,
    bytes_of_heads,
    look_at_heads,
    product_cosines,
)
from weightkin.derivation.heads_looked import named_bases
from weightkin.derivation.streams import Residual
from weightkin.evidence.block_pairs import pair_axes
from weightkin.formats import model_from_arrays

BOTH = {"values-rebased", "keys-rebased"}


def side(arrays):
    model = model_from_arrays(arrays, config=CONFIG)
    return Side(model, read_anatomy(model))


def named(a, b):
    axes = pair_axes(axes_of_heads(a), axes_of_heads(b), {})
    return set(named_bases(look_at_heads(a, b, axes, Residual()))[0])


def rebased(arrays, rng, *rewrites):
    for rewrite in rewrites:
        arrays = rewrite(arrays, side(arrays).anatomy, rng).arrays
    return arrays


def noisy(arrays, rng, share):
    return {
        k: (x + share * x.std() * rng.standard_normal(x.shape)).astype(np.float32)
        for k, x in arrays.items()
    }


def test_cosines_of_products_are_those_of_the_products(rng):
    width, size, n_queries = 7, 3, 2
    x, y = (
        Heads(
            rng.standard_normal((n, size, width)), rng.standard_normal((n, size, n_queries * width))
        )
        for n in (4, 4)
    )
    found = product_cosines(x, y)
    for i in range(4):
        for k in range(4):
            slow = naive.product_cosine(x.rows[i], x.partners[i], y.rows[k], y.partners[k], width)
            assert found[i, k] == pytest.approx(slow, abs=1e-9)


def test_the_product_of_a_head_does_not_depend_on_its_basis(rng):
    x = Heads(rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 3, 5)))
    basis = rng.standard_normal((2, 3, 3))
    inverse = np.linalg.inv(basis).swapaxes(1, 2)
    y = Heads(basis @ x.rows, inverse @ x.partners)
    np.testing.assert_allclose(np.diag(product_cosines(x, y)), 1.0, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_changed_bases_are_named_also_after_training(rng, share):
    arrays = base(rng)
    a = side(arrays)
    for rewrites, kinds in (
        ((evasions.change_value_basis,), {"values-rebased"}),
        ((evasions.rotate_queries_keys,), {"keys-rebased"}),
        ((evasions.turn_planes, evasions.change_value_basis), BOTH),
    ):
        assert named(a, side(noisy(rebased(arrays, rng, *rewrites), rng, share))) == kinds


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0, 2.0])
def test_training_of_any_length_is_not_named(rng, share):
    for _ in range(5):
        arrays = base(rng)
        assert not named(side(arrays), side(noisy(arrays, rng, share)))


def test_attention_made_anew_is_not_named(rng):
    arrays, other = base(rng), base(rng)
    for parts in (("v_proj",), ("v_proj", "o_proj"), ("q_proj", "k_proj"), ("o_proj", "q_proj")):
        replaced = {k: other[k] if any(p in k for p in parts) else x for k, x in arrays.items()}
        assert not named(side(arrays), side(replaced))


def test_rewrites_that_have_other_names_are_not_named(rng):
    arrays = base(rng)
    for rewrite in (
        evasions.permute_values,
        evasions.flip_value_signs,
        evasions.permute_heads,
        evasions.permute_units,
    ):
        assert not named(side(arrays), side(rebased(arrays, rng, rewrite)))


def test_behind_norms_of_queries_and_keys_only_values_are_looked_at(rng):
    arrays = base(rng)
    changed = rebased(arrays, rng, evasions.turn_planes, evasions.change_value_basis)
    norms = {
        f"model.layers.{block}.self_attn.{name}.weight": np.ones(8, np.float32)
        for block in range(3)
        for name in ("q_norm", "k_norm")
    }
    assert named(side(arrays | norms), side(changed | norms)) == {"values-rebased"}


@pytest.mark.parametrize(("n_blocks", "is_named"), [(0, False), (1, True), (3, True)])
def test_as_many_blocks_are_looked_at_as_may_be_read(
    rng, tmp_path, monkeypatch, n_blocks, is_named
):
    arrays = base(rng)
    a, b = side(arrays), side(rebased(arrays, rng, evasions.turn_planes))
    one = bytes_of_heads(a, axes_of_heads(a)[0])
    assert one == 4 * sum(x.size for k, x in arrays.items() if ".0.self_attn." in k and x.ndim == 2)
    monkeypatch.setattr("weightkin.derivation.disguise.MOST_BYTES_OF_HEADS", n_blocks * one + 1)
    record = compare(a.model, b.model)
    assert (record.kind == ("keys-rebased",)) == is_named
    whole = compare(a.model, b.model, options=Options(recover=tmp_path / "maps"))
    assert whole.kind == ("keys-rebased",)
