"""Quantised layers as files store them, each shown as the one tensor ``weight`` it stands for.

bitsandbytes (nf4, fp4, int8), GPTQ, AWQ, scaled 8-bit floats and whole numbers, compressed-tensors
and MLX. A layer is known by the names and shapes of its parts, takes exactly these and nothing
else; only the rows asked for are unpacked. Values are float32, computed element by element in one
order, so that digests do not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.formats.computed import Recipe
from weightkin.formats.headers import checked_shape
from weightkin.formats.json_text import parse_object
from weightkin.formats.model import Problem, Storage, TensorInfo
from weightkin.formats.packed_bytes import FourBits, Int8, Scaled
from weightkin.formats.packed_parts import (
    FLOATS,
    Source,
    Tensors,
    Unpacked,
    check_part,
    check_scales,
    is_single,
    size_in,
)
from weightkin.formats.packed_rows import compressed, mlx
from weightkin.formats.packed_words import Words
from weightkin.text import counted, quoted, shown, unreadable

STATE = ".quant_state.bitsandbytes__"  # and nf4 or fp4
MAX_STATE = 1 << 8  # bytes; what bitsandbytes writes has fewer than 200
STATE_KEYS = {"quant_type", "blocksize", "dtype", "shape", "nested_blocksize", "nested_dtype",
              "nested_offset"}  # fmt: skip
GROUPED_BITS = (2, 3, 4, 8)

_Reader = Callable[[Source, str], Unpacked | None]


def unpack(
    tensors: Tensors, storage: Storage, config: Mapping[str, Any]
) -> tuple[dict[str, TensorInfo], dict[str, Recipe], list[Problem]]:
    """Replace the parts of packed layers by what they stand for.

    Parameters
    ----------
    tensors : mapping
        Stored tensors by name.
    storage : Storage
        What holds their elements.
    config : mapping
        The config, which some layouts need.

    Returns
    -------
    tensors : dict
        The tensors as they are shown.
    recipes : dict
        How those that are computed follow from what is stored.
    problems : list
        Layers whose parts do not fit together; these are left out.
    """
    source = Source(tensors, storage, config)
    shown_tensors = dict(tensors)
    recipes: dict[str, Recipe] = {}
    problems: list[Problem] = []
    for stem, mark in _layers(tensors):
        if stem in recipes or f"{stem}.weight" in recipes:
            continue  # known by another part already; this one stays a tensor
        read, parts = _READERS[mark]
        try:
            found = _once(read(source, stem), tensors)
            if found is None:
                continue
        except UnreadableModel as error:
            problems.append(Problem(shown(stem), str(error)))
            for part in parts:
                shown_tensors.pop(f"{stem}{part}", None)
            continue
        for part in found.parts:
            shown_tensors.pop(part, None)
        shape = found.recipe.shape
        n_bytes = 4 * shape[0] * shape[1]
        shown_tensors[found.name] = TensorInfo(found.name, "F32", shape, n_bytes, found.packed)
        recipes[found.name] = found.recipe
    method = source.stated.get("quant_method")
    if isinstance(method, str) and not recipes and not problems:
        codes = [x for x in shown_tensors.values() if x.dtype in WHOLE and len(x.shape) > 1]
        if codes:
            why = f"{len(codes)} tensors of whole numbers, and method {quoted(method)} is not read"
            problems.append(Problem("quantization_config", why))
    return shown_tensors, recipes, problems


def _once(found: Unpacked | None, tensors: Tensors) -> Unpacked | None:
    """Refuse a layer that is there packed and plain."""
    if found and found.name in tensors and found.name not in found.parts:
        raise unreadable(found.name, "stored both packed and plain")
    return found


def _layers(tensors: Tensors) -> Iterator[tuple[str, str]]:
    """Stems of packed layers and the mark by which each is known, in the order of the readers."""
    marked: dict[str, list[str]] = {mark: [] for mark in _READERS}
    for name in tensors:
        mark = next((m for m in _READERS if name.endswith(m)), None)
        if mark is not None:
            marked[mark].append(name.removesuffix(mark))
    for mark, stems in marked.items():
        for stem in stems:
            yield stem, mark


def _bitsandbytes4(source: Source, name: str, kind: str) -> Unpacked:
    """Codes of four bits, two a byte, the first in the high half; a scale for each block."""
    tensors, key = source.tensors, f"{name}{STATE}{kind}"
    state = _state(tensors, source.storage, key)
    shape = checked_shape(name, state.get("shape"))
    if len(shape) != 2 or 0 in shape or name not in tensors:
        raise unreadable(name, f"not a packed matrix (shape {shown(shape)})")
    absmax, levels = f"{name}.absmax", f"{name}.quant_map"
    nested, nested_levels = f"{name}.nested_absmax", f"{name}.nested_quant_map"
    block = size_in(state, "blocksize", key)
    n_blocks = -(-shape[0] * shape[1] // block)
    check_scales(absmax, shape[0] * shape[1], n_blocks)
    check_part(tensors, name, "U8", -(-shape[0] * shape[1] // 2))
    check_part(tensors, levels, "F32", 16)
    if nested not in tensors:
        check_part(tensors, absmax, "F32", n_blocks)
        recipe = FourBits(shape=shape, name=name, block=block)
        return Unpacked(name, kind, recipe, (name, key, absmax, levels))
    nested_block = size_in(state, "nested_blocksize", key)
    offset = state.get("nested_offset")
    if not isinstance(offset, int | float):
        raise unreadable(name, f"nested_offset is {quoted(offset)}, not a number")
    check_part(tensors, absmax, "U8", n_blocks)
    check_part(tensors, nested, "F32", -(-n_blocks // nested_block))
    check_part(tensors, nested_levels, "F32", 256)
    recipe = FourBits(shape, name, block, nested_block, float(offset))
    return Unpacked(name, kind, recipe, (name, key, absmax, levels, nested, nested_levels))


def _bitsandbytes8(source: Source, stem: str) -> Unpacked | None:
    """Bytes with a largest value for each row, which stands for 127."""
    tensors, name, layout = source.tensors, f"{stem}.weight", f"{stem}.weight_format"
    if name not in tensors or tensors[name].dtype != "I8" or len(tensors[name].shape) != 2:
        return None
    n, width = tensors[name].shape
    check_part(tensors, f"{stem}.SCB", "F32", n)
    check_scales(f"{stem}.SCB", n * width, n)
    parts = (name, f"{stem}.SCB", *((layout,) if is_single(tensors, layout) else ()))
    return Unpacked(name, "int8", Int8((n, width), name, f"{stem}.SCB"), parts)


def _words(source: Source, stem: str) -> Unpacked:
    """GPTQ (words run along the inputs) or AWQ (along the outputs): shapes say which."""
    tensors = source.tensors
    names = [f"{stem}{part}" for part in WORDS]
    if not all(name in tensors for name in names[:3]):
        raise unreadable(stem, "one of qweight, qzeros and scales is missing")
    shapes = [tensors[name].shape for name in names[:3]]
    if any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise unreadable(stem, "qweight, qzeros and scales are not all matrices")
    (n_words, width), (_, zero_words), (n_groups, n) = shapes
    is_gptq = width == n
    bits = zero_words * 32 // n
    n_in = n_words * 32 // bits if is_gptq and bits else n_words
    index = names[3] if names[3] in tensors and tensors[names[3]].shape != (0,) else ""
    is_v2 = "v2" in str(source.stated.get("checkpoint_format", ""))
    recipe = Words(
        shape=(n, n_in),
        stem=stem,
        bits=bits,
        n_groups=n_groups,
        index=index,
        zero_offset=1 if is_gptq and not is_v2 else 0,
        is_gptq=is_gptq,
    )
    _check_words(tensors, names, recipe)
    packed = f"{'gptq' if is_gptq else 'awq'} {bits} bits"
    return Unpacked(f"{stem}.weight", packed, recipe, tuple(names))


def _check_words(tensors: Tensors, names: list[str], words: Words) -> None:
    """Refuse parts of another size than their words would have."""
    (n, n_in), bits, n_groups, is_gptq = words.shape, words.bits, words.n_groups, words.is_gptq
    if bits not in GROUPED_BITS or (not is_gptq and bits != 4):
        raise unreadable(names[0], f"{bits}-bit values, not of 2, 3, 4 or 8 bits (AWQ: 4)")
    n_packed = n * n_in * bits // 32
    check_scales(names[2], n * n_in, n * n_groups)
    check_part(tensors, names[0], "I32", n_packed)
    check_part(tensors, names[1], "I32", n_groups * n * bits // 32)
    if tensors[names[2]].dtype not in FLOATS:
        raise unreadable(names[2], f"scales of type {tensors[names[2]].dtype}, not floats")
    if n * bits % 32 or n_in % n_groups:
        raise unreadable(names[0], f"{n_in} inputs in {n_groups} groups, not whole groups or words")
    if names[3] in tensors and tensors[names[3]].shape != (0,):
        check_part(tensors, names[3], "I32", n_in)


def _scaled(source: Source, name: str, suffix: str) -> Unpacked | None:
    """8-bit floats or whole numbers times the scale of their block (or row, or matrix)."""
    tensors = source.tensors
    info, scale = tensors.get(name), f"{name}{suffix}"
    if info is None or info.dtype not in EIGHT_BITS or 0 in info.shape:
        return None
    zeros = f"{name}_zero_point"
    if info.dtype == "U8" or len(info.shape) != 2 or zeros in tensors:
        what = f"scales for {info.dtype} of {counted(len(info.shape), 'dimension')}"
        raise unreadable(name, f"{what}, not for an 8-bit matrix without zero points")
    rows, columns = info.shape
    block, grid = _blocks(source, scale, (rows, columns))
    beside = f"{name.removesuffix('weight')}input_scale"
    parts = (name, scale, *((beside,) if is_single(tensors, beside) else ()))
    label = "int8 with scales" if info.dtype == "I8" else "fp8 with scales"
    return Unpacked(name, label, Scaled((rows, columns), name, scale, block, grid), parts)


def _blocks(
    source: Source, scale: str, sizes: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns that share a scale, and how many scales there are along both."""
    info = source.tensors[scale]
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


