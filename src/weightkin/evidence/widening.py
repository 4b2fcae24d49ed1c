"""More rows to see units through, for models that read a few patches instead of many tokens.

What a block writes when all of its heads attend to one row is a vector of the residual stream too:
E (V O) summed over heads. It turns with the stream, and does not change when heads are permuted,
V/O dimensions are mixed or their signs flipped.
"""

from __future__ import annotations

import numpy as np

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, Place
from weightkin.evidence.sample import view_places
from weightkin.evidence.views import Frame, unit_rows_of
from weightkin.stats.matching import Floats


def widened(side: Side, frame: Frame) -> Frame:
    """A frame with the rows that each block's attention writes for each of its rows.

    Both readers and writers are seen through these rows: a writer's inner product with a vector of
    the stream is as blind to rotation as a reader's.
    """
    rows = [frame.heard]
    for axis in side.axes("vo"):
        attended = _attended(side, axis, frame.heard)
        if attended is not None:
            rows.append(attended)
    everything = np.concatenate(rows)
    return Frame(everything, everything)


def _attended(side: Side, axis: Axis, rows: Floats) -> Floats | None:
    """What one block writes for each row when all heads look at it; None without both matrices."""
    places: dict[str, Place] = {p.role: p for p in view_places(side.model, axis)}
    if "attn.v" not in places or "attn.o" not in places or places["attn.o"].repeat != 1:
        return None
    v, o = (unit_rows_of(side.model, places[r], 0, axis.n_units) for r in ("attn.v", "attn.o"))
    width = rows.shape[1]
    if v is None or o is None or v.shape[1] != width or o.shape[1] != width:
        return None
    gain = gain_before(side.model, axis.stack, places["attn.v"])
    return np.asarray((rows * gain) @ v.T @ o, dtype=np.float32)
