"""ONNX: every tensor of a file, weights under the names their modules had, in the layout of torch.

Weights that an exporter stored as (inputs, outputs) are shown as (outputs, inputs); what was no
weight of a module, such as a shape or a table, is shown under its own name. Nothing is left out: a
tensor that cannot be read is a problem. Values may lie in a file beside, whose path is hostile
until checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from weightkin.formats.byte_pieces import as_pieces, is_blank, rest, touched
from weightkin.formats.dtypes import BITS, NUMPY
from weightkin.formats.headers import checked_name, checked_shape
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.onnx_codes import Codes, Numbers, codes_of
from weightkin.formats.onnx_graph import Held, Stored, read_held
from weightkin.formats.onnx_names import is_own_name, module_name
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, TensorLocation
from weightkin.sources.local import LocalFile, readable
from weightkin.text import located, quoted, shown, unreadable

DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16",
    11: "F64", 12: "U32", 13: "U64", 14: "C64", 16: "BF16", 17: "F8_E4M3", 18: "F8_E4M3FNUZ",
    19: "F8_E5M2", 20: "F8_E5M2FNUZ", 24: "F8_E8M0",
}  # fmt: skip
MAX_PATH = 1000  # characters of the name of a file beside
_CODES = ("U8", "I8")  # of two dimensions or more: of a quantised layer


def read_onnx(file: File, open_file: Callable[[str], File]) -> Contents:
    """Tensors of an ONNX file, whose values may lie in files beside it."""
    held = read_held(file)
    contents, beside = Contents(), _Beside(file, open_file)
    layers = codes_of(held)
    inside = {part for layer in layers.values() for part in layer.parts}
    for stored, name, tensor, is_turned in _named(held, layers):
        if stored in layers:
            _add_codes(contents, beside, name, held, layers[stored], is_turned=is_turned)
        elif stored not in inside:
            _add(contents, beside, name, tensor, is_turned=is_turned)
    contents.files = list(beside.files.values())
    contents.claims = _claims(file, held, contents)
    return contents


def _claims(file: File, held: Held, contents: Contents) -> list[Claim]:
    """The graph around the values of tensors, and what aligns these in the files beside."""
    values = as_pieces([x.span for x in held.tensors.values() if x.span], file.size)
    graph = rest(values, file.size).tolist()
    claims = [Claim(file, [(start, stop) for start, stop in graph], "container")]
    for other in contents.files:
        places = [x for x in contents.places.values() if x.file is other]
        gaps = rest(touched(places), other.size).tolist()
        spans = [(start, stop) for start, stop in gaps]
        claims.append(Claim(other, spans, "container", check=is_blank))
    return claims


def _named(held: Held, layers: dict[str, Codes]) -> Iterator[tuple[str, str, Stored, bool]]:
    """Every tensor with the name that its module gave it, else its own; whether it is turned."""
    taken = {name for name in held.tensors if is_own_name(name)}
    for stored, tensor in held.tensors.items():
        name, is_turned = stored, False
        used_as = layers[stored].output if stored in layers else stored
        if len(tensor.sizes) > 1 and (stored in layers or not is_own_name(stored)):
            found, is_turned = module_name(held.graph, used_as, held.tensors)
            if found and found in taken:  # two products in one module
                found = f"{found.removesuffix('.weight')}.{stored}.weight"
            name = found or stored
        n = 1
        while name in taken and name != stored:
            n += 1
            name = f"{stored}~{n}"
        taken.add(name)
        yield stored, name, tensor, is_turned and len(tensor.sizes) == 2
        for alias in held.graph.aliases.get(stored, ()):
            if is_own_name(alias) and alias not in taken:
                taken.add(alias)
                yield stored, alias, tensor, False


def _add(
    contents: Contents,
    beside: _Beside,
    name: str,
    tensor: Stored,
    *,
    is_turned: bool,
) -> None:
    """Show one tensor, or say why it cannot be read."""
    where = located(beside.file.path, checked_name(beside.file.path, name))
    dtype = DTYPES.get(tensor.kind, "")
    why = tensor.why
    if not why and dtype in _CODES and len(tensor.sizes) > 1:
        why = "codes of a quantised layer that are not unpacked"
    if not why and dtype not in NUMPY:
        why = f"type {tensor.kind} is not supported"
    if why:
        contents.problems.append(Problem(shown(name), why))
        return
    shape = checked_shape(where, tensor.sizes)
    n_bytes = math.prod(shape) * BITS[dtype] // 8
    if tensor.numbers is not None:
        _add_numbers(contents, where, name, dtype, shape, tensor.numbers)
        return
    place = _place(beside, where, tensor, dtype, is_turned=is_turned)
    if place is None:
        why = "its values are not stored as plain bytes"
        contents.problems.append(Problem(shown(name), why))
        return
    contents.tensors[name] = TensorInfo(name, dtype, place.shape, n_bytes)
    contents.places[name] = place


def _add_numbers(
    contents: Contents,
    where: str,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    numbers: list[float],
) -> None:
    """Show values that were read one by one; those of 16-bit floats are their bits."""
    if len(numbers) != math.prod(shape):
        raise unreadable(where, f"{len(numbers)} values, not {math.prod(shape)}")
    whole = np.dtype(f"<u{BITS[dtype] // 8}") if dtype[0] not in "IU" else NUMPY[dtype]
    if all(isinstance(x, float) for x in numbers):
        values = np.array(numbers, dtype=np.float32).astype(NUMPY[dtype])
    else:
        values = np.array(numbers, dtype=np.int64).astype(whole).view(NUMPY[dtype])
    contents.tensors[name] = TensorInfo(name, dtype, shape, values.nbytes)
    contents.recipes[name] = Numbers(shape, values)


def _add_codes(
    contents: Contents,
    beside: _Beside,
    name: str,
    held: Held,
    layer: Codes,
    *,
    is_turned: bool,
) -> None:
    """Show the values that codes stand for."""
    places = {}
    for part, stored in layer.parts.items():
        tensor = held.tensors[part]
        where = located(beside.file.path, checked_name(beside.file.path, part))
        dtype = DTYPES.get(tensor.kind, "")
        turned = is_turned and stored == "codes"
        place = None
        if dtype in NUMPY and not tensor.why:
            place = _place(beside, where, tensor, dtype, is_turned=turned)
        if place is None:
            contents.problems.append(Problem(shown(name), f"{shown(part)} cannot be read"))
            return
        places[stored] = place
    recipe = layer.recipe(name, places, is_turned=is_turned)
    if recipe is None:
        contents.problems.append(Problem(shown(name), "codes in a layout that is not known"))
        return
    for stored, place in places.items():
        contents.places[f"{stored}:{name}"] = place
    n = math.prod(recipe.shape)
    contents.tensors[name] = TensorInfo(name, "F32", recipe.shape, 4 * n, layer.packed(places))
    contents.recipes[name] = recipe


def _place(
    beside: _Beside, where: str, tensor: Stored, dtype: str, *, is_turned: bool
) -> TensorLocation | None:
    """Where plain values lie; None where they are not stored so."""
    shape = checked_shape(where, tensor.sizes)
    n_bytes = math.prod(shape) * BITS[dtype] // 8
    if tensor.beside is None and tensor.span is None and n_bytes:
        return None
    home, (start, stop) = (beside.file, tensor.span or (0, 0))
    if tensor.beside is not None:
        home, start, stop = beside.place(where, tensor.beside, n_bytes)
    if stop - start != n_bytes:
        raise unreadable(where, f"{stop - start} bytes, not {n_bytes} of {dtype}")
    if is_turned:
        return TensorLocation(home, NUMPY[dtype], start, shape[::-1], (1, shape[1]))
    return TensorLocation(home, NUMPY[dtype], start, shape)


class _Beside:
    """Files of values beside a graph, opened once each."""

    def __init__(self, file: File, open_file: Callable[[str], File]) -> None:
        self.file, self.open_file = file, open_file
        self.files: dict[str, File] = {}

    def place(self, where: str, said: dict[str, str], n_bytes: int) -> tuple[File, int, int]:
        """File, first and last byte of a tensor; refuse a path that leads out of the folder."""
        name = said.get("location", "").removeprefix("./")
        is_plain = name not in ("", ".", "..") and len(name) <= MAX_PATH
        if not is_plain or any(character in name for character in "/\\\0:"):
            what = f"refused: its values are in {quoted(name)}, not in a file in the same folder"
            raise unreadable(where, what)
        if name not in self.files:
            opened = self.open_file(name)
            _check_link(where, self.file, opened)
            self.files[name] = opened
        file = self.files[name]
        start = _number(where, said.get("offset", "0"))
        stop = start + _number(where, said.get("length", str(n_bytes)))
        if stop > file.size:
            what = f"bytes {start} to {stop} are outside {shown(name)} ({file.size} bytes)"
            raise unreadable(where, what)
        return file, start, stop


def _check_link(where: str, graph: File, values: File) -> None:
    """Refuse a link that leads elsewhere than the graph's own folder or where its link leads."""
    if isinstance(graph, LocalFile) and isinstance(values, LocalFile):
        near, far = Path(graph.path), Path(values.path)
        with readable(far):
            homes = (near.parent.resolve(), near.resolve().parent)
            if far.resolve().parent not in homes:
                what = f"refused: {quoted(far.name)} is a link that leads outside the folder"
                raise unreadable(where, what)


def _number(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise unreadable(where, f"offset or length {quoted(text)} is not a number of bytes")
    return int(text)
