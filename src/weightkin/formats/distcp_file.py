"""Distributed checkpoints of torch: files of chunks, and ``.metadata``, which says where each lies.

The metadata is a pickle, which is described and never run (`torch_pickle`). Each chunk is what
``torch.save`` writes of one tensor, at a place in one of the files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from weightkin.errors import UnreadableModel
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.headers import MAX_DIMENSIONS, check_empty, checked_name, checked_shape
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.part_file import FilePart, in_whole
from weightkin.formats.pieces import STORED, Tile, Tiles, whole_of
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.torch_globals import Global, Key, Record
from weightkin.formats.torch_pickle import unpickle
from weightkin.formats.torch_zip import read_torch_zip
from weightkin.sources.files import File, Opener
from weightkin.text import located, quoted, shown, unreadable

METADATA = ".metadata"
MAX_METADATA = 64 << 20  # bytes
MAX_FILES = 10_000
MAX_CHUNKS = 1 << 17
WRAPPERS = ("model.", "module.", "state_dict.")  # keys under which trainers keep the model
OPTIMISER = "optim"  # how the others begin that hold the moments of gradients


class Place(NamedTuple):
    """Where one chunk is stored."""

    path: str
    offset: int
    length: int


def read_distcp(file: File, open_file: Opener) -> Contents:
    """Tensors of a checkpoint, of which one file was named; the others are opened beside it."""
    try:
        meta = open_file(METADATA)
    except UnreadableModel as error:
        what = f"a part of a distributed checkpoint of torch (DCP) without its metadata ({error})"
        raise unreadable(file.path, what) from None
    if meta.size > MAX_METADATA:
        raise unreadable(meta.path, f"too large ({meta.size} bytes, at most {MAX_METADATA})")
    raw = meta.read([(0, meta.size)]).tobytes()
    root = _fields(meta, unpickle(raw, located(meta.path)))
    places = dict(_places(meta, root.get("storage_data")))
    files = _files(file, meta, places, open_file)
    if sum(x.length for x in places.values()) > sum(x.size for x in files.values()):
        raise unreadable(meta.path, "its chunks overlap, or a file is shorter than it says")
    contents = Contents(files=[meta, *(x for x in files.values() if x is not file)])
    contents.claims.append(Claim(meta, [(0, meta.size)], "container"))
    said = root.get("state_dict_metadata")
    if not isinstance(said, dict):
        raise unreadable(meta.path, "it lists no tensors")
    described = {
        checked_name(meta.path, key): _fields(meta, value)
        for key, value in said.items()
        if isinstance(key, str) and isinstance(value, Record) and "Tensor" in value.name
    }
    names = _names(list(described))
    for key, facts in described.items():
        _add(contents, names[key], meta, facts, _stored(key, places, files))
    for key in said.keys() - described.keys():
        _claim_plain(contents, _stored(key, places, files)(()))
    check_empty(file.path, (info.shape for info in contents.tensors.values()))
    if not contents.tensors and not contents.problems:
        raise unreadable(meta.path, "no tensors in the checkpoint")
    return contents


def _fields(meta: File, value: object) -> Mapping[str, Any]:
    """The attributes of a described object."""
    state = value.state if isinstance(value, Record) else None
    if not isinstance(state, dict):
        raise unreadable(meta.path, "not the metadata of a distributed checkpoint of torch")
    return state


def _places(
    meta: File, stored: object
) -> Iterator[tuple[tuple[str, tuple[int, ...] | None], Place]]:
    """Places of chunks, by the name of the tensor and where in it they begin."""
    if not isinstance(stored, dict) or len(stored) > MAX_CHUNKS:
        raise unreadable(meta.path, f"it lists no places of chunks, or over {MAX_CHUNKS}")
    for key, value in stored.items():
        index = _fields(meta, key.value if isinstance(key, Key) else None)
        said, name, at = _fields(meta, value), index.get("fqn"), index.get("offset")
        match said.get("relative_path"), said.get("offset"), said.get("length"):
            case str(path), int(offset), int(length) if offset >= 0 and length >= 0:
                if said.get("transform_descriptors"):
                    raise unreadable(meta.path, "its chunks are compressed, which is not read")
            case _:
                raise unreadable(meta.path, f"the place of {quoted(name)} is not given")
        if isinstance(name, str) and (at is None or _is_sizes(at)):
            yield (name, at), Place(path, offset, length)


def _is_sizes(value: object) -> bool:
    is_short = isinstance(value, tuple) and len(value) <= MAX_DIMENSIONS
    return is_short and all(type(x) is int for x in value)  # type: ignore[attr-defined]


def _files(
    file: File, meta: File, places: Mapping[Any, Place], open_file: Opener
) -> dict[str, File]:
    """The files of the checkpoint by their names; one that is missing is left out."""
    names = sorted({place.path for place in places.values()})
    if len(names) > MAX_FILES:
        raise unreadable(meta.path, f"too many files ({len(names)}, at most {MAX_FILES})")
    found = {}
    for name in names:
        if name in ("", ".", "..") or any(character in name for character in "/\\\0:"):
            what = f"{quoted(name)} is not the name of a file in the same folder"
            raise unreadable(meta.path, what)
        found[name] = file if name == file.path.name else open_file(name)
    return found


def _names(stored: list[str]) -> dict[str, str]:
    """Names without the key that wraps the model, unless two would meet."""
    inside = [name for name in stored if not name.startswith(OPTIMISER)]
    wrapper = next((x for x in WRAPPERS if inside and all(n.startswith(x) for n in inside)), "")
    plain = {name: name.removeprefix(wrapper) for name in stored}
    is_clear = wrapper != "model." or all(
        n.startswith("model.model.") for n in inside if ".layers." in n
    )
    return plain if is_clear and len(set(plain.values())) == len(plain) else {n: n for n in stored}


def _stored(
    key: str, places: Mapping[tuple[str, tuple[int, ...] | None], Place], files: dict[str, File]
) -> Any:
    """How to find the chunk of a tensor that begins at some offsets."""

    def find(offsets: tuple[int, ...]) -> FilePart | None:
        place = places.get((key, offsets)) or places.get((key, None))
        if place is None or place.path not in files:
            return None
        whole = files[place.path]
        stop = place.offset + place.length
        return FilePart(whole, place.offset, stop) if stop <= whole.size else None

    return find


def _add(contents: Contents, name: str, meta: File, facts: Mapping[str, Any], find: Any) -> None:
    """One tensor, of its chunks."""
    where = located(meta.path, name)
    shape = checked_shape(where, facts.get("size"))
    properties = facts.get("properties")
    state = properties.state if isinstance(properties, Record) else None
    stated = state[0] if isinstance(state, tuple) and state else None
    if isinstance(state, dict):
        stated = state.get("dtype")
    dtype = stated.detail if isinstance(stated, Global) else ""
    if dtype not in NUMPY:
        contents.problems.append(
            Problem(shown(name), f"type {dtype or 'unknown'} is not supported")
        )
        return
    chunks = facts.get("chunks")
    if not isinstance(chunks, list):
        raise unreadable(where, "without a list of its chunks")
    tiles = []
    for number, chunk in enumerate(chunks):
        said = _fields(meta, chunk)
        offsets = checked_shape(where, said.get("offsets"))
        sizes = checked_shape(where, said.get("sizes"))
        if len(offsets) != len(shape) or len(sizes) != len(shape):
            raise unreadable(where, "a chunk of other dimensions than its own")
        key = f"{STORED}{name}:{number}"
        part = find(offsets)
        if part is None or not _read_chunk(contents, key, part, dtype, sizes):
            contents.problems.append(Problem(shown(name), f"chunk {number} is not in its file"))
            return
        tiles.append(Tile(key, offsets, sizes))
    n_bytes = math.prod(shape) * NUMPY[dtype].itemsize
    if len(tiles) == 1 and tiles[0].sizes == shape:
        contents.places[name] = contents.places.pop(tiles[0].name)
    elif shape:
        ordered = whole_of(where, shape, tiles)
        contents.recipes[name] = Tiles(shape, NUMPY[dtype], ordered)
    else:
        raise unreadable(where, f"a single number in {len(tiles)} chunks")
    contents.tensors[name] = TensorInfo(name, dtype, shape, n_bytes)


def _claim_plain(contents: Contents, part: FilePart | None) -> None:
    """Claim what is stored beside the tensors (a step, a state), if it holds none."""
    if part is None:
        return
    try:
        held = in_whole(read_torch_zip(part))
    except UnreadableModel:
        return  # it stays unread
    if not held.tensors and not held.problems:
        contents.claims += held.claims


def _read_chunk(
    contents: Contents, key: str, part: FilePart, dtype: str, sizes: tuple[int, ...]
) -> bool:
    """Read where the elements of one chunk lie, if it is what the metadata says."""
    held = read_torch_zip(part)
    infos = list(held.tensors.values())
    if len(infos) != 1 or infos[0].dtype != dtype or infos[0].shape != sizes:
        return False
    held = in_whole(held)
    contents.places[key] = held.places[infos[0].name]
    contents.claims += held.claims
    return True
