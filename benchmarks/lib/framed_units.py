"""Units put in an order in which they match those of another model, as both see tokens.

Nothing but the order of units changes, so outputs stay. Most units match in one direction only, or
in one view: they bring small p-values. A few that match both ways in the widest view are chosen by
how much more alike they are than all others, so that the effect is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.views import frames, token_views
from weightkin.formats import Model, model_from_arrays
from weightkin.stats.matching import unit_rows

NUMBERS = (2, 4, 8, 16, 32, 64, 256, 10**6)  # of units that may match both ways
AGREED = 0.4  # share of them that another view confirms
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Block:
    axis: Axis  # of the model that is reordered
    cosines: list[Doubles]  # of each view, widest first
    is_gated: bool

    def one_way(self, view: int) -> tuple[Bools, Bools]:
        """Best matches of the rows, and of the columns."""
        x = self.cosines[view]
        rows, columns = np.zeros(x.shape, bool), np.zeros(x.shape, bool)
        rows[np.arange(len(x)), x.argmax(axis=1)] = True
        columns[x.argmax(axis=0), np.arange(x.shape[1])] = True
        return rows, columns


def reordered_units(a: Model, b: Model) -> Iterator[Model]:
    """The second model with its units in several orders, each with more units that match both ways.

    Parameters
    ----------
    a, b : Model
        Unrelated models of one shape.

    Yields
    ------
    Model
        In memory.
    """
    blocks = list(_blocks(a, b))
    found = sorted(_mutual(blocks), key=lambda x: -x[0])
    for n in NUMBERS:
        chosen = _chosen(found, n, has_views=any(len(x.cosines) > 1 for x in blocks))
        if chosen is not None:
            yield _moved(b, blocks, chosen)


def _blocks(a: Model, b: Model) -> Iterator[_Block]:
    side_a, side_b = (Side(x, read_anatomy(x)) for x in (a, b))
    seen = frames((a, side_a.anatomy), (b, side_b.anatomy), 0)
    for x, y in zip(side_a.axes("units"), side_b.axes("units"), strict=True):
        ours = token_views(a, x, seen[0], x.n_units)
        theirs = token_views(b, y, seen[1], y.n_units)
        roles = sorted((x for x in ours if x in theirs), key=lambda x: -ours[x].shape[1])
        cosines = [unit_rows(ours[r]) @ unit_rows(theirs[r]).T for r in roles]
        if cosines and x.n_units == y.n_units:
            yield _Block(y, [np.asarray(c, np.float64) for c in cosines], x.is_gated)


def _mutual(blocks: Sequence[_Block]) -> Iterator[tuple[float, bool, int, int, int]]:
    """Units that match both ways: ratio to the best others, whether a view agrees, block, units."""
    for k, block in enumerate(blocks):
        rows, columns = block.one_way(0)
        agreed = np.zeros(rows.shape, bool)
        for view in range(1, len(block.cosines)):
            agreed |= np.logical_and(*block.one_way(view))
        x = block.cosines[0]
        for i, j in zip(*np.nonzero(rows & columns), strict=True):
            others = 0.5 * (np.delete(x[i], j).max() + np.delete(x[:, j], i).max())
            yield float(x[i, j] / max(others, 0.01)), bool(agreed[i, j]), k, int(i), int(j)


def _chosen(
    found: Sequence[tuple[float, bool, int, int, int]], n: int, *, has_views: bool
) -> list[tuple[int, int, int]] | None:
    """The n that stand out most, enough of them agreed on; None where these are not there."""
    agreed = [x for x in found if x[1] or not has_views]
    n_agreed = max(1, math.ceil(AGREED * n))
    if n < NUMBERS[-1] and (len(agreed) < n_agreed or len(found) < n):
        return None
    first = agreed[:n_agreed]
    rest = [x for x in found if x not in first][: n - len(first)]
    return [x[2:] for x in (*first, *rest)]


def _moved(model: Model, blocks: Sequence[_Block], chosen: Sequence[tuple[int, int, int]]) -> Model:
    from scipy.optimize import linear_sum_assignment

    arrays = {name: np.array(model.rows(name)) for name in model.tensors}
    for k, block in enumerate(blocks):
        view = min(1, len(block.cosines) - 1)  # of two views the second brings the evidence
        forward, backward = block.one_way(view)
        worth = forward + 1e-3 * backward - 50.0 * np.logical_and(*block.one_way(0))
        for at, i, j in chosen:
            if at == k:
                worth[i, j] = 1e6
        order = linear_sum_assignment(-worth)[1]
        for place in block.axis.places:
            x = arrays[place.tensor]
            where = np.arange(x.shape[place.dim])
            where[place.start : place.start + place.size] = place.start + order
            arrays[place.tensor] = np.ascontiguousarray(np.take(x, where, axis=place.dim))
    return model_from_arrays(arrays, name=f"{model.name} reordered", config=model.config)
