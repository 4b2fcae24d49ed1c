"""Checkpoints of several ranks of one model, joined by what their names and types say.

Tensor-parallel parts of Meta (``consolidated.NN``) and of Megatron-LM follow known rules for each
name; those of FSDP say themselves along which dimension they are cut. What all ranks have whole
must be equal in all of them. A name without a rule is refused: nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from weightkin.formats.headers import checked_name
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.pieces import STORED, Tile, Tiles, whole_of
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import TensorLocation
from weightkin.text import quoted, shown, unreadable

MAX_COPIED = 1 << 26  # bytes of a tensor that all ranks have whole


class Cut(NamedTuple):
    """Along which dimension a tensor is cut; None: all ranks have it whole."""

    dim: int | None
    n_inside: int = 1  # matrices that are fused in it, each of which is cut by itself


Infos = Sequence[TensorInfo]
Rule = Callable[[str, Infos], Cut | None]  # None: no rule for this name


def join_ranks(where: str, ranks: Sequence[Contents], rule: Rule) -> Contents:
    """Put the parts of all ranks together.

    Parameters
    ----------
    where : str
        The checkpoint, for messages.
    ranks : sequence of Contents
        What each rank holds, in their order.
    rule : callable
        How a tensor is cut, by its name and what the ranks hold of it.

    Returns
    -------
    Contents
        The whole tensors.

    Raises
    ------
    UnreadableModel
        A rank lacks a tensor, a name has no rule, or copies differ.
    """
    joined = Contents(config=ranks[0].config)
    for rank in ranks:
        joined.claims += rank.claims
        joined.problems += rank.problems
    for name in ranks[0].tensors:
        held = [rank.tensors.get(name) for rank in ranks]
        infos = [info for info in held if info is not None]
        places = [rank.places[name] for rank in ranks if name in rank.places]
        if len(infos) != len(ranks) or len(places) != len(ranks):
            raise unreadable(where, f"tensor {quoted(name)} is not in all {len(ranks)} parts")
        cut = rule(name, infos)
        if cut is None:
            raise unreadable(where, f"how tensor {quoted(name)} is cut among parts is not known")
        if cut.dim is None:
            _take_copy(where, joined, infos[0], places)
        else:
            _join(where, joined, infos, places, cut)
    extra = sorted(set().union(*(rank.tensors for rank in ranks)) - ranks[0].tensors.keys())
    if extra:
        raise unreadable(where, f"tensor {quoted(extra[0])} is not in the first part")
    return joined


def _take_copy(
    where: str, joined: Contents, info: TensorInfo, places: Sequence[TensorLocation]
) -> None:
    """Take the first of equal copies; the others are said to be the same."""
    if info.n_bytes > MAX_COPIED or any(place.strides for place in places):
        raise unreadable(where, f"tensor {quoted(info.name)} is too large to be in every part")
    spans = [[(place.offset, place.offset + info.n_bytes)] for place in places]
    first = places[0].file.read(spans[0]).tobytes()
    for place, span in zip(places[1:], spans[1:], strict=True):
        if place.shape != places[0].shape or place.file.read(span).tobytes() != first:
            what = f"tensor {quoted(info.name)} differs between parts that should have it whole"
            raise unreadable(where, what)
        joined.claims.append(Claim(place.file, span, "container"))
    joined.tensors[info.name] = info
    joined.places[info.name] = places[0]


def _join(
    where: str, joined: Contents, infos: Infos, places: Sequence[TensorLocation], cut: Cut
) -> None:
    """One tensor of the parts of all ranks."""
    first, dim = infos[0], cut.dim or 0
    sizes = [info.shape for info in infos]
    rest = {(*shape[:dim], *shape[dim + 1 :]) for shape in sizes}
    is_fused = cut.n_inside > 1 and not any(place.strides for place in places)
    if len(rest) != 1 or {info.dtype for info in infos} != {first.dtype}:
        raise unreadable(where, f"parts of {quoted(first.name)} of shapes {shown(sizes)}")
    if cut.n_inside > 1 and (dim or not is_fused or sizes[0][0] % cut.n_inside):
        raise unreadable(where, f"parts of {quoted(first.name)} that cannot be taken apart")
    whole = (*sizes[0][:dim], sum(shape[dim] for shape in sizes), *sizes[0][dim + 1 :])
    tiles, at = [], 0
    for inside in range(cut.n_inside):
        for rank, place in enumerate(places):
            n = place.shape[dim] // cut.n_inside
            shape = (*place.shape[:dim], n, *place.shape[dim + 1 :])
            key = f"{STORED}{first.name}:{inside}:{rank}"
            n_before = inside * math.prod(shape) * place.dtype.itemsize
            part = replace(place, shape=shape, offset=place.offset + n_before)
            joined.places[key] = part if cut.n_inside > 1 else place
            offsets = tuple(at if i == dim else 0 for i in range(len(whole)))
            tiles.append(Tile(key, offsets, shape))
            at += n
    dtype = places[0].dtype
    ordered = whole_of(where, whole, tiles)
    joined.recipes[first.name] = Tiles(whole, dtype, ordered)
    n_bytes = math.prod(whole) * dtype.itemsize
    joined.tensors[first.name] = TensorInfo(first.name, first.dtype, whole, n_bytes)


BY_ROWS = ("wq", "wk", "wv", "w1", "w3", "output")
BY_COLUMNS = ("wo", "w2")


def meta_rule(width: int) -> Rule:
    """How Meta cuts a Llama of a width; tables of tokens by their rows or their columns."""

    def rule(name: str, infos: Infos) -> Cut | None:
        leaf = name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]
        if len(infos[0].shape) == 1:
            return Cut(0 if name.endswith(".bias") and leaf in BY_ROWS else None)
        if leaf in BY_ROWS:
            return Cut(0)
        if leaf in BY_COLUMNS:
            return Cut(1)
        if leaf == "tok_embeddings":
            return Cut(0 if infos[0].shape[1] == width else 1)
        return None

    return rule


def check_meta(where: str, joined: Contents, width: int) -> None:
    """Refuse a model of Meta of which parts are missing."""
    table = joined.tensors.get("tok_embeddings.weight")
    if table is not None and len(table.shape) == 2 and table.shape[1] != width:
        what = f"its table of tokens has {table.shape[1]} columns, not {width}"
        raise unreadable(where, f"parts are missing ({what})")


MEGATRON_ROWS = ("word_embeddings", "output_layer", "linear_qkv", "query_key_value", "linear_q",
                 "linear_kv", "linear_fc1", "dense_h_to_4h", "lm_head")  # fmt: skip
MEGATRON_COLUMNS = ("linear_proj", "linear_fc2", "dense", "dense_4h_to_h")
GATED = {"linear_fc1": "linear_fc2", "dense_h_to_4h": "dense_4h_to_h"}


def megatron_rule(tensors: dict[str, TensorInfo]) -> Rule:
    """How Megatron-LM cuts a model; in a gated MLP each rank has a part of gate and of up."""

    def rule(name: str, infos: Infos) -> Cut | None:
        module, _, leaf = name.rpartition(".")
        last = module.rpartition(".")[2]
        if "norm" in leaf or "norm" in last or last in ("position_embeddings", "router"):
            return Cut(None)
        if "experts" in module or leaf not in ("weight", "bias"):
            return None
        if last in MEGATRON_ROWS:
            below = tensors.get(f"{module.removesuffix(last)}{GATED.get(last, '')}.weight")
            is_gated = last in GATED and below and infos[0].shape[0] == 2 * below.shape[-1]
            return Cut(0, 2 if is_gated else 1)
        if last in MEGATRON_COLUMNS:
            return Cut(1 if leaf == "weight" else None)
        return None

    return rule


def without_states(contents: Contents, kept: tuple[str, ...]) -> Contents:
    """What a rank holds of the model, without moments of gradients and what trainers keep."""
    left = [name for name in contents.tensors if name.startswith(kept) or "_extra_state" in name]
    for name in left:
        checked_name(contents.places[name].file.path, name)
        del contents.tensors[name]
        contents.places.pop(name, None)
        contents.recipes.pop(name, None)
    if left:
        why = f"{len(left)} tensors of a trainer are not read, first {quoted(left[0])}"
        contents.problems.append(Problem("trainer", why, loses_tensors=False))
    return contents
