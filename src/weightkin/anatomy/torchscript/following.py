"""One pass through a program: its calls are followed, its tensors get shapes and meaning."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightkin.anatomy.onnx.build import Builder, UnknownValue
from weightkin.anatomy.onnx.tensors import is_weight
from weightkin.anatomy.torchscript.numbers import computed
from weightkin.anatomy.torchscript.operations import FACTORIES, OPERATIONS
from weightkin.anatomy.torchscript.text import NotRead, Program, dotted
from weightkin.anatomy.torchscript.values import UNKNOWN, Tensor, tensors_in
from weightkin.formats.torch_text import Program as Source

MAX_CALLS = 64  # within one another
MAX_STEPS = 1 << 16
MAX_TURNS = 64  # of a loop
MAX_NODES = 1 << 16
IDENTITY = {"torch.__is__": True, "torch.__isnot__": False}
CASTS = {"annotate": 1, "unchecked_cast": 1}
Names = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Module:
    """A part of the model: its path, and its class."""

    path: str
    kind: str


class Returned(Exception):  # noqa: N818
    """What a function gives back."""

    def __init__(self, value: object) -> None:
        self.value = value


class Following:
    """One pass."""

    def __init__(
        self, source: Source, program: Program, builder: Builder, held: Mapping[str, str]
    ) -> None:
        self.source, self.program, self.b, self.held = source, program, builder, held
        self.made: dict[str, object] = {}  # attributes that are tensors
        self.n_steps = self.n_calls = 0
        self.failures: list[tuple[str, str]] = []

    def call(
        self, module: Module, method: str, arguments: Sequence[object], more: Mapping[str, object]
    ) -> object:
        """Follow a method of a module."""
        kind = self.program.classes.get(module.kind)
        if kind is None or method not in kind.methods:
            raise NotRead(f"{module.kind} has no {method}")
        return self._function(kind.methods[method], (module, *arguments), more)

    def _function(
        self, function: ast.FunctionDef, arguments: Sequence[object], more: Mapping[str, object]
    ) -> object:
        own = [x.arg for x in function.args.args]
        if self.n_calls >= MAX_CALLS or len(arguments) > len(own) or not set(more) <= set(own):
            raise NotRead("a call that is not followed")
        last = function.args.defaults
        late = zip(own[len(own) - len(last) :], last, strict=False)
        names: Names = {x: self._value(y, {}) for x, y in late}
        names |= {**dict(zip(own, arguments, strict=False)), **more}
        self.n_calls += 1
        try:
            self._run(function.body, names)
        except Returned as found:
            return found.value
        finally:
            self.n_calls -= 1
        return None

    def _run(self, body: Iterable[ast.stmt], names: Names) -> None:
        for line in body:
            self.n_steps += 1
            if self.n_steps > MAX_STEPS or len(self.b.nodes) > MAX_NODES:
                raise NotRead("too long")
            match line:
                case ast.Assign(targets=[target], value=value):
                    self._assign(target, self._value(value, names), names)
                case ast.Return(value=value):
                    raise Returned(None if value is None else self._value(value, names))
                case ast.Expr(value=value):
                    self._value(value, names)
                case ast.If(test=test):
                    is_so = self._value(test, names)
                    if not isinstance(is_so, (bool, int)):
                        raise NotRead("a branch by data")
                    self._run(line.body if is_so else line.orelse, names)
                case ast.For(target=target, iter=turns, body=inner):
                    for turn in self._turns(self._value(turns, names)):
                        self._assign(target, turn, names)
                        self._run(inner, names)
                case ast.With(body=inner):
                    self._run(inner, names)
                case ast.Pass():
                    pass
                case _:
                    raise NotRead(f"a {type(line).__name__}")

    def _turns(self, turns: object) -> Iterable[object]:
        if not isinstance(turns, range) or len(turns) > MAX_TURNS:
            raise NotRead("a loop by data")
        return turns

    def _assign(self, target: ast.expr, value: object, names: Names) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = value if isinstance(value, (tuple, list)) else [UNKNOWN] * len(target.elts)
            if len(parts) != len(target.elts):
                raise NotRead("values of another number")
            for one, part in zip(target.elts, parts, strict=True):
                self._assign(one, part, names)
        elif isinstance(target, ast.Attribute):
            self._keep(self._value(target.value, names), target.attr, value)
        else:
            raise NotRead("a value that is changed in parts")

    def _value(self, node: ast.expr, names: Names) -> object:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return names.get(name, UNKNOWN)
            case ast.List(elts=parts):
                return [self._value(x, names) for x in parts]
            case ast.Tuple(elts=parts):
                return tuple(self._value(x, names) for x in parts)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                found = self._value(inner, names)
                return -found if isinstance(found, (int, float)) else UNKNOWN
            case ast.Attribute(value=inner, attr=name):
                return self._attribute(inner, name, names)
            case ast.Subscript(value=inner, slice=at):
                held: Any = self._value(inner, names)
                index: Any = self._value(at, names)
                if isinstance(held, (list, tuple)) and index in range(-len(held), len(held)):
                    return held[int(index)]
                return self._untold([held, index], {})
            case ast.Call():
                return self._called(node, names)
        inner_ones = (x for x in ast.iter_child_nodes(node) if isinstance(x, ast.expr))
        return self._untold([self._value(x, names) for x in inner_ones], {})

    def _attribute(self, inner: ast.expr, name: str, names: Names) -> object:
        if isinstance(inner, ast.Name) and inner.id == "CONSTANTS" and name[1:].isdigit():
            return self._constant(int(name[1:]))
        full = f"{dotted(inner)}.{name}"
        if full in self.program.functions:
            return self.program.functions[full]
        owner = self._value(inner, names)
        return self._member(owner, name) if isinstance(owner, Module) else self._untold([owner], {})

    def _constant(self, at: int) -> object:
        if at >= len(self.source.constants):
            return UNKNOWN
        found = self.source.constants[at]
        if found.number is not None and not found.shape:
            return found.number
        return Tensor(self.b.table(found.shape, (False,) * len(found.shape)))

    def _member(self, owner: Module, name: str) -> object:
        kind = self.program.classes.get(owner.kind)
        written = kind.attributes.get(name, "") if kind else ""
        path = f"{owner.path}.{name}" if owner.path else name
        if path in self.made:
            return self.made[path]
        if kind and name in kind.constants:
            return kind.constants[name]
        if written.startswith("__torch__."):
            return Module(path, written)
        if f"{path}.0" in self.source.first:
            return self._listed(path)
        if written not in ("Tensor", "Optional", "NoneType"):
            return self.source.values.get(path, UNKNOWN)
        own = self.source.first.get(path, path)
        if own not in self.made:
            self.made[own] = self._tensor(own) if written == "Tensor" or own in self.held else None
        return self.made[own]

    def _listed(self, path: str) -> list[object]:
        """A list of tensors."""
        found: list[object] = []
        while (own := self.source.first.get(f"{path}.{len(found)}")) is not None:
            if own not in self.made:
                self.made[own] = self._tensor(own)
            found.append(self.made[own])
        return found

    def _tensor(self, path: str) -> object:
        info = self.b.tensors.get(self.held.get(path, ""))
        if info is None:
            return UNKNOWN
        if is_weight(info):
            self.b.weights.add(info.name)
            self.b.shapes[info.name] = info.shape
            return Tensor(info.name)
        return Tensor(self.b.table(info.shape, (False,) * len(info.shape)))

    def _keep(self, owner: object, name: str, value: object) -> None:
        """What the model keeps for its next run is one with what it kept before: both are fixed."""
        if not isinstance(owner, Module):
            raise NotRead("an attribute of no module")
        before = self._member(owner, name)
        self._untold([value, before], {})
        self.made[f"{owner.path}.{name}" if owner.path else name] = value

    def _called(self, node: ast.Call, names: Names) -> object:
        arguments = [self._value(x, names) for x in node.args]
        more = {x.arg: self._value(x.value, names) for x in node.keywords if x.arg}
        name = dotted(node.func)
        if isinstance(known := names.get(name), ast.FunctionDef):
            return self._function(known, arguments, more)
        if name.partition(".")[0] not in names:
            if name in self.program.functions:
                return self._function(self.program.functions[name], arguments, more)
            if name:
                return self._builtin(name, arguments, more)
        if isinstance(node.func, ast.Attribute):
            owner = self._value(node.func.value, names)
            if isinstance(owner, Module):
                return self.call(owner, node.func.attr, arguments, more)
        return self._untold(arguments, more)

    def _builtin(self, name: str, arguments: list[Any], more: Names) -> object:
        """A call of torch or of the language."""
        if name == "getattr" and isinstance(arguments[0], Module):
            return self._member(arguments[0], str(arguments[1]))
        if name in IDENTITY and None in arguments:
            return all(x is None for x in arguments) is IDENTITY[name]
        if name == "ops.prim.RaiseException":
            raise NotRead("what these inputs do not allow")
        word = name.rpartition(".")[2]
        if word in CASTS and len(arguments) == 2:  # to a type, which is of no concern
            return arguments[CASTS[word]]
        if word not in FACTORIES and not list(tensors_in((arguments, more))):
            return computed(word, arguments)
        operation = OPERATIONS.get(word)
        first = len(self.b.nodes)
        try:
            if operation is None or UNKNOWN in _flat(arguments) or any(tensors_in(more)):
                raise UnknownValue("not known")
            return operation(self.b, *arguments, **more)
        except (
            *(UnknownValue, ValueError, IndexError, KeyError, TypeError),
            *(ArithmeticError, AttributeError),
        ) as error:
            self.failures.append((word, str(error)))
            begun = [x for node in self.b.nodes[first:] for x in (*node.inputs, *node.outputs)]
            self.b.opaque(begun)
            return self._untold(arguments, more)

    def _untold(self, arguments: Sequence[object], more: Names) -> object:
        self.b.opaque([x.name for x in tensors_in((arguments, more))])
        return UNKNOWN


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, (list, tuple)):
        for x in value:
            yield from _flat(x)
    else:
        yield value
