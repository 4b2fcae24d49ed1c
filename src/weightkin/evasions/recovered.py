"""Undo a rewrite: apply the maps that ``compare --recover`` wrote to the hidden model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.errors import UsageError
from weightkin.evasions.attention import change_values
from weightkin.evasions.experts import relabel_experts
from weightkin.evasions.keys import change_keys
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Ints,
    Rewritten,
    Wide,
    along,
    finish,
    put_along,
    reorder,
    scale,
    widen,
)
from weightkin.evasions.stream import open_stream, turn
from weightkin.evasions.whole import WholeAnatomy

Maps = Mapping[str, npt.NDArray[Any]]


def apply_maps(arrays: Arrays, anatomy: Anatomy, maps: Maps) -> Rewritten:
    """Bring model b to the order, signs, scales and bases of model a.

    Units without a partner fill the places that are left, in order. Preserves the function of b, as
    the rewrites that it undoes do; a rotation fitted to a model that subtracts means preserves it
    about as well as it fits.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of b.
    anatomy : Anatomy
        Where the axes of b lie, best from `whole_anatomy`.
    maps : mapping of str to ndarray
        Content of the file that ``compare --recover`` wrote (format: docs/methods.md).

    Returns
    -------
    Rewritten
        Model b in the coordinates of a.

    Raises
    ------
    UsageError
        The maps rotate the stream or change norms, and which matrix reads which is not known; or
        they move values that `anatomy` does not show: one of `whole_anatomy` does.
    """
    wide = widen(arrays)
    for axis in anatomy.axes:
        key = f"{axis.stack}.{axis.block}.{axis.name}"
        if f"{key}.a" not in maps:
            continue
        if axis.kind == "units":
            _restore_units(wide, axis, key, maps)
        elif axis.kind == "vo":
            _restore_values(wide, anatomy, axis, key, maps)
    for stack, n_blocks in anatomy.stacks:
        for block in range(n_blocks):
            key = f"{stack}.{block}.experts"
            if f"{key}.a" in maps:
                numbers = {
                    x.name
                    for x in anatomy.axes
                    if (x.kind, x.stack, x.block) == ("units", stack, block)
                    and x.name.removeprefix("mlp.").isdigit()
                }
                order = completed(maps[f"{key}.a"], maps[f"{key}.b"], len(numbers) or None)
                relabel_experts(wide, anatomy, stack, block, order)
    _restore_bases(wide, anatomy, maps)
    _restore_residual(wide, anatomy, maps)
    return finish(wide, "apply_maps")


def completed(units_a: Ints, units_b: Ints, n: int | None = None) -> Ints:
    """The unit of b that goes to each place; units without a partner fill the rest in order.

    Parameters
    ----------
    units_a, units_b : ndarray of int
        ``(n_matched,)``, matched units, pair by pair.
    n : int, optional
        Units of b; as many as are matched without it. With fewer places in a, places are closed up:
        survivors stand in a's order.

    Returns
    -------
    ndarray of int
        ``(n,)``, a permutation of the units of b.
    """
    n = len(units_b) if n is None else n
    order = np.full(n, -1, dtype=np.intp)
    if max(units_a, default=-1) >= n:  # a has more units than b: only their order counts
        units_a, units_b = np.arange(len(units_a)), units_b[np.argsort(units_a, kind="stable")]
    order[units_a] = units_b
    order[order < 0] = np.setdiff1d(np.arange(n), units_b)
    return order


def _factors(maps: Maps, key: str, n: int) -> Floats:
    """Sign times scale of every unit of b against its partner in a; one where none is known."""
    factor = np.ones(n)
    for part in ("sign", "scale"):
        if f"{key}.{part}" in maps:
            factor[maps[f"{key}.b"]] *= maps[f"{key}.{part}"]
    return factor


def _restore_units(wide: Wide, axis: Axis, key: str, maps: Maps) -> None:
    order = completed(maps[f"{key}.a"], maps[f"{key}.b"], axis.n_units)
    factor = _factors(maps, key, axis.n_units)
    for place in axis.places:
        if place.role in ("mlp.up", "mlp.down"):
            scale(wide, place, 1 / factor if place.role == "mlp.up" else factor)
        reorder(wide, place, order)


def _restore_values(wide: Wide, anatomy: Anatomy, axis: Axis, key: str, maps: Maps) -> None:
    """Heads first, then the value dimensions inside each; queries and keys follow their heads."""
    size = axis.head_size
    heads = np.arange(axis.n_units // size)
    stem = f"{axis.stack}.{axis.block}.{_name_of_heads(axis)}"
    _check_values(axis)
    if f"{stem}.a" in maps and _axes_of_heads(anatomy, axis):
        heads = completed(maps[f"{stem}.a"], maps[f"{stem}.b"], len(heads))
    units_a, units_b = maps[f"{key}.a"], maps[f"{key}.b"]
    order = []
    for new, old in enumerate(heads):
        here = (units_a // size == new) & (units_b // size == old)
        order.append(old * size + completed(units_a[here] % size, units_b[here] % size, size))
    factor = _factors(maps, key, axis.n_units)
    for place in axis.places:
        if place.role in ("attn.v", "attn.o"):
            change = 1 / factor if place.role == "attn.v" else factor
            _reorder_values(wide, place, np.concatenate(order), change, size)
    _move_keys(wide, anatomy, axis, heads)


def _check_values(axis: Axis) -> None:
    if {"attn.v", "attn.o"} - {place.role for place in axis.places}:
        where = f"{axis.stack} block {axis.block}, {axis.name}"
        raise UsageError(f"{where}: values and what reads them are not both known")


def _move_keys(wide: Wide, anatomy: Anatomy, vo: Axis, heads: Ints) -> None:
    """Queries and keys follow their heads."""
    for place in (p for axis in _axes_of_heads(anatomy, vo) for p in axis.places):
        if place.role in ("attn.q", "attn.k"):
            block = along(wide, place)
            rows = block.reshape(len(heads), -1, *block.shape[1:])
            put_along(wide, place, rows[heads].reshape(block.shape))


def _name_of_heads(vo: Axis) -> str:
    return vo.name.replace("vo", "heads", 1)


def _axes_of_heads(anatomy: Anatomy, vo: Axis) -> list[Axis]:
    """The axis of the heads whose V/O dimensions those are, if queries and keys are known."""
    wanted = vo.stack, vo.block, _name_of_heads(vo)
    return [
        x
        for x in anatomy.axes
        if (x.stack, x.block, x.name) == wanted
        and {"attn.q", "attn.k"} <= {place.role for place in x.places}
    ]


def _axes_of_keys(anatomy: Anatomy, vo: Axis) -> list[Axis]:
    """The same, also where heads cannot change places."""
    keys = anatomy.keys if isinstance(anatomy, WholeAnatomy) else ()
    wanted = vo.stack, vo.block, _name_of_heads(vo)
    others = [x.axis for x in keys if (x.axis.stack, x.axis.block, x.axis.name) == wanted]
    return _axes_of_heads(anatomy, vo) or others


def _restore_bases(wide: Wide, anatomy: Anatomy, maps: Maps) -> None:
    """Heads whose values were rebased go to their places; then values and keys to their bases."""
    for axis in (x for x in anatomy.axes if x.kind == "vo"):
        block, suffix = f"{axis.stack}.{axis.block}", axis.name.removeprefix("vo")
        values, keys = (maps.get(f"{block}.{part}{suffix}.basis") for part in ("values", "keys"))
        heads, is_moved = f"{block}.heads{suffix}", f"{block}.{axis.name}.a" in maps
        if (values is not None or keys is not None) and not is_moved and f"{heads}.a" in maps:
            _move_heads(wide, anatomy, axis, maps, heads)
        if values is not None:
            change_values(wide, axis, np.linalg.inv(values.astype(np.float64)))
        if keys is not None:
            for heads_axis in _axes_of_keys(anatomy, axis):
                change_keys(wide, heads_axis, np.linalg.inv(keys.astype(np.float64)))


def _move_heads(wide: Wide, anatomy: Anatomy, vo: Axis, maps: Maps, key: str) -> None:
    """Whole heads go to their places, where they can change places."""
    size = vo.head_size
    _check_values(vo)
    if _axes_of_heads(anatomy, vo):
        order = completed(maps[f"{key}.a"], maps[f"{key}.b"], vo.n_units // size)
        dims = (order[:, None] * size + np.arange(size)).ravel()
        for place in vo.places:
            if place.role in ("attn.v", "attn.o"):
                _reorder_values(wide, place, dims, np.ones(vo.n_units), size)
        _move_keys(wide, anatomy, vo, order)


def _reorder_values(wide: Wide, place: Place, order: Ints, factor: Floats, size: int) -> None:
    """Value dimension ``order[i]`` goes to ``i``, in every query head that reads it."""
    block = along(wide, place)
    groups = block.reshape(-1, place.repeat, size, *block.shape[1:])
    by_unit = np.moveaxis(groups, 2, 1).reshape(len(order), place.repeat, -1)
    changed = (by_unit * factor[:, None, None])[order]
    back = changed.reshape(-1, size, place.repeat, *block.shape[1:])
    put_along(wide, place, np.moveaxis(back, 1, 2).reshape(block.shape))


def _restore_residual(wide: Wide, anatomy: Anatomy, maps: Maps) -> None:
    """Undo the permutation or rotation of the stream; norms get the gains of a where they are."""
    if "residual.a" in maps:
        for axis in (x for x in anatomy.axes if x.kind == "residual"):
            order = completed(maps["residual.a"], maps["residual.b"], axis.n_units)
            for place in axis.places:
                reorder(wide, place, order)
    gains = {k.removeprefix("norm."): x for k, x in maps.items() if k.startswith("norm.")}
    if "residual.rotation" not in maps and not gains:
        return
    stream = open_stream(wide, anatomy)
    rotation = maps.get("residual.rotation", np.eye(stream.width, dtype=np.float32))
    vectors = {
        name: np.asarray(gains.get(name, wide[name]), dtype=np.float64)
        for norm in stream.norms
        for name in (norm.gain, norm.bias)
        if name is not None
    }
    turn(wide, stream, np.asarray(rotation, dtype=np.float64).T, vectors, 0.0)
