"""Layers whose rows stay rows: codes side by side in words or bytes, a scale for each group.

compressed-tensors (whole numbers in words, NVFP4) and MLX (an offset beside each scale).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weightkin.formats.computed import Floats, Index, stored_rows
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage
from weightkin.formats.packed_parts import (
    FLOATS,
    Source,
    Unpacked,
    check_part,
    check_scales,
    is_single,
    matrix_of,
    size_in,
)
from weightkin.text import unreadable

LEVELS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=np.float32)  # of four-bit floats
FP4 = np.concatenate([LEVELS, -LEVELS])
WORD_BITS = (2, 4, 8)  # codes of these never run from one word into the next


@dataclass(frozen=True, slots=True)
class RowCodes:
    """``(code - middle) * scale``, ``code * scale + offset`` or ``level[code] * scale / whole``."""

    shape: tuple[int, int]
    codes: str
    bits: int
    width: int  # words or bytes of a row of codes
    scales: str
    n_groups: int
    offsets: str = ""  # MLX: what is added in each group
    whole: str = ""  # NVFP4: what every scale is divided by

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked, the lowest bits of a word first."""
        n = self.shape[1]
        raw = stored_rows(storage, self.codes, rows, self.width)
        raw = raw.view(np.uint8 if raw.itemsize == 1 else np.uint32)
        shifts = np.arange(0, 8 * raw.itemsize, self.bits, dtype=raw.dtype)
        codes = raw[:, :, None] >> shifts & raw.dtype.type(2**self.bits - 1)
        codes = codes.reshape(len(rows), self.width * len(shifts))[:, :n]
        groups = np.arange(n) // (n // self.n_groups)
        scales = to_float32(stored_rows(storage, self.scales, rows, self.n_groups))
        if self.whole:
            scales = scales / to_float32(storage.read(self.whole, 0, 1))
            values: Floats = FP4[codes] * scales[:, groups]
        elif self.offsets:
            offsets = to_float32(stored_rows(storage, self.offsets, rows, self.n_groups))
            values = codes.astype(np.float32) * scales[:, groups] + offsets[:, groups]
        else:
            middle = np.float32(2 ** (self.bits - 1))
            values = (codes.astype(np.float32) - middle) * scales[:, groups]
        return values


def compressed(source: Source, stem: str) -> Unpacked:
    """Whole numbers in words (``weight_shape`` says how many), or NVFP4 in bytes."""
    tensors, codes, scales = source.tensors, f"{stem}.weight_packed", f"{stem}.weight_scale"
    for part in ("weight_zero_point", "weight_g_idx"):
        if f"{stem}.{part}" in tensors:
            raise unreadable(f"{stem}.{part}", "not supported (only symmetric groups in order are)")
    whole, stated = f"{stem}.weight_global_scale", f"{stem}.weight_shape"
    if whole in tensors:
        n, width = matrix_of(tensors, codes, ("U8",))
        check_part(tensors, whole, "F32", 1)
        n_groups = matrix_of(tensors, scales, ("F8_E4M3",))[1]
        n_in, bits, label = 2 * width, 4, "nvfp4"
        parts: tuple[str, ...] = (codes, scales, whole)
        beside = f"{stem}.input_global_scale"
        parts += (beside,) if is_single(tensors, beside) else ()
    else:
        n, width = matrix_of(tensors, codes, ("I32",))
        n_groups = matrix_of(tensors, scales, FLOATS)[1]
        n_in = _inputs(source, stated, n)
        fits = [bits for bits in WORD_BITS if -(-n_in * bits // 32) == width]
        bits = fits[0] if fits else 0
        label, whole, parts = f"int{bits}", "", (codes, scales, stated)
    if not bits or n_in % n_groups:
        what = f"{width} words of {n_in} inputs in {n_groups} groups"
        raise unreadable(codes, f"{what} are not whole groups of 2, 4 or 8 bits")
    check_part(tensors, scales, tensors[scales].dtype, n * n_groups)
    check_scales(scales, n * n_in, n * n_groups)
    recipe = RowCodes((n, n_in), codes, bits, width, scales, n_groups, whole=whole)
    return Unpacked(f"{stem}.weight", label, recipe, parts)


def _inputs(source: Source, name: str, n: int) -> int:
    """Inputs of a layer, as its own small tensor says."""
    if name not in source.tensors or source.tensors[name].shape != (2,):
        raise unreadable(name, "missing, or not two numbers")
    if source.tensors[name].dtype not in ("I64", "I32"):
        raise unreadable(name, f"{source.tensors[name].dtype} numbers, not integers")
    rows, columns = source.storage.read(name, 0, 2).tolist()
    if rows != n or not 0 < columns <= 1 << 24:
        raise unreadable(name, f"shape {rows} x {columns} does not fit {n} rows")
    return int(columns)


def mlx(source: Source, stem: str) -> Unpacked | None:
    """Words of codes with scales and offsets; only the config says how many bits a code has."""
    tensors = source.tensors
    codes, scales, offsets = (f"{stem}.{part}" for part in ("weight", "scales", "biases"))
    if codes not in tensors or tensors[codes].dtype != "U32":
        return None
    n, width = matrix_of(tensors, codes, ("U32",))
    stated = source.stated.get(stem, source.stated)
    if not isinstance(stated, dict) or stated.get("mode", "affine") != "affine":
        raise unreadable(codes, "this mode of MLX is not supported, only affine groups")
    bits = size_in(stated, "bits", codes)
    if bits not in WORD_BITS:
        raise unreadable(codes, f"MLX with {bits} bits is not supported, only 2, 4 and 8")
    n_groups = matrix_of(tensors, scales, FLOATS)[1]
    n_in = width * 32 // bits
    for part in (scales, offsets):
        check_part(tensors, part, tensors[scales].dtype, n * n_groups)
    check_scales(scales, n * n_in, n * n_groups)
    if n_in != n_groups * size_in(stated, "group_size", codes):
        what = f"{n_in} inputs in {n_groups} groups do not have the stated group_size"
        raise unreadable(codes, what)
    recipe = RowCodes((n, n_in), codes, bits, width, scales, n_groups, offsets=offsets)
    return Unpacked(codes, f"mlx {bits} bits", recipe, (codes, scales, offsets))
