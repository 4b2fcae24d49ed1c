"""How the file of a model names the tensors of its state dict, and which of them it joins."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from benchmarks.catalogue.moves import Move
from benchmarks.catalogue.shapes import Source, Traced
from benchmarks.catalogue.taken_apart import Piece, labels_of_pieces, pieces_of
from weightkin.anatomy.graph.labels import Dim


@dataclass(frozen=True, slots=True)
class InFile:
    """Tensors of a file.

    ``names`` has the name of every tensor of the state dict, its own one where the file takes it
    apart; ``joined`` the tensors of the file that are several of the state dict, end to end;
    ``split`` those of the state dict that the file holds in pieces.
    """

    names: Mapping[str, str]
    joined: Mapping[str, tuple[str, ...]]
    split: Mapping[str, tuple[Piece, ...]] = field(default_factory=dict)


def in_file(module: torch.nn.Module) -> InFile:
    """Return how the library calls each tensor of a state dict in a file, and what it joins there.

    Parameters
    ----------
    module : torch.nn.Module
        A model.

    Returns
    -------
    InFile
        Found by saving a state dict in which no number stands twice.
    """
    shapes = {name: tuple(x.shape) for name, x in module.state_dict().items()}
    if not type(module).__module__.startswith("transformers"):
        return InFile({name: name for name in shapes}, {})
    from transformers.core_model_loading import revert_weight_conversion

    state, starts, n = dict[str, torch.Tensor](), list[int](), 0
    for name, shape in shapes.items():
        starts.append(n)
        state[name] = torch.arange(n, n + math.prod(shape), dtype=torch.float64).reshape(shape)
        n += math.prod(shape)
    saved = revert_weight_conversion(module, dict(state))  # type: ignore[arg-type]
    own = {x.data_ptr(): name for name, x in state.items() if x.numel()}
    renamed = {
        own[x.data_ptr()]: name
        for name, x in saved.items()
        if own.get(x.data_ptr()) not in (None, name)
        and tuple(x.shape) == shapes[own[x.data_ptr()]]
        and name not in state
    }
    if len(set(renamed.values())) != len(renamed):
        renamed = {}
    names = list(shapes)
    joined = {
        name: parts
        for name, x in saved.items()
        if name not in state and x.data_ptr() not in own
        for parts in [_parts(x.numpy(), names, starts, shapes)]
        if len(parts) > 1
    }
    others = {
        name: x.numpy()
        for name, x in saved.items()
        if name not in state and name not in joined and name not in renamed.values()
    }
    split = pieces_of(others, dict(zip(names, starts, strict=True)), shapes)
    split = {name: pieces for name, pieces in split.items() if name not in renamed}
    return InFile({name: renamed.get(name, name) for name in names}, joined, split)


def _parts(
    tensor: np.ndarray,
    names: list[str],
    starts: list[int],
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[str, ...]:
    """Tensors that one of a file is made of, whole and in order; none where it is not."""
    found: list[str] = []
    left = tensor.reshape(-1)
    while left.size:
        at = bisect_right(starts, int(left[0])) - 1
        name, size = names[at], math.prod(shapes[names[at]])
        is_whole = np.array_equal(left[:size], starts[at] + np.arange(size))
        if not is_whole or not size or shapes[name][1:] != tensor.shape[1:] or name in found:
            return ()
        found.append(name)
        left = left[size:]
    return tuple(found)


def as_in_file(traced: Traced, file: InFile) -> Traced:
    """Return a traced state dict under the names and in the tensors of its file.

    What the file joins keeps the names of the state dict where its parts have unlike columns.
    """
    shapes = traced.shapes
    labels, split = labels_of_pieces(traced.labels, shapes, file.split)
    joined = {
        name: parts
        for name, parts in file.joined.items()
        if len({labels.dims.get(part, ("unused",))[1:] for part in parts}) == 1
        and all(part in labels.dims for part in parts)
    }
    owners = {part: name for name, parts in joined.items() for part in parts}
    names = {old: owners.get(old, new) for old, new in file.names.items() if old not in split}
    dims, sizes = dict[str, tuple[Dim, ...]](), dict[str, tuple[int, ...]]()
    for piece in (x for pieces in split.values() for x in pieces):
        dims[piece.name], sizes[piece.name] = labels.dims[piece.name], piece.shape
    for old, new in names.items():
        parts = joined.get(new, ())
        sizes[new] = (sum(shapes[x][0] for x in parts), *shapes[old][1:]) if parts else shapes[old]
        if old in labels.dims:
            rows = tuple(part for x in parts for part in labels.dims[x][0])
            dims[new] = (rows, *labels.dims[old][1:]) if parts else labels.dims[old]
    sources = {new: (old,) for old, new in names.items() if new != old} | joined
    modules = {new: tuple(_whole(old, shapes) for old in olds) for new, olds in sources.items()}
    for old, pieces in split.items():
        n = math.prod(shapes[old])
        modules |= {x.name: (Source(old, x.start, math.prod(x.shape), n),) for x in pieces}
    return replace(
        traced,
        labels=replace(labels, dims=dims),
        shapes=sizes,
        unused=tuple(names[old] for old in traced.unused if old in names),
        buffers=frozenset(names[old] for old in traced.buffers if old in names),
        modules=modules,
    )


def _whole(name: str, shapes: Mapping[str, tuple[int, ...]]) -> Source:
    n = math.prod(shapes[name])
    return Source(name, 0, n, n)


def of_module(traced: Traced, move: Move) -> dict[str, np.ndarray]:
    """Return orders of the entries of tensors of a file as orders of those of its state dict.

    Raises
    ------
    ValueError
        An entry would change from one tensor of the state dict to another.
    """
    found: dict[str, np.ndarray] = {}
    for name, own in move.items():
        at = 0
        for x in traced.modules.get(name, (Source(name, 0, own.size, own.size),)):
            order = own[at : at + x.n] - at
            if x.n and not 0 <= order.min() <= order.max() < x.n:
                raise ValueError(f"{name} mixes what the file joins")
            whole = found.setdefault(x.name, np.arange(x.n_all))
            whole[x.start : x.start + x.n] = x.start + order
            at += x.n
    return found
