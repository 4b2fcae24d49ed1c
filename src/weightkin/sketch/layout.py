"""Roles of what a sketch holds, and several sketches brought into one layout.

Publishers fuse matrices, stack them or store them transposed. What one of several models stores in
one tensor and another in several is cut, in their samples: nothing more is read. What is the same
everywhere stays as it is stored.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import replace
from functools import lru_cache

from weightkin.anatomy.roles import OUTSIDE, Piece, RoleKey, Shapes, role_keys, role_pieces
from weightkin.catalogue.config import heads_of
from weightkin.formats.model import TensorInfo
from weightkin.sketch.gains import with_whole_gains
from weightkin.sketch.rearrange import (
    Pieces,
    cut_part,
    flattened,
    in_order,
    transposed,
    with_changed,
)
from weightkin.sketch.scheme import N_EXPERTS
from weightkin.sketch.types import Sketch, SketchedTensor

_STACKED = re.compile(r"(.*)\[([0-9]{1,9})\]", re.DOTALL)  # matrix of one expert


def keys_of_samples(shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, RoleKey]:
    """Return the key of every sampled tensor by its stored name; no two are equal in words."""
    return _keys(tuple(shapes.items()))


def in_one_layout(sketches: Sequence[Sketch]) -> list[Sketch]:
    """Cut and turn what models store in different ways, so that equal names are equal things.

    Parameters
    ----------
    sketches : sequence of Sketch
        Of any schemes. Of a sample, what it holds of each part is kept.

    Returns
    -------
    list of Sketch
        In the same order; one that needs no change as it is.
    """
    sketches = with_whole_gains(sketches)
    pieces = [_pieces_of(x, heads) for x, heads in zip(sketches, _heads(sketches), strict=True)]
    if not any(pieces) or (
        all(own is pieces[0] for own in pieces) and all(x.before is None for x in sketches)
    ):
        return flattened(list(sketches))
    sketches = [
        in_order(x, own, [y for y, other in zip(sketches, pieces, strict=True) if other is not own])
        for x, own in zip(sketches, pieces, strict=True)
    ]
    layouts = {_layout(x, own): (x, own) for x, own in zip(sketches, pieces, strict=True)}
    wanted = dict(zip(layouts, _apart(list(layouts.values())), strict=True))
    cut = [_cut(x, own, wanted[_layout(x, own)]) for x, own in zip(sketches, pieces, strict=True)]
    if any(_has_first_experts(x) for x in cut):
        cut = [_with_first_experts(x) for x in cut]
    turned = [_stored_turned(x, own) for x, own in zip(cut, pieces, strict=True)]
    ways = {
        (name, name in those) for x, those in zip(cut, turned, strict=True) for name in x.tensors
    }
    both = {name for name, is_turned in ways if is_turned and (name, False) in ways}
    return flattened([_turned(x, those & both) for x, those in zip(cut, turned, strict=True)])


def matrices_in_blocks(sketch: Sketch) -> frozenset[tuple[str, tuple[int, ...]]]:
    """Roles and shapes of the matrices in blocks, whatever the layout they are stored in."""
    pieces = _pieces_of(sketch)
    found = set()
    for tensor in sketch.as_stored.values():
        if tensor.block < 0 or len(tensor.shape) < 2:
            continue
        own = pieces.get(tensor.stored_name, {})
        found |= {(str(key), _shape(tensor, piece)) for key, piece in own.items()}
        if not own:
            found.add((tensor.name, tensor.shape))
    return frozenset(found)


def in_parts(sketch: Sketch) -> Sketch:
    """The sketch with everything taken apart and turned that can be."""
    pieces = _pieces_of(sketch)
    apart = _cut(sketch, pieces, set(sketch.tensors))
    return _turned(apart, _stored_turned(apart, pieces))


def _has_first_experts(sketch: Sketch) -> bool:
    """Whether of stacked experts only the first are held."""
    names = (tensor.stored_name for tensor in sketch.tensors.values())
    return not sketch.scheme.is_whole and any(map(_STACKED.fullmatch, names))


def _with_first_experts(sketch: Sketch) -> Sketch:
    numbers = {name: _STACKED.fullmatch(t.key.role) for name, t in sketch.tensors.items()}
    beyond = {name for name, found in numbers.items() if found and int(found[2]) >= N_EXPERTS}
    kept = {name: t for name, t in sketch.tensors.items() if name not in beyond}
    return replace(sketch, tensors=kept, before=sketch.as_stored) if beyond else sketch


def _layout(sketch: Sketch, pieces: Pieces) -> Hashable:
    """Equal ones are cut and turned alike."""
    return id(pieces), tuple((name, t.is_turned) for name, t in sketch.tensors.items())


def _apart(layouts: Sequence[tuple[Sketch, Pieces]]) -> list[set[str]]:
    """Tensors of each that another stores in parts, or has the parts of in another order."""
    cuttable = [
        {
            t.name: {str(key): piece.spans for key, piece in pieces[t.stored_name].items()}
            for t in sketch.tensors.values()
            if t.stored_name in pieces and t.key not in pieces[t.stored_name]
        }
        for sketch, pieces in layouts
    ]
    held = [sketch.tensors.keys() for sketch, _ in layouts]
    parts = [
        own | {key for spans in fused.values() for key in spans}
        for own, fused in zip(held, cuttable, strict=True)
    ]
    return [
        {
            name
            for name, spans in own.items()
            if any(
                fused.get(name, spans) != spans if name in there else not spans.keys().isdisjoint(x)
                for there, fused, x in zip(held, cuttable, parts, strict=True)
            )
        }
        for own in cuttable
    ]


def _cut(sketch: Sketch, pieces: Pieces, wanted: Set[str]) -> Sketch:
    """Take tensors apart; one of which a part is not at hand stays whole."""
    tensors: dict[str, SketchedTensor] = {}
    for name, tensor in sketch.tensors.items():
        found = pieces.get(tensor.stored_name, {}) if name in wanted else {}
        parts = [] if tensor.key in found else [cut_part(tensor, k, x) for k, x in found.items()]
        kept = [part for part in parts if part is not None]
        is_whole = not kept or len(kept) < len(parts)
        tensors |= {x.name: x for x in ([tensor] if is_whole else kept)}
    if tensors.keys() == sketch.tensors.keys():
        return sketch
    return replace(sketch, tensors=tensors, before=sketch.as_stored)


def _shape(tensor: SketchedTensor, piece: Piece) -> tuple[int, ...]:
    """Shape of one part, rows as they stand in a matrix that is stored (out, in)."""
    is_stacked = piece.index is not None and tensor.stored_name == piece.tensor
    shape = list(tensor.shape[is_stacked:])
    shape[piece.dim] = sum(stop - start for start, stop in piece.spans)
    return tuple(shape[::-1] if piece.is_turned else shape)


def _stored_turned(sketch: Sketch, pieces: Pieces) -> set[str]:
    """Names of what is stored (in, out) and not turned yet."""
    found = set()
    for name, tensor in sketch.tensors.items():
        own = pieces.get(tensor.stored_name)
        if own and len(tensor.shape) == 2 and not tensor.is_turned:
            first = own.get(tensor.key) or next(iter(own.values()))  # all parts are stored one way
            if first.is_turned:
                found.add(name)
    return found


def _turned(sketch: Sketch, names: Set[str]) -> Sketch:
    return with_changed(sketch, dict.fromkeys(names, transposed))


@lru_cache(maxsize=256)
def _keys(shapes: Shapes) -> Mapping[str, RoleKey]:
    infos, homes = _whole(shapes)
    keys = role_keys(infos)
    found, seen = {}, set()
    for name, (whole, number) in homes.items():
        key = keys[whole]
        if number:
            key = replace(key, role=f"{key.role}{number}")
        if str(key) in seen:
            key = RoleKey("", OUTSIDE, f":{name}")
        seen.add(str(key))
        found[name] = key
    return found


def _whole(shapes: Shapes) -> tuple[dict[str, TensorInfo], dict[str, tuple[str, str]]]:
    """Tensors before experts were told apart; and by sampled name the tensor and the number."""
    infos: dict[str, TensorInfo] = {}
    homes: dict[str, tuple[str, str]] = {}
    for name, shape in shapes:
        found = _STACKED.fullmatch(name)
        whole, number = (found[1], f"[{found[2]}]") if found else (name, "")
        if found:
            n_before = infos[whole].shape[0] if whole in infos else 0
            shape = (max(n_before, int(found[2]) + 1), *shape)
        infos[whole] = TensorInfo(whole, "F32", shape, 0)
        homes[name] = whole, number
    return infos, homes


def _heads(sketches: Sequence[Sketch]) -> list[dict[str, int]]:
    """Heads as the config of each says; of one that says nothing, as all others agree on."""
    stated = [heads_of(sketch.config) for sketch in sketches]
    said = [own for own in stated if any(own.values())]
    agreed = said[0] if said and all(own == said[0] for own in said) else {}
    return [own if any(own.values()) else agreed for own in stated]


def _pieces_of(sketch: Sketch, heads: Mapping[str, int] | None = None) -> Pieces:
    shapes = tuple((t.stored_name, t.shape) for t in sketch.as_stored.values())
    return _pieces(shapes, tuple((heads or heads_of(sketch.config)).items()))


@lru_cache(maxsize=256)
def _pieces(shapes: Shapes, n_heads: tuple[tuple[str, int], ...]) -> Pieces:
    """Tensors that have several parts, or one that is stored (in, out)."""
    infos, homes = _whole(shapes)
    found: dict[str, dict[RoleKey, Piece]] = defaultdict(dict)
    for key, piece in role_pieces(infos, dict(n_heads)).items():
        name = piece.tensor
        if name not in homes and piece.index is not None:
            name = f"{name}[{piece.index}]"
        if name in homes and not (piece.is_whole and not piece.is_turned):
            found[name][key] = piece
    return dict(found)
