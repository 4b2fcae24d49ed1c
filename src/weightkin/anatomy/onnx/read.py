"""Axes of a model whose file carries the graph of its network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from weightkin.anatomy.graph.ir import Graph
from weightkin.anatomy.graph.labels import labels_of
from weightkin.anatomy.graph.units import graph_axes
from weightkin.anatomy.onnx.formulas import made_by_formula
from weightkin.anatomy.onnx.network import graph_of
from weightkin.anatomy.types import Axis
from weightkin.formats.model import Model

_known: WeakKeyDictionary[Any, tuple[frozenset[str], list[Axis]]] = WeakKeyDictionary()


def axes_by_graph(model: Model) -> list[Axis]:
    """Axes that follow from what the file of a model says it computes; none without such a file.

    One comparison asks again and again: they are kept as long as the model is.
    """
    if model.network is None:
        return []
    names = frozenset(model.tensors)
    known = _known.get(model.network)
    if known is None or known[0] != names:
        known = _known[model.network] = (names, _axes(model))
    return known[1]


def _axes(model: Model) -> list[Axis]:
    graph = graph_of(model)
    if graph is None:
        return []
    try:
        labels = labels_of(graph)
        if formulas := made_by_formula(model, graph, labels):
            labels = labels_of(replace(graph, constants={**graph.constants, **formulas}))
    except ValueError:  # more nodes than are followed
        return []
    order = {name: i for i, name in enumerate(_used(graph))}
    dims = sorted(labels.dims.items(), key=lambda x: order[x[0]])
    shapes = {name: info.shape for name, info in model.tensors.items()}
    return graph_axes(replace(labels, dims=dict(dims)), shapes)


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
