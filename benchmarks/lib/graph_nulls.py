"""Null pairs of models whose axes come from a graph: cells, gates, state spaces, cross views."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.evasions import permute_units
from weightkin.formats import model_from_arrays

Arrays = dict[str, npt.NDArray[np.float32]]
Rng = np.random.Generator
Shapes = dict[str, tuple[int, ...]]
BLOCKS = 3


def _axis(block: int, n: int, cell: int, *places: Place) -> Axis:
    labels = f"graph.{block}.units"
    return Axis("units", "units", "graph", block, n, "", labels, places, head_size=cell)


def _in_groups(n: int, cell: int) -> tuple[list[Axis], Shapes]:
    """Two convolutions around channels that a norm takes in groups."""
    axes, shapes = [], {}
    for i in range(BLOCKS):
        shapes |= {f"{i}.in": (n, 6, 3), f"{i}.out": (8, n, 3), f"{i}.norm": (n,)}
        places = (Place(f"{i}.in", 0, 0, n, "w:0"), Place(f"{i}.out", 1, 0, n, "w:1"))
        axes.append(_axis(i, n, cell, *places, Place(f"{i}.norm", 0, 0, n, "b:2")))
    return axes, shapes


def _recurrent(n: int, gates: int) -> tuple[list[Axis], Shapes]:
    """Cells of several gates, each of which reads the one before: one label for all its gates."""
    axes, shapes, width = [], {}, 6
    for i in range(BLOCKS):
        shapes |= {f"{i}.w": (gates * n, width), f"{i}.r": (gates * n, n)}
        places = [Place(f"{i}.{x}", 0, 0, gates * n, f"{r}:{x}", outer=gates)
                  for x, r in (("w", "w"), ("r", "b"))]  # fmt: skip
        places += [Place(f"{i}.r", 1, 0, n, "b:columns")]
        if i + 1 < BLOCKS:  # its columns are read by a later label: no view
            places.append(Place(f"{i + 1}.w", 1, 0, n, "b:next"))
        axes.append(_axis(i, n, 0, *places))
        width = n
    shapes["head"] = (9, n)
    last = axes[-1]
    axes[-1] = _axis(BLOCKS - 1, n, 0, *last.places, Place("head", 1, 0, n, "w:head"))
    return axes, shapes


def _state_space(n: int) -> tuple[list[Axis], Shapes]:
    """Channels that a scan carries: two halves of one matrix, a kernel each, what reads them."""
    axes, shapes = [], {}
    for i in range(BLOCKS):
        shapes |= {f"{i}.in": (2 * n, 7), f"{i}.conv": (n, 1, 4), f"{i}.x": (6, n),
                   f"{i}.out": (7, n)}  # fmt: skip
        places = (
            Place(f"{i}.in", 0, 0, 2 * n, "w:0", outer=2),
            Place(f"{i}.conv", 0, 0, n, "w:1"),
            Place(f"{i}.x", 1, 0, n, "w:2"),
            Place(f"{i}.out", 1, 0, n, "w:3"),
        )
        axes.append(_axis(i, n, 0, *places))
    return axes, shapes


def _in_runs(n: int) -> tuple[list[Axis], Shapes]:
    """Channels that are flattened with their positions, and queries that share value heads."""
    axes = [
        _axis(0, n, 0, Place("conv", 0, 0, n, "w:0"), Place("flat", 1, 0, 4 * n, "w:1", inner=4)),
        _axis(1, n, n // 4, Place("v", 0, 0, n, "w:0"), Place("o", 1, 0, 2 * n, "w:1", repeat=2)),
    ]
    return axes, {"conv": (n, 3, 3), "flat": (9, 4 * n), "v": (n, 7), "o": (7, 2 * n)}


def gaussian(rng: Rng, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Independent normal entries."""
    return rng.standard_normal(shape, dtype=np.float32)


def heavy_tailed(rng: Rng, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Student t with two degrees of freedom: a few entries dominate every cosine."""
    return rng.standard_t(2, shape).astype(np.float32)


Net = Callable[[], tuple[list[Axis], Shapes]]
NETS: dict[str, Net] = {
    "channels in cells of 5": lambda: _in_groups(30, 5),
    "channels in cells of 2": lambda: _in_groups(24, 2),
    "recurrent, 4 gates": lambda: _recurrent(16, 4),
    "recurrent, 3 gates": lambda: _recurrent(16, 3),
    "state space": lambda: _state_space(20),
    "runs and repeats": lambda: _in_runs(16),
}
PAIRS = ("independent", "heavy-tailed", "one model in another order", "cells copied inside")


def fits(net: str, pair: str) -> bool:
    """Whether a net has what a sort of pair is about."""
    return pair != "cells copied inside" or any(x.head_size for x in NETS[net]()[0])


def null_pair(net: str, pair: str, rng: Rng) -> tuple[Side, Side]:
    """Two models whose labels say nothing about each other, however alike they are.

    Parameters
    ----------
    net : str
        One of `NETS`.
    pair : str
        One of `PAIRS`: unrelated values, or those of one model in an order drawn from its whole
        group, which is the hardest null there is.
    rng : Generator
        Source of the draw.

    Returns
    -------
    tuple of Side
        The two models.
    """
    axes, shapes = NETS[net]()
    draw = heavy_tailed if pair == "heavy-tailed" else gaussian
    anatomy = Anatomy("graph", (("graph", BLOCKS),), tuple(axes), ())
    a, b = ({name: draw(rng, shape) for name, shape in shapes.items()} for _ in range(2))
    if pair == "one model in another order":
        b = permute_units(a, anatomy, rng).arrays
    if pair == "cells copied inside":
        a, b = (_copied(x, axes, rng) for x in (a, b))
    return Side(model_from_arrays(a), anatomy), Side(model_from_arrays(b), anatomy)


def _copied(arrays: Arrays, axes: list[Axis], rng: Rng) -> Arrays:
    """All cells of an axis nearly as the first: they share their labels."""
    found = dict(arrays)
    for axis in axes:
        for place in axis.places:
            if axis.head_size and place.role.startswith("w:") and place.repeat == 1:
                x = np.moveaxis(found[place.tensor], place.dim, 0)
                cells = np.concatenate([x[: axis.head_size]] * (axis.n_units // axis.head_size))
                cells = cells + 0.1 * gaussian(rng, cells.shape)
                found[place.tensor] = np.ascontiguousarray(np.moveaxis(cells, 0, place.dim))
    return found
