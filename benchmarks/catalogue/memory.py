"""Which value a tensor holds while a module runs: views share storage, writes change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from benchmarks.catalogue.tape import Step, Tape


@dataclass(slots=True, eq=False)
class Root:
    """A piece of storage: what it holds now, and how often it was written to."""

    value: str | None  # None: known beforehand, depends on neither weights nor inputs
    version: int = 0


@dataclass(slots=True, eq=False)
class Held:
    """A tensor: the whole of a root, or a view of another tensor."""

    tensor: torch.Tensor  # kept alive, so that its id stays its own
    root: Root
    parent: Held | None = None
    steps: tuple[Step, ...] = ()  # from the value of the parent to its own, one input each
    value: str = ""  # what was read last
    version: int = -1


@dataclass(slots=True)
class Memory:
    """All tensors seen so far."""

    tape: Tape
    held: dict[int, Held] = field(default_factory=dict)  # by id of the tensor
    roots: dict[int, list[Held]] = field(default_factory=dict)  # by storage
    weights: set[str] = field(default_factory=set)  # values that are stored tensors
    seen: set[str] = field(default_factory=set)  # values that Python looked at

    def find(self, tensor: torch.Tensor) -> Held:
        """Look up a tensor; one never seen before is a constant, or again a known one."""
        found = self.held.get(id(tensor))
        if found is None:
            known = self.roots.get(storage(tensor), [])
            same = [x for x in known if _geometry(x.tensor) == _geometry(tensor)]
            if same:
                found = self._hold(Held(tensor, same[0].root, same[0]))
            elif any(x.root.value is not None for x in known):
                names = [self.read(x.tensor) for x in known]
                (name,) = self.tape.unknown("view of unknown origin", names, [tensor.shape])
                found = self.new(tensor, name)
            else:
                found = self.new(tensor, None)
        return found

    def new(self, tensor: torch.Tensor, value: str | None) -> Held:
        """Enter a tensor with storage of its own."""
        held = self._hold(Held(tensor, Root(value)))
        self.roots.setdefault(storage(tensor), []).append(held)
        return held

    def view(self, tensor: torch.Tensor, parent: torch.Tensor, steps: Sequence[Step]) -> None:
        """Enter a tensor that shares the storage of another one."""
        own = self.find(parent)
        self._hold(Held(tensor, own.root, own, tuple(steps)))

    def is_constant(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor depends on neither weights nor inputs."""
        return self.find(tensor).root.value is None

    def is_weight(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is the whole of a weight, as it was before the module ran."""
        held = self.find(tensor)
        return held.parent is None and held.root.value in self.weights

    def read(self, tensor: torch.Tensor) -> str:
        """Return the value that a tensor holds now."""
        return self._read(self.find(tensor))

    def pin(self, tensor: torch.Tensor) -> None:
        """Take down what the storage of a tensor holds before something else is written to it."""
        held = self.find(tensor)
        while held.parent is not None:
            held = held.parent
        if held.root.value is None:
            held.root.value = self.tape.constant(held.tensor)
            held.root.version += 1

    def write(self, tensor: torch.Tensor, value: str | None) -> None:
        """Say what a tensor holds from now on; the storage was pinned if that is not constant."""
        held = self.find(tensor)
        if held.root.value is None and value is None:
            held.root.version += 1
            return
        own = self.tape.constant(tensor) if value is None else value
        if own != self._read(held):
            self._write(held, own)

    def _hold(self, held: Held) -> Held:
        self.held[id(held.tensor)] = held
        return held

    def _read(self, held: Held) -> str:
        if held.parent is None and held.root.value is not None:
            return held.root.value
        if held.version != held.root.version:
            if held.root.value is None:
                held.value = self.tape.constant(held.tensor)
            else:
                assert held.parent is not None
                held.value = self._path(self._read(held.parent), held.steps)[-1]
            held.version = held.root.version
        return held.value

    def _write(self, held: Held, value: str) -> None:
        if held.parent is None:
            others = self.roots[storage(held.tensor)]
            held.root.value = value
            held.root.version += 1
            for other in others:
                if other.root is not held.root:  # the same bytes, entered twice
                    names = [value, self._read(other)]
                    shape = other.tensor.shape
                    (other.root.value,) = self.tape.unknown("overlapping write", names, [shape])
                    other.root.version += 1
            return
        before = self._path(self._read(held.parent), held.steps)
        for old, step in zip(reversed(before[:-1]), reversed(held.steps), strict=True):
            value = put_back(self.tape, step, old, value)
        self._write(held.parent, value)

    def _path(self, value: str, steps: Sequence[Step]) -> list[str]:
        """Repeat the steps of a view on another value of its parent."""
        values = [value]
        for step in steps:
            values.append(self.tape.emit(step.op, values[-1:], step.shape, **step.facts))
        return values


def put_back(tape: Tape, step: Step, old: str, part: str) -> str:
    """Return what a value is after a view of it, taken in one step, was written to."""
    shape = tape.shapes[old]
    match step.op:
        case "reshape":
            return tape.reshape(part, shape)
        case "transpose":
            order = step.facts["order"]
            return tape.transpose(part, [order.index(i) for i in range(len(order))])
        case "slice":
            dim, start, stop = (step.facts[key] for key in ("dim", "start", "stop"))
            if step.facts["step"] != 1:
                return tape.fix(tape.concat([old, part], dim), [dim], shape)
            head = tape.slice(old, dim, range(start))
            tail = tape.slice(old, dim, range(stop, shape[dim]))
            return tape.concat([x for x in (head, part, tail) if tape.shapes[x][dim]], dim)
    return tape.unknown(f"write through {step.op}", [old, part], [shape])[0]


def storage(tensor: torch.Tensor) -> int:
    """Which piece of memory a tensor is in."""
    return int(tensor.untyped_storage()._cdata)


def _geometry(tensor: torch.Tensor) -> tuple[object, ...]:
    return (tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype)
