"""Claim: the halves of a tensor are put in the order in which it is nearest to another model."""

from __future__ import annotations

import numpy as np

from weightkin.anatomy.roles import Piece
from weightkin.formats.memory import model_from_arrays
from weightkin.sketch.rearrange import in_order
from weightkin.sketch.take import take_sketch


def _sketch(x):
    return take_sketch(model_from_arrays({"x.weight": x.astype(np.float32)}))


def test_the_nearest_model_decides_not_any_that_is_nearer_by_chance(rng):
    own = rng.standard_normal((16, 8))
    turned = np.concatenate([own[8:], own[:8]])
    far = 0.3 * turned + rng.standard_normal((16, 8))  # nearer to the other order
    sketch = _sketch(own)
    (tensor,) = sketch.tensors.values()
    pieces = {"x.weight": {tensor.key: Piece("x.weight", "other", 0, ((8, 16), (0, 8)))}}

    def ordered(*others):
        (found,) = in_order(sketch, pieces, [_sketch(x) for x in others]).tensors.values()
        return found.values

    np.testing.assert_array_equal(ordered(own, far), own.astype(np.float32))
    np.testing.assert_array_equal(ordered(turned, far), turned.astype(np.float32))
    np.testing.assert_array_equal(ordered(far), turned.astype(np.float32))
