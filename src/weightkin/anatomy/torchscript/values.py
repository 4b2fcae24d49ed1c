"""What a name of a program may stand for, beside plain numbers, texts and lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the graph."""

    name: str


class Unknown:
    """Anything."""


UNKNOWN = Unknown()


def tensors_in(value: object) -> Iterator[Tensor]:
    """All tensors in lists and arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for x in value:
            yield from tensors_in(x)
    elif isinstance(value, dict):
        for x in value.values():
            yield from tensors_in(x)
