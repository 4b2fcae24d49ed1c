"""Claim: a few units that training made alike are no relation."""

import numpy as np
import pytest
from benchmarks.lib.framed_units import reordered_units

from tests.conftest import ROOT
from weightkin import compare, evasions, open_model
from weightkin.anatomy import read_anatomy
from weightkin.evidence import stage
from weightkin.evidence.pairs import PairEvidence, matched_share
from weightkin.formats import model_from_arrays

MODELS = ROOT / "zoo" / "models"


@pytest.mark.parametrize("pair", [("gpt-a", "gpt-b"), ("llama-b", "llama-c")])
def test_units_in_the_order_of_another_model_are_aligned_only(monkeypatch, pair):
    a, b = (open_model(MODELS / name) for name in pair)
    arranged = [x for x, _ in zip(reordered_units(a, b), range(3), strict=False)]
    for name in b.tensors:  # nothing but the order of units is another one
        ours, theirs = (np.sort(x.rows(name).ravel()) for x in (arranged[0], b))
        np.testing.assert_array_equal(ours, theirs)
    for record in (compare(a, x, seed=0) for x in arranged):
        assert record.verdict == "aligned-only"
        assert {x.verdict for x in record.parts} <= {"aligned-only", "no-evidence"}
        assert record.log10_pvalue < -1000
    monkeypatch.setattr(stage, "LEAST_MATCHED", (0.0, 0.0))
    assert "dependent" in {compare(a, x, seed=0).verdict for x in arranged}


@pytest.mark.claim
@pytest.mark.parametrize("pair", [("gpt-a", "gpt-b"), ("llama-a", "llama-b"), ("vit-a", "vit-b")])
def test_no_number_of_chosen_units_passes(pair):
    a, b = (open_model(MODELS / name) for name in pair)
    said = [compare(a, x, seed=0) for x in reordered_units(a, b)]
    assert len(said) > 3
    assert {x.verdict for x in said} == {"aligned-only"}


def test_a_hidden_child_matches_in_most_of_its_units(rng):
    a, child = (open_model(MODELS / name) for name in ("gpt-a", "gpt-a-long"))
    arrays = {name: np.array(child.rows(name)) for name in child.tensors}
    hidden = evasions.rotate_residual(arrays, read_anatomy(child), rng).arrays
    record = compare(a, model_from_arrays(hidden, name="m", config=child.config), seed=0)
    assert (record.verdict, record.basis) == ("dependent", "exact")
    assert "token units" in {x.axis for x in record.axes if x.passes}


def test_the_share_is_that_of_all_blocks_and_of_the_best_one():
    nothing = np.zeros(0, np.float32)
    pairs = [
        PairEvidence((nothing, nothing), (), nothing, nothing, nothing, ((0, 0),) * n, n_drawn=40)
        for n in (2, 30)
    ]
    assert matched_share(pairs) == (0.4, 0.75)
    assert matched_share([]) == (0.0, 0.0)
