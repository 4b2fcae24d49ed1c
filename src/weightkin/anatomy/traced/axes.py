"""From the labels of a model of a traced class to its axes, under names that two models share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from weightkin.anatomy.graph.axes import Carriers, UnitLabel, label_axes
from weightkin.anatomy.graph.units import all_units, carriers_of
from weightkin.anatomy.traced.instance import Instance
from weightkin.anatomy.traced.matching import Known, Shapes
from weightkin.anatomy.traced.sizes import leaves_of
from weightkin.anatomy.types import Axis, Place
from weightkin.catalogue.traced import Mixture, TracedEntry, is_number, without_kinds

MAX_AXES = 1 << 16
EXPERTS = ("experts", "#")  # the words before what every expert has


def traced_axes(
    entry: TracedEntry, instance: Instance, known: Sequence[Known], shapes: Shapes
) -> list[Axis]:
    """Return the axes of a model: its labels that have a view.

    Parameters
    ----------
    entry : TracedEntry
        Its class.
    instance : Instance
        Its labels.
    known : sequence of Known
        Its tensors.
    shapes : mapping of str to tuple of int
        Their shapes.

    Returns
    -------
    list of Axis
        A stack is what names begin with up to the numbers that tell its blocks apart; labels that
        cross blocks are stacks of one block.
    """
    return label_axes(named_labels(entry, instance, known), carriers_in(instance), shapes)


def carriers_in(instance: Instance) -> Carriers:
    """Which atoms may stand along each dimension of every tensor."""
    carriers = {name: list(own) for name, own in carriers_of(instance.labels).items()}
    for (tensor, dim), atoms in instance.mixed.items():
        carriers[tensor][dim] |= atoms
    return carriers


def named_labels(entry: TracedEntry, instance: Instance, known: Sequence[Known]) -> list[UnitLabel]:
    """Return every free label of a model, the `MAX_AXES` largest, under names that models share.

    Parameters
    ----------
    entry : TracedEntry
        Its class.
    instance : Instance
        Its labels.
    known : sequence of Known
        Its tensors.

    Returns
    -------
    list of UnitLabel
        With all their places.
    """
    names = _Names(entry, known)
    named = [
        names.named(label, instance.keys[atom])
        for atom, label in all_units(instance.labels)
        if atom in instance.keys
    ]
    largest = set(sorted(range(len(named)), key=lambda i: -named[i].n_units)[:MAX_AXES])
    return [x for i, x in enumerate(named) if i in largest]


class _Names:
    """Stacks, blocks and roles, all without what the names of one model begin with."""

    def __init__(self, entry: TracedEntry, known: Sequence[Known]) -> None:
        self.entry = entry
        self.base = _base(entry)
        self.known = {one.tensor: one for one in known}
        self.heads: dict[int, tuple[str, ...]] = {}  # words up to the last number of the scope
        blocks: dict[tuple[str, ...], set[tuple[int, ...]]] = {}
        for row in entry.rows:
            words = row.pattern.split(".")
            for component in _components(row.dims):
                scope = entry.components[component].scope
                self.heads.setdefault(component, _head(words, scope))
        free = Counter(head for i, head in self.heads.items() if entry.components[i].is_free)
        self.experts = {
            i: head[: head.index("#") + 1]
            for i, head in self.heads.items()
            if head[-len(EXPERTS) :] == EXPERTS and head.count("#") == 2 and free[head] == 1
        }  # by component: words up to the number of the block
        for head in {*self.heads.values(), *self.experts.values()}:
            scope = sum(map(is_number, head))
            blocks[head] = {
                one.numbers[:scope]
                for one in known
                if without_kinds(one.row.pattern.split(".")[: len(head)]) == head
            }
        self.ranks = {
            (head, numbers): rank
            for head, own in blocks.items()
            for rank, numbers in enumerate(sorted(own))
        }

    def named(self, label: UnitLabel, key: tuple[int, tuple[int, ...], int]) -> UnitLabel:
        """A label under the names of its component."""
        number, numbers, size = key
        component, head = self.entry.components[number], self.heads[number]
        index = label.name.partition(".")[2]
        name = ".".join(filter(None, (component.name, index)))
        places = tuple(replace(place, role=self._role(place, len(head))) for place in label.places)
        if number in self.experts:
            head = self.experts[number]
            return replace(
                label,
                stack=self._stack(head),
                block=self.ranks[head, numbers[:-1]],
                name=f"mlp.{numbers[-1]}",  # as where experts are known by name
                places=places,
            )
        if not head:
            stack = f"{component.name.removeprefix(self.base)}.{size}"
            return replace(label, stack=stack, block=0, places=places)
        if not component.has_one_size:
            name = f"{name}.{size}"
        return replace(
            label,
            stack=self._stack(head),
            block=self.ranks[head, numbers],
            name=name,
            places=places,
        )

    def _stack(self, head: Sequence[str]) -> str:
        return ".".join(word for word in head if not is_number(word)).removeprefix(self.base)

    def _role(self, place: Place, n_words: int) -> str:
        """The tensor as its class calls it, below the block; the dimension, and where it starts."""
        name = self.known[place.tensor].name
        rest = ".".join(name.split(".")[n_words:]) if n_words else name.removeprefix(self.base)
        start = f"+{place.start // place.size}" if place.start else ""
        return f"{rest}.{place.dim}{start}"


def _base(entry: TracedEntry) -> str:
    """The module that holds all numbered lists: models of the class are saved without it too."""
    first = {row.pattern.split(".")[0] for row in entry.rows if "#" in row.pattern}
    (word, *others) = first or {"#"}
    return "" if others or is_number(word) else f"{word}."


def _components(dims: Sequence[object]) -> Iterator[int]:
    for dim in dims:
        if not isinstance(dim, Mixture):
            yield from (leaf.component for leaf in leaves_of(dim))  # type: ignore[arg-type]


def _head(words: Sequence[str], scope: int) -> tuple[str, ...]:
    if not scope:
        return ()
    at = [i for i, word in enumerate(words) if is_number(word)][scope - 1]
    return without_kinds(words[: at + 1])


def reach(axes: Sequence[Axis], shapes: Mapping[str, tuple[int, ...]]) -> float:
    """Share of all parameters of a model that stand on places of its axes."""
    shares: dict[str, dict[int, float]] = {}
    for axis in axes:
        for place in axis.places:
            shape = shapes.get(place.tensor, ())
            own = shape if place.index is None else shape[1:]
            if place.dim >= len(own) or not own[place.dim]:
                continue
            part = place.size / own[place.dim] / (1 if place.index is None else shape[0])
            row = shares.setdefault(place.tensor, {})
            row[place.dim] = row.get(place.dim, 0.0) + part
    total = sum(math.prod(shape) for shape in shapes.values())
    reached = sum(
        min(1.0, max(row.values())) * math.prod(shapes[name]) for name, row in shares.items()
    )
    return reached / total if total else 0.0
