"""Layers whose rows stay rows: whole numbers side by side in words, a scale for each group.

compressed-tensors (with or without zeros, groups in order or not) and MLX (an offset beside each
scale). A code may begin in one word and end in the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Floats, Index, stored_rows, stored_whole
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage
from weightkin.formats.packed_floats import compressed_floats, mlx_floats
from weightkin.formats.packed_parts import (
    FLOATS,
    Source,
    Unpacked,
    check_part,
    check_scales,
    size_in,
    stack_of,
)
from weightkin.text import unreadable

MLX_BITS = (2, 3, 4, 5, 6, 8)


@dataclass(frozen=True, slots=True)
class RowCodes:
    """``(code - zero) * scale`` or ``code * scale + offset`` with a scale for each group."""

    shape: tuple[int, int]
    codes: str
    bits: int
    width: int  # words of a row of codes
    scales: str
    n_groups: int
    offsets: str = ""  # MLX: what is added in each group
    zeros: str = ""  # codes packed along the rows; else the middle of all codes
    index: str = ""  # tensor with the group of every input; else groups follow one another

    def rows(self, storage: Storage, rows: Index) -> Floats:
        """Rows unpacked."""
        n = self.shape[1]
        words = stored_rows(storage, self.codes, rows, self.width).view(np.uint32)
        codes = unpacked(words, self.bits, np.arange(n))
        groups = self._groups(storage)
        scales = to_float32(stored_rows(storage, self.scales, rows, self.n_groups))
        if self.offsets:
            offsets = to_float32(stored_rows(storage, self.offsets, rows, self.n_groups))
            return codes * scales[:, groups] + offsets[:, groups]
        if self.zeros:
            return (codes - self._zeros(storage, rows)[:, groups]) * scales[:, groups]
        return (codes - np.float32(2 ** (self.bits - 1))) * scales[:, groups]

    def _groups(self, storage: Storage) -> npt.NDArray[Any]:
        n = self.shape[1]
        if not self.index:
            return np.arange(n) // (n // self.n_groups)
        groups = stored_whole(storage, self.index, (n,))
        if not 0 <= groups.min() <= groups.max() < self.n_groups:
            what = f"groups {groups.min()} to {groups.max()}, not within 0 to {self.n_groups - 1}"
            raise unreadable(self.index, what)
        return groups

    def _zeros(self, storage: Storage, rows: Index) -> Floats:
        """Zeros of some rows: ``(n_rows, n_groups)``; their words run along the rows."""
        first, last = rows * self.bits // 32, (rows * self.bits + self.bits - 1) // 32
        needed = np.unique(np.concatenate([first, last]))
        words = stored_rows(storage, self.zeros, needed, self.n_groups).view(np.uint32).T
        at = np.searchsorted(needed, first) * 32 + rows * self.bits % 32
        return unpacked(words, self.bits, at, is_bit=True).T


def unpacked(
    words: npt.NDArray[np.uint32], bits: int, at: npt.NDArray[Any], *, is_bit: bool = False
) -> Floats:
    """Codes of rows of words, the lowest bits first.

    Parameters
    ----------
    words : ndarray of uint32
        Shape ``(n_rows, n_words)``.
    bits : int
        Of a code, 1 to 8.
    at : ndarray of int
        Which codes of every row.
    is_bit : bool
        ``at`` are the bits at which they begin.

    Returns
    -------
    ndarray of float32
        Shape ``(n_rows, len(at))``.
    """
    start = at if is_bit else at * bits
    first, last = start // 32, (start + bits - 1) // 32
    shift = (start % 32).astype(np.uint64)
    both = words[:, first].astype(np.uint64)
    split = np.flatnonzero(first != last)
    both[:, split] |= words[:, last[split]].astype(np.uint64) << np.uint64(32)
    return to_float32((both >> shift & np.uint64(2**bits - 1)).astype(np.uint8))


def compressed(source: Source, stem: str) -> Unpacked:
    """Whole numbers in words (``weight_shape`` says how many), or small floats in bytes."""
    tensors, codes, scales = source.tensors, f"{stem}.weight_packed", f"{stem}.weight_scale"
    if tensors[codes].dtype == "U8":
        return compressed_floats(source, stem)
    stated, zeros, index = (
        f"{stem}.{part}" for part in ("weight_shape", "weight_zero_point", "weight_g_idx")
    )
    lead, n, width = stack_of(tensors, codes, ("I32",))
    other, n_scaled, n_groups = stack_of(tensors, scales, FLOATS)
    n_in = _inputs(source, stated, (*lead, n))
    fits = [bits for bits in range(1, 9) if -(-n_in * bits // 32) == width]
    said = set(_stated_bits(source.stated))
    bits = next((x for x in fits if x in said or len(fits) == 1), 0)
    if not bits or n_in % n_groups or (other, n_scaled) != (lead, n):
        what = f"{width} words of {n_in} inputs in {n_groups} groups"
        raise unreadable(codes, f"{what} are not whole groups of 1 to 8 bits")
    check_scales(scales, n * n_in, n * n_groups)
    parts = [codes, scales, stated]
    if zeros in tensors:
        if lead:
            raise unreadable(zeros, "zeros of stacked experts are not supported")
        check_part(tensors, zeros, "I32", -(-n * bits // 32) * n_groups)
        parts.append(zeros)
    if index in tensors:
        check_part(tensors, index, "I32", n_in)
        parts.append(index)
    inner = RowCodes(
        (math.prod((*lead, n)), n_in), codes, bits, width, scales, n_groups,
        zeros=zeros if zeros in tensors else "", index=index if index in tensors else "",
    )  # fmt: skip
    stack = (*lead, n, n_in) if lead else ()
    return Unpacked(f"{stem}.weight", f"int{bits}", inner, tuple(parts), stack)


def _stated_bits(stated: Mapping[str, Any]) -> Iterator[int]:
    """Bits of the groups of layers, as the config says."""
    groups = stated.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        bits = weights.get("num_bits") if isinstance(weights, dict) else None
        if type(bits) is int:
            yield bits


def _inputs(source: Source, name: str, rows: tuple[int, ...]) -> int:
    """Inputs of a layer, as its own small tensor says."""
    n = len(rows) + 1
    if name not in source.tensors or source.tensors[name].shape != (n,):
        raise unreadable(name, f"missing, or not {n} numbers")
    if source.tensors[name].dtype not in ("I64", "I32"):
        raise unreadable(name, f"{source.tensors[name].dtype} numbers, not integers")
    *stated, columns = source.storage.read(name, 0, n).tolist()
    if tuple(stated) != rows or not 0 < columns <= 1 << 24:
        raise unreadable(name, f"shape {stated} x {columns} does not fit {rows} rows")
    return int(columns)


def mlx(source: Source, stem: str) -> Unpacked | None:
    """Words of codes with scales and offsets; only the config says how many bits a code has."""
    tensors = source.tensors
    codes, scales, offsets = (f"{stem}.{part}" for part in ("weight", "scales", "biases"))
    if codes not in tensors or tensors[codes].dtype != "U32":
        return None
    stated = source.stated.get(stem, source.stated)
    if not isinstance(stated, dict) or "bits" not in stated:
        raise unreadable(codes, "codes of MLX, without the bits that config.json states")
    if (mode := stated.get("mode", "affine")) != "affine":
        return mlx_floats(source, stem, mode)
    bits = size_in(stated, "bits", codes)
    if bits not in MLX_BITS:
        raise unreadable(codes, f"MLX with {bits} bits is not supported, only {MLX_BITS}")
    lead, n, width = stack_of(tensors, codes, ("U32",))
    n_groups = stack_of(tensors, scales, FLOATS)[2]
    n_in, total = width * 32 // bits, math.prod((*lead, n))
    for part in (scales, offsets):
        check_part(tensors, part, tensors[scales].dtype, total * n_groups)
    check_scales(scales, n * n_in, n * n_groups)
    if n_in != n_groups * size_in(stated, "group_size", codes):
        what = f"{n_in} inputs in {n_groups} groups do not have the stated group_size"
        raise unreadable(codes, what)
    inner = RowCodes((total, n_in), codes, bits, width, scales, n_groups, offsets=offsets)
    stack = (*lead, n, n_in) if lead else ()
    return Unpacked(codes, f"mlx {bits} bits", inner, (codes, scales, offsets), stack)
