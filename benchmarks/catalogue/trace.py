"""The graph of a torch module: every operation that runs, recorded while a small model runs.

The module runs for real, on small tensors, without gradients. What does not depend on its weights
or inputs is a constant and is looked at: along which dimensions it is even. Everything else becomes
nodes of `weightkin.anatomy.graph.ir.Graph`; operations without a rule become opaque ones.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch._higher_order_ops.flex_attention import flex_attention, math_attention
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.catalogue import aten
from benchmarks.catalogue.call import Call, bound, tensors
from benchmarks.catalogue.memory import Memory, storage
from benchmarks.catalogue.running import Inputs, leaves, plain_kernels, prepared
from benchmarks.catalogue.tape import Step, Tape
from weightkin.anatomy.graph.ir import Graph, Node


@dataclass(frozen=True, slots=True)
class Traced:
    """A graph, and what it leaves out."""

    graph: Graph
    aliases: Mapping[str, str]  # names of tensors that are another tensor of the state dict
    unused: tuple[str, ...]  # floating-point tensors of the state dict that no output depends on
    opaque: Mapping[str, int]  # operations without a rule: how often they stand in the graph
    outputs: tuple[str, ...]  # paths of the outputs, for `trace`'s ``free``


def trace(
    module: torch.nn.Module, inputs: Inputs, *, free: Sequence[tuple[str, int]] = ()
) -> Traced:
    """Return the graph of a module.

    Parameters
    ----------
    module : torch.nn.Module
        Small; on the CPU. It is put into evaluation mode.
    inputs : Mapping[str, Any]
        What it is called with, by name of the argument.
    free : Sequence[tuple[str, int]], optional
        Path of an output (``""`` where the module returns one tensor, else ``last_hidden_state``,
        ``0`` ...) and the dimension whose order nobody minds: hidden states of a base model.

    Returns
    -------
    Traced
        Weights have the names of the state dict; inputs are ``in:NAME``, outputs ``out:PATH``.
    """
    prepared(module)
    inputs = copy.deepcopy(dict(inputs))  # some modules write to them
    memory = Memory(Tape())
    weights, aliases = _enter_weights(module, memory)
    given = _enter_inputs(inputs, memory)
    with torch.inference_mode(), plain_kernels(), Recorder(memory):
        result = module(**inputs)
    graph, outputs = _graph(memory, (weights, given), result, free)
    unused = tuple(name for name in weights if name not in graph.weights)
    opaque = Counter(str(node.facts["why"]) for node in graph.nodes if node.op == "opaque")
    return Traced(graph, aliases, unused, dict(opaque.most_common()), outputs)


class Recorder(TorchDispatchMode):
    """Write down every operation that runs."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        own = kwargs or {}
        if not aten.is_known(func) and aten.plain_name(func) not in aten.SILENT:
            if aten.is_composite(func):
                with self:
                    return func.decompose(*args, **own)
            table = torch._decomp.decomposition_table
            if func in table and self._depends(func, args, own):
                with self:
                    return table[func](*args, **own)
        return self._run(func, args, own)

    def _depends(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether what comes out depends on weights or inputs."""
        if aten.plain_name(func) in aten.BY_SHAPE:
            return False
        given = tensors([list(args), list(kwargs.values())])
        return not all(self.memory.is_constant(x) for x in given)

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        memory, name = self.memory, aten.plain_name(func)
        by_name = bound(func, args, kwargs)
        given = list(tensors(list(by_name.values())))
        written = [
            x
            for argument in func._schema.arguments
            if argument.alias_info is not None and argument.alias_info.is_write
            for x in tensors(by_name[argument.name])
        ]
        depends = self._depends(func, args, kwargs)
        values: dict[int, str] = {}
        if depends:
            for x in written:
                memory.pin(x)
            values = {id(x): memory.read(x) for x in given}
        if name in aten.SEEN:
            memory.seen.update(values.values())
        out = func(*args, **kwargs)
        made = list(tensors(list(out) if isinstance(out, (list, tuple)) else out))
        call = Call(memory.tape, name, by_name, values, tuple(tuple(x.shape) for x in made))
        if written:
            self._write(func, call, made, written, depends=depends)
        elif made and name not in aten.SILENT:
            self._enter(func, call, made, given)
        return out

    def _write(
        self,
        func: Any,
        call: Call,
        made: list[torch.Tensor],
        written: list[torch.Tensor],
        *,
        depends: bool,
    ) -> None:
        if not depends:
            found: list[str] | list[None] = [None] * len(written)
        elif [id(x) for x in made] == [id(x) for x in written]:
            found = aten.values_of(func, call)
        else:
            shapes = [tuple(x.shape) for x in written]
            found = call.tape.unknown(call.name, list(call.values.values()), shapes)
            for x in made:
                if id(x) not in self.memory.held:
                    self.memory.new(x, call.tape.unknown(call.name, found, [x.shape])[0])
        for x, value in zip(written, found, strict=True):
            self.memory.write(x, value)

    def _enter(
        self, func: Any, call: Call, made: list[torch.Tensor], given: list[torch.Tensor]
    ) -> None:
        memory = self.memory
        sources = {storage(x): x for x in reversed(given)}
        is_view = [storage(x) in sources for x in made]
        values: list[str] | None = None
        if call.values and not all(is_view):
            values = aten.values_of(func, call)
        for i, x in enumerate(made):
            if id(x) in memory.held:
                continue
            if is_view[i]:
                parent = sources[storage(x)]
                memory.view(x, parent, _steps(func, call, given, parent, i))
                if call.name == "select" and call.values and memory.is_weight(parent):
                    # places that no index of this run names are told apart too (experts)
                    memory.seen.add(memory.tape.fix(call.value("self"), [call.dim()]))
            else:
                memory.new(x, values[i] if values and x.numel() else None)


@flex_attention.py_impl(Recorder)  # type: ignore[untyped-decorator]
def _plain_attention(mode: Recorder, *given: Any) -> Any:
    """Attention with a function of scores, as the operations that it stands for."""
    with mode:
        return math_attention(*given)


def _steps(
    func: Any, call: Call, given: list[torch.Tensor], parent: torch.Tensor, i: int
) -> list[Step]:
    """Return how a view comes from what it is a view of, as steps of one input each."""
    scratch = Tape()
    names = {id(x): f"?{k}" for k, x in enumerate(given)}
    scratch.shapes.update({names[id(x)]: tuple(x.shape) for x in given})
    name = aten.values_of(func, replace(call, tape=scratch, values=names))[i]
    makers = {out: node for node in scratch.nodes for out in node.outputs}
    steps: list[Step] = []
    while name != names[id(parent)]:
        node = makers.get(name)
        if node is None or len(node.inputs) != 1 or len(node.outputs) != 1:
            why = {"why": f"view by {call.name}"}
            return [Step("opaque", why, call.shapes[i])]
        steps.append(Step(node.op, node.facts, scratch.shapes[name]))
        name = node.inputs[0]
    return steps[::-1]


def _enter_weights(
    module: torch.nn.Module, memory: Memory
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Enter every floating-point tensor of the state dict; return names, and other names."""
    aliases: dict[str, str] = {}
    names: dict[int, str] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if not isinstance(tensor, torch.Tensor) or not tensor.dtype.is_floating_point:
            continue
        known = names.get(id(memory.find(tensor).root)) if _is_known(tensor, memory) else None
        if known is not None:
            aliases[name] = known
            continue
        memory.tape.shapes[name] = tuple(tensor.shape)
        memory.weights.add(name)
        names[id(memory.new(tensor, name).root)] = name
    return tuple(names.values()), aliases


def _is_known(tensor: torch.Tensor, memory: Memory) -> bool:
    """Whether a tensor is the same run of storage as one entered before, in the same shape."""
    known = memory.roots.get(storage(tensor), [])
    return any(
        x.tensor.data_ptr() == tensor.data_ptr()
        and (x.tensor.shape, x.tensor.stride()) == (tensor.shape, tensor.stride())
        for x in known
    )


def _enter_inputs(inputs: Inputs, memory: Memory) -> tuple[str, ...]:
    names = []
    for path, value in leaves(dict(inputs)):
        name = f"in:{path}"
        memory.tape.shapes[name] = tuple(value.shape)
        memory.new(value, name)
        names.append(name)
    return tuple(names)


def _graph(
    memory: Memory,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    result: object,
    free: Sequence[tuple[str, int]],
) -> tuple[Graph, tuple[str, ...]]:
    """Return what outputs, or decisions of Python, depend on, and the paths of the outputs."""
    tape = memory.tape
    found = leaves(result)
    own = {path: memory.read(x) for path, x in found if not memory.is_constant(x)}
    outputs = {}
    for path, value in own.items():
        outputs[path] = f"out:{path}"
        tape.shapes[outputs[path]] = tape.shapes[value]
        tape.nodes.append(Node("elementwise", (value,), (outputs[path],)))
    unknown = sorted({path for path, _ in free} - {path for path, _ in found})
    if unknown:
        raise ValueError(f"no output {unknown[0]!r}, only {', '.join(outputs)}")
    needed = {*outputs.values(), *memory.seen}
    kept = []
    for node in reversed(tape.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update((*node.inputs, *node.outputs))
    known = needed.union(names[1])
    graph = Graph(
        nodes=tuple(kept[::-1]),
        shapes={name: shape for name, shape in tape.shapes.items() if name in known},
        weights=frozenset(needed.intersection(names[0])),
        inputs=names[1],
        outputs=tuple(outputs.values()),
        constants={name: even for name, even in tape.constants.items() if name in needed},
        free_outputs=frozenset(
            (outputs[path], dim % len(tape.shapes[outputs[path]]))
            for path, dim in free
            if path in outputs
        ),
    )
    return graph, tuple(outputs)
