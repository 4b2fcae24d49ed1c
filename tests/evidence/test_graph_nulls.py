"""Claim: tests of axes that come from a graph reject true nulls no more often than they say."""

import pytest
from benchmarks.lib import claim
from benchmarks.lib.graph_nulls import NETS, fits, null_pair

from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import view_places
from weightkin.evidence.units import run_units

cells = claim("cells")


@pytest.mark.claim
def test_null_pairs_reject_no_more_than_alpha():
    found = cells.simulate(4, seed=2)
    assert len({r.scenario for r in found}) == sum(fits(n, p) for n in NETS for p in cells.PAIRS)
    assert [r for r in found if not r.is_valid] == []


@pytest.mark.parametrize("net", NETS)
def test_one_model_against_itself_is_far_beyond_any_level(net, rng):
    a, _ = null_pair(net, "independent", rng)
    stage = run_units(PairTester(a, a, Plan(64), 0))[0]
    assert len(stage.tested) == len(a.axes("units"))
    assert stage.log_evalue > 20


@pytest.mark.parametrize("net", ["recurrent, 4 gates", "recurrent, 3 gates"])
def test_gates_are_seen_through_what_they_read_and_never_through_their_state(net, rng):
    a, _ = null_pair(net, "independent", rng)
    tensors = {p.tensor for x in a.axes("units") for p in view_places(a.model, x)}
    assert tensors == {"0.w", "1.w", "2.w", "head"}
