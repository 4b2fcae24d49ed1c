"""Gains of norms as what they multiply by, where models store them in different ways.

Some models store a gain as its distance from one, and conversion to GGUF adds the one. Where all
of some sketches store gains alike, they stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.gains import OTHER_TOWERS, added_gain
from weightkin.catalogue.config import language_model_type
from weightkin.sketch.facts import sketched_tensor
from weightkin.sketch.overlap import common
from weightkin.sketch.types import Sketch, SketchedTensor

ROLES = ("norm", "attn.q_norm", "attn.k_norm")
UNSHIFTED = ("linear_attn.norm.weight",)  # multiplies by what it stores, in every model
LAST = "norm.last"
KNOWN = (
    *("key", "stored_name", "role", "stack", "block", "shape", "packed", "rows", "columns"),
    *("n_run", "tail_rows", "tail_columns", "row_starts", "column_starts", "is_cut", "is_turned"),
)
Offsets = tuple[float, float]  # what is added to the gains, and to those of the last norm
NONE: Offsets = (0.0, 0.0)
ONE: Offsets = (1.0, 1.0)


def with_whole_gains(sketches: Sequence[Sketch]) -> list[Sketch]:
    """Sketches with the gains that their models multiply by, if they are not stored alike.

    The model type says how they are stored. Of a sketch without one it is the values: most are
    nearer to those of another if one is added.

    Parameters
    ----------
    sketches : sequence of Sketch
        Of any schemes.

    Returns
    -------
    list of Sketch
        In the same order; one that needs no change as it is.
    """
    known = [_offsets(x) for x in sketches]
    others = [x for x, own in zip(sketches, known, strict=True) if own is not None]
    stored = [
        own if own is not None else _by_values(x, others)
        for x, own in zip(sketches, known, strict=True)
    ]
    if len(set(stored)) < 2:
        return list(sketches)
    return [_shifted(x, own) for x, own in zip(sketches, stored, strict=True)]


def _offsets(sketch: Sketch) -> Offsets | None:
    config = sketch.config
    if not language_model_type(config):
        return None
    return added_gain(config, is_last=False), added_gain(config, is_last=True)


def _by_values(sketch: Sketch, others: Sequence[Sketch]) -> Offsets:
    """Whether most gains are nearer to those of the first other model if one is added to them."""
    own = {name: t for name, t in sketch.tensors.items() if _is_gain(t)}
    for other in others:
        both = [(t, other.tensors[name]) for name, t in own.items() if name in other.tensors]
        both = [(x, y) for x, y in both if x.shape == y.shape]
        if both and (offsets := _offsets(other)) is not None:
            nearer = [_is_nearer(x, _whole(y, offsets[y.key.role == LAST])) for x, y in both]
            return ONE if np.concatenate(nearer).mean() > 0.5 else NONE
    return NONE


def _is_nearer(x: SketchedTensor, y: SketchedTensor) -> npt.NDArray[np.bool_]:
    """Which gains of x are nearer to those of y with one added to them."""
    both = common(x, y)
    here, there = both.values_a.ravel(), both.values_b.ravel()
    with np.errstate(all="ignore"):
        found: npt.NDArray[np.bool_] = abs(here + 1.0 - there) < abs(here - there)
    return found


def _shifted(sketch: Sketch, offsets: Offsets) -> Sketch:
    if offsets == NONE:
        return sketch
    tensors = {
        name: _whole(t, offsets[t.key.role == LAST]) if _is_gain(t) else t
        for name, t in sketch.tensors.items()
    }
    return replace(sketch, tensors=tensors, before=sketch.as_stored)


def _is_gain(tensor: SketchedTensor) -> bool:
    """Whether a tensor is the gain of a norm that stores it as its model's language part does."""
    name, stack = tensor.stored_name, tensor.key.stack.rpartition(".")[2]
    is_gain = tensor.role in ROLES and len(tensor.shape) == 1
    is_gain = is_gain and not name.endswith((".bias", ".beta", *UNSHIFTED))
    return is_gain and stack not in OTHER_TOWERS


def _whole(tensor: SketchedTensor, offset: float) -> SketchedTensor:
    known = {name: getattr(tensor, name) for name in KNOWN}
    stored = _added(tensor.stored, offset)
    return sketched_tensor(stored, _added(tensor.tail_stored, offset), **known, dtype="F32")


def _added(stored: npt.NDArray[Any], offset: float) -> npt.NDArray[np.float32]:
    """The sum as conversion takes it: in float16 where gains are stored so, else in float32."""
    with np.errstate(all="ignore"):  # signalling NaNs in hostile files
        if stored.dtype == np.float16:
            return (stored + np.float16(offset)).astype(np.float32)
        return stored.astype(np.float32) + np.float32(offset)
