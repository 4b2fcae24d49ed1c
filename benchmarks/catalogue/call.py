"""One aten operation with its arguments by name, and the table of rules for such operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from benchmarks.catalogue.tape import Shape, Tape


@dataclass(frozen=True, slots=True)
class Call:
    """An operation that has run: what it was called with, and the shapes of what came out."""

    tape: Tape
    name: str  # as in aten, without the underscore of operations in place
    args: Mapping[str, Any]  # all that the schema names
    values: Mapping[int, str]  # by id of the tensor: what it held before the operation ran
    shapes: tuple[Shape, ...]  # of the tensors that came out

    def __getitem__(self, key: str) -> Any:
        return self.args[key]

    def has(self, key: str) -> bool:
        """Whether an argument was given."""
        return self.args.get(key) is not None

    def value(self, key: str) -> str:
        """Return the value of an argument that is a tensor."""
        return self.values[id(self.args[key])]

    def every(self, key: str) -> list[str]:
        """Return the values of an argument that is a list of tensors."""
        return [self.values[id(x)] for x in self.args[key] if x is not None]

    def optional(self, *keys: str) -> list[str]:
        """Return the values of those arguments that were given."""
        return [self.value(key) for key in keys if self.has(key)]

    @property
    def x(self) -> str:
        """The value of the first tensor among the arguments."""
        return next(self.values[id(x)] for x in tensors(list(self.args.values())))

    @property
    def rank(self) -> int:
        """Number of dimensions of the first tensor."""
        return len(self.tape.shapes[self.x])

    @property
    def shape(self) -> Shape:
        """Shape of the first tensor that came out."""
        return self.shapes[0]

    def dims(self, key: str = "dim") -> list[int]:
        """Return dimensions of the first tensor by their position; none given means all."""
        given = self.args.get(key)
        own = list(given) if isinstance(given, (list, tuple)) else [] if given is None else [given]
        return sorted({d % self.rank for d in own}) if own and self.rank else list(range(self.rank))

    def dim(self, key: str = "dim") -> int:
        """Return one dimension of the first tensor by its position."""
        return int(self.args[key]) % max(1, self.rank)


Rule: TypeAlias = Callable[[Call], "str | list[str]"]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function as the rule of some operations of aten."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def bound(
    func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults filled in."""
    own: dict[str, Any] = {}
    for i, argument in enumerate(func._schema.arguments):
        if i < len(args) and not argument.kwarg_only:
            own[argument.name] = args[i]
        else:
            own[argument.name] = kwargs.get(argument.name, argument.default_value)
    return own


def tensors(values: object) -> Iterator[torch.Tensor]:
    """Every tensor in nested lists."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from tensors(value)