def _comfy(source: Source, stem: str) -> Unpacked | None:
    """8-bit floats as ComfyUI writes them: one scale a matrix, under another name."""
    name, scale = f"{stem}.weight", f"{stem}.scale_weight"
    info = source.tensors.get(name)
    if info is None or not info.dtype.startswith("F8") or len(info.shape) != 2 or 0 in info.shape:
        return None
    if not is_single(source.tensors, scale):
        raise unreadable(scale, "more than one scale for a matrix")
    block, grid = _blocks(source, scale, (info.shape[0], info.shape[1]))
    beside = f"{stem}.scale_input"
    parts = (name, scale, *((beside,) if is_single(source.tensors, beside) else ()))
    if COMFY in source.tensors and source.tensors[COMFY].n_bytes <= 2:
        parts = (*parts, COMFY)
    recipe = Scaled((info.shape[0], info.shape[1]), name, scale, block, grid)
    return Unpacked(name, "fp8 with scales", recipe, parts)


def _mxfp4(source: Source, stem: str) -> None:
    """Four-bit floats in blocks of 32, as the experts of gpt-oss: not read yet."""
    codes = source.tensors.get(f"{stem}_blocks")
    if codes is not None and codes.dtype == "U8":
        raise unreadable(stem, "MXFP4 blocks are not supported")


