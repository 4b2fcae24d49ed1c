"""Quantised layers as files store them, each shown as the one tensor ``weight`` it stands for.

bitsandbytes (nf4, fp4, int8), GPTQ, AWQ, scaled 8-bit floats and whole numbers, small floats in
groups, compressed-tensors, MLX and HQQ. A layer is known by the names and shapes of its parts,
takes exactly these and nothing else; only the rows asked for are unpacked. Values are float32,
computed element by element in one order, so that digests do not depend on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.formats.computed import Recipe
from weightkin.formats.headers import checked_shape
from weightkin.formats.json_text import parse_object
from weightkin.formats.model import Problem, Storage, TensorInfo
from weightkin.formats.packed_bytes import FourBits, Int8
from weightkin.formats.packed_floats import expert_blocks, modelopt
from weightkin.formats.packed_hqq import HQQ, hqq
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
from weightkin.formats.packed_scaled import comfy, comfy_noted, scaled
from weightkin.formats.packed_words import Words
from weightkin.text import quoted, shown, unreadable

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
        shape = found.stack or found.recipe.shape
        n_bytes = 4 * math.prod(shape)
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
    ".W_q": (hqq, HQQ),
    ".scale_weight": (comfy, (".weight", ".scale_weight")),
    ".comfy_quant": (comfy_noted, (".weight", ".weight_scale", ".weight_scale_2", ".comfy_quant")),
    ".weight_scale_2": (modelopt, (".weight", ".weight_scale", ".weight_scale_2")),
    "_weight.scales": (
        partial(expert_blocks, end=".", word="_weight"),
        ("_weight.blocks", "_weight.scales"),
    ),
    ".scales": (mlx, (".weight", ".scales", ".biases")),
    "_scales": (expert_blocks, ("_blocks", "_scales")),
    "_scale_inv": (partial(scaled, suffix="_scale_inv"), ("", "_scale_inv")),
    "_scale": (partial(scaled, suffix="_scale"), ("", "_scale")),
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
