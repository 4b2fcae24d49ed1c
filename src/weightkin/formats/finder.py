"""Which files of a folder are models, by their names: one answer for everybody who looks.

Opening a folder, listing one for a command, guarding one against writes, checking one and looking
through the files of a repository all ask here. Which suffixes are read is in `table`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from weightkin.errors import UnreadableModel
from weightkin.formats.model import SKETCH_SUFFIX
from weightkin.formats.table import format_of, holds_weights, known_as, read_formats
from weightkin.sources.files import Folder
from weightkin.sources.local import folder_at
from weightkin.text import unreadable

Kind = Literal["", "index", "standard", "shard", "weights", "sketch", "adapter", "trainer"]
ONE_MODEL_KINDS = ("index", "standard", "shard")  # by which a folder is itself one model
OWN = (*ONE_MODEL_KINDS[1:], "weights", "sketch")  # files that are models, alone or with others
WHOLE_FIRST = ("model", "pytorch_model")  # of transformers; diffusers looks for an index first
STANDARD_STEMS = ("model", "pytorch_model", "diffusion_pytorch_model")
# What trainers write beside the weights: never part of a model.
COMPANIONS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
TRAINER_STATE = re.compile(rf"({'|'.join(COMPANIONS)})(_\d+)?\.(bin|pt|pth)", re.ASCII)
MOMENTS = "_optim_states.pt"  # how DeepSpeed calls them
ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
CONFIGS = CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
PARAMETERS = "params.json"  # what Meta and Mistral call the config of a model
ALONE = "an adapter, which is read with its base: name path/to/base+path/to/adapter"
NO_WEIGHTS = (".json", ".jsonl", ".md", ".txt", ".py", ".yaml", ".yml", ".csv", ".html", ".png")
MOST_LOOKED_AT = 64  # files of a folder whose first bytes are looked at
_SHARD = re.compile(r"-\d+-of-\d+\.\w+$")
_RANK = re.compile(r"consolidated\.[0-9]{2}\.|model_world_size_[0-9]+_rank_[0-9]+\.", re.ASCII)
_VARIANT = re.compile(
    r"(_(merged|fp16|fp32|bf16|int8|uint8|quantized|quant|optimized|q4|q4f16|q8|bnb4|O[1-4]))+$"
)
_INDEX = re.compile(r"\.index(\.[^/]*)?\.json", re.IGNORECASE)  # .fp16 and others before .json


def kind_of(name: str) -> Kind:
    """What a file is to a model, by its name; empty where it holds no weights that are read."""
    is_list = is_index(name)
    known = format_of(name)
    if not is_list and known is None:
        return ""
    if name.startswith("adapter_model."):
        return "adapter"
    if name.startswith(COMPANIONS) or name.endswith(MOMENTS):
        return "trainer"
    if is_list:
        return "index"
    if _SHARD.search(name) or _RANK.match(name) or (known and known.is_joined):
        return "shard"
    if PurePath(name).stem.lower() in STANDARD_STEMS:
        return "standard"
    return "sketch" if name.lower().endswith(SKETCH_SUFFIX) else "weights"


def is_index(name: str) -> bool:
    """Whether a file says by its name that it lists the shards of a model."""
    return _INDEX.search(name) is not None and name.lower().endswith(".json")


def is_one_model(names: Iterable[str]) -> bool:
    """Whether a folder of such files is itself one model: an index, shards, a standard name."""
    return any(kind_of(name) in ONE_MODEL_KINDS for name in names)


def is_models_folder(names: Sequence[str]) -> bool:
    """Whether a folder belongs to a model: a config beside weights."""
    return any(x in names for x in CONFIGS) and any(format_of(name) for name in names)


def may_be_part(name: str) -> bool:
    """Whether a file is of a format whose files are often parts of one network (ONNX)."""
    known = format_of(name)
    return known is not None and known.has_beside


def has_standard_name(name: str) -> bool:
    """Whether a file is a model, an index or an adapter under the name that libraries write."""
    is_standard = name.split(".")[0] in STANDARD_STEMS and kind_of(name) in ("index", "standard")
    return is_standard or kind_of(name) == "adapter"


def files_of_model(folder: Folder) -> list[str]:
    """The files that make the model of a folder: one index, or its weights; none if there are none.

    The first format that is there counts. Of its files, one with a standard name alone does, else
    all that are neither adapters nor what trainers write.

    Raises
    ------
    UnreadableModel
        Several indexes, none of which has a standard name.
    """
    for found in read_formats():
        if whole := [name for name in folder.names if _goes_first(name, found.suffixes)]:
            return whole[:1]
        if found.suffixes:
            ending = f"{found.suffixes[0]}.index.json"
            index = _index(folder.path, [name for name in folder.names if name.endswith(ending)])
            if index is not None:
                return [index]
        weights = _weights([name for name in folder.names if found.is_named(name)])
        if weights:
            return weights[:1] if found.is_joined else weights
    return []


def _goes_first(name: str, suffixes: Sequence[str]) -> bool:
    """Whether a library loads this file even where an index of the same name lies beside it."""
    return name in {f"{stem}{suffix}" for stem in WHOLE_FIRST for suffix in suffixes[:1]}


def files_by_content(folder: Folder) -> list[str]:
    """The files of a folder that are weights by their first bytes, where no name says so."""
    named = [x for x in folder.names if known_as(PurePath(x).suffix.lower()) is None]
    found = []
    for name in [x for x in named if not x.lower().endswith(NO_WEIGHTS)][:MOST_LOOKED_AT]:
        try:
            if holds_weights(name, folder.open_file(name)):
                found.append(name)
        except UnreadableModel:
            continue  # a folder, a pipe
    return found


def _index(folder: PurePath, names: Sequence[str]) -> str | None:
    """Choose the one index, or the one with a standard name among several."""
    standard = [name for name in names if name.split(".")[0] in STANDARD_STEMS]
    plain = [name for name in standard if name.count(".") == 3]  # no variant such as .fp16.
    chosen = names if len(names) <= 1 else plain
    if len(chosen) == 1:
        return chosen[0]
    if names:
        raise unreadable(folder, f"{len(names)} index files; name the one to read")
    return None


def _weights(names: Sequence[str]) -> list[str]:
    """Choose a model's files: one with a standard name alone, else all but companions."""
    for stem in STANDARD_STEMS:
        standard = [name for name in names if PurePath(name).stem == stem]
        if standard:
            return standard[:1]
    own = [name for name in names if kind_of(name) not in ("adapter", "trainer")]
    stems = {PurePath(name).stem for name in own if may_be_part(name)}
    return [x for x in own if PurePath(x).stem not in stems or not _is_variant(x, stems)]


