"""Claim: noise under the digits of a model, or in its zeros, makes no parent of it."""

import ml_dtypes
import numpy as np
import pytest

from tests.derivation.families import sketch
from weightkin.derivation.kinds import kind_of
from weightkin.formats import model_from_arrays
from weightkin.sketch import Scheme, take_sketch


def arrays_of(name):
    return {t.stored_name: t.values.reshape(t.shape) for t in sketch(name).tensors.values()}


def whole(arrays):
    return take_sketch(model_from_arrays(arrays), Scheme.whole())


def under_the_last_digit(x, rng):
    step = np.abs(x) * 2.0**-8  # the step of bfloat16 is at least this
    noisy = (x + 0.4 * step * rng.uniform(-1, 1, x.shape)).astype(np.float32)
    return np.where(noisy.astype(ml_dtypes.bfloat16).astype(np.float32) == x, noisy, x)


def in_zeros(x, rng):
    least = np.abs(x[x != 0]).min(initial=np.inf)
    if x.ndim < 2 or not np.isfinite(least):
        return x
    return np.where(x == 0, least * rng.uniform(-1, 1, x.shape), x).astype(np.float32)


@pytest.mark.parametrize(
    ("child", "parent", "forge", "kind"),
    [
        ("llama-a-bf16", "llama-a", under_the_last_digit, "cast"),
        ("vit-a-prune50", "vit-a", in_zeros, "magnitude-pruned"),
    ],
)
def test_noise_is_told_from_the_parent_of_a_trained_model(zoo, rng, child, parent, forge, kind):
    made = kind_of(sketch(parent), sketch(child))
    assert (made.kind, made.parent) == ((kind,), "a")
    forged = whole({name: forge(x, rng) for name, x in arrays_of(child).items()})
    found = kind_of(forged, sketch(child))
    assert (found.kind, found.parent) == ((kind,), "undetermined")
    assert "noise-bits" in {clue.code for clue in found.evidence}


def test_noise_on_the_levels_of_a_quantised_model_is_no_parent(zoo, rng):
    made = kind_of(sketch("llama-a"), sketch("llama-a-int4"))
    assert (made.kind, made.parent) == (("quantised",), "a")

    def forge(x):
        if x.ndim < 2 or x.shape[1] % 32:
            return x
        groups = x.reshape(x.shape[0], -1, 32)
        gaps = np.diff(np.sort(groups), axis=-1)
        tiny = 1e-6 * np.abs(groups).max(-1, keepdims=True)
        step = np.where(gaps > tiny, gaps, np.inf).min(-1, keepdims=True)
        step = np.where(np.isfinite(step), step, 0)
        return (groups + 0.499 * step * rng.uniform(-1, 1, groups.shape)).reshape(x.shape)

    forged = {n: forge(x).astype(np.float32) for n, x in arrays_of("llama-a-int4").items()}
    found = kind_of(whole(forged), sketch("llama-a-int4"))
    assert found.parent == "undetermined"
