"""Claim: the vector that no disguise changes rests on the singular values of V O as they are."""

import numpy as np
import pytest

from tests.conftest import ROOT
from weightkin import open_model
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.gains import gain_before
from weightkin.sketch.invariant import singular_values

MODELS = ROOT / "zoo" / "models"


@pytest.mark.parametrize("name", ["llama-a", "moe-a"])  # each value is read by two heads
def testsingular_values_are_those_of_the_product(name):
    model = open_model(MODELS / name)
    axes = [x for x in read_anatomy(model).axes if x.kind == "vo"]
    for axis in axes:
        v, o = ({p.role: p for p in axis.places}[role] for role in ("attn.v", "attn.o"))
        values = model.rows(v.tensor).astype("f8") * gain_before(model, axis.stack, v)
        outputs = model.rows(o.tensor).astype("f8")
        n_kept, size, repeat = len(values) // axis.head_size, axis.head_size, o.repeat
        heads = outputs.reshape(len(outputs), n_kept, repeat, size)
        product = np.concatenate(
            [heads[:, :, r].reshape(len(outputs), -1) @ values for r in range(repeat)]
        )
        wanted = np.linalg.svd(product, compute_uv=False)[: len(values)]
        np.testing.assert_allclose(singular_values(model, axis), wanted, rtol=1e-4, atol=1e-6)
    assert axes
