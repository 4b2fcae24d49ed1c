"""Quantised layers as files store them, each shown as the one tensor ``weight`` it stands for.

bitsandbytes (nf4, fp4, int8), GPTQ, AWQ and scaled 8-bit floats. A layer is known by the names and
shapes of its parts; only the rows asked for are unpacked. Values are float32, computed element by
element in one order, so that digests do not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.weights.computed import Recipe
from weightkin.weights.json_text import parse_object
from weightkin.weights.messages import quoted, shown, unreadable
from weightkin.weights.model import Problem, Storage, TensorInfo
from weightkin.weights.packed_bytes import FourBits, Int8, Scaled
from weightkin.weights.packed_words import Words
from weightkin.weights.shapes import checked_shape

STATE = ".quant_state.bitsandbytes__"
MAX_STATE = 1 << 16  # bytes
GROUPED_BITS = (2, 3, 4, 8)

Tensors = Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One packed layer: the tensor it stands for, how it is unpacked, the parts it is made of."""

    name: str
    packed: str
    recipe: Recipe
    parts: tuple[str, ...]


def unpack(
    tensors: Tensors, storage: Storage, config: Mapping[str, Any]
) -> tuple[dict[str, TensorInfo], dict[str, Recipe], list[Problem]]:
    """Replace the parts of packed layers by what they stand for.

    Parts that do not fit together are left out, and are a problem.
    """
    shown_tensors = dict(tensors)
    recipes: dict[str, Recipe] = {}
    problems: list[Problem] = []
    stated = config.get("quantization_config")
    stated = stated if isinstance(stated, Mapping) else {}
    for mark, read in _READERS.items():
        for name in [n for n in tensors if mark in n]:
            stem = name.split(mark)[0]
            try:
                found = read(tensors, storage, stated, stem)
            except UnreadableModel as error:
                problems.append(Problem(shown(stem), str(error)))
                for part in _parts(tensors, stem):
                    shown_tensors.pop(part, None)
                continue
            if found is None:
                continue
            for part in found.parts:
                shown_tensors.pop(part, None)
            shape = found.recipe.shape
            n_bytes = 4 * shape[0] * shape[1]
            shown_tensors[found.name] = TensorInfo(found.name, "F32", shape, n_bytes, found.packed)
            recipes[found.name] = found.recipe
    return shown_tensors, recipes, problems


