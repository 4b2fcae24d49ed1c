"""Codes of quantised layers of ONNX, shown as the values they stand for.

A node that unpacks codes (``DequantizeLinear``, or ``Cast`` and ``Mul``) or computes with them says
which tensors are their scale and their zero point. The scale of an integer product stands further
on, where its result becomes a float: ``Mul`` by the product of both scales.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Floats, Index, Numbers, stored_rows, stored_whole
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage
from weightkin.formats.onnx_graph import Held
from weightkin.formats.onnx_names import Graph, Node
from weightkin.formats.onnx_nibbles import Nibbles
from weightkin.formats.packed_parts import LEAST_GROUP
from weightkin.sources.files import TensorLocation

LAST, ALIGNED, CHANNELS = -1, 98, 99  # axes of scales: the last; as shapes align; the first of all
ROWS = 256  # of a matrix that is computed at a time
MAX_STEPS = 4  # nodes between an integer product and its scale
# operation -> inputs that are codes, their scale and their zero point, and along which axis
QUANTISED = {
    "MatMulIntegerToFloat": ((1, 3, 5, LAST),),
    "DynamicQuantizeMatMul": ((1, 2, 3, LAST),),
    "DynamicQuantizeLSTM": ((1, 8, 9, CHANNELS), (2, 10, 11, CHANNELS)),
    "QLinearMatMul": ((3, 4, 5, LAST),),
    "QLinearAdd": ((0, 1, 2, LAST), (3, 4, 5, LAST)),
    "QLinearConv": ((3, 4, 5, 0),),
    "QGemm": ((3, 4, 5, LAST),),
    "QAttention": ((1, 4, 7, LAST),),
}
PRODUCTS = {"MatMulInteger": LAST, "ConvInteger": 0}  # and the axis of their scales
ENDINGS = ("_quantized", "_q")  # what tools put behind the name of a tensor they quantise
UNKNOWN = (*QUANTISED, *PRODUCTS, "DequantizeLinear", "MatMulNBits", "GatherBlockQuantized",
           "MatMulBnb4", "QEmbedLayerNormalization", "QOrderedMatMul")  # fmt: skip


Part = TensorLocation | Numbers | Nibbles
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Codes:
    """One stored tensor that a node unpacks; ``parts`` names codes, scale and zero point."""

    output: str  # what the values are called in the graph
    parts: Mapping[str, str]  # which part -> name of a stored tensor
    axis: int
    block: int = 0  # codes along the axis that share a scale, where there are several scales
    is_swapped: bool = False  # the last two dimensions are not in the order of the plain layer

    def recipe(
        self, name: str, parts: Mapping[str, Part], *, is_turned: bool
    ) -> UnpackedCodes | None:
        """How the values follow; None where scales are none of the known kinds."""
        shape = parts["codes"].shape
        sizes = parts["scale"].shape
        scales = self._aligned(sizes, shape, is_turned=is_turned)
        zeros = scales
        if "zero" in parts:
            zeros = self._aligned(parts["zero"].shape, shape, is_turned=is_turned)
        if scales is None or zeros is None or not shape or 0 in shape:
            return None
        if math.prod(zeros) not in (1, math.prod(scales)):
            return None
        n = math.prod(scales)
        if n > 1 and n * LEAST_GROUP > math.prod(shape) and len(shape) > 1:
            return None
        given = {role: x.values for role, x in parts.items() if isinstance(x, Numbers)}
        zeros = zeros if "zero" in parts else None
        halves = {role: x for role, x in parts.items() if isinstance(x, Nibbles)}
        return UnpackedCodes(shape, name, (scales, zeros), given, self.block, halves)

    def _aligned(
        self, sizes: tuple[int, ...], shape: tuple[int, ...], *, is_turned: bool
    ) -> tuple[int, ...] | None:
        """The shape of scales as it stands beside that of codes: each size is 1 or the same."""
        ones = (1,) * len(shape)
        if math.prod(sizes) == 1:
            return ones
        stored = swapped(shape) if is_turned else shape
        if self.block:
            axis = self.axis + len(shape) if self.axis < 0 else self.axis
            n_blocks = tuple(-(-n // self.block) if i == axis else n for i, n in enumerate(stored))
            return sizes if sizes == n_blocks else None
        if self.axis == ALIGNED:
            found = (*ones, *sizes)[-len(shape) :] if len(sizes) <= len(shape) else ()
        elif self.axis == CHANNELS:  # one for each direction, or for each gate of each direction
            found = (sizes[0], *ones[1:-1], *(sizes[1:] or (1,))) if len(sizes) <= 2 else ()
        else:
            axis = self.axis + len(shape) if self.axis < 0 else self.axis
            is_one = len(sizes) == 1 and 0 <= axis < len(shape)
            found = (*ones[:axis], sizes[0], *ones[axis + 1 :]) if is_one else ()
        if len(found) != len(shape) or any(
            a not in (1, b) for a, b in zip(found, stored, strict=True)
        ):
            return None
        return swapped(found) if is_turned else found


@dataclass(frozen=True, slots=True)
class UnpackedCodes:
    """``(code - zero) * scale``; scales and zeros have the sizes of the codes, 1, or of blocks."""

    shape: tuple[int, ...]
    name: str
    sizes: tuple[tuple[int, ...], tuple[int, ...] | None]  # of the scales, of the zeros
    given: Mapping[str, Array]  # parts that were read with the header
    block: int = 0
    nibbles: Mapping[str, Nibbles] = field(default_factory=dict)  # parts of four bits

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked."""
        width = math.prod(self.shape[1:])
        if "codes" in self.nibbles:
            raw: Array = self.nibbles["codes"].rows(storage, rows)
        else:
            raw = stored_rows(storage, f"codes:{self.name}", rows, width)
        values = _numbers(raw).reshape(len(rows), *self.shape[1:])
        scales, zeros = self.sizes
        if zeros is not None:
            values = values - self._beside(storage, "zero", zeros, rows)
        scale = self._beside(storage, "scale", scales, rows)
        unpacked = values.astype(np.float32) * scale
        return np.asarray(unpacked, dtype=np.float32).reshape(len(rows), width)

    def _beside(self, storage: Storage, role: str, sizes: tuple[int, ...], rows: Index) -> Array:
        """Scales or zeros as they stand beside some rows of the codes."""
        held = self.given.get(role)
        if role in self.nibbles:
            held = self.nibbles[role].rows(storage, np.arange(sizes[0]))
        elif held is None:
            held = stored_whole(storage, f"{role}:{self.name}", sizes)
        found = _numbers(held.reshape(sizes))
        if sizes[0] > 1:
            found = found[rows if sizes[0] == self.shape[0] else rows // self.block]
        for axis in range(1, len(sizes)):
            if 1 < sizes[axis] < self.shape[axis]:
                each = np.arange(self.shape[axis]) // self.block
                found = np.take(found, each, axis=axis)
        return found


@dataclass(frozen=True, slots=True)
class Turned:
    """A matrix that is computed by the rows of another, whose columns are its rows."""

    inner: UnpackedCodes

    @property
    def shape(self) -> tuple[int, ...]:
        """Columns and rows of the other."""
        return self.inner.shape[::-1]

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows of it, from some rows of the other at a time."""
        found = np.empty((len(rows), self.inner.shape[0]), dtype=np.float32)
        for start in range(0, self.inner.shape[0], ROWS):
            some = np.arange(start, min(start + ROWS, self.inner.shape[0]))
            found[:, some] = self.inner.rows(storage, some)[:, rows].T
        return found


def swapped(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes with the last two exchanged."""
    return (*sizes[:-2], *sizes[:-3:-1])


def _numbers(stored: Array) -> Array:
    """Whole numbers wide enough to be subtracted, or floats."""
    return stored.astype(np.int64) if stored.dtype.kind in "iu" else to_float32(stored)


def codes_of(held: Held) -> dict[str, Codes]:
    """Stored tensors that a node unpacks or computes with, whose scale is stored as well."""
    found: dict[str, Codes] = {}
    for node in held.graph.coded:
        block = node.block if node.op == "DequantizeLinear" else 0
        for output, names, axis in _uses(node, held):
            parts = {k: x for k, x in zip(("codes", "scale", "zero"), names, strict=True) if x}
            is_stored = len(parts) >= 2 and all(x in held.tensors for x in parts.values())
            if is_stored and len(set(parts.values())) == len(parts) and "scale" in parts:
                found.setdefault(
                    parts["codes"],
                    Codes(output, parts, axis, block, node.op == "DynamicQuantizeLSTM"),
                )
    return {
        name: codes
        for name, codes in found.items()
        if not any(part in found for role, part in codes.parts.items() if role != "codes")
    }


def left_as_codes(held: Held, layers: Mapping[str, Codes]) -> set[str]:
    """Stored tensors that a node computes with as codes, but whose values are not known."""
    used = {x for node in held.graph.coded if node.op in UNKNOWN for x in node.inputs}
    return {x for x in used if x in held.tensors and x not in layers}


def _uses(node: Node, held: Held) -> Iterator[tuple[str, tuple[str, str, str], int]]:
    """Codes, scale and zero point that a node reads, what they become, and the axis of scales."""

    def name(at: int) -> str:
        return node.inputs[at] if at < len(node.inputs) else ""

    if node.op == "DequantizeLinear" and len(node.outputs) == 1:
        yield node.outputs[0], (name(0), name(1), name(2)), node.axis
    for at, scale_at, zero_at, along in QUANTISED.get(node.op, ()):
        axis = 0 if node.op == "QGemm" and not node.is_turned else along
        yield name(at), (name(at), name(scale_at), name(zero_at)), axis
    if node.op in PRODUCTS and node.outputs:
        axis, stored = PRODUCTS[node.op], name(1)
        scale = _scale_behind(held.graph, node.outputs[0], held) or _scale_named(stored, held)
        is_wide = scale and len(held.tensors[scale].sizes) > 1
        yield stored, (stored, scale, name(3)), ALIGNED if is_wide else axis
    if node.op == "Cast" and node.inputs and node.outputs:
        for step in held.graph.steps.get(node.outputs[0], ()):
            if step.op == "Mul" and step.outputs:
                yield step.outputs[0], (name(0), _other(step, node.outputs[0]), ""), ALIGNED


def _scale_behind(graph: Graph, value: str, held: Held) -> str:
    """The stored scale by which the result of an integer product is multiplied; empty if none."""
    for _ in range(MAX_STEPS):
        steps = graph.steps.get(value, [])
        for step in steps:
            if step.op == "Mul":
                other = _other(step, value)
                factors = (*graph.factors.get(other, ()), other)
                return next((x for x in factors if x in held.tensors), "")
        if len(steps) != 1 or not steps[0].outputs:
            return ""
        value = steps[0].outputs[0]
    return ""


def _scale_named(stored: str, held: Held) -> str:
    """The scale of codes by the names that ONNX Runtime gives; empty if there is none."""
    stem = next((stored.removesuffix(x) for x in ENDINGS if stored.endswith(x)), "")
    return f"{stem}_scale" if stem and f"{stem}_scale" in held.tensors else ""


def _other(node: Node, value: str) -> str:
    return next((x for x in node.inputs if x != value), "")
