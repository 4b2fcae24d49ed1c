"""Claim: a network that two models share is named, and is never the lineage of the whole."""

import ml_dtypes
import numpy as np
import pytest

from weightkin import compare
from weightkin.report.sentences import one_line

WIDTH = 32


def network(rng, prefix, n_blocks=3):
    """Blocks of two matrices of no known architecture."""
    return {
        f"{prefix}.{i}.{name}.weight": rng.standard_normal((WIDTH, 2 * WIDTH)).astype(np.float32)
        for i in range(n_blocks)
        for name in ("one", "two")
    }


def narrow(arrays):
    return {name: x.astype(ml_dtypes.bfloat16) for name, x in arrays.items()}


@pytest.mark.parametrize("stored", [dict, narrow])
@pytest.mark.parametrize("name", ["text.blocks", "other.name.blocks"])
def test_one_frozen_network_beside_others_is_a_shared_part(rng, stored, name):
    frozen = network(rng, "text.blocks")
    a = frozen | network(rng, "unet.layers", 4)
    renamed = {key.replace("text.blocks", name): x for key, x in frozen.items()}
    b = stored(renamed | network(rng, "unet.layers", 4))
    record = compare(a, b)
    assert (record.verdict, record.basis, record.kind) == ("dependent", "equal", ("shared-part",))
    assert record.kind_details["parts"] == ["text"]
    assert record.kind_details["others"] == ["unet"]
    parts = {part.name: part.verdict for part in record.parts}
    assert parts == {"text": "dependent", "unet": "not-testable"}
    assert "in text only" in one_line(record)
    assert record.direction.parent == "undetermined"


def test_values_that_were_changed_prove_nothing(rng):
    frozen = network(rng, "text.blocks")
    moved = {name: x * np.float32(1.01) for name, x in frozen.items()}
    a, b = (x | network(rng, "unet.layers", 4) for x in (frozen, moved))
    assert compare(a, b).verdict == "not-testable"


def test_equal_networks_of_one_stack_of_blocks_are_no_shared_part(rng):
    a = network(rng, "layers", 6)
    b = {name: x if "layers.5" not in name else -x for name, x in a.items()}
    record = compare(a, b)
    assert record.kind != ("shared-part",)


def test_networks_that_differ_share_nothing(rng):
    a, b = (network(rng, "text.blocks") | network(rng, "unet.layers") for _ in range(2))
    record = compare(a, b)
    assert record.verdict == "not-testable"
    assert not record.equal.share
