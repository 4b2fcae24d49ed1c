"""Axes of a model whose file carries the graph of its network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any
from weakref import WeakKeyDictionary

from weightkin.anatomy.graph.ir import Graph
from weightkin.anatomy.graph.labels import labels_of
from weightkin.anatomy.graph.units import graph_axes
from weightkin.anatomy.onnx.formulas import made_by_formula
from weightkin.anatomy.onnx.network import best_reading
from weightkin.anatomy.torchscript.graph import program_graph
from weightkin.anatomy.types import Axis
from weightkin.errors import UnreadableModel
from weightkin.formats.model import Model
from weightkin.formats.onnx_network import Network
from weightkin.formats.torch_text import Program

_known: WeakKeyDictionary[Any, _Read] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Read:
    """What one file gave, and the names of the tensors of the model that it was read for."""

    names: frozenset[str]
    path: PurePath
    axes: list[Axis]


def axes_by_graph(model: Model) -> list[Axis]:
    """Axes that follow from what the files of a model say they compute; none without such files.

    Of several files each is a network of its own, which has stacks under the name of its file. One
    comparison asks again and again: they are kept as long as the model is.
    """
    names = frozenset(model.tensors)
    found = []
    for network in model.networks:
        known = _known.get(network)
        if known is None or known.names != names:
            known = _known[network] = _Read(names, *_axes(model, network))
        found.append(known)
    if len(found) == 1:
        return found[0].axes
    stems = Counter(x.path.stem for x in found)
    axes = []
    for own in found:
        is_sole = stems[own.path.stem] == 1
        part = own.path.stem if is_sole else f"{own.path.parent.name}.{own.path.stem}"
        axes += [
            replace(x, stack=f"{part}.{x.stack}", labels=f"{part}.{x.labels}") for x in own.axes
        ]
    return axes


def _axes(model: Model, read: Callable[[], Network | Program]) -> tuple[PurePath, list[Axis]]:
    """The file of a network, and its axes."""
    try:
        network = read()
    except UnreadableModel:
        return PurePath(), []
    if isinstance(network, Program):
        path, graph = network.path, program_graph(network, model.tensors)
    else:
        path, reading = PurePath(network.beside.file.path), best_reading(network, model.tensors)
        graph = reading.graph() if reading else None
    if graph is None:
        return path, []
    try:
        labels = labels_of(graph)
        if formulas := made_by_formula(model, graph, labels):
            labels = labels_of(replace(graph, constants={**graph.constants, **formulas}))
    except ValueError:  # more nodes than are followed
        return path, []
    order = {name: i for i, name in enumerate(_used(graph))}
    dims = sorted(labels.dims.items(), key=lambda x: order[x[0]])
    shapes = {name: info.shape for name, info in model.tensors.items()}
    return path, graph_axes(replace(labels, dims=dict(dims)), shapes)


def _used(graph: Graph) -> Iterable[str]:
    """Weights in the order in which the network first reads them."""
    return dict.fromkeys(x for node in graph.nodes for x in node.inputs if x in graph.weights)


def reach(model: Model, axes: Iterable[Axis]) -> int:
    """Parameters of tensors that axes run along."""
    names = {place.tensor for axis in axes for place in axis.places}
    return sum(math.prod(model.tensors[name].shape) for name in names)


def heads_among(axes: Iterable[Axis], roles: Mapping[str, str]) -> dict[str, int]:
    """Numbers of heads as a config states them, where all attention agrees; else nothing.

    Parameters
    ----------
    axes : iterable of Axis
        Axes of a graph.
    roles : mapping of str to str
        Roles of the tensors by their names.

    Returns
    -------
    dict
        Numbers of heads of queries, and of keys and values.
    """
    found = set()
    for axis in axes:
        own = {roles.get(place.tensor, "") for place in axis.places}
        if axis.head_size and "attn.v" in own and "attn.o" in own:
            n = axis.n_units // axis.head_size
            found.add((n * max(place.repeat for place in axis.places), n))
    if len(found) != 1:
        return {}
    ((queries, keys),) = found
    return {"num_attention_heads": queries, "num_key_value_heads": keys}
