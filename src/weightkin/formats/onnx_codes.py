"""Codes of ONNX's DequantizeLinear, shown as the values they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weightkin.formats.computed import Floats, Index, stored_rows, stored_whole
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage
from weightkin.formats.onnx_graph import Held
from weightkin.formats.packed_parts import LEAST_GROUP
from weightkin.sources.files import TensorLocation

ROLES = ("codes", "scale", "zero")


@dataclass(frozen=True, slots=True)
class Codes:
    """One node that unpacks a stored tensor; ``parts`` names codes, scale and zero point."""

    output: str
    parts: Mapping[str, str]  # name of a stored tensor -> which part it is
    axis: int

    def recipe(
        self, name: str, places: Mapping[str, TensorLocation], *, is_turned: bool
    ) -> UnpackedCodes | None:
        """How the values follow; None where scales are neither one nor one for each channel."""
        shape = places["codes"].shape
        axis = self.axis + len(shape) if self.axis < 0 else self.axis
        axis = 1 - axis if is_turned else axis
        n = int(np.prod(places["scale"].shape, dtype=np.int64))
        is_each = len(places["scale"].shape) == 1 and axis < len(shape) and n == shape[axis]
        zero = places.get("zero")
        is_known = zero is None or zero.shape == places["scale"].shape
        if not is_known or not (n == 1 or is_each) or not shape or 0 in shape:
            return None
        if n > 1 and n * LEAST_GROUP > math.prod(shape):
            return None
        return UnpackedCodes(shape, name, axis if is_each and n > 1 else -1, n, zero is not None)

    def packed(self, places: Mapping[str, TensorLocation]) -> str:
        """What the codes are, in words."""
        return f"onnx {places['codes'].dtype.name}"


@dataclass(frozen=True, slots=True)
class UnpackedCodes:
    """``(code - zero) * scale``; the scale is one for all (axis -1) or for each channel."""

    shape: tuple[int, ...]
    name: str
    axis: int
    n_scales: int
    has_zero: bool

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked."""
        width = int(np.prod(self.shape[1:], dtype=np.int64))
        raw = stored_rows(storage, f"codes:{self.name}", rows, width)
        codes = raw.astype(np.int64) if raw.dtype.kind in "iu" else to_float32(raw)
        scale = to_float32(stored_whole(storage, f"scale:{self.name}", (self.n_scales,)))
        zero = np.zeros(self.n_scales, dtype=np.int64)
        if self.has_zero:
            zero = stored_whole(storage, f"zero:{self.name}", (self.n_scales,)).astype(np.int64)
        values = codes.reshape(len(rows), *self.shape[1:])
        if self.axis == 0:
            scale, zero = scale[rows], zero[rows]
        around = [1] * values.ndim
        around[max(self.axis, 0)] = len(scale)
        unpacked = (values - zero.reshape(around)).astype(np.float32) * scale.reshape(around)
        return np.asarray(unpacked, dtype=np.float32).reshape(len(rows), width)


def codes_of(held: Held) -> dict[str, Codes]:
    """Stored tensors that a node unpacks whose scale and zero point are stored as well."""
    found: dict[str, Codes] = {}
    for node in held.graph.unpacked:
        inputs = [name for name in node.inputs if name]
        if len(inputs) > 1 and len(node.outputs) == 1 and all(x in held.tensors for x in inputs):
            parts = dict(zip(inputs, ROLES, strict=False))
            if len(parts) == len(inputs) <= len(ROLES):
                found.setdefault(inputs[0], Codes(node.outputs[0], parts, node.axis))
    return {
        name: codes
        for name, codes in found.items()
        if not any(part in found for part in list(codes.parts)[1:])
    }
