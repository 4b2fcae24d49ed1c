"""Sizes of the labels of a traced class in one model, solved from the shapes and its config."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightkin.anatomy.traced.matching import Known
from weightkin.catalogue.traced import Component, Dim, Factor, Leaf, TracedEntry

Variable = tuple[int, tuple[int, ...]]  # a component and the numbers of its scope
MAX_ROUNDS = 16


class Contradiction(Exception):  # noqa: N818 (not an error: the entry does not fit the model)
    """Shapes disagree with the patterns."""


@dataclass(frozen=True, slots=True)
class Line:
    """One dimension of one tensor, with several leaves: its size, and whose it is."""

    known: Known
    dim: int
    tree: Dim
    size: int


class Sizes:
    """Sizes of all components that have one for equal numbers."""

    def __init__(self, entry: TracedEntry) -> None:
        self.entry = entry
        self.values: dict[Variable, int] = {}

    def variable(self, leaf: Leaf, known: Known) -> Variable | None:
        """The unknown that a leaf is, None where shapes give it no single size."""
        component = self.entry.components[leaf.component]
        if not component.has_one_size:
            return None
        return leaf.component, known.numbers[: component.scope]

    def state(self, variable: Variable, size: int) -> None:
        """Note a size that is certain."""
        if self.values.setdefault(variable, size) != size:
            raise Contradiction(f"{self.entry.components[variable[0]].name} has two sizes")

    def of(self, factor: Factor, known: Known) -> int | None:
        """Size of a leaf or a tree, None where it is not known."""
        if isinstance(factor, Leaf):
            variable = self.variable(factor, known)
            return None if variable is None else self.values.get(variable)
        total = 0
        for part in factor:
            own = self.of_part(part, known)
            if own is None:
                return None
            total += own
        return total

    def of_part(self, part: Iterable[Factor], known: Known) -> int | None:
        """Size of a product."""
        product = 1
        for factor in part:
            size = self.of(factor, known)
            if size is None:
                return None
            product *= size
        return product


def solve(
    entry: TracedEntry, sizes: Sizes, lines: Iterable[Line], config: Mapping[str, Any]
) -> list[Line]:
    """Solve for all sizes, first from shapes alone; return the lines that stay unknown or wrong.

    Parameters
    ----------
    entry : TracedEntry
        The class.
    sizes : Sizes
        What single leaves say already; the solution is added.
    lines : iterable of Line
        All other dimensions.
    config : mapping
        That part of the model's config that is about the class.

    Returns
    -------
    list of Line
        Whose leaves do not all have a size, or whose sizes do not give theirs.

    Raises
    ------
    Contradiction
        Shapes alone disagree with each other.
    """
    waiting = _rounds(sizes, list(lines))
    for line in waiting:
        for leaf in leaves_of(line.tree):
            variable = sizes.variable(leaf, line.known)
            if variable is not None and variable not in sizes.values:
                stated = stated_size(entry.components[leaf.component], config, variable[1])
                if stated:
                    sizes.values[variable] = stated
    return _rounds(sizes, waiting, is_strict=False)


def _rounds(sizes: Sizes, lines: list[Line], *, is_strict: bool = True) -> list[Line]:
    """Solve line after line as long as one has a single unknown."""
    wrong: list[Line] = []
    for _ in range(MAX_ROUNDS):
        waiting = []
        for line in lines:
            found = _solved(sizes, line)
            if found is None:
                waiting.append(line)
            elif not found:
                if is_strict:
                    raise Contradiction(f"{line.known.tensor} has another shape")
                wrong.append(line)
        if len(waiting) == len(lines):
            break
        lines = waiting
    return wrong + lines


def _solved(sizes: Sizes, line: Line) -> bool | None:
    """Whether a line comes out right, once it has at most one unknown; None before."""
    unknown = {sizes.variable(leaf, line.known) for leaf in leaves_of(line.tree)}
    open_ = {x for x in unknown if x is None or x not in sizes.values}
    if not open_:
        return sizes.of(line.tree, line.known) == line.size
    if len(open_) > 1 or None in open_:
        return None
    (variable,) = open_
    low = _with(sizes, variable, 1, line)
    step = _with(sizes, variable, 2, line) - low
    if not step or _with(sizes, variable, 3, line) != low + 2 * step:
        return None  # it is multiplied with itself
    size, rest = divmod(line.size - low + step, step)
    if rest or size < 1:
        return False
    sizes.values[variable] = size  # type: ignore[index]
    return True


def _with(sizes: Sizes, variable: Variable | None, size: int, line: Line) -> int:
    sizes.values[variable] = size  # type: ignore[index]
    found = sizes.of(line.tree, line.known)
    del sizes.values[variable]  # type: ignore[arg-type]
    return found or 0


def leaves_of(dim: Dim) -> Iterator[Leaf]:
    """Every leaf of a tree."""
    for part in dim:
        for factor in part:
            if isinstance(factor, Leaf):
                yield factor
            else:
                yield from leaves_of(factor)


def stated_size(
    component: Component, config: Mapping[str, Any], numbers: Sequence[int] = ()
) -> int:
    """Size of a component as the config says, 0 where it does not, or not with one voice.

    Parameters
    ----------
    component : Component
        The component.
    config : mapping
        That part of the model's config that is about the class.
    numbers : sequence of int, optional
        Those of its scope in names, for lists by level.

    Returns
    -------
    int
        The size.
    """
    stated = {size for key in component.keys if (size := _quotient(key, config, numbers))}
    return stated.pop() if len(stated) == 1 else 0


def _quotient(key: str, config: Mapping[str, Any], numbers: Sequence[int]) -> int:
    above, _, below = key.partition("/")
    n = number_under(above, config, numbers)
    if not below:
        return n
    m = number_under(below, config, numbers)
    return n // m if m and n % m == 0 else 0


def number_under(key: str, config: Mapping[str, Any], numbers: Sequence[int] = ()) -> int:
    """The positive integer at a path of a config, else 0.

    Parameters
    ----------
    key : str
        The path. ``heads[0]`` is one number for all, or a list by the first number of a name,
        ``heads[~0]`` one from its end, ``heads[last]`` its last entry.
    config : mapping
        The config.
    numbers : sequence of int, optional
        Numbers of the name.

    Returns
    -------
    int
        The number.
    """
    path, _, level = key.partition("[")
    value: Any = config
    for word in path.split("."):
        value = value.get(word) if isinstance(value, Mapping) else None
    if level and isinstance(value, list | tuple):
        value = _of_level(value, level.removesuffix("]"), numbers)
    is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return int(value) if is_number else 0


def _of_level(values: Sequence[Any], level: str, numbers: Sequence[int]) -> Any:
    """The entry of a list for the numbers of a name, None where it has none."""
    if level == "last":
        return values[-1] if values else None
    position = int(level.removeprefix("~"))
    if position >= len(numbers) or numbers[position] >= len(values):
        return None
    return values[-1 - numbers[position] if level.startswith("~") else numbers[position]]
