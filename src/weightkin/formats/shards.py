"""Several files that make one model, with or without an index; broken ones are left out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePath

from weightkin.errors import UnreadableModel
from weightkin.formats.gguf_file import lost_of_split, read_gguf
from weightkin.formats.model import Problem
from weightkin.formats.onnx_file import read_onnx
from weightkin.formats.safetensors_file import MAX_HEADER, read_json, read_safetensors
from weightkin.formats.storage import Contents
from weightkin.formats.torch_legacy import read_torch
from weightkin.sources.files import File, Opener
from weightkin.text import located, quoted, shown, unreadable

READERS = {
    ".safetensors": read_safetensors,
    ".bin": read_torch,
    ".pt": read_torch,
    ".pth": read_torch,
    ".ckpt": read_torch,
}
MAX_SHARDS = 10_000  # files of one model
SUFFIXES = (*READERS, ".gguf", ".onnx")
INDEX = re.compile(r"\.index(\.[^/]*)?\.json", re.IGNORECASE)  # .fp16 and others before .json


def is_index(name: str) -> bool:
    """Whether a file says by its name that it lists the shards of a model."""
    return INDEX.search(name) is not None and name.lower().endswith(".json")


def read_file(file: File, open_file: Opener, before: Contents) -> tuple[Contents, list[File]]:
    """Tensors of one file, by the format that its suffix names, and files beside that it needs.

    ``before`` is what the parts before it held.
    """
    suffix = file.path.suffix.lower()
    if suffix == ".onnx":
        return read_onnx(file, open_file)
    if suffix == ".gguf":
        return read_gguf(file, before.facts), []
    if suffix not in READERS:
        raise unreadable(file.path, f"suffix {quoted(suffix)}", f"one of {', '.join(SUFFIXES)}")
    return READERS[suffix](file), []


def read_files(names: Sequence[str], open_file: Opener) -> tuple[Contents, list[File]]:
    """Tensors of several files. A broken one is a problem, unless no other has a tensor."""
    joined = Contents()
    files: list[File] = []
    first_error: UnreadableModel | None = None
    for name in names:
        try:
            file = open_file(name)
            files.append(file)
            part, beside = read_file(file, open_file, joined)
            files += beside
        except UnreadableModel as error:
            first_error = first_error or error
            joined.problems.append(Problem(shown(PurePath(name).name), str(error)))
            continue
        again = joined.tensors.keys() & part.tensors.keys()
        if again:
            found = f"duplicate tensor name {quoted(min(again))}"
            raise unreadable(
                file.path, found, "each name in one file (name a file to read it alone)"
            )
        joined.tensors |= part.tensors
        joined.places |= part.places
        joined.problems += part.problems
        joined.recipes |= part.recipes
        joined.config = joined.config or part.config
        joined.facts = joined.facts or part.facts
        joined.headers += part.headers
        if len(names) == 1:
            joined.metadata = part.metadata
    if first_error and not joined.tensors:
        raise first_error
    if not first_error:
        joined.problems += lost_of_split(joined)
    return joined, files


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
            if shard_of.get(name) != shard and shown(name) not in said
        ]
        if missing and shown(shard) not in said:
            why = f"{len(missing)} tensors of the index are not in it, first {quoted(missing[0])}"
            lost = any(name not in contents.tensors for name in missing)
            contents.problems.append(Problem(shown(shard), why, loses_tensors=lost))
    return contents, [index, *files]


def _shards_of(index: File) -> dict[str, list[str]]:
    """Tensor names by shard; a shard is a plain file name beside the index, or is refused."""
    if index.size > MAX_HEADER:
        raise unreadable(index.path, f"an index of {index.size} bytes", f"at most {MAX_HEADER}")
    names = read_json(index, "index", 0, index.size).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise unreadable(index.path, f"{quoted(names)} as weight_map", "shards by tensor name")
    shards: defaultdict[str, list[str]] = defaultdict(list)
    for name, shard in names.items():
        is_plain = isinstance(shard, str) and shard not in ("", ".", "..")
        if not is_plain or any(character in shard for character in "/\\\0:"):
            raise UnreadableModel(
                f"{located(index.path)}: refused shard {quoted(shard)}, "
                "expected the name of a file in the same folder"
            )
        shards[shard].append(name)
    if len(shards) > MAX_SHARDS:
        found = f"an index of {len(shards)} files"
        raise unreadable(index.path, found, f"at most {MAX_SHARDS}")
    return dict(shards)
