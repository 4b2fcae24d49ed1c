"""The graph of a TorchScript program: with the shapes it was traced with, else with likely ones."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping

from weightkin.anatomy.graph.ir import Graph
from weightkin.anatomy.onnx.build import Builder
from weightkin.anatomy.onnx.dead import fix_unread
from weightkin.anatomy.torchscript.following import Following, Module
from weightkin.anatomy.torchscript.text import NotRead, parsed
from weightkin.anatomy.torchscript.text import Program as Parsed
from weightkin.anatomy.torchscript.values import Tensor, tensors_in
from weightkin.formats.model import TensorInfo
from weightkin.formats.torch_text import Program

MAX_SECONDS = 2.0  # for shapes that fit better than the first ones
LIKELY = (  # of an input of a program that was not traced
    (2, 3, 224, 224), (2, 61), (2, 1, 224, 224), (2, 16384), (2, 1, 16384), (2, 80, 131),
    (2, 131, 80), (2, 3, 64, 64), (2, 1, 28, 28), (2, 512), (61, 2, 80),
)  # fmt: skip
MAX_TRIES = 24
MAX_DROPPED = 4


def program_graph(program: Program, tensors: Mapping[str, TensorInfo]) -> Graph | None:
    """The graph of a program; None where it is not followed to its end.

    Parameters
    ----------
    program : Program
        Its text.
    tensors : mapping of str to TensorInfo
        Those of the model.

    Returns
    -------
    Graph or None
        That in which the fewest calls are not understood.
    """
    try:
        text = parsed(program.texts)
    except NotRead:
        return None
    root = text.classes.get(program.root)
    if root is None or "forward" not in root.methods:
        return None
    start, best = time.monotonic(), None
    for shapes in _shapes(program, len(root.methods["forward"].args.args) - 1):
        found = _followed(program, text, tensors, shapes)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
        if (best is not None and not best[0]) or time.monotonic() - start > MAX_SECONDS:
            break
    return best[1] if best else None


def _shapes(program: Program, n: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Shapes of the inputs, likely ones first."""
    if program.inputs:
        yield program.inputs
    elif 0 < n <= 4:
        yield from ((shape,) * n for shape in LIKELY)
        mixed = itertools.product(LIKELY, repeat=n) if n == 2 else ()
        yield from itertools.islice((x for x in mixed if len(set(x)) > 1), MAX_TRIES)


def _followed(
    program: Program,
    text: Parsed,
    tensors: Mapping[str, TensorInfo],
    shapes: tuple[tuple[int, ...], ...],
) -> tuple[int, Graph] | None:
    """How many calls are not understood, and the graph; None where it has no end."""
    b = Builder(tensors)
    inputs = tuple(b.name() for _ in shapes)
    b.shapes.update(zip(inputs, shapes, strict=True))
    following = Following(program, text, b, _held(program, tensors))
    root = Module("", program.root)
    try:
        found = following.call(root, "forward", [Tensor(x) for x in inputs], {})
    except (NotRead, RecursionError):
        return None
    outputs = list(dict.fromkeys(x.name for x in tensors_in(found)))
    fix_unread(b, outputs)
    graph = Graph(
        nodes=tuple(b.nodes),
        shapes=b.shapes,
        weights=frozenset(b.weights),
        inputs=inputs,
        outputs=tuple(outputs),
        constants=b.constants,
    )
    return len(following.failures), graph


def _held(program: Program, tensors: Mapping[str, TensorInfo]) -> dict[str, str]:
    """The tensor of the model for each attribute: readers drop what all names begin with."""
    found = {}
    for path in dict.fromkeys(program.first.values()):
        words = path.split(".")
        names = (".".join(words[i:]) for i in range(min(len(words), MAX_DROPPED)))
        found[path] = next((y for x in names if (y := program.names.get(x, x)) in tensors), "")
    named = [x for x in found.values() if x]
    return found if len(set(named)) == len(named) else {}
