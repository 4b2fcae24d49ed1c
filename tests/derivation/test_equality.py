"""Claim: equal values are found under any name and in any layout, and nothing else is called so."""

import ml_dtypes
import numpy as np
import pytest

from tests import models
from weightkin.derivation.equality import equality, is_rounded_copy
from weightkin.derivation.kinds import KnownPair, kind_of
from weightkin.formats import model_from_arrays
from weightkin.sketch import Scheme, take_sketch

WIDTH = 24


def arrays(rng, dtype=np.float32):
    """Matrices, a stack of matrices, biases, gains of one."""
    found = {f"m{i}.weight": rng.standard_normal((WIDTH, WIDTH)).astype(dtype) for i in range(4)}
    found["experts"] = rng.standard_normal((3, 2 * WIDTH, WIDTH)).astype(dtype)
    found |= {f"m{i}.bias": rng.standard_normal(WIDTH).astype(dtype) for i in range(3)}
    return found | {"norm.weight": np.ones(WIDTH, dtype)}


def sketch(held, scheme=None):
    return take_sketch(model_from_arrays(held), scheme or Scheme.whole())


def other_names(x):
    return {name[::-1]: value for name, value in x.items()}


def transposed(x):
    return {f"t.{n}": v.T.copy() if v.ndim == 2 else v for n, v in x.items()}


def fused(x):
    rest = {n: v for n, v in x.items() if n not in ("m0.weight", "m1.weight", "m0.bias", "m1.bias")}
    rest["qk.weight"] = np.concatenate([x["m0.weight"], x["m1.weight"]])
    rest["qk.bias"] = np.concatenate([x["m0.bias"], x["m1.bias"]])
    return rest


def columns_joined(x):
    rest = {n: v for n, v in x.items() if n not in ("m2.weight", "m3.weight")}
    return rest | {"wide": np.concatenate([x["m2.weight"], x["m3.weight"]], axis=1)}


def unstacked(x):
    rest = {n: v for n, v in x.items() if n != "experts"}
    for e, matrix in enumerate(x["experts"]):
        rest[f"e.{e}.gate"], rest[f"e.{e}.up"] = matrix[:WIDTH], matrix[WIDTH:]
    return rest


def stacked_turned(x):
    return x | {"experts": np.ascontiguousarray(x["experts"].swapaxes(1, 2))}


def interleaved(x):
    order = np.arange(WIDTH).reshape(2, -1).T.ravel()
    return x | {"m0.weight": x["m0.weight"][order]}


def repeated(x):
    return x | {"again": x["m1.weight"]}


LAYOUTS = {
    other_names: "other names",
    transposed: "transposed",
    fused: "fused or split",
    columns_joined: "fused or split",
    unstacked: "fused or split",
    stacked_turned: "transposed",
    interleaved: "rows in another order",
    repeated: "repeated",
}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("change", LAYOUTS, ids=lambda f: f.__name__)
def test_every_layout_of_the_same_values_is_found(rng, change, dtype):
    first = arrays(rng, dtype)
    a, b = sketch(first), sketch(change(first))
    for found in (equality(a, b), equality(b, a)):
        assert found.is_whole
        assert LAYOUTS[change] in found.layout
        assert found.n_same + found.n_other == found.n_parameters
    derived = kind_of(a, b, KnownPair(is_other_file=True))
    assert derived.kind == ("header-only",)
    assert derived.parent == "undetermined"


@pytest.mark.claim
@pytest.mark.parametrize("change", LAYOUTS, ids=lambda f: f.__name__)
def test_one_other_number_anywhere_ends_it(rng, change):
    first = arrays(rng)
    second = change(first)
    for name in second:
        third = {n: v.copy() for n, v in second.items()}
        third[name].reshape(-1)[-1] += np.float32(0.5)
        found = equality(sketch(first), sketch(third))
        assert not found.is_whole, name
        derived = kind_of(sketch(first), sketch(third), KnownPair(is_other_file=True))
        assert not {"identical", "header-only"} & set(derived.kind), name


def test_other_gains_are_other_values_however_constant(rng):
    first = arrays(rng)
    second = other_names(first) | {"thgiew.mron": np.full(WIDTH, 2, np.float32)}
    assert not equality(sketch(first), sketch(second)).is_whole
    same_name = first | {"norm.weight": np.full(WIDTH, 2, np.float32)}
    assert not equality(sketch(first), sketch(same_name)).is_part


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_strangers_share_nothing_that_counts(dtype):
    first, second = (arrays(np.random.default_rng(i), dtype) for i in (1, 2))
    found = equality(sketch(first), sketch(other_names(second)))
    assert (found.n_same, found.n_other, found.is_part) == (0, 0, False)