COMFY = "scaled_fp8"  # an empty mark beside the layers
EIGHT_BITS = ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8")
WHOLE = ("U8", "I8", "U16", "I16", "U32", "I32")
WORDS = (".qweight", ".qzeros", ".scales", ".g_idx")
PARTS_OF_4 = ("", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")
COMPRESSED = (".weight_packed", ".weight_scale", ".weight_shape", ".weight_global_scale",
              ".weight_zero_point", ".weight_g_idx")  # fmt: skip
# mark at the end of a name -> what reads the layer, what is left out where that fails
_READERS: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    f"{STATE}nf4": (partial(_bitsandbytes4, kind="nf4"), (*PARTS_OF_4, f"{STATE}nf4")),
    f"{STATE}fp4": (partial(_bitsandbytes4, kind="fp4"), (*PARTS_OF_4, f"{STATE}fp4")),
    ".SCB": (_bitsandbytes8, (".weight", ".SCB", ".weight_format")),
    ".qweight": (_words, WORDS),
    ".weight_packed": (compressed, COMPRESSED),
    ".scale_weight": (_comfy, (".weight", ".scale_weight")),
    ".scales": (mlx, (".weight", ".scales", ".biases")),
    "_scales": (_mxfp4, ("_blocks", "_scales")),
    "_scale_inv": (partial(_scaled, suffix="_scale_inv"), ("", "_scale_inv")),
    "_scale": (partial(_scaled, suffix="_scale"), ("", "_scale")),
}


def _state(tensors: Tensors, storage: Storage, key: str) -> dict[str, Any]:
    info = tensors[key]
    if info.dtype != "U8" or info.n_bytes > MAX_STATE:
        raise unreadable(key, f"{info.dtype} of {info.n_bytes} bytes, not a short text")
    raw = storage.read(key, 0, info.n_bytes).tobytes()
    state = parse_object(raw, key, "quantisation state", is_hint=True)
    if unknown := state.keys() - STATE_KEYS:
        raise unreadable(key, f"unknown key {quoted(min(unknown))} in the quantisation state")
    return state
