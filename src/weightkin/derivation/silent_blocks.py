"""Blocks that write next to nothing to the residual stream: they leave a model as it is."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from weightkin.sketch.types import Sketch

WRITERS = ("attn.o", "mlp.down")
MIN_SHARE_OF_MEDIAN = 1e-3  # of the size of a writer in the median block


def silent_blocks(sketch: Sketch) -> frozenset[tuple[str, int]]:
    """Blocks of which every matrix that writes is next to nothing, biases included.

    Next to nothing is a typical entry under a thousandth of that in the median block of the stack.
    Blocks that do not show both an attention's and an MLP's writer are none, nor are any where the
    median block writes nothing.

    Parameters
    ----------
    sketch : Sketch
        Of a model.

    Returns
    -------
    frozenset of (str, int)
        Stack and number.
    """
    sizes: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)  # by stack and role
    for tensor in sketch.tensors.values():
        if tensor.role in WRITERS and tensor.block >= 0 and tensor.n_finite:
            size = float(np.sqrt(tensor.sum_squares / tensor.n_finite))
            here = sizes[tensor.stack, tensor.role]
            here[tensor.block] = max(here.get(tensor.block, 0.0), size)
    found: dict[tuple[str, int], int] = defaultdict(int)
    for (stack, _), by_block in sizes.items():
        cut = MIN_SHARE_OF_MEDIAN * float(np.median(list(by_block.values())))
        for block, size in by_block.items():
            found[stack, block] += size <= cut and cut > 0
    return frozenset(block for block, n in found.items() if n == len(WRITERS))
