"""Which files of a folder count, and in what order; the same here and on a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.formats.adapter import ALONE
from weightkin.formats.model import Problem
from weightkin.formats.ranks import refuse_pieces
from weightkin.formats.safetensors_file import read_json
from weightkin.formats.shards import read_files, read_index
from weightkin.formats.storage import Contents
from weightkin.sources.files import File, Folder
from weightkin.text import shown, unreadable

MAX_CONFIG = 16 << 20  # bytes
TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
# What trainers write beside the weights: never part of a model.
COMPANIONS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
STANDARD_STEMS = ("model", "pytorch_model", "diffusion_pytorch_model")


def read_folder(folder: Folder) -> tuple[Contents, list[File]]:
    """Tensors of the files that count among those in a folder."""
    names, open_file = folder.names, folder.open_file
    for suffixes in ((".safetensors",), TORCH_SUFFIXES, (".gguf",), (".onnx",)):
        ending = f"{suffixes[0]}.index.json"
        index = _index(folder.path, [name for name in names if name.endswith(ending)])
        if index is not None:
            return read_index(open_file(index), open_file)
        weights = _weights([name for name in names if name.lower().endswith(suffixes)])
        if weights:
            refuse_pieces(folder.path, weights)
            return read_files(weights, open_file)
    refuse_pieces(folder.path, names)
    if any(name.startswith("adapter_model.") for name in names):
        raise unreadable(folder.path, *ALONE)
    if "model_index.json" in names:
        here = folder.path if isinstance(folder.path, Path) else None
        parts = [name for name in names if here and (here / name).is_dir()]
        found = f"a pipeline of {shown(', '.join(parts))}" if parts else "a pipeline"
        raise unreadable(folder.path, found, "one of its components, which are models apart")
    wanted = f".safetensors, {', '.join(TORCH_SUFFIXES)}, .gguf, .onnx or an index of them"
    raise unreadable(folder.path, f"no weights among {len(names)} entries", wanted)


def _index(folder: PurePath, names: Sequence[str]) -> str | None:
    """Choose the one index, or the one with a standard name among several."""
    standard = [name for name in names if name.split(".")[0] in STANDARD_STEMS]
    plain = [name for name in standard if name.count(".") == 3]  # no variant such as .fp16.
    chosen = names if len(names) <= 1 else plain
    if len(chosen) == 1:
        return chosen[0]
    if names:
        raise unreadable(folder, f"{len(names)} indexes", "one (name the one to read)")
    return None


def _weights(names: Sequence[str]) -> list[str]:
    """Choose a model's files: one with a standard name alone, else all but companions."""
    for stem in STANDARD_STEMS:
        standard = [name for name in names if PurePath(name).stem == stem]
        if standard:
            return standard[:1]
    return [name for name in names if not name.startswith(("adapter_model.", *COMPANIONS))]


def read_config(folder: Folder) -> tuple[Mapping[str, Any], list[File], list[Problem]]:
    """Read the config beside the weights: a hint, so a broken one is a problem and no failure."""
    if "config.json" not in folder.names:
        return {}, [], []
    try:
        file = folder.open_file("config.json")
        if file.size > MAX_CONFIG:
            raise unreadable(file.path, f"{file.size} bytes", f"at most {MAX_CONFIG}")
        return read_json(file, "config", 0, file.size, is_hint=True), [file], []
    except UnreadableModel as error:
        return {}, [], [Problem("config.json", str(error), loses_tensors=False)]