def _is_variant(name: str, stems: Set[str]) -> bool:
    """Whether an ONNX file is another one again: for further steps, or in fewer bits."""
    stem = PurePath(name).stem
    plain = _VARIANT.sub("", stem.replace("_with_past", ""))
    return plain != stem and plain in stems


@dataclass(frozen=True, slots=True)
class ModelsInFolder:
    """What lies in a folder that is named for the models in it; hidden entries are left out."""

    models: tuple[Path, ...]  # directly inside; the folder in place of its files if it is one model
    deeper: tuple[Path, ...]  # one level further down
    n_entries: int


def models_in(folder: Path) -> ModelsInFolder:
    """The models in a folder, by names, else by first bytes; it must be one that can be listed."""
    entries = _entries(folder)
    inside = [x for x in entries if holds_model(x)]
    if not inside:
        inside = [folder / name for name in _by_content(folder)]
    if is_one_model(x.name for x in entries if x.is_file()):
        inside = [folder, *(x for x in inside if x.is_dir())]
    deeper = [y for x in entries if x.is_dir() for y in _models_below(x)]
    return ModelsInFolder(tuple(inside), tuple(deeper), len(entries))


def _models_below(folder: Path) -> list[Path]:
    """Models in the folders of a folder; one that cannot be listed is not looked into."""
    try:
        return [x for x in _entries(folder) if x.is_dir() and holds_model(x)]
    except OSError:
        return []


def _entries(folder: Path) -> list[Path]:
    return sorted(x for x in folder.iterdir() if not x.name.startswith("."))


def _by_content(folder: Path) -> list[str]:
    """Files of weights under names that do not say so; none where they cannot be listed."""
    try:
        return files_by_content(folder_at(folder))
    except UnreadableModel:
        return []


def holds_model(path: Path) -> bool:
    """A file of weights, or a folder with one directly inside; sketches in a folder are none."""
    if path.is_dir():
        named = [x for x in path.iterdir() if format_of(x.name)]
        return any(kind_of(x.name) != "sketch" for x in named) or bool(
            not named and _by_content(path)
        )
    return kind_of(path.name) in OWN