def _bitsandbytes4(
    tensors: Tensors, storage: Storage, _: Mapping[str, Any], name: str
) -> Unpacked | None:
    """Codes of four bits, two a byte, the first in the high half; a scale for each block."""
    key = next(n for n in tensors if n.startswith(name + STATE))
    state = _state(tensors, storage, key)
    shape = checked_shape(name, state.get("shape"))
    if len(shape) != 2 or 0 in shape or name not in tensors:
        raise unreadable(name, f"packed values of shape {shown(shape)}", "a matrix")
    block, nested = _size(state, "blocksize", key), f"{name}.nested_absmax"
    n_blocks = -(-shape[0] * shape[1] // block)
    _fit(tensors, name, "U8", -(-shape[0] * shape[1] // 2))
    _fit(tensors, f"{name}.quant_map", "F32", 16)
    recipe = FourBits(shape=shape, name=name, block=block)
    if nested in tensors:
        nested_block = _size(state, "nested_blocksize", key)
        offset = state.get("nested_offset")
        if not isinstance(offset, int | float):
            raise unreadable(name, f"{quoted(offset)} as nested_offset", "a number")
        _fit(tensors, f"{name}.absmax", "U8", n_blocks)
        _fit(tensors, nested, "F32", -(-n_blocks // nested_block))
        _fit(tensors, f"{name}.nested_quant_map", "F32", 256)
        recipe = FourBits(shape, name, block, nested_block, float(offset))
    else:
        _fit(tensors, f"{name}.absmax", "F32", n_blocks)
    return Unpacked(name, key.rsplit("__", 1)[1], recipe, _parts(tensors, name))


def _bitsandbytes8(
    tensors: Tensors, storage: Storage, _: Mapping[str, Any], stem: str
) -> Unpacked | None:
    """Bytes with a largest value for each row, which stands for 127."""
    name = f"{stem}.weight"
    if name not in tensors or tensors[name].dtype != "I8" or len(tensors[name].shape) != 2:
        return None
    n, width = tensors[name].shape
    _fit(tensors, f"{stem}.SCB", "F32", n)
    parts = (name, f"{stem}.SCB", f"{stem}.weight_format")
    return Unpacked(name, "int8", Int8((n, width), name, f"{stem}.SCB"), parts)


def _words(
    tensors: Tensors, storage: Storage, stated: Mapping[str, Any], stem: str
) -> Unpacked | None:
    """GPTQ (words run along the inputs) or AWQ (along the outputs): shapes say which."""
    names = [f"{stem}.{part}" for part in ("qweight", "qzeros", "scales", "g_idx")]
    if not all(name in tensors for name in names[:3]):
        raise unreadable(stem, "qweight without qzeros and scales", "all three")
    shapes = [tensors[name].shape for name in names[:3]]
    if any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise unreadable(stem, "parts that are no matrices", "matrices")
    (n_words, width), (_, zero_words), (n_groups, n) = shapes
    is_gptq = width == n
    bits = zero_words * 32 // n
    n_in = n_words * 32 // bits if is_gptq and bits else n_words
    _check_words(tensors, names, bits, n, n_in, n_groups, is_gptq=is_gptq)
    index = names[3] if names[3] in tensors and tensors[names[3]].shape != (0,) else ""
    is_v2 = "v2" in str(stated.get("checkpoint_format", ""))
    recipe = Words(
        shape=(n, n_in),
        stem=stem,
        bits=bits,
        n_groups=n_groups,
        index=index,
        zero_offset=1 if is_gptq and not is_v2 else 0,
        is_gptq=is_gptq,
    )
    packed = f"{'gptq' if is_gptq else 'awq'} {bits} bits"
    return Unpacked(f"{stem}.weight", packed, recipe, tuple(names))


def _check_words(
    tensors: Tensors,
    names: list[str],
    bits: int,
    n: int,
    n_in: int,
    n_groups: int,
    *,
    is_gptq: bool,
) -> None:
    if bits not in GROUPED_BITS or (not is_gptq and bits != 4):
        raise unreadable(names[0], f"{bits} bits", "2, 3, 4 or 8 (4 for AWQ)")
    n_packed = n * n_in * bits // 32
    _fit(tensors, names[0], "I32", n_packed)
    _fit(tensors, names[1], "I32", n_groups * n * bits // 32)
    if tensors[names[2]].dtype not in ("F16", "BF16", "F32"):
        raise unreadable(names[2], f"dtype {tensors[names[2]].dtype}", "floats")
    if n * bits % 32 or n_in % n_groups:
        raise unreadable(names[0], f"{n_in} inputs in {n_groups} groups", "whole groups and words")
    if names[3] in tensors and tensors[names[3]].shape != (0,):
        _fit(tensors, names[3], "I32", n_in)


def _scaled(
    tensors: Tensors, storage: Storage, stated: Mapping[str, Any], name: str
) -> Unpacked | None:
    """8-bit floats times the scale of their block (or row, or matrix)."""
    info = tensors.get(name)
    if info is None or not info.dtype.startswith("F8") or len(info.shape) != 2 or 0 in info.shape:
        return None
    scale = next(f"{name}{suffix}" for suffix in SCALES if f"{name}{suffix}" in tensors)
    shape = tensors[scale].shape
    grid = (*shape, *(1,) * (2 - len(shape)))
    if len(grid) != 2 or 0 in grid or tensors[scale].dtype not in ("F32", "BF16", "F16"):
        raise unreadable(scale, f"{tensors[scale].dtype} of shape {shown(shape)}", "scales")
    blocks = []
    sizes = stated.get("weight_block_size")
    for i, (n, parts) in enumerate(zip(info.shape, grid, strict=True)):
        wanted = sizes[i] if isinstance(sizes, list) and len(sizes) == 2 else 128
        fits = isinstance(wanted, int) and wanted > 0 and -(-n // wanted) == parts
        block = wanted if fits else -(-n // parts)
        if -(-n // block) != parts:
            raise unreadable(scale, f"{parts} scales for {n}", "one for each block")
        blocks.append(block)
    rows, columns = info.shape
    recipe = Scaled((rows, columns), name, scale, (blocks[0], blocks[1]), (grid[0], grid[1]))
    parts_of = (*(f"{name}{suffix}" for suffix in SCALES), f"{name[:-6]}input_scale")
    return Unpacked(name, "fp8 with scales", recipe, parts_of)


SCALES = ("_scale_inv", "_scale")
_Reader = Callable[[Tensors, Storage, Mapping[str, Any], str], Unpacked | None]
_READERS: dict[str, _Reader] = {
    STATE: _bitsandbytes4,
    ".SCB": _bitsandbytes8,
    ".qweight": _words,
    "_scale_inv": _scaled,
    "_scale": _scaled,
}


def _state(tensors: Tensors, storage: Storage, key: str) -> dict[str, Any]:
    info = tensors[key]
    if info.dtype != "U8" or info.n_bytes > MAX_STATE:
        raise unreadable(key, f"{info.dtype} of {info.n_bytes} bytes", "a short text")
    raw = storage.read(key, 0, info.n_bytes).tobytes()
    return parse_object(raw, key, "quantisation state", is_hint=True)


def _size(state: Mapping[str, Any], key: str, where: str) -> int:
    size = state.get(key)
    if type(size) is not int or not 0 < size <= 1 << 20:
        raise unreadable(where, f"{quoted(size)} as {key}", "a positive number")
    return size


def _fit(tensors: Tensors, name: str, dtype: str, n: int) -> None:
    """Refuse a part with another type or another number of elements."""
    if name not in tensors:
        raise unreadable(name, "nothing", f"{n} of {dtype}")
    info, held = tensors[name], 1
    for size in info.shape:
        held *= size
    if info.dtype != dtype or held != n:
        raise unreadable(name, f"{held} of {info.dtype}", f"{n} of {dtype}")


def _parts(tensors: Tensors, stem: str) -> tuple[str, ...]:
    return tuple(_inside(tensors, stem))


def _inside(tensors: Tensors, stem: str) -> Iterator[str]:
    """Names of a packed layer's parts; its bias is none."""
    for name in tensors:
        if name == stem or (name.startswith(f"{stem}.") and not name.endswith(".bias")):
            yield name
