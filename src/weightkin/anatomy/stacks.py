"""The stacks of blocks of one network, each read with the entry that explains it best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weightkin.anatomy.naming import Reading, Stack, read_stack, split_names
from weightkin.anatomy.residual import assign_top
from weightkin.formats.model import TensorInfo

MAX_BLOCKS = 512  # of a stack: all of one model are paired with all of another


@dataclass(slots=True)
class Stacks:
    """What the names of one network show."""

    readings: list[Reading] = field(default_factory=list)
    unread: list[Stack] = field(default_factory=list)  # that no entry explains
    too_long: list[Stack] = field(default_factory=list)
    top: list[TensorInfo] = field(default_factory=list)  # outside the blocks
    n_left: int = 0  # stacks beyond those that are looked at: theirs are in ``top``


def read_stacks(tensors: Mapping[str, TensorInfo]) -> Stacks:
    """Split the tensors of one network into stacks, and read those that an entry explains."""
    stacks, top, n_left = split_names(tensors.values())
    found = Stacks(top=top, n_left=n_left)
    for stack in stacks:
        if len(stack.blocks) > MAX_BLOCKS:
            found.too_long.append(stack)
        elif (reading := read_stack(stack)) is not None:
            found.readings.append(reading)
        else:
            found.unread.append(stack)
    _name_stacks(found.readings, tensors)
    assign_top(found.readings, top)
    return found


def _name_stacks(readings: list[Reading], tensors: Mapping[str, TensorInfo]) -> None:
    """Name towers by what stands beside them, and number stacks that share a name."""
    seen: dict[str, int] = {}
    for reading in readings:
        for module, name in reading.entry.towers.items():
            if any(f"{root}{module}.weight" in tensors for root in reading.stack.roots[:-1]) or (
                len(readings) == 1 and f"{module}.weight" in tensors
            ):
                reading.name = name
        seen[reading.name] = seen.get(reading.name, 0) + 1
        if seen[reading.name] > 1:
            reading.name = f"{reading.name}.{seen[reading.name]}"
