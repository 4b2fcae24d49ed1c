"""PEFT adapters: ``base+adapter`` is the base with every delta added, row by row.

An adapter alone is no model: its delta is tied to the base's unit order, so that nothing in it can
be tested without the base.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.adapter_options import check_options, scaling_of
from weightkin.formats.adapter_targets import Targets
from weightkin.formats.computed import (
    ComputedStorage,
    Index,
    Recipe,
    stored_columns,
    stored_rows,
    stored_whole,
)
from weightkin.formats.dtypes import NUMPY, to_float32
from weightkin.formats.model import Model, Storage, TensorInfo
from weightkin.formats.safetensors_file import read_json
from weightkin.formats.shards import read_files
from weightkin.formats.storage import FileStorage
from weightkin.sources.files import Spans, readable
from weightkin.text import located, quoted, shown, unreadable

if TYPE_CHECKING:
    from weightkin.sources.files import Folder

FILES = ("adapter_model.safetensors", "adapter_model.bin")
CONFIG = "adapter_config.json"
OWN = "adapter:"  # before the names of an adapter's tensors
MAX_CONFIG = 1 << 20  # bytes
MAX_RANK = 1 << 14
ALONE = (
    "an adapter alone (its delta is tied to the base's unit order)",
    "base+adapter, such as path/to/base+path/to/adapter",
)
_FACTOR = re.compile(
    r"^(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B)(?:\.[^.]+)?(?:\.weight)?$"
)
_FACTOR_BIAS = re.compile(r"\.lora_[AB](?:\.[^.]+)?\.bias$")
_WRAPPED = ("base_model.model.", "base_model.")
_COMMON = re.compile(
    r"checkpoint-[0-9]+|adapter(?:_model)?|lora|final|last|best|outputs?", re.ASCII
)
_UNKNOWN = re.compile(r"\.(?:lora_magnitude_vector|lora_|hada_|lokr_|oft_|vera_|ia3_|boft_)")


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


@dataclass(frozen=True, slots=True)
class Merged:
    """``W + scaling B A`` (its transpose where inputs are rows), rounded as W is stored."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    left: str  # factor with one row, or column if `is_turned`, a row of W
    right: str
    rank: int
    scaling: float
    is_turned: bool  # left is stored (rank, rows) and right (columns, rank)

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows of the sum."""
        n, width = self.shape
        weight = to_float32(stored_rows(storage, self.name, rows, width))
        if self.is_turned:
            left = stored_columns(storage, self.left, rows, (self.rank, n)).T
            right = stored_whole(storage, self.right, (width, self.rank)).T
        else:
            left = stored_rows(storage, self.left, rows, self.rank)
            right = stored_whole(storage, self.right, (self.rank, width))
        delta = np.zeros((len(rows), width))
        for k in range(self.rank):  # one order of sums on every machine: digests rest on it
            delta += np.outer(left[:, k].astype(np.float64), right[k].astype(np.float64))
        with np.errstate(all="ignore"):
            total: npt.NDArray[Any] = (weight + self.scaling * delta).astype(self.dtype)
        return total


@dataclass(frozen=True, slots=True)
class Replaced:
    """A tensor that the adapter holds whole (``modules_to_save``)."""

    name: str
    shape: tuple[int, ...]

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows as the adapter stores them."""
        return stored_rows(storage, self.name, rows, math.prod(self.shape[1:]))


def adapter_of(storage: Storage) -> Storage:
    """Of a base with an adapter, what the adapter itself holds; any other storage as it is."""
    if isinstance(storage, ComputedStorage) and isinstance(storage.inner, Joined):
        return storage.inner.adapter
    return storage


def is_adapter(names: Mapping[str, TensorInfo]) -> bool:
    """Whether tensors are those of an adapter: factors under the names that PEFT gives them."""
    return any(_FACTOR.match(name) or name.startswith(_WRAPPED[0]) for name in names)


def with_adapter(
    base: Model, folder: Folder, name: str, parts: tuple[str, ...], file: str = ""
) -> Model:
    """Make the model that merging an adapter into its base would give.

    ``name`` is that of the whole, ``parts`` are the sources of what it is made of. Of the folder
    ``file`` is read where one was named, else the first that PEFT would look for.
    """
    source = "+".join(parts)
    held = file or next((x for x in FILES if x in folder.names), None)
    if held == CONFIG:
        raise unreadable(folder.path / held, "the config of an adapter", f"{FILES[0]} beside it")
    if held is None or CONFIG not in folder.names:
        inside = _adapters_inside(folder)
        found = f"adapters in folders of their own ({inside})" if inside else "no adapter"
        raise unreadable(
            folder.path, found, "one of them" if inside else f"{CONFIG} and {FILES[0]}"
        )
    config_file = folder.open_file(CONFIG)
    if config_file.size > MAX_CONFIG:
        raise unreadable(config_file.path, f"{config_file.size} bytes", f"at most {MAX_CONFIG}")
    config = read_json(config_file, "config", 0, config_file.size)
    contents, files = read_files([held], folder.open_file)
    recipes = _recipes(base, contents.tensors, config, folder.path / held)
    tensors = {name: base.tensors[name] for name in base.tensors}
    for target, recipe in recipes.items():
        if isinstance(recipe, Replaced):
            info = contents.tensors[recipe.name.removeprefix(OWN)]
            tensors[target] = replace(info, name=target)
        else:
            tensors[target] = replace(tensors[target], packed="")
    adapter = FileStorage(contents.places, [*files, config_file])
    return replace(
        base,
        source=source,
        revision=None,  # of a part on a hub it is in the source, which can be opened again
        name=name,
        tensors={key: tensors[key] for key in sorted(tensors)},
        storage=ComputedStorage(Joined(base.storage, adapter), recipes),
        problems=(*base.problems, *contents.problems),
        headers=(*base.headers, *contents.headers),
        parts=parts,
    )


