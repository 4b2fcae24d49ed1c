"""Claim: the guard trusts a clean model, and refuses an axis when both models carry a trend."""

import numpy as np

from weightkin.anatomy.types import Axis, Place
from weightkin.evidence.guard import Guard, drop_structured_views, whom_to_trust


def _axis(kind="units", n=64, head_size=0):
    places = (
        Place("up", 0, 0, n, "mlp.up"),
        Place("down", 1, 0, n, "mlp.down"),
    )
    return Axis(
        name="mlp", kind=kind, stack="decoder", block=0, n_units=n, group=f"S_{n}",
        labels="decoder.0.mlp", places=places, head_size=head_size,
    )  # fmt: skip


def _guard(*views, kind="units", head_size=0):
    guard = Guard()
    for view in views:
        guard.look(_axis(kind, len(view), head_size), {"mlp.up": view})
    return guard


def _clean(rng):
    return rng.standard_normal((64, 16)).astype(np.float32)


def _sorted(rng):
    x = _clean(rng)
    return x[np.argsort(np.linalg.norm(x, axis=1))]


def test_one_clean_model_suffices(rng):
    assert whom_to_trust(_guard(_clean(rng)), _guard(_clean(rng))) == ("either", None)
    assert whom_to_trust(_guard(_sorted(rng)), _guard(_clean(rng))) == ("b", None)
    assert whom_to_trust(_guard(_clean(rng)), _guard(_sorted(rng))) == ("a", None)


def test_two_sorted_models_are_refused_with_the_reason(rng):
    trusts, why = whom_to_trust(_guard(_sorted(rng)), _guard(_sorted(rng)))
    assert trusts is None
    assert why.code == "order-carries-meaning"
    assert why.data["a"]["pattern"] == why.data["b"]["pattern"] == "sorted"


def test_order_between_heads_is_not_held_against_the_dimensions_inside_them(rng):
    """Heads of rising norm, dimensions inside them exchangeable: no trend on the V/O axis."""
    view = _clean(rng) * np.repeat([1, 2, 3, 4], 16)[:, None]
    assert _guard(view.astype(np.float32), kind="vo", head_size=16).finding is None
    assert _guard(view.astype(np.float32)).finding is not None


def test_columns_quantised_in_groups_of_units_are_dropped_if_both_models_are(rng):
    def quantised():
        rows = rng.standard_normal((8, 2, 32))
        scale = np.abs(rows).max(axis=2, keepdims=True) / 7
        return (np.round(rows / scale) * scale).reshape(8, 64).T.astype(np.float32)

    a = {"mlp.up": _clean(rng), "mlp.down": quantised()}
    b = {"mlp.up": _clean(rng), "mlp.down": quantised()}
    clean = {"mlp.up": _clean(rng), "mlp.down": rng.standard_normal((64, 8)).astype(np.float32)}
    assert drop_structured_views(_axis(), dict(a), dict(clean)) == []
    assert drop_structured_views(_axis(), a, b) == ["mlp.down"]
    assert set(a) == set(b) == {"mlp.up"}
