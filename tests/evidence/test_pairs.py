"""Claim: a pair of axes is tested on its shared views, inside heads where heads matter."""

from itertools import permutations

import numpy as np
import pytest

from weightkin.anatomy.types import Axis
from weightkin.evidence.effects import effect_of
from weightkin.evidence.pairs import pair_evidence
from weightkin.stats.coincidences import mix_log_evalue


def _axis(n, kind="units", head_size=0):
    return Axis(
        name="mlp", kind=kind, stack="decoder", block=0, n_units=n, group=f"S_{n}",
        labels="decoder.0.mlp", places=(), head_size=head_size,
    )  # fmt: skip


def _view(rng, n, d):
    return rng.standard_normal((n, d)).astype(np.float32)


def test_evalue_of_a_pair_has_expectation_at_most_one_over_all_relabellings(rng):
    gate_a, gate_b, up_a, up_b = (_view(rng, 5, 4) for _ in range(4))
    values = []
    for p in permutations(range(5)):
        a = {"mlp.gate": gate_a[list(p)], "mlp.up": up_a[list(p)]}
        found = pair_evidence(a, {"mlp.gate": gate_b, "mlp.up": up_b}, _axis(5), _axis(5), rng)
        values.append(np.exp(mix_log_evalue(found.grid)))
    assert np.mean(values) <= 1 + 1e-9


def test_windows_never_leave_a_head(rng):
    """Heads of 24: windows of 12. Swapping the two halves of a head destroys every coincidence."""
    v = _view(rng, 48, 32)
    axis = _axis(48, "vo", head_size=24)
    same = pair_evidence({"attn.v": v}, {"attn.v": v}, axis, axis, rng)
    swapped = v.reshape(2, 2, 12, 32)[:, ::-1].reshape(48, 32)
    other = pair_evidence({"attn.v": v}, {"attn.v": swapped}, axis, axis, rng)
    assert same.tests[0].statistic == 48
    assert other.tests[0].statistic < 12


def test_views_of_different_width_are_left_out(rng):
    a = {"mlp.gate": _view(rng, 8, 6), "mlp.up": _view(rng, 8, 6)}
    b = {"mlp.gate": _view(rng, 8, 5), "mlp.up": a["mlp.up"]}
    found = pair_evidence(a, b, _axis(8), _axis(8), rng)
    assert [t.view for t in found.tests] == ["mlp.up"]
    assert pair_evidence({"mlp.gate": a["mlp.gate"]}, b, _axis(8), _axis(8), rng) is None


def test_agreement_is_measured_on_an_independent_view(rng):
    gate, up = _view(rng, 40, 16), _view(rng, 40, 16)
    both = pair_evidence(
        {"mlp.gate": gate, "mlp.up": up},
        {"mlp.gate": gate, "mlp.up": up},
        _axis(40),
        _axis(40),
        rng,
    )
    gate_only = pair_evidence(
        {"mlp.gate": gate, "mlp.up": up},
        {"mlp.gate": gate, "mlp.up": _view(rng, 40, 16)},
        _axis(40),
        _axis(40),
        rng,
    )
    assert both.agreement.mean() == 1.0
    assert gate_only.agreement.mean() < 0.2


def test_chance_level_grows_with_the_units_an_aligner_could_choose_from(rng):
    x = _view(rng, 64, 128)
    small = pair_evidence({"mlp.up": x}, {"mlp.up": x}, _axis(64), _axis(64), rng)
    large = pair_evidence({"mlp.up": x}, {"mlp.up": x}, _axis(8192), _axis(8192), rng)
    assert np.median(large.chance) > 1.4 * np.median(small.chance)


def test_effect_of_nothing_is_nothing():
    effect = effect_of(np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert (effect.observed, effect.ratio) == (0.0, 0.0)
    assert effect_of(np.float32([0.5]), np.float32([0.25])).ratio == pytest.approx(2.0)
