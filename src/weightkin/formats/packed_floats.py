"""Layers of small floats in groups: NVFP4, MXFP4 and MXFP8 of several libraries, and of gpt-oss.

Two floats of four bits stand in a byte, the first in the low half. Scales of MX formats are powers
of two, stored as bare exponents; those of NVFP4 are 8-bit floats beside one factor of the matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import ml_dtypes
import numpy as np

from weightkin.formats.computed import Floats, Index, stored_rows
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import BATCH, Storage
from weightkin.formats.packed_parts import (
    Source,
    Unpacked,
    check_part,
    check_scales,
    is_single,
    stack_of,
)
from weightkin.text import shown, unreadable

LEVELS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=np.float32)  # of four-bit floats
FP4 = np.concatenate([LEVELS, -LEVELS])
_BYTES = np.arange(256)
PAIRS = np.stack([FP4[_BYTES & 15], FP4[_BYTES >> 4]], axis=1)  # (256, 2): both values of a byte
ScaleKind = Literal["float", "exponent", "e4m3"]  # the last two are stored as bytes


class Factor(NamedTuple):
    """A number for the whole matrix, by which scales are multiplied or divided."""

    name: str
    is_divisor: bool


@dataclass(frozen=True, slots=True)
class FloatCodes:
    """``level[code] * scale[group]``, times or divided by one factor of the matrix."""

    shape: tuple[int, int]
    codes: str
    bits: int  # 4 or 8 (E4M3)
    scales: str
    n_groups: int
    scale_kind: ScaleKind
    item: int = 1  # bytes of a stored element of the codes
    factor: Factor | None = None

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked."""
        return self.groups(storage, rows, 0, self.n_groups)

    def groups(self, storage: Storage, rows: Index, first: int, stop: int) -> Floats:
        """Some groups of rows, unpacked."""
        size = self.shape[1] // self.n_groups
        width = self.shape[1] * self.bits // 8 // self.item
        raw = stored_rows(storage, self.codes, rows, width).view(np.uint8)
        raw = raw[:, first * size * self.bits // 8 : stop * size * self.bits // 8]
        n = (stop - first) * size
        if self.bits == 4:
            values = np.take(PAIRS, raw, axis=0)  # (n_rows, n / 2, 2)
        else:
            values = to_float32(np.ascontiguousarray(raw).view(ml_dtypes.float8_e4m3fn))
        scales = self._scales(storage, rows)[:, first:stop]
        grouped = values.reshape(len(rows), stop - first, size)
        return (grouped * scales[:, :, None]).reshape(len(rows), n)

    def _scales(self, storage: Storage, rows: Index) -> Floats:
        raw = stored_rows(storage, self.scales, rows, self.n_groups)
        if self.scale_kind != "float":
            kinds = {"exponent": ml_dtypes.float8_e8m0fnu, "e4m3": ml_dtypes.float8_e4m3fn}
            raw = raw.view(kinds[self.scale_kind])
        scales = to_float32(raw)
        if self.factor:
            factor = to_float32(storage.read(self.factor.name, 0, 1))
            scales = scales / factor if self.factor.is_divisor else scales * factor
        return scales


@dataclass(frozen=True, slots=True)
class TurnedExperts:
    """Matrices of experts that are stored (outputs, inputs), shown (inputs, outputs)."""

    shape: tuple[int, int]  # inputs of all experts, outputs
    inner: FloatCodes  # outputs of all experts, inputs

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows: columns of the stored matrix of each expert, of which only some groups are read."""
        n_out, n_in = self.shape[1], self.inner.shape[1]
        size = n_in // self.inner.n_groups
        out = np.zeros((len(rows), n_out), dtype=np.float32)
        for expert in np.unique(rows // n_in).tolist():
            here = np.flatnonzero(rows // n_in == expert)
            columns = rows[here] % n_in
            first, stop = int(columns.min()) // size, int(columns.max()) // size + 1
            step = max(1, BATCH // max((stop - first) * size, n_in // 2))  # rows are read whole
            for start in range(0, n_out, step):
                some = np.arange(start, min(n_out, start + step))
                block = self.inner.groups(storage, expert * n_out + some, first, stop)
                out[here, start : start + len(some)] = block[:, columns - first * size].T
        return out


def compressed_floats(source: Source, stem: str) -> Unpacked:
    """NVFP4 (with a factor) or MXFP4 (without one) of compressed-tensors."""
    codes, scales = f"{stem}.weight_packed", f"{stem}.weight_scale"
    factor = f"{stem}.weight_global_scale"
    is_nv = factor in source.tensors
    beside = f"{stem}.input_global_scale"
    if is_nv:
        check_part(source.tensors, factor, "F32", 1)
    recipe, stack = _codes(source, codes, scales, 4, Factor(factor, True) if is_nv else None)
    parts = [codes, scales, *([factor] if is_nv else [])]
    parts += [beside] if is_single(source.tensors, beside) else []
    return Unpacked(f"{stem}.weight", "nvfp4" if is_nv else "mxfp4", recipe, tuple(parts), stack)


def modelopt(source: Source, stem: str) -> Unpacked | None:
    """NVFP4 as ModelOpt writes it: the factor multiplies, and has another name."""
    codes, scales = f"{stem}.weight", f"{stem}.weight_scale"
    factor, beside = f"{stem}.weight_scale_2", f"{stem}.input_scale"
    if codes not in source.tensors or source.tensors[codes].dtype != "U8":
        return None
    if f"{stem}.comfy_quant" in source.tensors:
        raise unreadable(codes, "NVFP4 with the tiled scales of ComfyUI is not supported")
    check_part(source.tensors, factor, "F32", 1)
    recipe, stack = _codes(source, codes, scales, 4, Factor(factor, False))
    parts = (codes, scales, factor, *((beside,) if is_single(source.tensors, beside) else ()))
    return Unpacked(codes, "nvfp4", recipe, parts, stack)


def mlx_floats(source: Source, stem: str, mode: object) -> Unpacked:
    """The layouts of small floats of MLX, whose scales are bytes."""
    codes, scales = f"{stem}.weight", f"{stem}.scales"
    bits = {"mxfp4": 4, "nvfp4": 4, "mxfp8": 8}.get(mode) if isinstance(mode, str) else None
    if bits is None or not isinstance(mode, str):  # a config may hold anything
        raise unreadable(codes, f"mode {shown(mode)} of MLX is not supported")
    kind: ScaleKind = "e4m3" if mode == "nvfp4" else "exponent"
    recipe, stack = _codes(source, codes, scales, bits, byte_scales=kind)
    return Unpacked(codes, mode, recipe, (codes, scales), stack)


def expert_blocks(source: Source, stem: str, end: str = "_", word: str = "") -> Unpacked | None:
    """MXFP4 of gpt-oss: blocks of 32 along the inputs, shown as (experts, inputs, outputs).

    As its publisher stores it (``end`` is a dot, ``word`` what the stem ends with) it is shown as
    it is stored, (experts, outputs, inputs).
    """
    stem += word
    codes, scales = f"{stem}{end}blocks", f"{stem}{end}scales"
    info, held = source.tensors.get(codes), source.tensors[scales]
    if info is None or info.dtype != "U8" or len(info.shape) not in (3, 4):
        return None
    shape = info.shape
    if 0 in shape or shape[-1] != 16 or held.dtype != "U8" or held.shape != shape[:-1]:
        what = f"blocks of shape {shown(shape)} with scales of shape {shown(held.shape)}"
        raise unreadable(stem, f"{what}: not MXFP4 with 16 bytes a block")
    *lead, n, n_groups = held.shape
    rows, n_in = math.prod((*lead, n)), n_groups * 32
    inner = FloatCodes((rows, n_in), codes, 4, scales, n_groups, "exponent")
    if not lead or end == ".":
        stack = (*lead, n, n_in) if lead else ()
        return Unpacked(stem, "mxfp4", inner, (codes, scales), stack)
    recipe = TurnedExperts((math.prod(lead) * n_in, n), inner)
    return Unpacked(stem, "mxfp4", recipe, (codes, scales), (*lead, n_in, n))


def _codes(
    source: Source,
    codes: str,
    scales: str,
    bits: int,
    factor: Factor | None = None,
    byte_scales: ScaleKind = "exponent",
) -> tuple[FloatCodes, tuple[int, ...]]:
    """The recipe of codes with a scale for each group of a row, and the shape of a stack."""
    tensors = source.tensors
    lead, n, width = stack_of(tensors, codes, ("U8", "U32", "F8_E4M3"))
    item = 4 if tensors[codes].dtype == "U32" else 1
    n_in = width * item * 8 // bits
    kinds = ("U8", "F8_E4M3", "F8_E8M0")
    other, rows, n_groups = stack_of(tensors, scales, kinds)
    kind = byte_scales if tensors[scales].dtype == "U8" else "float"
    if (other, rows) != (lead, n) or n_in % n_groups:
        what = f"{shown(tensors[scales].shape)} scales for {n} rows of {n_in} inputs"
        raise unreadable(codes, f"{what}, not one for each group of a row")
    check_scales(scales, n * n_in, n * n_groups)
    total = math.prod((*lead, n))
    inner = FloatCodes((total, n_in), codes, bits, scales, n_groups, kind, item, factor)
    return inner, (*lead, n, n_in) if lead else ()
