"""ONNX: every tensor of a file, weights under the names their modules had, in the layout of torch.

Weights that an exporter stored as (inputs, outputs) are shown as (outputs, inputs); what was no
weight of a module, such as a shape or a table, is shown under its own name. Nothing is left out: a
tensor that cannot be read is a problem. Values may lie in a file beside, whose path is hostile
until checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from weightkin.formats.byte_pieces import is_blank, rest, touched
from weightkin.formats.computed import Numbers
from weightkin.formats.dtypes import BITS, NUMPY
from weightkin.formats.headers import checked_name, checked_shape
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.onnx_beside import Beside, place_of
from weightkin.formats.onnx_codes import ENDINGS, Codes, Part, Turned, codes_of, left_as_codes
from weightkin.formats.onnx_fields import between
from weightkin.formats.onnx_graph import Held, Stored, read_held
from weightkin.formats.onnx_names import is_own_name, module_name
from weightkin.formats.onnx_network import Shown, read_network
from weightkin.formats.onnx_nibbles import KINDS, Nibbles
from weightkin.formats.onnx_values import DTYPES, values_of
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, TensorLocation
from weightkin.text import located, shown, unreadable

FLOATS = ("F16", "BF16", "F32", "F64")
WHOLE = ("U8", "I8", "U16", "I16", "I32", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
CODE_TYPES = {"codes": WHOLE, "scale": FLOATS, "zero": WHOLE}
MAX_ALIASES = 1 << 14  # of one file
OUTPUT = ("_DequantizeLinear_Output", "_dequantized")  # names that tools give to values of codes


def read_onnx(file: File, open_file: Callable[[str], File], prefix: str = "") -> Contents:
    """Tensors of an ONNX file, whose values may lie in files beside it; all names get a prefix."""
    held = read_held(file)
    contents, beside = Contents(own_codes=True), Beside(file, open_file)
    layers = codes_of(held)
    names = {stored: (f"{prefix}{name}", x) for stored, name, x in _named(held, layers)}
    for stored, layer in list(layers.items()):
        name, is_turned = names[stored]
        if not _add_codes(contents, beside, name, held, layer, is_turned=is_turned):
            del layers[stored]
    inside = {part for layer in layers.values() for part in layer.parts.values()}
    unknown = left_as_codes(held, layers)
    taken = {name for name, _ in names.values()}
    n_aliases = 0
    for stored, tensor in held.tensors.items():
        if stored in inside or tensor.is_text:
            continue
        name, is_turned = names[stored]
        _add(contents, beside, name, tensor, is_turned=is_turned and stored not in unknown)
        is_code = stored in unknown and len(tensor.sizes) > 1 and name in contents.tensors
        if is_code and contents.tensors[name].dtype in WHOLE:
            why = "shown as codes: their scales are not known"
            contents.problems.append(Problem(shown(name), why))
        aliases = [f"{prefix}{x}" for x in _aliases(held, stored, taken)]
        n_aliases += len(aliases)
        if n_aliases > MAX_ALIASES:
            what = f"over {MAX_ALIASES} further names of initialisers"
            raise unreadable(file.path, what)
        for alias in aliases:
            _add(contents, beside, alias, tensor, is_turned=False)
    contents.files = list(beside.files.values())
    contents.networks = (partial(read_network, beside, _shown(held, layers, names)),)
    _claim(contents, file, held)
    return contents


def _named(held: Held, layers: Mapping[str, Codes]) -> Iterator[tuple[str, str, bool]]:
    """Every tensor with the name that its module gave it, else its own; whether it is turned."""
    taken = {name for name in held.tensors if is_own_name(name)}
    for stored, tensor in held.tensors.items():
        name, is_turned = stored, False
        own = _own_name(stored, layers)
        used_as = layers[stored].output if stored in layers else stored
        if own:
            name = own
        elif stored in layers and layers[stored].is_swapped:
            name = next((stored.removesuffix(x) for x in ENDINGS if stored.endswith(x)), stored)
        elif len(tensor.sizes) > 1 and (stored in layers or not is_own_name(stored)):
            found, is_turned = module_name(held.graph, used_as, held.tensors)
            if found and found in taken:  # two products in one module
                found = f"{found.removesuffix('.weight')}.{stored}.weight"
            name = found or stored
        n = 1
        while name in taken and name != stored:
            n += 1
            name = f"{stored}~{n}"
        taken.add(name)
        is_swapped = stored in layers and layers[stored].is_swapped and len(tensor.sizes) > 1
        yield stored, name, is_swapped or (is_turned and len(tensor.sizes) == 2)


def _own_name(stored: str, layers: Mapping[str, Codes]) -> str:
    """The name that a tensor had before it was quantised, if it was that of a parameter."""
    if stored not in layers:
        return ""
    names = (layers[stored].output, *(stored.removesuffix(x) for x in ENDINGS))
    is_output = names[0] != stored and not names[0].endswith(OUTPUT)
    return next((x for x in names[0 if is_output else 1 :] if x != stored and is_own_name(x)), "")


def _aliases(held: Held, stored: str, taken: set[str]) -> list[str]:
    """Other names of an initialiser that are those of parameters."""
    return [x for x in held.graph.aliases.get(stored, ()) if is_own_name(x) and x not in taken]


def _shown(
    held: Held, layers: Mapping[str, Codes], names: Mapping[str, tuple[str, bool]]
) -> dict[int, Shown]:
    """As what each stored tensor is shown, by the byte at which it begins."""
    found = {}
    for stored, tensor in held.tensors.items():
        name, is_turned = names[stored]
        found[tensor.at] = Shown(name, is_turned, stored in layers)
    for layer in layers.values():
        for role, part in layer.parts.items():
            if role != "codes":
                found[held.tensors[part].at] = Shown("")
    return found


def _claim(contents: Contents, file: File, held: Held) -> None:
    """Claim what of the file is the graph; elements of tensors, and what is not read, is not."""
    tensors = held.tensors.values()
    taken = [x for y in tensors for x in (y.span, y.numbers_at) if x and x[0] < x[1]]
    account = held.account
    graph = between(file.size, [*taken, *account.unread, *account.texts])
    contents.claims.append(Claim(file, graph, "container"))
    for other in contents.files:  # what aligns the values there
        places = [x for x in contents.places.values() if x.file is other]
        gaps = [(start, stop) for start, stop in rest(touched(places), other.size).tolist()]
        contents.claims.append(Claim(other, gaps, "container", check=is_blank))
    if account.texts:
        contents.claims.append(Claim(file, sorted(account.texts), "not-weights", "text-elements"))
    if account.unread:
        contents.claims.append(Claim(file, sorted(account.unread), "unread", "unknown-field"))
        n_bytes = sum(stop - start for start, stop in account.unread)
        why = f"{n_bytes} bytes in fields that are not known, or too long for what they are"
        contents.problems.append(Problem("graph", why))


def _add(
    contents: Contents,
    beside: Beside,
    name: str,
    tensor: Stored,
    *,
    is_turned: bool,
) -> None:
    """Show one tensor, or say why it cannot be read."""
    where = located(beside.file.path, checked_name(beside.file.path, name))
    dtype = DTYPES.get(tensor.kind, "")
    why = tensor.why
    if not why and tensor.kind in KINDS:
        _add_nibbles(contents, beside, name, tensor)
        return
    if not why and dtype not in NUMPY:
        why = f"type {tensor.kind} is not supported"
    if why:
        contents.problems.append(Problem(shown(name), why))
        return
    shape = checked_shape(where, tensor.sizes)
    n_bytes = math.prod(shape) * BITS[dtype] // 8
    if tensor.numbers is not None:
        _add_numbers(contents, where, name, dtype, shape, tensor.numbers)
        if tensor.numbers_at is not None:
            contents.places[f"numbers:{name}"] = _bytes_at(beside.file, tensor.numbers_at)
        return
    place = place_of(beside, where, tensor, dtype, is_turned=is_turned)
    if place is None:
        why = "its values are not stored as plain bytes"
        contents.problems.append(Problem(shown(name), why))
        return
    contents.tensors[name] = TensorInfo(name, dtype, place.shape, n_bytes)
    contents.places[name] = place


def _add_nibbles(contents: Contents, beside: Beside, name: str, tensor: Stored) -> None:
    """Show whole numbers of four bits."""
    where = located(beside.file.path, checked_name(beside.file.path, name))
    found = _nibbles(beside, where, tensor, f"nibbles:{name}")
    if found is None:
        contents.problems.append(Problem(shown(name), "its values are not stored as plain bytes"))
        return
    recipe, place = found
    n = math.prod(recipe.shape)
    dtype = KINDS[tensor.kind]
    contents.tensors[name] = TensorInfo(name, dtype, recipe.shape, n, f"onnx {dtype[0]}4".lower())
    contents.recipes[name] = recipe
    contents.places[recipe.stored] = place


def _nibbles(
    beside: Beside, where: str, tensor: Stored, stored: str
) -> tuple[Nibbles, TensorLocation] | None:
    """Numbers of four bits and where their bytes lie; None where these are not plain."""
    shape = checked_shape(where, tensor.sizes)
    n_bytes = -(-math.prod(shape) // 2)
    place = place_of(beside, where, replace(tensor, sizes=(n_bytes,)), "U8", is_turned=False)
    return (Nibbles(shape, stored, KINDS[tensor.kind] == "I8"), place) if place else None


def _add_numbers(
    contents: Contents,
    where: str,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    numbers: list[float],
) -> None:
    """Show values that were read one by one."""
    values = values_of(where, dtype, shape, numbers)
    contents.tensors[name] = TensorInfo(name, dtype, shape, values.nbytes)
    contents.recipes[name] = Numbers(shape, values)


def _bytes_at(file: File, span: tuple[int, int]) -> TensorLocation:
    """Where values that were read with the header stand, as bytes."""
    return TensorLocation(file, NUMPY["U8"], span[0], (span[1] - span[0],))


def _add_codes(
    contents: Contents,
    beside: Beside,
    name: str,
    held: Held,
    layer: Codes,
    *,
    is_turned: bool,
) -> bool:
    """Show the values that codes stand for; False where they are not known."""
    kind = held.tensors[layer.parts["codes"]].kind
    is_late = is_turned and kind in KINDS  # halves of bytes cannot be stepped over
    is_turned = is_turned and not is_late
    places: dict[str, TensorLocation] = {}
    parts: dict[str, Part] = {}
    for role, part in layer.parts.items():
        turned = is_turned and role == "codes"
        found = _part(beside, held.tensors[part], (role, f"{role}:{name}"), is_turned=turned)
        if found is None:
            return False
        parts[role], places[f"{role}:{name}"] = found
    recipe = layer.recipe(name, parts, is_turned=is_turned)
    if recipe is None:
        return False
    contents.places |= places
    whole = Turned(recipe) if is_late else recipe
    packed = f"onnx {f'{KINDS[kind][0]}4' if kind in KINDS else DTYPES[kind]}".lower()
    n_bytes = 4 * math.prod(whole.shape)
    contents.tensors[name] = TensorInfo(name, "F32", whole.shape, n_bytes, packed)
    contents.recipes[name] = whole
    return True


def _part(
    beside: Beside, tensor: Stored, called: tuple[str, str], *, is_turned: bool
) -> tuple[Part, TensorLocation] | None:
    """Codes, scales or zero points and their bytes, by their role and the name of the bytes."""
    role, stored = called
    where = located(beside.file.path, checked_name(beside.file.path, tensor.name))
    dtype = DTYPES.get(tensor.kind, "")
    if role != "scale" and tensor.kind in KINDS:
        return _nibbles(beside, where, tensor, stored)
    if dtype not in CODE_TYPES[role] or tensor.why:
        return None
    if role != "codes" and tensor.numbers is not None:
        shape = checked_shape(where, tensor.sizes)
        values = values_of(where, dtype, shape, tensor.numbers)
        return Numbers(shape, values), _bytes_at(beside.file, tensor.numbers_at or (0, 0))
    place = place_of(beside, where, tensor, dtype, is_turned=is_turned)
    return (place, place) if place else None
