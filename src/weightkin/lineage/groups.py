"""Disjoint groups that grow by joining."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Groups(Generic[T]):
    """Disjoint groups that grow by joining: union-find."""

    def __init__(self, items: Iterable[T]) -> None:
        self._above = {x: x for x in items}

    def are_one(self, x: T, y: T) -> bool:
        """Whether two items have been joined."""
        return self._leader(x) == self._leader(y)

    def join(self, x: T, y: T) -> None:
        """Make the groups of two items one."""
        self._above[self._leader(y)] = self._leader(x)

    def all(self) -> list[list[T]]:
        """All groups; items in the order they were given."""
        groups: dict[T, list[T]] = defaultdict(list)
        for x in self._above:
            groups[self._leader(x)].append(x)
        return list(groups.values())

    def _leader(self, x: T) -> T:
        while self._above[x] != x:
            self._above[x] = self._above[self._above[x]]
            x = self._above[x]
        return x
