"""From what the user names to an open model: which files of a folder count, and in what order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.weights.adapter import ALONE, is_adapter, with_adapter
from weightkin.weights.computed import ComputedStorage
from weightkin.weights.files import Contents, LocalFile, LocalStorage, readable
from weightkin.weights.messages import shown, unreadable
from weightkin.weights.model import SKETCH_KEY, Model, Problem
from weightkin.weights.packed import unpack
from weightkin.weights.safetensors_file import read_json
from weightkin.weights.shards import read_files, read_index
from weightkin.weights.sketch_file import sketched_model

MAX_CONFIG = 16 << 20  # bytes
TORCH_SUFFIXES = (".bin", ".pt", ".pth")
# What trainers write beside the weights: never part of a model.
COMPANIONS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
STANDARD_STEMS = ("model", "pytorch_model", "diffusion_pytorch_model")


def open_model(source: str | Path) -> Model:
    """Open a model that lies on this machine; reads headers only.

    Parameters
    ----------
    source : str or Path
        A folder (in this order: a safetensors index, safetensors files, a torch index, torch
        files, GGUF), or one ``.safetensors``, ``.bin``, ``.pt``, ``.pth``, ``.gguf`` or index
        file. A file that
        `write_sketch` wrote opens as the runs it holds, with ``sketched`` set. ``base+adapter``
        is a base with a PEFT adapter merged into it.

    Returns
    -------
    Model
        Tensors in sorted name order. What could not be read is in ``problems``.

    Raises
    ------
    UnreadableModel
        Nothing could be read, or the source is malformed in a way that is refused.
    """
    if (pair := _base_and_adapter(str(source))) is not None:
        return with_adapter(open_model(pair[0]), Path(pair[1]), str(source))
    path, is_folder = _existing(source)
    contents, files = _read_folder(path) if is_folder else _read_one(path)
    if not contents.tensors:
        said = [f"{problem.what}: {problem.why}" for problem in contents.problems[:1]]
        raise unreadable(path, " ".join(["no tensors", *said]), "at least one")
    if is_adapter(contents.tensors):
        raise unreadable(path, *ALONE)
    if SKETCH_KEY in contents.metadata:
        return sketched_model(str(source), path, contents, files)
    config, config_files, problems = _config(path if is_folder else path.parent)
    stored = LocalStorage(contents.places, [*files, *config_files])
    config = contents.config or config
    tensors, recipes, unpacking = unpack(contents.tensors, stored, config)
    recipes |= contents.recipes
    if not tensors:
        raise UnreadableModel(unpacking[0].why)
    return Model(
        source=str(source),
        name=_name(path, is_folder=is_folder),
        tensors={name: tensors[name] for name in sorted(tensors)},
        config=config,
        storage=ComputedStorage(stored, recipes) if recipes else stored,
        problems=(*contents.problems, *problems, *unpacking),
    )


def _base_and_adapter(source: str) -> tuple[str, str] | None:
    """Cut ``base+adapter`` at the last plus that leaves an existing adapter behind it."""
    if "\0" in source or "+" not in source:
        return None
    with readable(Path(source)):
        if Path(source).exists():
            return None
        at = len(source)
        while (at := source.rfind("+", 0, at)) > 0:
            if source[at + 1 :] and Path(source[at + 1 :]).exists():
                return source[:at], source[at + 1 :]
    return None


def _existing(source: str | Path) -> tuple[Path, bool]:
    """Return the path and whether it is a folder, if there is anything at it."""
    path = Path(source)
    if str(source) and "\0" not in str(source):
        with readable(path):
            if path.is_dir():
                return path, True
            if path.exists():
                return path, False
    raise unreadable(
        shown(source),
        "that this path does not exist",
        "a local file or folder (hub ids are not read yet)",
    )


def _read_folder(folder: Path) -> tuple[Contents, list[LocalFile]]:
    with readable(folder):
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    for suffixes in ((".safetensors",), TORCH_SUFFIXES, (".gguf",)):
        index = _index(
            folder, [name for name in names if name.endswith(f"{suffixes[0]}.index.json")]
        )
        if index is not None:
            return read_index(LocalFile(index))
        weights = _weights([name for name in names if name.lower().endswith(suffixes)])
        if weights:
            return read_files([folder / name for name in weights])
    if any(name.startswith("adapter_model.") for name in names):
        raise unreadable(folder, *ALONE)
    if "model_index.json" in names:
        parts = [n for n in names if (folder / n).is_dir()]
        found = f"a pipeline of {shown(', '.join(parts))}"
        raise unreadable(folder, found, "one of its components, which are models apart")
    wanted = f".safetensors, {', '.join(TORCH_SUFFIXES)}, .gguf or an index of them"
    raise unreadable(folder, f"no weights among {len(names)} entries", wanted)


def _index(folder: Path, names: list[str]) -> Path | None:
    """Choose the one index, or the one with a standard name among several."""
    standard = [name for name in names if name.split(".")[0] in STANDARD_STEMS]
    plain = [name for name in standard if name.count(".") == 3]  # no variant such as .fp16.
    chosen = names if len(names) <= 1 else plain
    if len(chosen) == 1:
        return folder / chosen[0]
    if names:
        raise unreadable(folder, f"{len(names)} indexes", "one (name the one to read)")
    return None


def _weights(names: list[str]) -> list[str]:
    """Choose a model's files: one with a standard name alone, else all but companions."""
    for stem in STANDARD_STEMS:
        standard = [name for name in names if Path(name).stem == stem]
        if standard:
            return standard[:1]
    return [name for name in names if not name.startswith(("adapter_model.", *COMPANIONS))]


def _read_one(path: Path) -> tuple[Contents, list[LocalFile]]:
    if path.name.endswith(".index.json"):
        return read_index(LocalFile(path))
    return read_files([path])


def _config(folder: Path) -> tuple[Mapping[str, Any], list[LocalFile], list[Problem]]:
    """Read the config beside the weights: a hint, so a broken one is a problem and no failure."""
    path = folder / "config.json"
    try:
        with readable(path):
            if not path.exists():
                return {}, [], []
        file = LocalFile(path)
        if file.size > MAX_CONFIG:
            raise unreadable(path, f"{file.size} bytes", f"at most {MAX_CONFIG}")
        return read_json(file, "config", 0, file.size), [file], []
    except UnreadableModel as error:
        return {}, [], [Problem("config.json", str(error), loses_tensors=False)]


def _name(path: Path, *, is_folder: bool) -> str:
    """Name a model by its folder, or by its file unless that has a standard name."""
    with readable(path):
        whole = path.resolve() if path.name in ("", "..") else path.absolute()
    stem = whole.name.split(".")[0] if whole.name.endswith(".index.json") else whole.stem
    if is_folder:
        return whole.name or str(whole)
    return whole.parent.name if stem in STANDARD_STEMS and whole.parent.name else stem