def _adapters_inside(folder: Folder) -> str:
    """Folders in one on this machine that hold an adapter each, as names to show."""
    here = folder.path
    if not isinstance(here, Path):
        return ""
    with readable(here):
        found = [name for name in folder.names if (here / name / CONFIG).is_file()]
    return shown(", ".join(f"{here.name}/{name}" for name in found))


def label_of(folder: Path) -> str:
    """Name an adapter by its folder, and by the one above where trainers gave it a common name."""
    is_common = bool(_COMMON.fullmatch(folder.name)) and bool(folder.parent.name)
    return f"{folder.parent.name}-{folder.name}" if is_common else folder.name


def _recipes(
    base: Model, held: Mapping[str, TensorInfo], config: Mapping[str, Any], file: PurePath
) -> dict[str, Recipe]:
    """One recipe for each tensor of the base that the adapter changes."""
    if config.get("peft_type", "LORA") != "LORA" or config.get("use_dora"):
        kind = "DoRA" if config.get("use_dora") else config.get("peft_type")
        raise unreadable(file.parent, f"an adapter of type {quoted(kind)}", "plain LoRA")
    check_options(config, file.parent / CONFIG)
    targets = Targets(base, file)
    factors: dict[str, dict[str, TensorInfo]] = {}
    recipes: dict[str, Recipe] = {}
    for name, info in held.items():
        if (found := _FACTOR.match(name)) and not _FACTOR_BIAS.search(name):
            pair = factors.setdefault(found[1], {})
            if found[2] in pair:
                what = f"a second {found[2]} of one module, beside {quoted(pair[found[2]].name)}"
                raise unreadable(located(file, name), what, "one adapter in a file")
            pair[found[2]] = info
        elif _UNKNOWN.search(name) or _FACTOR_BIAS.search(name):
            raise unreadable(located(file, name), "a part that is not known", "lora_A and lora_B")
        else:
            target = targets.of(_unwrapped(name))
            if info.shape[1:] != base.tensors[target].shape[1:]:
                raise unreadable(located(file, name), _shape(info), _shape(base.tensors[target]))
            _check_first(target, recipes, file, name)
            recipes[target] = Replaced(OWN + name, info.shape)
    if not factors:
        raise unreadable(file, "no lora_A and lora_B", "an adapter")
    for module, pair in factors.items():
        target = targets.of(f"{_unwrapped(module)}.weight")
        _check_first(target, recipes, file, module)
        recipes[target] = _merged(base.tensors[target], module, pair, config, file)
    return recipes


def _check_first(target: str, recipes: Mapping[str, Recipe], file: PurePath, name: str) -> None:
    """Refuse a second change of one tensor: one of the two would not be looked at."""
    if target in recipes:
        found = f"a second change of {quoted(target)}"
        raise unreadable(located(file, name), found, "one of each tensor")


def _merged(
    weight: TensorInfo,
    module: str,
    pair: Mapping[str, TensorInfo],
    config: Mapping[str, Any],
    file: PurePath,
) -> Merged:
    """Fit the two factors to the tensor they change, by shapes, else by `fan_in_fan_out`."""
    names = (f"{kind}_{side}" for kind in ("lora", "lora_embedding") for side in "AB")
    match [pair.get(name) for name in names]:
        case [TensorInfo(shape=(r, n_in)) as a, TensorInfo(shape=(n_out, r2)) as b, None, None]:
            is_straight, is_turned = weight.shape == (n_out, n_in), weight.shape == (n_in, n_out)
            is_turned &= bool(config.get("fan_in_fan_out")) or not is_straight
        case [None, None, TensorInfo(shape=(r, n_in)) as a, TensorInfo(shape=(n_out, r2)) as b]:
            is_straight, is_turned = False, weight.shape == (n_in, n_out)
        case _:
            raise unreadable(located(file, module), "half of a pair, or no matrices", "A and B")
    if r > MAX_RANK:
        raise unreadable(located(file, module), f"rank {r}", f"at most {MAX_RANK}")
    if r != r2 or not r or not (is_straight or is_turned):
        found = f"A of {_shape(a)} and B of {_shape(b)}"
        raise unreadable(located(file, module), found, f"factors of {_shape(weight)}")
    left, right = (a, b) if is_turned else (b, a)
    return Merged(
        name=weight.name,
        shape=weight.shape,
        dtype=NUMPY[weight.dtype],
        left=OWN + left.name,
        right=OWN + right.name,
        rank=r,
        scaling=scaling_of(_unwrapped(module), r, config, file.parent / CONFIG),
        is_turned=is_turned,
    )


def _unwrapped(name: str) -> str:
    for prefix in _WRAPPED:
        name = name.removeprefix(prefix)
    return name


def _shape(info: TensorInfo) -> str:
    return f"shape {'x'.join(map(str, info.shape))}"
