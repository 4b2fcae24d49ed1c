"""Cells of labels: what norms over groups, also of concatenations, leave together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from typing import Any, TypeAlias

from weightkin.anatomy.traced.sizes import Line, Sizes, leaves_of, number_under
from weightkin.catalogue.traced import Leaf, Mixture

Key: TypeAlias = tuple[int, tuple[int, ...], int]  # component, numbers of its scope, size


class Cells:
    """Sizes of the runs inside which the labels of a component may change places.

    Labels in ``fixed`` (inputs, outputs) say nothing about the groups of a norm. Where no config
    states their number, there may be twice as many as the class has by itself.
    """

    def __init__(
        self, sizes: Sizes, keys: Iterable[Key], config: Mapping[str, Any], fixed: Container[object]
    ) -> None:
        self._groups = {
            i: [number_under(g.key, config) or g.number for g in c.groups]
            for i, c in enumerate(sizes.entry.components)
            if c.groups
        }
        self._assumed = {
            i: {g.key for g in sizes.entry.components[i].groups if g.key}
            - {g.key for g in sizes.entry.components[i].groups if number_under(g.key, config)}
            for i in self._groups
        }
        self._cells: dict[Key, int] = {}
        self._sizes: dict[int, set[int]] = defaultdict(set)
        self._free: dict[int, set[int]] = defaultdict(set)
        self._solved = sizes
        keys = list(keys)
        for key in keys:
            component, _, size = key
            self._sizes[component].add(size)
            if key not in fixed:
                self._free[component].add(size)
        wrong = self._wrong()
        for key in keys:
            component, _, size = key
            groups = self._groups.get(component, ())
            is_odd = component in wrong or any(size % n for n in groups)
            self._cells[key] = 1 if is_odd else math.gcd(size, *self._runs(component, size))

    def _runs(self, component: int, size: int) -> list[int]:
        """Sizes of the groups into which a norm over a component may cut so many channels."""
        groups = self._groups.get(component, [])
        finer = [2 * n for n in groups] if self._assumed.get(component) else []
        return [size // n for n in [*groups, *finer] if size % n == 0]

    def _wrong(self) -> set[int]:
        """Components with numbers of groups that no config states and that are not the model's.

        A model in which they do not divide some width has others, under the same keys.
        """
        refuted = {
            key
            for i, own in self._assumed.items()
            for key in own
            if any(size % n for size in self._free[i] for n in self._groups[i])
        }
        return {i for i, own in self._assumed.items() if own & refuted}

    def of(self, key: Key) -> int:
        """Size of the cells of a label."""
        return self._cells[key]

    def cut(self, line: Line, *, is_sure: bool) -> None:
        """Cut what a normalisation of a concatenation cuts, at all offsets that are possible."""
        leaves = list(leaves_of(line.tree))
        concerned = [leaf for leaf in leaves if leaf.component in self._groups]
        if not concerned or len(line.tree) < 2:
            return
        runs = [run for leaf in concerned for run in self._runs(leaf.component, line.size)]
        if is_sure:
            self._at_offsets(line, runs)
            return
        for leaf in concerned:
            self._anywhere(leaf.component, line, runs)

    def give_up(self, mixture: Mixture) -> None:
        """Of a mixture nobody knows where it is cut."""
        for component in mixture.components:
            if component in self._groups:
                self._narrow(component, None, (1,))

    def _at_offsets(self, line: Line, runs: Iterable[int]) -> None:
        start = 0
        for part in line.tree:
            size = self._solved.of_part(part, line.known) or 0
            for leaf in (leaf for leaf in leaves_of((part,)) if leaf.component in self._groups):
                is_whole = len(part) == 1 and isinstance(part[0], Leaf)
                self._narrow(leaf.component, size, (*runs, start) if is_whole else (1,))
            start += size

    def _anywhere(self, component: int, line: Line, runs: Iterable[int]) -> None:
        if len(line.tree) != 2:
            self._narrow(component, None, (1,))
            return
        others = {size for leaf in leaves_of(line.tree) for size in self._sizes[leaf.component]}
        for size in list(self._sizes[component]):
            if line.size - size in others:
                self._narrow(component, size, (*runs, line.size - size))

    def _narrow(self, component: int, size: int | None, runs: Iterable[int]) -> None:
        for key, cell in self._cells.items():
            if key[0] == component and size in (None, key[2]):
                self._cells[key] = math.gcd(cell, *runs)
