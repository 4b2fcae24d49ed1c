"""What averaging leaves in a model: positions that are no whole numbers any more.

Checkpoints of diffusion models hold the positions of the text encoder as a tensor. Interfaces that
merge models average it like any other: position 76 becomes 75.9975.
"""

from __future__ import annotations

import math

import numpy as np

from weightkin.formats import Model
from weightkin.records import Clue, clue

ENDING = "position_ids"
FLOATS = ("F64", "F32", "F16", "BF16")
MOST = 4096  # positions of one tensor
MOST_TENSORS = 16
FARTHEST = 1.0  # from the whole number that a position was


def averaged_positions(model: Model, name: str) -> tuple[Clue, ...]:
    """Positions of a model that are no whole numbers: evidence that it was merged.

    Parameters
    ----------
    model : Model
        The open model.
    name : str
        What the evidence calls it.

    Returns
    -------
    tuple of Clue
        One, for the first tensor of positions that shows it; or none.
    """
    if model.sketched is not None:
        return ()
    held = [x for n, x in model.tensors.items() if n.endswith(ENDING) and x.dtype in FLOATS]
    for info in held[:MOST_TENSORS]:
        if not 0 < math.prod(info.shape) <= MOST:
            continue
        values = model.rows(info.name).reshape(-1).astype(np.float64)
        off = np.abs(values - np.arange(len(values)))
        is_position = np.isfinite(off).all() and off.max() <= FARTHEST
        if is_position and (values != np.round(values)).any():
            at = int(off.argmax())
            found = round(float(values[at]), 6)
            return (clue("averaged-positions", model=name, tensor=info.name, value=found, at=at),)
    return ()
