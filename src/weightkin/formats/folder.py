"""The files of a folder, here or in a repository, that make one model; broken ones are left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from weightkin.errors import AdapterAlone, UnreadableModel
from weightkin.formats.finder import (
    ALONE,
    CONFIG,
    PARAMETERS,
    files_by_content,
    files_of_model,
    is_index,
    kind_of,
    may_be_part,
)
from weightkin.formats.gguf_file import lost_of_split
from weightkin.formats.model import Problem
from weightkin.formats.module_names import torch_name
from weightkin.formats.onnx_file import read_onnx
from weightkin.formats.pipeline import INDEX, components_in, read_components
from weightkin.formats.ranks import ranks_of, read_ranks, refuse_pieces
from weightkin.formats.safetensors_file import MAX_HEADER, read_json
from weightkin.formats.storage import Contents
from weightkin.formats.table import format_of, read_file, suffixes
from weightkin.sources.files import File, Folder, Opener
from weightkin.text import counted, located, quoted, shown, unreadable

MAX_CONFIG = 16 << 20  # bytes
MAX_SHARDS = 10_000  # files of one model
Read = Callable[[File, Opener, Contents], Contents]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a source names: a folder, or one file in it. ``revision`` is the commit of a hub."""

    source: str  # without the revision
    name: str  # of the model
    folder: Folder
    file: str = ""
    revision: str | None = None


def read_chosen(chosen: Chosen) -> tuple[Contents, list[File]]:
    """Tensors of what was named, and the files opened."""
    if chosen.file:
        return _read_named(chosen.file, chosen.folder)
    return _read_folder(chosen.folder)


def _read_folder(folder: Folder) -> tuple[Contents, list[File]]:
    """Tensors of the files that count among those in a folder."""
    names = files_of_model(folder)
    if names:
        return _read(names, folder)
    if ranks := ranks_of(folder, ()):
        return read_ranks(folder, ranks)
    refuse_pieces(folder.path, folder.names)
    if components := components_in(folder):
        return read_components(components, _read_folder, read_config)
    if hidden := files_by_content(folder):
        return _read(hidden, folder)
    if any(kind_of(name) == "adapter" for name in folder.names):
        raise AdapterAlone(f"{located(folder.path)}: {ALONE}")
    if INDEX in folder.names:
        raise unreadable(folder.path, "a pipeline without a component that is read")
    found = f"no model file among {counted(len(folder.names), 'entry')}"
    raise unreadable(folder.path, f"{found}; supported are {', '.join(suffixes())}")


def _read_named(name: str, folder: Folder) -> tuple[Contents, list[File]]:
    """Tensors of one file of a folder, or of all parts of a model that was split."""
    found = format_of(name)
    parts = found.parts_of(name) if found and found.parts_of else []
    return _read(parts or [name], folder)


def _read(names: Sequence[str], folder: Folder) -> tuple[Contents, list[File]]:
    if is_index(names[0]):
        return read_index(folder.open_file(names[0]), folder.open_file)
    if ranks := ranks_of(folder, names):
        return read_ranks(folder, ranks)
    refuse_pieces(folder.path, names)
    return read_files(names, folder.open_file)


def read_config(folder: Folder) -> tuple[Mapping[str, Any], list[File], list[Problem]]:
    """Read the config beside the weights: a hint, so a broken one is a problem and no failure."""
    name = next((name for name in (CONFIG, PARAMETERS) if name in folder.names), None)
    if name is None:
        return {}, [], []
    try:
        file = folder.open_file(name)
        if file.size > MAX_CONFIG:
            raise unreadable(file.path, f"too large ({file.size} bytes, at most {MAX_CONFIG})")
        return read_json(file, "config", 0, file.size, is_hint=True), [file], []
    except UnreadableModel as error:
        return {}, [], [Problem(name, str(error), loses_tensors=False)]


def read_files(
    names: Sequence[str], open_file: Opener, read: Read = read_file
) -> tuple[Contents, list[File]]:
    """Tensors of several files. A broken one is a problem, unless no other has a tensor.

    Parts of a network that were exported one by one have names of their own: where two hold a
    tensor of one name, all names begin with their file.
    """
    joined = Contents()
    files: list[File] = []
    first_error: UnreadableModel | None = None
    for name in names:
        try:
            file = open_file(name)
            files.append(file)
            part = read(file, open_file, joined)
            files += part.files
        except UnreadableModel as error:
            first_error = first_error or error
            joined.problems.append(Problem(shown(PurePath(name).name), str(error)))
            continue
        again = joined.tensors.keys() & part.tensors.keys()
        if again and read is read_file and all(map(may_be_part, names)):
            return read_files(names, open_file, _read_part)
        if again:
            found = f"tensor {quoted(min(again))} is in another file as well"
            raise unreadable(file.path, f"{found}; name one file to read it alone")
        joined.tensors |= part.tensors
        joined.places |= part.places
        joined.problems += part.problems
        joined.recipes |= part.recipes
        joined.config = joined.config or part.config
        joined.facts = joined.facts or part.facts
        joined.headers += part.headers
        joined.own_codes |= part.own_codes
        joined.claims += part.claims
        joined.networks += part.networks
        if len(names) == 1:
            joined.metadata = part.metadata
    if first_error and not joined.tensors:
        raise first_error
    if not first_error:
        joined.problems += lost_of_split(joined)
    return joined, files


def _read_part(file: File, open_file: Opener, _: Contents) -> Contents:
    return read_onnx(file, open_file, f"{file.path.stem}.")


def read_index(index: File, open_file: Opener) -> tuple[Contents, list[File]]:
    """Tensors of the shards that an index names, and the files opened."""
    shards = _shards_of(index)
    contents, files = read_files(sorted(shards), open_file)
    shard_of = {name: place.file.path.name for name, place in contents.places.items()}
    said = {problem.what for problem in contents.problems}
    for shard in sorted(shards):
        missing = [
            name
            for name in sorted(shards[shard])
            if _home(contents, shard_of, name, shard) != shard and shown(name) not in said
        ]
        if missing and shown(shard) not in said:
            why = f"{len(missing)} tensors of the index are not in it, first {quoted(missing[0])}"
            held = contents.tensors
            lost = any(x not in held and torch_name(x) not in held for x in missing)
            contents.problems.append(Problem(shown(shard), why, loses_tensors=lost))
    return contents, [index, *files]


def _home(contents: Contents, shard_of: Mapping[str, str], name: str, stated: str) -> str:
    """The shard that holds a tensor of an index: of one that is put together, the stated one."""
    known = name if name in contents.tensors else torch_name(name)
    is_joined = known in contents.recipes and known not in shard_of
    return stated if is_joined else shard_of.get(known, "")


def _shards_of(index: File) -> dict[str, list[str]]:
    """Tensor names by shard; a shard is a plain file name beside the index, or is refused."""
    if index.size > MAX_HEADER:
        raise unreadable(index.path, f"too large ({index.size} bytes, at most {MAX_HEADER})")
    names = read_json(index, "index", 0, index.size).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise unreadable(index.path, "weight_map does not map tensor names to files")
    shards: defaultdict[str, list[str]] = defaultdict(list)
    for name, shard in names.items():
        is_plain = isinstance(shard, str) and shard not in ("", ".", "..")
        if not is_plain or any(character in shard for character in "/\\\0:"):
            what = f"shard {quoted(shard)} is not the name of a file in the same folder"
            raise unreadable(index.path, what)
        shards[shard].append(name)
    if len(shards) > MAX_SHARDS:
        raise unreadable(index.path, f"too many files ({len(shards)}, at most {MAX_SHARDS})")
    return dict(shards)
