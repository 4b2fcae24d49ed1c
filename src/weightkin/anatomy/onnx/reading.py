"""One way through the nodes of an ONNX file: every value gets a shape, every node its meaning."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from weightkin.anatomy.graph.ir import Graph, Node
from weightkin.anatomy.onnx import codes, forms, fused, plain, products, recurrent, rows, space
from weightkin.anatomy.onnx.build import (
    UNTOLD,
    Builder,
    Call,
    Operation,
    UnknownValue,
)
from weightkin.anatomy.onnx.dead import fix_unread
from weightkin.anatomy.onnx.known import computed
from weightkin.anatomy.onnx.loops import LOOPS, Environment, Follow
from weightkin.anatomy.onnx.sizes import Choice, number_of, shapes_of
from weightkin.anatomy.onnx.states import states_of
from weightkin.anatomy.onnx.tensors import Tensors
from weightkin.formats.onnx_graph import MAX_DEPTH, Stored
from weightkin.formats.onnx_network import Body, Network, Step

MAX_NODES = 1 << 17  # of a graph
MAX_STEPS = 1 << 16  # nodes and tensors, those of functions once for each call
MAX_SECONDS = 4.0  # for sizes that fit better than the first ones
OPERATIONS: Mapping[str, Operation] = {
    **plain.OPERATIONS,
    **forms.OPERATIONS,
    **products.OPERATIONS,
    **space.OPERATIONS,
    **rows.OPERATIONS,
    **recurrent.OPERATIONS,
    **codes.OPERATIONS,
    **fused.OPERATIONS,
}
DOMAINS = ("", "com.microsoft", "ai.onnx.contrib")


def _inputs(main: Body) -> dict[str, tuple[int | str, ...] | None]:
    """Inputs that are data: older files list their weights too."""
    return {name: sizes for name, sizes in main.inputs.items() if name not in main.tensors}


class TooLarge(Exception):  # noqa: N818 (not an error: no graph is read then)
    """More nodes than are followed."""


class Reading:
    """One way through the network, with one choice of sizes."""

    def __init__(
        self, network: Network, builder: Builder, choice: Choice, side: int | None = None
    ) -> None:
        self.network, self.b, self.tensors = network, builder, Tensors(network, builder)
        self.choice, self.side, self.has_sides = choice, side, False
        self.shapes, self.chosen = shapes_of(_inputs(network.main), network.integers, choice)
        self.environment: Environment = {}  # values of the file by name
        self.n_steps = 0
        self.uses: Counter[str] = Counter()  # how many nodes read a name
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.failures: list[tuple[str, str]] = []  # operations that were not understood, and why

    def run(self) -> bool:
        """Follow all nodes; whether there are few enough."""
        environment: Environment = {}
        for name, shape in self.shapes.items():
            environment[name] = UNTOLD
            if shape is not None and all(n > 0 for n in shape):
                environment[name] = value = self.b.name()
                self.b.shapes[value] = shape
                self.inputs.append(value)
        self.environment = environment
        try:
            self.follow(self.network.main, environment, 0)
        except TooLarge:
            return False
        found = (self.value(name, environment) for name in self.network.main.outputs)
        self.outputs += [x for x in found if x in self.b.shapes]
        return True

    def shape_of(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a value of the file, None where it is not known."""
        return self.b.shapes.get(self.value(name, self.environment))

    def graph(self) -> Graph:
        """What was found."""
        b = self.b
        fix_unread(b, self.outputs)
        main = self.network.main
        found = states_of(
            b, self._named(self.shapes, self.inputs), self._named(main.outputs, self.outputs)
        )
        even = {x: (True,) * len(b.shapes[x]) for x in found.given | found.parts}
        nodes = [node for i, node in enumerate(b.nodes) if i not in found.idle]
        idle = {x for i in found.idle for x in b.nodes[i].outputs}
        return Graph(
            nodes=(*nodes, *(Node("tie", pair, ()) for pair in found.ties)),
            shapes=b.shapes,
            weights=frozenset(b.weights),
            inputs=tuple(x for x in self.inputs if x not in found.given),
            outputs=tuple(x for x in self.outputs if x not in idle),
            constants=b.constants | even,
            free_outputs=frozenset((x, d) for x in found.handed for d in range(len(b.shapes[x]))),
        )

    def _named(self, names: Iterable[str], values: Sequence[str]) -> dict[str, str]:
        """The name of each of some values, which are those of names of the file."""
        found = {self.value(name, self.environment): name for name in names}
        return {x: found.get(x, "") for x in values}

    def follow(self, body: Body, environment: Environment, depth: int) -> None:
        """Follow the nodes of one graph, in their order."""
        self.n_steps += len(body.steps) + len(body.tensors)
        if self.n_steps > MAX_STEPS:
            raise TooLarge
        environment.update(body.tensors)
        self.uses.update(x for step in body.steps for x in step.inputs)
        declared = {**body.declared, **body.outputs}
        for step in body.steps:
            self.step(step, environment, declared, depth)
            if len(self.b.nodes) > MAX_NODES:
                raise TooLarge

    def value(self, name: str, environment: Environment) -> str:
        """The value of a name; of a stored tensor it is made when it is first used."""
        if not name:
            return ""
        found = environment.get(name, UNTOLD)
        if isinstance(found, str):
            return found
        return self.tensors.value(found, is_shared=self.uses[name] > 1)

    def step(
        self,
        step: Step,
        environment: Environment,
        declared: Mapping[str, tuple[int | str, ...] | None],
        depth: int,
    ) -> None:
        """One node: what is known is computed, what is understood translated."""
        inputs = tuple(self.value(name, environment) for name in step.inputs)
        if step.op == "ConstantOfShape":  # what is filled in stands in an attribute
            held = (x for x in step.attributes.values() if isinstance(x, Stored))
            inputs += tuple(self.tensors.value(x) for x in held)
        version = self.network.versions.get(step.domain, 1)
        call = Call(step.op, inputs, step.attributes, len(step.outputs), version)
        why, first = "", len(self.b.nodes)
        try:
            outputs = self.meaning(step, call, environment, depth)
        except (UnknownValue, ValueError, IndexError, KeyError, TypeError, ArithmeticError) as e:
            begun = [x for node in self.b.nodes[first:] for x in (*node.inputs, *node.outputs)]
            if begun:
                self.b.opaque(begun)
            outputs, why = self.unknown(step, call, environment, declared), str(e)
        if why:
            self.failures.append((step.op, why))
        for i, name in enumerate(step.outputs):
            if name:
                environment[name] = outputs[i] if i < len(outputs) else UNTOLD

    def meaning(
        self, step: Step, call: Call, environment: Environment, depth: int
    ) -> Sequence[str]:
        """Return the outputs of a node that is understood."""
        if step.op == "Constant" and not step.domain:
            return [self.constant(step)]
        function = self.network.functions.get((step.domain, step.op))
        if function is not None:
            return self.function(function, step, call, depth)
        if step.op == "If" and not step.domain:
            return self.branches(step, call, environment, depth)
        if step.op in LOOPS and not step.domain:
            return LOOPS[step.op](self.b, call, self.inside(environment, depth))
        if UNTOLD in call.inputs:
            raise UnknownValue("an input whose shape is not known")
        given = [x for x in call.inputs if x]
        if given and all(x in self.b.known for x in given) and "" not in call.inputs:
            found = computed(call, [self.b.known[x] for x in given])
            if found is not None:
                return [self.b.constant(x) for x in found]
        operation = OPERATIONS.get(f"{step.domain}:{step.op}") or OPERATIONS.get(step.op)
        if operation is None or step.domain not in DOMAINS:
            raise UnknownValue("an operation that is not known")
        return operation(self.b, call)

    def inside(self, environment: Environment, depth: int) -> Follow:
        """What follows a graph inside this one, which sees the values around it."""

        def run(body: Body, inputs: Sequence[str]) -> list[str]:
            if depth >= MAX_DEPTH:
                raise UnknownValue("graphs within graphs")
            own: Environment = dict(zip(body.inputs, inputs, strict=True))
            inner: Environment = ChainMap(own, environment)
            self.follow(body, inner, depth + 1)
            return [self.value(name, inner) for name in body.outputs]

        return run

    def constant(self, step: Step) -> str:
        """Contents that a node holds itself."""
        for name, found in step.attributes.items():
            if isinstance(found, Stored):
                return self.tensors.value(found)
            if name.startswith("value_") and isinstance(found, (int, float, tuple)):
                kind = np.float32 if "float" in name else np.int64
                return self.b.constant(np.array(found, dtype=kind))
        raise UnknownValue("a constant that is no number")

    def function(self, body: Body, step: Step, call: Call, depth: int) -> Sequence[str]:
        """A function, followed in place of its call."""
        if depth >= MAX_DEPTH:
            raise UnknownValue("functions within functions")
        inner: Environment = dict(zip(body.inputs, call.inputs, strict=False))
        given = {**body.defaults, **step.attributes}
        steps = [
            Step(
                op=x.op,
                domain=x.domain,
                inputs=x.inputs,
                outputs=x.outputs,
                attributes=x.attributes
                | {own: given[name] for own, name in x.passed.items() if name in given},
            )
            for x in body.steps
        ]
        self.follow(Body(steps, body.inputs, body.outputs, {}, body.tensors), inner, depth + 1)
        return [self.value(name, inner) for name in body.outputs]

    def branches(
        self, step: Step, call: Call, environment: Environment, depth: int
    ) -> Sequence[str]:
        """One branch where the condition is known; else both, which have the same outputs."""
        bodies = [step.attributes.get(x) for x in ("then_branch", "else_branch")]
        if call.inputs[0] in self.b.known:
            bodies = bodies[:1] if bool(self.b.known[call.inputs[0]].all()) else bodies[1:]
        elif call.inputs[0] in self.b.shapes:
            self.b.opaque([call.inputs[0]])
            self.has_sides = True
            if self.side is not None:
                bodies = bodies[self.side : self.side + 1]
        ends: list[list[str]] = []
        for body in bodies:
            if not isinstance(body, Body):
                raise UnknownValue("a branch that cannot be followed")
            ends.append(self.inside(environment, depth)(body, ()))
        return [self.either(list(dict.fromkeys(values))) for values in zip(*ends, strict=True)]

    def either(self, values: list[str]) -> str:
        """One value that is one of several."""
        if len(values) == 1:
            return values[0]
        shapes = {self.b.shapes.get(x) for x in values}
        if len(shapes) == 1 and None not in shapes:
            return self.b.elementwise(*values)
        self.b.opaque(values)
        return UNTOLD

    def unknown(
        self,
        step: Step,
        call: Call,
        environment: Environment,
        declared: Mapping[str, tuple[int | str, ...] | None],
    ) -> list[str]:
        """Nothing is known of a node but what the file says of the shapes of its outputs."""
        inputs = [*call.inputs]
        for body in step.attributes.values():
            if isinstance(body, Body):
                inputs += self.outside(body, environment, 0)
        outputs = []
        shapes = []
        for i, name in enumerate(step.outputs):
            sizes = declared.get(name)
            if sizes is None and step.op == "Loop":  # what it carries keeps its shape
                sizes = self.b.shapes.get(call.input(i + 2))
            shape = tuple(number_of(x, self.chosen) for x in sizes or ())
            is_told = sizes is not None and all(n > 0 for n in shape)
            outputs.append(is_told)
            shapes += [shape] * is_told
        made = iter(self.b.opaque(inputs, *shapes))
        return [next(made) if is_told else UNTOLD for is_told in outputs]

    def outside(self, body: Body, environment: Environment, depth: int) -> list[str]:
        """Values of a graph that a graph inside it reads."""
        if depth > MAX_DEPTH:
            return []
        found = []
        for step in body.steps:
            found += [self.value(x, environment) for x in step.inputs if x in environment]
            for inner in step.attributes.values():
                if isinstance(inner, Body):
                    found += self.outside(inner, environment, depth + 1)
        return [*found, *(self.value(x, environment) for x in body.outputs if x in environment)]
