"""Layers of 8-bit floats or whole numbers with a scale for each block, row or matrix.

The layouts of compressed-tensors, FBGEMM, DeepSeek and others, and the two of ComfyUI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weightkin.formats.computed import Floats, Index, stored_rows, stored_whole
from weightkin.formats.dtypes import to_float32
from weightkin.formats.json_text import parse_object
from weightkin.formats.model import Storage
from weightkin.formats.packed_parts import FLOATS, Source, Unpacked, check_scales, is_single
from weightkin.text import counted, quoted, shown, unreadable

EIGHT_BITS = ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8")
COMFY = "scaled_fp8"  # an empty mark beside the layers of one network
MAX_DEPTH = 16  # modules before a layer at which the mark is looked for
MAX_NOTE = 1 << 10  # bytes of what ComfyUI says about a layer
COMFY_PLAIN = ("float8_e4m3fn", "float8_e5m2", "int8_tensorwise", "int8_blockwise")


@dataclass(frozen=True, slots=True)
class Scaled:
    """``(value - zero) * scale[block]``, blocks being rectangles (128 x 128, a row, all)."""

    shape: tuple[int, ...]  # all dimensions but the first count as columns
    name: str
    scale: str
    block: tuple[int, int]
    grid: tuple[int, int]
    zeros: str = ""

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked."""
        width = math.prod(self.shape[1:])
        values = to_float32(stored_rows(storage, self.name, rows, width))
        blocks = rows // self.block[0]
        columns = np.arange(width) // self.block[1]
        if self.zeros:
            zeros = to_float32(stored_whole(storage, self.zeros, self.grid))
            values = values - zeros[blocks][:, columns]
        scales = to_float32(stored_whole(storage, self.scale, self.grid))
        return values * scales[blocks][:, columns]


def scaled(source: Source, name: str, suffix: str) -> Unpacked | None:
    """8-bit floats or whole numbers times the scale of their block (or row, or matrix)."""
    tensors = source.tensors
    info, scale, zeros = tensors.get(name), f"{name}{suffix}", f"{name}_zero_point"
    if info is None or info.dtype not in EIGHT_BITS or 0 in info.shape:
        return None
    if info.dtype == "U8" or len(info.shape) != 2:
        what = f"scales for {info.dtype} of {counted(len(info.shape), 'dimension')}"
        raise unreadable(name, f"{what}, not for an 8-bit matrix")
    shape = (info.shape[0], info.shape[1])
    block, grid = _blocks(source, scale, shape)
    beside = f"{name.removesuffix('weight')}input_scale"
    parts = (name, scale, *((beside,) if is_single(tensors, beside) else ()))
    if zeros in tensors:
        zero = tensors[zeros]
        if zero.dtype != info.dtype or zero.shape != tensors[scale].shape:
            raise unreadable(zeros, f"{zero.dtype} of shape {shown(zero.shape)}, not as the scales")
        parts = (*parts, zeros)
    label = "int8 with scales" if info.dtype == "I8" else "fp8 with scales"
    recipe = Scaled(shape, name, scale, block, grid, zeros if zeros in tensors else "")
    return Unpacked(name, label, recipe, parts)


def comfy(source: Source, stem: str) -> Unpacked | None:
    """8-bit floats as ComfyUI wrote them first: one scale a tensor, under another name."""
    tensors, name, scale = source.tensors, f"{stem}.weight", f"{stem}.scale_weight"
    info = tensors.get(name)
    if info is None or not info.dtype.startswith("F8") or 0 in info.shape or not info.shape:
        return None
    if not is_single(tensors, scale) or tensors[scale].dtype not in FLOATS:
        raise unreadable(scale, "not one scale for a tensor")
    width = math.prod(info.shape[1:])
    recipe = Scaled(info.shape, name, scale, (info.shape[0], max(1, width)), (1, 1))
    beside = f"{stem}.scale_input"
    parts = [name, scale, *((beside,) if is_single(tensors, beside) else ())]
    places = stem.split(".")[:MAX_DEPTH]  # the mark stands before the names of its network
    marks = (".".join((*places[:n], COMFY)) for n in range(len(places)))
    parts += [x for x in marks if x in tensors and tensors[x].n_bytes <= 2]
    return Unpacked(name, "fp8 with scales", recipe, tuple(parts))


def comfy_noted(source: Source, stem: str) -> Unpacked | None:
    """A layer with ComfyUI's note of its format beside it."""
    note, info = f"{stem}.comfy_quant", source.tensors[f"{stem}.comfy_quant"]
    if info.dtype != "U8" or info.n_bytes > MAX_NOTE:
        raise unreadable(note, f"{info.dtype} of {info.n_bytes} bytes, not a short text")
    raw = source.storage.read(note, 0, info.n_bytes).tobytes()
    form = parse_object(raw, note, "note", is_hint=True).get("format")
    if form not in COMFY_PLAIN:
        raise unreadable(f"{stem}.weight", f"format {quoted(form)} of ComfyUI is not supported")
    found = scaled(source, f"{stem}.weight", "_scale")
    if found is None:
        raise unreadable(f"{stem}.weight", f"missing, or not of the format {quoted(form)}")
    return Unpacked(found.name, found.packed, found.recipe, (*found.parts, note))


def _blocks(
    source: Source, scale: str, sizes: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns that share a scale, and how many scales there are along both."""
    info = source.tensors.get(scale)
    if info is None:
        raise unreadable(scale, "missing")
    shape = info.shape if info.shape != (1,) else ()
    grid = (*shape, *(1,) * (2 - len(shape)))
    if len(grid) != 2 or 0 in grid or info.dtype not in FLOATS:
        raise unreadable(scale, f"{info.dtype} of shape {shown(info.shape)} cannot be scales")
    blocks = []
    stated = source.stated.get("weight_block_size")
    for i, (n, parts) in enumerate(zip(sizes, grid, strict=True)):
        wanted = stated[i] if isinstance(stated, list) and len(stated) == 2 else 128
        fits = isinstance(wanted, int) and wanted > 0 and -(-n // wanted) == parts
        block = wanted if fits else -(-n // parts)
        if -(-n // block) != parts:
            raise unreadable(scale, f"{parts} scales for {n} rows or columns, not one a block")
        blocks.append(block)
    check_scales(scale, sizes[0] * sizes[1], grid[0] * grid[1])
    return (blocks[0], blocks[1]), (grid[0], grid[1])
