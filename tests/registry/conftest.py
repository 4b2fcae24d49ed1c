"""Folders of small simulated models: a family, a disguised copy, a stranger; and many strangers."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.lineage.simulated import CONFIG, base, low_rank_drift, model, trained_on
from weightkin import read_anatomy
from weightkin.evasions import permute_residual, permute_units


def write(folder, arrays, config=CONFIG):
    folder.mkdir(parents=True)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """Root -> child -> grandchild, a sibling of child, a permuted copy of root, a stranger."""
    folder = tmp_path_factory.mktemp("family")
    rng = np.random.default_rng(11)
    root = base(rng)

    def trained(x):
        return trained_on(x, rng, size=0.02, drift=low_rank_drift(x, rng, 0.1))

    child = trained(root)
    write(folder / "root", root)
    write(folder / "child", child)
    write(folder / "grandchild", trained(child))
    write(folder / "sibling", trained(root))
    anatomy = read_anatomy(model("root", root))
    hidden = permute_residual(permute_units(root, anatomy, rng).arrays, anatomy, rng).arrays
    write(folder / "hidden", hidden)
    write(folder / "stranger", base(rng))
    return folder


@pytest.fixture(scope="session")
def crowd(tmp_path_factory):
    """Sixteen small strangers."""
    folder = tmp_path_factory.mktemp("crowd")
    rng = np.random.default_rng(12)
    return [write(folder / f"m{k:02d}", base(rng)) for k in range(16)]
