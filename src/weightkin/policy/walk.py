"""Every model that lies in a folder: the gate opens all weights there, not those of one model.

Hidden files and folders are looked at as well. What cannot be looked at comes back as the error
that says why: nothing is left out in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from weightkin.errors import UnreadableModel, WeightkinError
from weightkin.weights import Model, Storage, open_model
from weightkin.weights.adapter import FILES as ADAPTERS
from weightkin.weights.adapter import Joined, base_beside
from weightkin.weights.computed import ComputedStorage
from weightkin.weights.files import FileStorage
from weightkin.weights.folder import COMPANIONS
from weightkin.weights.hub import SCHEME
from weightkin.weights.messages import unreadable
from weightkin.weights.shards import SUFFIXES
from weightkin.weights.source import base_and_adapter

MOST = 10_000  # entries of a folder and all below it
MOST_STATE = 1 << 20  # bytes of a trainer's file that no reader here understands
INDEX = (".safetensors.index.json", ".bin.index.json")
UNREAD = (".ggml", ".h5", ".keras", ".msgpack", ".nemo", ".npz", ".ot", ".pickle", ".pkl",
          ".pt2", ".tflite")  # fmt: skip
# files by which a folder is itself one model
IS_PART = re.compile(
    r"-\d+-of-\d+\.\w+$|\.index\.json$"
    r"|^(model|pytorch_model|diffusion_pytorch_model)\.(safetensors|bin|gguf|onnx|pt|pth)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A model as it is named, opened, or why that failed. ``is_state``: a trainer's own file."""

    source: str
    model: Model | WeightkinError
    is_state: bool = False


def models_of(source: str | Path) -> Iterator[Found]:
    """Open what a source names and, of a folder, all weights in and below it; reads headers only.

    Files that opening a folder does not read are models of their own. An adapter stands with its
    base where that lies beside it. Links to files are read; one to a folder elsewhere is not
    followed, and is an error here. After `MOST` entries one error says that there are more.
    """
    text = str(source)
    pair = base_and_adapter(text)
    if pair is not None:
        found = _opened(text)
        yield found
        read = _Read()
        if isinstance(found.model, Model):
            read.files |= files_of(found.model.storage)
        for part in pair:
            if _is_folder(part):
                yield from _below(Path(part), read)
    elif _is_folder(text):
        is_empty = True
        for found in _below(Path(text), _Read()):
            is_empty &= found.is_state
            yield found
        if is_empty:
            wanted = f"weights in it or below, files ending in {', '.join(SUFFIXES)}"
            yield Found(text, unreadable(Path(text), "found no model", wanted))
    else:
        yield _opened(text)


def is_weights(name: str) -> bool:
    """Whether a file is taken for weights, by its name."""
    return name.lower().endswith((*SUFFIXES, *UNREAD, *INDEX))


def files_of(storage: Storage) -> set[Path]:
    """The files on this machine that the tensors of a model, and its config, were read from."""
    if isinstance(storage, ComputedStorage):
        return files_of(storage.inner)
    if isinstance(storage, Joined):
        return files_of(storage.base) | files_of(storage.adapter)
    held = storage.files if isinstance(storage, FileStorage) else ()
    return {file.path for file in held if isinstance(file.path, Path)}


@dataclass(slots=True)
class _Read:
    """What was read so far: files that are settled, and data that an ONNX file points at."""

    files: set[Path] = field(default_factory=set)
    data: set[Path] = field(default_factory=set)

    def note(self, model: Model) -> None:
        """Settle the files of a model; files joined though nothing says so stay to be checked."""
        files = files_of(model.storage)
        weights = [file for file in files if is_weights(file.name)]
        if any(file.suffix.lower() == ".onnx" for file in weights):
            self.files |= {file for file in weights if file.suffix.lower() == ".onnx"}
            self.data |= files
        elif len(weights) == 1 or any(file.name.lower().endswith(INDEX) for file in weights):
            self.files |= files
        else:
            self.files |= {file for file in weights if IS_PART.search(file.name)}


def _is_folder(source: str) -> bool:
    return not source.startswith(SCHEME) and os.path.isdir(source)  # noqa: PTH112 - takes any text


def _opened(source: str) -> Found:
    try:
        return Found(source, open_model(source))
    except WeightkinError as error:
        return Found(source, error)


def _below(root: Path, read: _Read) -> Iterator[Found]:
    """The models of a folder and of all folders in it."""
    n, waiting = 0, [root]
    while waiting:
        folder = waiting.pop()
        names: list[str] = []
        folders: list[Path] = []
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(islice(scanned, MOST + 1 - n), key=lambda x: x.name)
        except OSError as error:
            why = f"cannot be listed ({error.strerror})"
            yield Found(str(folder), unreadable(folder, why, "a folder that can be read"))
            continue
        n += len(entries)
        for entry in entries[: len(entries) - (n > MOST)]:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif _is_folder(str(path)):
                if not path.resolve().is_relative_to(root.resolve()):
                    found = "a link to a folder elsewhere, which is not followed"
                    yield Found(str(path), unreadable(path, found, "a folder (name it)"))
            elif is_weights(entry.name):
                names.append(entry.name)
        yield from _in_folder(folder, names, read)
        if n > MOST:
            found = f"more than {MOST} entries, not all of them looked at"
            yield Found(str(root), unreadable(root, found, "fewer (name its folders)"))
            return
        waiting += reversed(folders)


def _in_folder(folder: Path, names: Sequence[str], read: _Read) -> Iterator[Found]:
    """The folder as one model where its names say so; then every file that was not read."""
    left = [name for name in names if folder / name not in read.files]
    seen = [x for x in left if not x.startswith((".", "adapter_model.", *COMPANIONS))]
    seen = [x for x in seen if not x.lower().endswith(UNREAD)]
    if len(seen) == 1 or any(IS_PART.search(name) for name in seen):
        found = _opened(str(folder))
        if isinstance(found.model, Model):
            read.note(found.model)
        if isinstance(found.model, Model) or all(x.lower().endswith(INDEX) for x in left):
            yield found  # an error too, where no file is left to say what is wrong
    for name in sorted(left, key=lambda x: (x.startswith(COMPANIONS), _rank(x), x)):
        if folder / name not in read.files:
            yield from _alone(folder, name, read)


def _rank(name: str) -> int:
    """Files that point at others come first."""
    return 0 if name.lower().endswith(INDEX) else 1 if name.lower().endswith(".onnx") else 2


def _alone(folder: Path, name: str, read: _Read) -> Iterator[Found]:
    """One file that no other model of its folder read."""
    path = folder / name
    if name.lower().endswith(UNREAD):
        wanted = f"one of {', '.join(SUFFIXES)}"
        error = unreadable(path, "weights in a format that is not read", wanted)
        yield Found(str(path), error, _is_state(path))
        return
    held = next((x for x in ADAPTERS if (folder / x).exists()), None)
    base = base_beside(folder) if name == held else None
    found = _opened(f"{base}+{folder}" if base else str(path))
    if base is None and isinstance(found.model, Model):
        read.note(found.model)
    if isinstance(found.model, UnreadableModel):
        if path in read.data or name.lower().endswith(INDEX):
            return  # data of an ONNX file; the shards of a broken index are looked at alone
        yield Found(found.source, found.model, _is_state(path))
    else:
        yield Found(found.source, found.model, name.startswith(COMPANIONS))


def _is_state(path: Path) -> bool:
    """Whether a file that no reader understands is small, and named as trainers name theirs."""
    with suppress(OSError):
        return path.name.startswith(COMPANIONS) and path.stat().st_size <= MOST_STATE
    return False