def test_short_rows_of_few_values_prove_nothing():
    """Two models of signs: every row of three is in the other one."""
    rngs = [np.random.default_rng(i) for i in (1, 2)]
    first, second = ({"w": r.choice([-1.0, 1.0], (400, 3)).astype(np.float32)} for r in rngs)
    found = equality(sketch(first), sketch({"v": second["w"]}))
    assert found.n_other == 0
    assert not found.is_part
    zeros = {"w": np.zeros((40, 40), np.float32)}
    assert not equality(sketch(zeros), sketch({"v": zeros["w"]})).is_part


def test_equal_parameters_are_counted_under_any_name(rng):
    first, second = arrays(rng), arrays(rng)
    second["somewhere"] = first["m2.weight"]
    second["m3.weight"] = first["m3.weight"]
    found = equality(sketch(first), sketch(second))
    assert found.n_same == WIDTH * WIDTH + WIDTH  # and the gains
    assert found.n_other == WIDTH * WIDTH
    assert not found.is_part


def test_a_part_is_found_in_a_larger_model(rng):
    first = arrays(rng)
    larger = {f"text.{n}": v for n, v in first.items()} | {"vision": arrays(rng)["experts"]}
    derived = kind_of(sketch(first), sketch(larger), KnownPair(is_other_file=True))
    assert derived.kind == ("part",)
    assert derived.details["n_only_b"] == 1


def test_double_precision_is_not_single(rng):
    first = {"w": rng.standard_normal((WIDTH, WIDTH))}
    second = {"w": first["w"] * (1 + 1e-12)}
    found = equality(sketch(first), sketch(second))
    assert not found.is_part
    assert kind_of(sketch(first), sketch(second)).kind == ("rounding",)


def test_a_sample_says_that_it_is_one(rng):
    first = {f"w{i}": rng.standard_normal((300, 200)).astype(np.float32) for i in range(3)}
    a, b = sketch(first, Scheme()), sketch(other_names(first), Scheme())
    assert kind_of(a, b, KnownPair(is_other_file=True)).kind == ("equal-on-sample",)


def test_a_rounded_copy_is_known_without_a_test(rng):
    first = arrays(rng)
    narrow = {n: v.astype(ml_dtypes.float8_e4m3fn) for n, v in first.items()}
    assert is_rounded_copy(sketch(first), sketch(narrow))
    assert is_rounded_copy(sketch(narrow), sketch(first))
    assert not is_rounded_copy(sketch(arrays(rng)), sketch(narrow))
    zeros = {n: np.zeros_like(v) for n, v in narrow.items()}
    small = {n: v * np.float32(1e-9) for n, v in first.items()}
    assert not is_rounded_copy(sketch(small), sketch(zeros))


@pytest.mark.parametrize("seed", range(8))
def test_any_chain_of_layouts(seed):
    """Layouts one after the other, drawn at random."""
    draw = np.random.default_rng(seed)
    first = arrays(draw)
    second = unstacked(fused(first)) if draw.random() < 0.5 else stacked_turned(first)
    second = other_names(second)
    if draw.random() < 0.5:
        second = transposed(second)
    assert equality(sketch(first), sketch(second)).is_whole


def test_blocks_in_another_order_are_another_model(rng):
    a = models.base(rng)
    order = [0, 2, 1, 3]
    b = {name: x for name, x in a.items() if ".layers." not in name}
    for new, old in enumerate(order):
        here = f".layers.{old}."
        b |= {n.replace(here, f".layers.{new}."): x for n, x in a.items() if here in n}
    derived = kind_of(sketch(a), sketch(b), KnownPair(is_other_file=True))
    assert derived.kind == ("stacked",)
    assert derived.details["layers"] == order
    assert derived.parent == "undetermined"


def test_an_optimiser_beside_equal_weights_is_no_part_that_one_model_lacks(rng):
    held = arrays(rng)
    state = {f"optimizer.state.{i}.exp_avg": x / 7 for i, x in enumerate(held.values())}
    found = equality(sketch(held), sketch(held | state))
    assert found.is_whole
    more = {name.replace("optimizer", "other"): x for name, x in state.items()}
    assert not equality(sketch(held), sketch(held | more)).is_whole
