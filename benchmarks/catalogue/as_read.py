"""The names under which a file is read: wrappers and older leaves gone, tables of names applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.catalogue.shapes import Source, Traced
from weightkin.anatomy.graph.labels import Dim
from weightkin.anatomy.translate import components_of
from weightkin.formats.model import TensorInfo


def shapes_as_read(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return shapes of a file under the names that reading gives its tensors.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        By the names of the file.

    Returns
    -------
    dict
        As they were where reading takes the file for several parts.
    """
    parts = components_of(_infos(shapes))
    if len(parts) != 1:
        return dict(shapes)
    return {name: tuple(info.shape) for name, info in parts[0].tensors.items()}


def _infos(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, TensorInfo]:
    return {x: TensorInfo(x, "F32", own, 4 * math.prod(own)) for x, own in shapes.items()}


def as_read(traced: Traced) -> Traced:
    """Return a traced file under the names that reading gives its tensors.

    Parameters
    ----------
    traced : Traced
        An instance under the names of its file.

    Returns
    -------
    Traced
        As it was where reading takes the file for several parts, or a tensor apart.
    """
    shapes = traced.shapes
    parts = components_of(_infos(shapes))
    if len(parts) != 1 or any(home.spans for home in parts[0].homes.values()):
        return traced
    names = {home.tensor: new for new, home in parts[0].homes.items()}
    found = {new: tuple(info.shape) for new, info in parts[0].tensors.items()}
    if names.keys() != shapes.keys() or all(old == new for old, new in names.items()):
        return traced
    dims = {
        names[old]: own[: len(found[names[old]])]  # sides of one number are cut off
        for old, own in traced.labels.dims.items()
    }
    return replace(
        traced,
        labels=replace(traced.labels, dims=_in_order(dims, found)),
        shapes=found,
        unused=tuple(names[old] for old in traced.unused if old in names),
        buffers=frozenset(names[old] for old in traced.buffers if old in names),
        modules={new: _sources(traced, old) for old, new in names.items()},
    )


def _in_order(
    dims: Mapping[str, tuple[Dim, ...]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[Dim, ...]]:
    return {name: dims[name] for name in shapes if name in dims}


def _sources(traced: Traced, name: str) -> tuple[Source, ...]:
    n = math.prod(traced.shapes[name])
    return traced.modules.get(name, (Source(name, 0, n, n),))
