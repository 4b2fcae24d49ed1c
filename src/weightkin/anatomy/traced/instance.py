"""A traced class in one model: from names and shapes to the labels of every dimension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from weightkin.anatomy.graph import labels as literal
from weightkin.anatomy.graph.labels import Atom, Labels
from weightkin.anatomy.traced.cells import Cells, Key
from weightkin.anatomy.traced.matching import Known, Shapes
from weightkin.anatomy.traced.sizes import (
    Contradiction,
    Line,
    Sizes,
    leaves_of,
    solve,
)
from weightkin.catalogue.traced import Component, Dim, Factor, Leaf, Mixture, Part, TracedEntry

Where: TypeAlias = tuple[str, int]  # tensor and dimension

MAX_LABELS = 1 << 17


@dataclass(frozen=True, slots=True)
class Instance:
    """Labels of one model, and which component each of its atoms is.

    ``mixed`` are dimensions of which only some atoms are known that stand there, nobody knows
    where; in ``labels`` such a dimension is a fixed one.
    """

    labels: Labels
    keys: Mapping[int, Key]
    mixed: Mapping[Where, frozenset[int]]


@dataclass(slots=True)
class _Draft:
    """What is known so far."""

    entry: TracedEntry
    sizes: Sizes
    lines: list[Line] = field(default_factory=list)
    single: list[tuple[Where, Leaf, Known, int]] = field(default_factory=list)
    ruled: list[tuple[Known, Leaf]] = field(default_factory=list)  # leaves that a rule fixes
    mixtures: list[tuple[Where, Mixture, Known]] = field(default_factory=list)
    fixed: set[tuple[int, tuple[int, ...], int | None]] = field(default_factory=set)


def instantiate(
    entry: TracedEntry, known: Sequence[Known], shapes: Shapes, config: Mapping[str, Any]
) -> Instance:
    """Return the labels of a model of a traced class.

    Parameters
    ----------
    entry : TracedEntry
        The class.
    known : sequence of Known
        Its tensors, in the order in which labels are to be numbered.
    shapes : mapping of str to tuple of int
        Their shapes.
    config : mapping
        The part of the model's config that is about the class; may be empty.

    Returns
    -------
    Instance
        What cannot be solved is fixed.

    Raises
    ------
    Contradiction
        The shapes do not fit the class.
    """
    draft = _Draft(entry, Sizes(entry))
    for one in known:
        _sort(draft, one, shapes[one.tensor])
    for _, leaf, one, size in draft.single:
        if (variable := draft.sizes.variable(leaf, one)) is not None:
            draft.sizes.state(variable, size)
    unsolved = solve(entry, draft.sizes, draft.lines, config)
    joined = [line for line in unsolved if _is_joined(line.tree)]
    for line in unsolved:
        if line not in joined:
            _fix_all(draft, line)
    return _labels(draft, joined, known, shapes, config)


def _sort(draft: _Draft, known: Known, shape: tuple[int, ...]) -> None:
    """Sort the dimensions of a tensor by what has to be done about them."""
    for i, (dim, size) in enumerate(zip(known.row.dims, shape, strict=True)):
        where = known.tensor, i
        if size == 1:
            continue
        if isinstance(dim, Mixture):
            draft.mixtures.append((where, dim, known))
            continue
        if dim == ((),):
            raise Contradiction(f"{known.tensor} has another shape")
        ruled = [leaf for leaf in leaves_of(dim) if _is_ruled(leaf, known)]
        if len(dim) == 1 and len(dim[0]) == 1 and isinstance(leaf := dim[0][0], Leaf):
            if ruled and leaf.fixed != "always":  # what stands here may be something else
                draft.fixed.add((*_scoped(draft.entry, leaf, known), size))
                continue
            draft.single.append((where, leaf, known, size))
            if ruled:
                draft.fixed.add((*_scoped(draft.entry, leaf, known), size))
        elif any(leaf.fixed != "always" for leaf in ruled):
            draft.fixed.update((*_scoped(draft.entry, leaf, known), None) for leaf in ruled)
        else:
            draft.lines.append(Line(known, i, dim, size))
            draft.ruled += [(known, leaf) for leaf in ruled]


def _scoped(entry: TracedEntry, leaf: Leaf, known: Known) -> tuple[int, tuple[int, ...]]:
    return leaf.component, known.numbers[: entry.components[leaf.component].scope]


def _is_ruled(leaf: Leaf, known: Known) -> bool:
    """Whether a leaf is fixed at this tensor."""
    match leaf.fixed:
        case "always":
            return True
        case "first":
            return known.is_first[leaf.position]
        case "last":
            return known.is_last[leaf.position]
    return False


def _is_joined(dim: Dim) -> bool:
    """Whether a dimension is single labels joined end to end."""
    return len(dim) > 1 and all(len(part) == 1 and isinstance(part[0], Leaf) for part in dim)


def _fix_all(draft: _Draft, line: Line) -> None:
    for leaf in leaves_of(line.tree):
        draft.fixed.add((*_scoped(draft.entry, leaf, line.known), None))


def _labels(
    draft: _Draft,
    joined: Sequence[Line],
    known: Sequence[Known],
    shapes: Shapes,
    config: Mapping[str, Any],
) -> Instance:
    writer = _Writer(draft)
    unsure = {(line.known.tensor, line.dim) for line in joined}
    singles = {where: (leaf, size) for where, leaf, _, size in draft.single}
    lines = {(line.known.tensor, line.dim): line for line in draft.lines}
    dims: dict[str, tuple[literal.Dim, ...]] = {}
    for one in known:
        own: list[literal.Dim] = []
        for i, size in enumerate(shapes[one.tensor]):
            where = one.tensor, i
            line = lines.get(where)
            if size == 1:
                own.append(((),))
            elif where in singles:
                leaf, _ = singles[where]
                own.append(((writer.atom(leaf, one, size),),))
            elif line is not None and where not in unsure and writer.is_sized(line.tree, one):
                own.append(writer.tree(line.tree, one))
            else:
                own.append(((writer.anonymous(size),),))
        dims[one.tensor] = tuple(own)
    for one, leaf in draft.ruled:
        draft.fixed.add((*_scoped(draft.entry, leaf, one), draft.sizes.of(leaf, one)))
    cells = Cells(draft.sizes, writer.numbers, config, draft.fixed)
    for line in draft.lines:
        cells.cut(line, is_sure=(line.known.tensor, line.dim) not in unsure)
    for _, mixture, _ in draft.mixtures:
        cells.give_up(mixture)
    mixed = {
        (line.known.tensor, line.dim): frozenset(
            atom for leaf in leaves_of(line.tree) for atom in writer.of_component(leaf.component)
        )
        for line in joined
    }
    for where, mixture, _ in draft.mixtures:
        mixed[where] = frozenset(
            atom for component in mixture.components for atom in writer.of_component(component)
        )
    return Instance(Labels(writer.atoms(cells), dims), writer.keys(), mixed)


class _Writer:
    """Numbers the labels in the order in which they are asked for."""

    def __init__(self, draft: _Draft) -> None:
        self.draft = draft
        self.numbers: dict[Key, int] = {}
        self._fixed: dict[int, int] = {}  # atom of no component: size
        self._n = 0

    def atom(self, leaf: Leaf, known: Known, size: int) -> int:
        """Number of the label of a leaf."""
        key = (*_scoped(self.draft.entry, leaf, known), size)
        if key not in self.numbers:
            if self._n >= MAX_LABELS:
                raise Contradiction("too many labels")
            self.numbers[key] = self._n
            self._n += 1
        return self.numbers[key]

    def anonymous(self, size: int) -> int:
        """A fixed atom of its own."""
        self._n += 1
        self._fixed[self._n - 1] = size
        return self._n - 1

    def is_sized(self, dim: Dim, known: Known) -> bool:
        """Whether all leaves of a tree have a size."""
        return all(self.draft.sizes.of(leaf, known) is not None for leaf in leaves_of(dim))

    def tree(self, dim: Dim, known: Known) -> literal.Dim:
        """A tree of components as one of labels."""
        return tuple(self._part(part, known) for part in dim)

    def _part(self, part: Part, known: Known) -> literal.Part:
        found: list[literal.Factor] = []
        for factor in part:
            size = self.draft.sizes.of(factor, known) or 1
            if size > 1:
                found.append(self._factor(factor, known, size))
        return tuple(found)

    def _factor(self, factor: Factor, known: Known, size: int) -> literal.Factor:
        if isinstance(factor, Leaf):
            return self.atom(factor, known, size)
        return self.tree(factor, known)

    def of_component(self, component: int) -> Iterator[int]:
        """All labels of a component."""
        return (atom for key, atom in self.numbers.items() if key[0] == component)

    def keys(self) -> dict[int, Key]:
        """The component, numbers and size of every label."""
        return {atom: key for key, atom in self.numbers.items()}

    def atoms(self, cells: Cells) -> dict[int, Atom]:
        """Every label with its group."""
        found = {n: Atom(size, is_free=False) for n, size in self._fixed.items()}
        for key, n in self.numbers.items():
            component, numbers, size = key
            facts = self.draft.entry.components[component]
            cell = cells.of(key)
            stuck = {(component, numbers, size), (component, numbers, None)} & self.draft.fixed
            found[n] = Atom(
                size=size,
                is_free=facts.is_free and not stuck and cell != 1,
                cells=(cell,) * (size // cell) if 1 < cell < size else (),
                within=tuple(sorted(self._within(facts, numbers))),
            )
        return dict(sorted(found.items()))

    def _within(self, facts: Component, numbers: tuple[int, ...]) -> Iterator[int]:
        for other in facts.within:
            scope = self.draft.entry.components[other].scope
            size = self.draft.sizes.values.get((other, numbers[:scope]))
            key = (other, numbers[:scope], size or 0)
            if scope <= len(numbers) and key in self.numbers:
                yield self.numbers[key]
