"""Adapters: ``base+adapter`` is the base with every delta added, row by row.

An adapter alone is no model: its delta is tied to the base's unit order, so that nothing in it can
be tested without the base.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy.typing as npt

from weightkin.errors import UnreadableModel
from weightkin.formats.adapter_deltas import OWN
from weightkin.formats.adapter_groups import merged
from weightkin.formats.adapter_names import is_adapter, needs_config
from weightkin.formats.computed import ComputedStorage, Recipe
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.finder import ADAPTER_CONFIG, ADAPTERS
from weightkin.formats.folder import Chosen, read_files
from weightkin.formats.model import Model, Problem, Storage
from weightkin.formats.safetensors_file import read_json
from weightkin.formats.storage import Contents, FileStorage
from weightkin.formats.table import format_of
from weightkin.sources.files import File, Folder, Spans
from weightkin.sources.local import LocalFile, home_of, readable
from weightkin.text import shown, unreadable

MAX_ADAPTER_CONFIG = 1 << 20  # bytes
PIPELINE = ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")  # of diffusers
_COMMON = re.compile(
    r"checkpoint-[0-9]+|adapter(?:_model)?|lora|final|last|best|outputs?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Joined:
    """The tensors of a base and, under ``adapter:``, those of its adapter."""

    base: Storage
    adapter: Storage

    def read(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Elements ``start:stop`` of the flattened tensor."""
        return self.read_runs(name, [(start, stop)])

    def read_runs(self, name: str, runs: Any) -> npt.NDArray[Any]:
        """Elements of several ascending runs of the flattened tensor."""
        if name.startswith(OWN):
            return self.adapter.read_runs(name.removeprefix(OWN), runs)
        return self.base.read_runs(name, runs)

    def prefetch(self, wanted: Sequence[tuple[str, Spans]]) -> None:
        """Say so of both, which may be on servers."""
        ours = [(n.removeprefix(OWN), runs) for n, runs in wanted if n.startswith(OWN)]
        self.base.prefetch([x for x in wanted if not x[0].startswith(OWN)])
        self.adapter.prefetch(ours)

    @property
    def bytes_touched(self) -> int:
        """Bytes touched of both."""
        return self.base.bytes_touched + self.adapter.bytes_touched

    @property
    def stamps(self) -> tuple[str, ...]:
        """Those of both, if both have some."""
        both = self.base.stamps, self.adapter.stamps
        return (*both[0], "+", *both[1]) if all(both) else ()


