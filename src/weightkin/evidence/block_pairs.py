"""Which axes of two models stand for each other: by stack, block and name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from weightkin.anatomy.types import Axis

BlockMap = dict[tuple[str, int], int]  # (stack, block of a) to block of b; empty: nothing moved


def pair_axes(
    axes_a: Sequence[Axis], axes_b: Sequence[Axis], block_map: BlockMap
) -> list[tuple[Axis, Axis]]:
    """Pair axes by stack, block (through the map) and name; an MLP meets all experts of a block.

    Parameters
    ----------
    axes_a, axes_b : sequence of Axis
        Axes of one kind of each model.
    block_map : dict of (str, int) to int
        Stack and block of a to block of b; others stay.

    Returns
    -------
    list of (Axis, Axis)
        In the order of a.
    """
    in_a: dict[tuple[str, int], list[Axis]] = defaultdict(list)
    in_b: dict[tuple[str, int], list[Axis]] = defaultdict(list)
    for axes, found in ((axes_a, in_a), (axes_b, in_b)):
        for axis in axes:
            found[axis.stack, axis.block].append(axis)
    pairs = []
    for (stack, block), here in in_a.items():
        there = in_b.get((stack, block_map.get((stack, block), block)), [])
        names = {axis.name: axis for axis in there}
        same = [(x, y) for x in here if (y := names.get(x.name)) and y.kind == x.kind]
        is_upcycled = not same and bool({"mlp"} & {axis.name for axis in [*here, *there]})
        pairs += [(x, y) for x in here for y in there] if is_upcycled else same
    return pairs


def block_name(axis: Axis) -> str:
    """Return ``decoder.3``, or the stack alone for a model-wide axis."""
    return axis.stack if axis.block < 0 else f"{axis.stack}.{axis.block}"
