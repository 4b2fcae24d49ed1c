"""An anatomy as text, and back: a sketch carries that of its model. Hostile until checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from weightkin.anatomy.types import Anatomy, Axis, AxisKind, Place
from weightkin.formats.json_text import parse
from weightkin.formats.model import Problem, TensorInfo
from weightkin.records.codes import REASONS
from weightkin.text import quoted, shown, unreadable

KINDS: tuple[AxisKind, ...] = ("units", "vo", "residual")  # of heads a sketch holds nothing
MAX_UNITS = 1 << 32
MAX_BLOCKS = 1 << 20


def anatomy_text(anatomy: Anatomy) -> str:
    """Write an anatomy as JSON: equal text for equal anatomies."""
    fields = asdict(anatomy, dict_factory=_without_spans)
    return json.dumps(fields, separators=(",", ":"), sort_keys=True)


def _without_spans(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields by name, but for those that no place of an anatomy has."""
    return {name: value for name, value in fields if name != "spans"}


def stored_anatomy(text: str, tensors: Mapping[str, TensorInfo], where: str) -> Anatomy:
    """Read an anatomy whose axes must lie inside the tensors at hand.

    Parameters
    ----------
    text : str
        The anatomy, as JSON.
    tensors : mapping of str to TensorInfo
        Tensors of the sketch, by name.
    where : str
        What errors name: the file.

    Returns
    -------
    Anatomy
        Family, stacks, axes, roles, and what was skipped.

    Raises
    ------
    UnreadableModel
        It is malformed, or speaks of what is not there.
    """
    fields = parse(text.encode("utf-8", "replace"), where, "anatomy")
    match fields:
        case {
            "family": str(family),
            "stacks": list(stacks),
            "axes": list(axes),
            "roles": list(roles),
            "skipped": list(skipped),
        }:
            pass
        case _:
            raise _malformed(where, "invalid fields")
    return Anatomy(
        family=family,
        stacks=tuple(_stack(where, item) for item in stacks),
        axes=tuple(_axis(where, item, tensors) for item in axes),
        roles=tuple(_role(where, item, tensors) for item in roles),
        skipped=tuple(_problem(where, item) for item in skipped),
    )


def _axis(where: str, item: Any, tensors: Mapping[str, TensorInfo]) -> Axis:
    match item:
        case {
            "name": str(name),
            "kind": str(kind),
            "stack": str(stack),
            "block": int(block),
            "n_units": int(n_units),
            "group": str(group),
            "labels": str(labels),
            "places": [_, *_] as places,
            "head_size": int(head_size),
            "is_gated": bool(is_gated),
        } if (
            kind in KINDS
            and -1 <= block < MAX_BLOCKS
            and 0 < n_units <= MAX_UNITS
            and (1 if kind == "vo" else 0) <= head_size <= n_units
            and (kind != "units" or head_size == 0 or n_units % head_size == 0)
        ):
            pass
        case _:
            raise _malformed(where, "an invalid axis")
    axis_kind = KINDS[KINDS.index(kind)]  # one of them: checked above
    cut = tuple(_place(where, place, tensors) for place in places)
    for place in cut:
        is_cut_head = axis_kind == "vo" and place.dim == 1 and place.size % head_size
        if place.size // place.inner > n_units or is_cut_head:
            raise _malformed(where, f"a place of {place.size} units on an axis of {n_units}")
    return Axis(name, axis_kind, stack, block, n_units, group, labels, cut, head_size, is_gated)


def _place(where: str, item: Any, tensors: Mapping[str, TensorInfo]) -> Place:
    match item:
        case {
            "tensor": str(tensor),
            "dim": 0 | 1 as dim,
            "start": int(start),
            "size": int(size),
            "role": str(role),
            "repeat": 1,
            "index": None,
            **more,
        } if tensor in tensors and start >= 0 and size > 0:
            pass
        case _:
            raise _malformed(where, "an invalid place")
    shape = tensors[tensor].shape
    if len(shape) != 2 or start + size > shape[dim] or not math.prod(shape):
        raise _malformed(where, f"a place outside tensor {quoted(tensor)}")
    match more.get("outer", 1), more.get("inner", 1):  # a sketch of 0.1.0 has neither
        case 1, int(inner) if 0 < inner <= size and size % inner == 0:
            return Place(tensor, int(dim), start, size, role, inner=inner)
    raise _malformed(where, "a place of parts of units")


def _stack(where: str, item: Any) -> tuple[str, int]:
    match item:
        case [str(name), int(n)] if 0 <= n < MAX_BLOCKS:
            return name, n
    raise _malformed(where, "an invalid stack")


def _role(where: str, item: Any, tensors: Mapping[str, TensorInfo]) -> tuple[str, str]:
    match item:
        case [str(tensor), str(role)] if tensor in tensors:
            return tensor, role
    raise _malformed(where, "an invalid role")


def _problem(where: str, item: Any) -> Problem:
    match item:
        case {"what": str(what), "why": str(why), "loses_tensors": bool(lost), **more}:
            code = more.get("code", "unread")  # a sketch of 0.1.0 has none
            if isinstance(code, str) and REASONS.get(code) == ("error",):
                return Problem(what, why, lost, code)
    raise _malformed(where, "an invalid reason")


def _malformed(where: str, found: str) -> Exception:
    return unreadable(shown(where), f"damaged sketch (its anatomy has {found})")
