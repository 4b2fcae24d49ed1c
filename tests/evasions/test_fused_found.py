"""Claim: copies whose heads are stored together are found, and on which basis: docs/limits.md."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evasions.real import build
from weightkin import evasions
from weightkin.api.compare import compare
from weightkin.formats import model_from_arrays

pytestmark = pytest.mark.claim
ALONE = (
    evasions.permute_residual,
    evasions.change_value_basis,
    evasions.rotate_queries_keys,
)
TOGETHER = (evasions.permute_units, evasions.permute_residual)
# family: what finds units permuted, and units and stream permuted; planes of models that were never
# trained do not show their layout
FOUND = {
    "neox": ("exact", "calibrated"),
    "falcon": ("calibrated", "calibrated"),
    "bloom": ("exact", "calibrated"),
    "mpt": ("exact", "exact"),
    "codegen": ("exact", "calibrated"),
    "bigcode": ("calibrated", "calibrated"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Return a function from a family to a base, a child of it and an unrelated model."""
    made = {}
    sizes = {"num_hidden_layers": 4, "hidden_size": 64, "vocab_size": 512}
    sizes |= dict.fromkeys(("intermediate_size", "ffn_hidden_size", "n_inner"), 192)

    def get(family):
        if family not in made:
            folder, rng = tmp_path_factory.mktemp("base"), np.random.default_rng(3)
            (base, config), (other, _) = (build(family, folder, s, **sizes) for s in (0, 1))
            child = {
                k: np.float32(x + 0.2 * x.std() * rng.normal(size=x.shape)) if x.ndim > 1 else x
                for k, x in base.items()
            }
            made[family] = config, base, child, other
        return made[family]

    return get


def hidden(arrays, config, *rewrites):
    for rewrite in rewrites:
        anatomy = evasions.whole_anatomy(model_from_arrays(arrays, config=config))
        changed = rewrite(arrays, anatomy, np.random.default_rng(7))
        arrays, config = changed.arrays, config | changed.config_changes
    return model_from_arrays(arrays, config=config)


@pytest.mark.parametrize("family", FOUND)
def test_copies_are_found_and_others_are_not(family, pair):
    config, base, child, other = pair(family)
    a = model_from_arrays(base, config=config)
    for rewrite in ALONE:
        record = compare(a, hidden(child, config, rewrite), seed=0)
        assert (record.verdict, record.basis) == ("dependent", "exact"), rewrite.__name__
    for rewrites, basis in zip((TOGETHER[:1], TOGETHER), FOUND[family], strict=True):
        record = compare(a, hidden(child, config, *rewrites), seed=0)
        assert (record.verdict, record.basis) == ("dependent", basis), rewrites
    everything = hidden(child, config, evasions.change_all)
    assert compare(a, everything, seed=0).basis == "calibrated"
    for rewrites in (TOGETHER, (evasions.change_all,)):
        assert compare(a, hidden(other, config, *rewrites), seed=0).verdict == "no-evidence"