def adapter_of(storage: Storage) -> Storage:
    """Of a base with an adapter, what the adapter itself holds; any other storage as it is."""
    if isinstance(storage, ComputedStorage) and isinstance(storage.inner, Joined):
        return storage.inner.adapter
    return storage


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an adapter holds, before anybody says what its base is."""

    source: str
    name: str
    contents: Contents
    storage: FileStorage
    config: File | None  # of PEFT
    path: PurePath

    def recipes(self, base: Model) -> tuple[dict[str, Recipe], list[Problem]]:
        """How each tensor of a base is changed, by names and shapes; what belongs to no base.

        Raises
        ------
        UnreadableModel
            The adapter changes what the base does not have, or is of a kind that is not computed.
        """
        return merged(base, self.contents, self.storage, self.config, self.path)


def read_adapter(adapter: Chosen) -> Adapter:
    """Read the names and shapes of an adapter, and its config.

    Where no file is named, the first that its library would look for is read.

    Raises
    ------
    UnreadableModel
        There is no adapter.
    """
    folder = adapter.folder
    held = adapter.file or _held(folder)
    if held is None or held == ADAPTER_CONFIG:
        raise _not_named(folder, held)
    contents, files = read_files([held], folder.open_file)
    if not is_adapter(contents.tensors) and not _is_named(held, folder):
        raise unreadable(folder.path / held, "not an adapter: it holds no factors")
    config_file = None
    if needs_config(contents.tensors):
        config_file = _config_of(folder, held)
        files = [*files, config_file]
    whole = None if adapter.file else folder
    stored = FileStorage(contents.places, files, contents.claims, whole)
    path = folder.path / held
    return Adapter(adapter.source, adapter.name, contents, stored, config_file, path)


def with_adapter(base: Model, adapter: Adapter, parts: tuple[str, ...]) -> Model:
    """Make the model that merging an adapter into its base would give.

    Parameters
    ----------
    base : Model
        An open model, no sketch.
    adapter : Adapter
        The adapter.
    parts : tuple of str
        Sources of what the base is made of.

    Returns
    -------
    Model
        The base with every delta computed when rows are read.

    Raises
    ------
    UnreadableModel
        An adapter of a kind that is not computed, or of another base.
    """
    parts, contents = (*parts, adapter.source), adapter.contents
    recipes, left = adapter.recipes(base)
    tensors = {name: base.tensors[name] for name in base.tensors}
    for target, recipe in recipes.items():
        info = tensors[target]
        n_bytes = math.prod(recipe.shape) * NUMPY[info.dtype].itemsize
        tensors[target] = replace(info, shape=recipe.shape, n_bytes=n_bytes, packed="")
    return replace(
        base,
        source="+".join(parts),
        revision=None,  # of a part on a hub it is in the source, which can be opened again
        name=f"{base.name}+{adapter.name}",
        metadata=contents.metadata,
        tensors={key: tensors[key] for key in sorted(tensors)},
        storage=ComputedStorage(Joined(base.storage, adapter.storage), recipes),
        problems=(*base.problems, *contents.problems, *left),
        headers=(*base.headers, *contents.headers),
        parts=parts,
    )


def _held(folder: Folder) -> str | None:
    """The file of an adapter in a folder: by the names that libraries give, or the only weights."""
    known = [name for name in (*ADAPTERS, *PIPELINE) if name in folder.names]
    weights = known[:1] or [name for name in folder.names if format_of(name)]
    return weights[0] if len(weights) == 1 else None


def _is_named(name: str, folder: Folder) -> bool:
    """Whether a file has the name that PEFT gives, and its config beside it."""
    return name in ADAPTERS and ADAPTER_CONFIG in folder.names


def _not_named(folder: Folder, held: str | None) -> UnreadableModel:
    """Why nothing in a folder is an adapter that could be read."""
    if held is not None:
        what = f"the config of an adapter, not its weights; name its folder or {ADAPTERS[0]}"
        return unreadable(folder.path / held, what)
    what = f"not an adapter (needs {ADAPTER_CONFIG} and {ADAPTERS[0]})"
    if inside := _adapters_inside(folder):
        what = f"the adapters are in subfolders; name one of them ({inside})"
    return unreadable(folder.path, what)


def _config_of(folder: Folder, held: str) -> File:
    if ADAPTER_CONFIG not in folder.names:
        what = f"an adapter without its config (needs {ADAPTER_CONFIG} and {ADAPTERS[0]})"
        raise unreadable(folder.path / held, what)
    file = folder.open_file(ADAPTER_CONFIG)
    if file.size > MAX_ADAPTER_CONFIG:
        what = f"too large ({file.size} bytes, at most {MAX_ADAPTER_CONFIG})"
        raise unreadable(file.path, what)
    return file


def _adapters_inside(folder: Folder) -> str:
    """Folders in one on this machine that hold an adapter each, as names to show."""
    here = folder.path
    if not isinstance(here, Path):
        return ""
    with readable(here):
        found = [name for name in folder.names if (here / name / ADAPTER_CONFIG).is_file()]
    return shown(", ".join(f"{here.name}/{name}" for name in found))


def label_of(path: Path) -> str:
    """Name an adapter by its file, or by its folder where the file has a standard name.

    Of a folder that trainers gave a common name, by the one above as well.
    """
    is_folder = path.is_dir()
    if not is_folder and path.name not in (*ADAPTERS, *PIPELINE):
        return path.stem
    folder = path if is_folder else path.parent
    is_common = bool(_COMMON.fullmatch(folder.name)) and bool(folder.parent.name)
    return f"{folder.parent.name}-{folder.name}" if is_common else folder.name


def base_beside(folder: Path) -> Path | None:
    """The folder beside an adapter's that has the name of its base; None where there is none.

    Only the last part of the name that the adapter gives is looked at: what lies elsewhere on this
    machine, or on a hub, is for the user to name.
    """
    try:
        file = LocalFile(folder / ADAPTER_CONFIG, (home_of(folder),))
        if file.size > MAX_ADAPTER_CONFIG:
            return None
        wanted = read_json(file, "config", 0, file.size).get("base_model_name_or_path")
        name = wanted.rstrip("/").rpartition("/")[2] if isinstance(wanted, str) else ""
        if name in ("", ".", "..") or "\0" in name:
            return None
        base = folder.parent / name
        with readable(base):
            is_whole = base.is_dir() and not (base / ADAPTER_CONFIG).exists()
            is_adapter = any((folder / name).exists() for name in ADAPTERS)
    except UnreadableModel:
        return None
    return base if is_whole and is_adapter else None
