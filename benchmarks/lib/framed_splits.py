"""Units split so that one piece shows tokens what a unit of another model does: outputs stay.

A gated unit (gate g, up u, down d) becomes (g, v, d) and (g, u - v, d), a plain one (up u, down d)
becomes (u, w) and (u, d - w), whatever v and w are. Here they are fitted, by least squares through
the model's own embedding, to what the other model's unit shows whose gate (or up row) is most like
this one's. Nothing of the other model is copied.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.evidence.views import TokenRows, frames, token_views
from weightkin.formats import Model, model_from_arrays
from weightkin.stats.matching import unit_rows

LENGTH = 1e-2  # of a fitted row, to that of the row that is split
WIDTHS = ("intermediate_size", "n_inner")
Arrays = dict[str, npt.NDArray[np.float32]]


def split_to_match(a: Model, b: Model, seed: int = 0) -> Model:
    """The second model with its units split and shuffled, fitted to the first.

    Parameters
    ----------
    a, b : Model
        Unrelated models of one shape, of gated or plain MLPs over the same tokens.
    seed : int
        Of the order of units.

    Returns
    -------
    Model
        In memory; twice as many units in every block.
    """
    side_a, side_b = (Side(x, read_anatomy(x)) for x in (a, b))
    seen = frames((a, side_a.anatomy), (b, side_b.anatomy), 0)
    arrays: Arrays = {name: np.array(b.rows(name)) for name in b.tensors}
    rng = np.random.default_rng(seed)
    n = 0
    for x, y in zip(side_a.axes("units"), side_b.axes("units"), strict=True):
        _split(arrays, (side_a, side_b), (x, y), (seen[0], seen[1]), rng)
        n = 2 * y.n_units
    config = {k: n if k in WIDTHS else v for k, v in b.config.items()}
    return model_from_arrays(arrays, name=f"{b.name} split", config=config)


def _split(
    arrays: Arrays,
    sides: tuple[Side, Side],
    axes: tuple[Axis, Axis],
    seen: tuple[TokenRows, TokenRows],
    rng: np.random.Generator,
) -> None:
    """All units of one block in two."""
    ours, theirs = (
        token_views(s.model, x, f, x.n_units) for s, x, f in zip(sides, axes, seen, strict=True)
    )
    kept, free = ("mlp.gate", "mlp.up") if axes[0].is_gated else ("mlp.up", "mlp.down")
    partner: Ints = (unit_rows(theirs[kept]) @ unit_rows(ours[kept]).T).argmax(axis=1)
    places = {p.role: p for p in axes[1].places if _is_matrix(sides[1].model, p)}
    table = seen[1].outputs if free == "mlp.down" else seen[1].inputs
    if table is None:
        raise ValueError("a model without tokens")
    if free == "mlp.up":
        table = table * gain_before(sides[1].model, axes[1].stack, places[free])
    rows = {role: _rows(arrays, p) for role, p in places.items()}
    wanted = ours[free][partner] - ours[free][partner].mean(axis=1, keepdims=True)
    table = (table - table.mean(axis=0)).astype(np.float64)
    piece = np.linalg.lstsq(table, wanted.T.astype(np.float64), rcond=None)[0].T
    sizes = np.linalg.norm(rows[free], axis=1) / np.linalg.norm(piece, axis=1)
    piece = (LENGTH * sizes[:, None] * piece).astype(np.float32)
    order = rng.permutation(2 * axes[1].n_units)
    for place in axes[1].places:
        x = arrays[place.tensor]
        if place.role == free and place.tensor == places[free].tensor:
            both = np.concatenate([piece, rows[free] - piece])[order]
            arrays[place.tensor] = both if place.dim == 0 else np.ascontiguousarray(both.T)
            continue
        twice = np.concatenate([x, x], axis=place.dim)
        arrays[place.tensor] = np.ascontiguousarray(np.take(twice, order, axis=place.dim))


def _is_matrix(model: Model, place: Place) -> bool:
    return len(model.tensors[place.tensor].shape) == 2


def _rows(arrays: Mapping[str, Floats], place: Place) -> Floats:
    x = arrays[place.tensor]
    return x if place.dim == 0 else x.T
