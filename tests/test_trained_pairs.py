"""Claim: the benchmark of trained unrelated models counts pairs, and its intervals models."""

import json
from itertools import combinations

import numpy as np
import pytest
from benchmarks.lib import claim
from safetensors.numpy import load_file
from zoo.genealogies.kept import Kept, KeptFamily

from tests.conftest import ROOT

trained_pairs = claim("trained_pairs")
Pair, interval = trained_pairs.Pair, trained_pairs.interval
MODELS = ROOT / "zoo" / "models"


def family(k, name):
    """A family of one model of the zoo."""
    folder = MODELS / name
    config = json.loads((folder / "config.json").read_text())
    kept = Kept(config, load_file(folder / "model.safetensors"))
    return KeptFamily({"seed": k, "net": name.split("-")[0]}, {}, {"m00": kept})


@pytest.mark.claim
@pytest.mark.parametrize(
    ("names", "n_dependent"),
    [(("gpt-a", "gpt-b", "vit-a", "vit-b"), 0), (("gpt-a", "gpt-a-ft1", "vit-a"), 1)],
)
def test_pairs_of_one_architecture_are_counted(monkeypatch, names, n_dependent):
    kept = [family(k, name) for k, name in enumerate(names)]
    monkeypatch.setattr(trained_pairs, "families", lambda half: iter(kept))
    lines = trained_pairs.run()
    cells = [x.strip() for x in next(x for x in lines if x.startswith("| gpt")).split("|")]
    n_gpt = sum(x.startswith("gpt") for x in names)
    assert cells[2:5] == [str(n_gpt), "1", str(n_dependent)]
    (said,) = (x for x in lines if x.startswith("| verdict |"))
    assert said.rstrip("| ").endswith("NO" if n_dependent else "yes")


def test_intervals_are_wide_where_one_model_is_in_every_hit():
    """Twenty models: all pairs of one of them are hits, or as many pairs without one in common."""
    names = [f"{k:02d}" for k in range(20)]
    pairs = [Pair("net", key, "", "", {}) for key in combinations(names, 2)]
    weights = np.array(list(trained_pairs.times_drawn(pairs)))
    assert weights.mean() == pytest.approx(1 - 1 / 20, abs=0.01)  # of two, as often as drawn
    counts = np.ones(len(pairs))
    one = np.array([x.key[0] == "00" for x in pairs], dtype=float)
    spread = np.array([(int(x.key[0]) - int(x.key[1])) % 20 in (7, 13) for x in pairs], dtype=float)
    share, low, high = interval(weights, one, counts)
    assert (share, low) == (pytest.approx(0.1), pytest.approx(0.0))
    assert high > 0.25
    share, low, high = interval(weights, spread, counts)
    assert low > 0.03
    assert high < 0.2
