"""What merging a PEFT adapter into its base does to each tensor, as recipes computed row by row.

Options that change values are computed or refused; a delta finds the tensor it belongs to whatever
prefix the base or the adapter has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.computed import Index, Recipe, stored_columns, stored_rows, stored_whole
from weightkin.formats.dtypes import NUMPY, to_float32
from weightkin.formats.finder import ADAPTER_CONFIG
from weightkin.formats.model import Model, Storage, TensorInfo
from weightkin.text import located, quoted, unreadable

OWN = "adapter:"  # before the names of an adapter's tensors
MAX_RANK = 1 << 14
MAX_PATTERNS = 10_000  # rows of alpha_pattern
MAX_DOTS = 8  # at which a prefix of a name may end
_KEEPS_BASE = (None, True, False, "gaussian", "eva", "orthogonal")  # starts that leave it as it is
_EXPRESSION = frozenset("\\[](){}*+?|^$")  # what names of modules do not hold
_FACTOR = re.compile(
    r"^(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B)(?:\.[^.]+)?(?:\.weight)?$"
)
_FACTOR_BIAS = re.compile(r"\.lora_[AB](?:\.[^.]+)?\.bias$")
_UNKNOWN = re.compile(r"\.(?:lora_magnitude_vector|lora_|hada_|lokr_|oft_|vera_|ia3_|boft_)")
_MATRIX = re.compile(r"\.[0-9]+\..*\.weight$")  # in a block
_WRAPPED = ("base_model.model.", "base_model.")


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


def is_adapter(names: Mapping[str, TensorInfo]) -> bool:
    """Whether tensors are those of an adapter: factors under the names that PEFT gives them.

    A whole model that was stored inside of PEFT's wrapper has matrices in its blocks and no factor.
    """
    if any(map(_FACTOR.match, names)):
        return True
    wrapped = [name for name in names if name.startswith(_WRAPPED[0])]
    is_whole = any(_MATRIX.search(name) and len(names[name].shape) > 1 for name in wrapped)
    return bool(wrapped) and not is_whole


def recipes_of(
    base: Model, held: Mapping[str, TensorInfo], config: Mapping[str, Any], file: PurePath
) -> dict[str, Recipe]:
    """One recipe for each tensor of the base that an adapter changes.

    Parameters
    ----------
    base : Model
        The base.
    held : mapping
        The tensors that the adapter holds, by name.
    config : mapping
        The adapter's config.
    file : PurePath
        The file of the adapter, for messages; its config lies beside it.

    Returns
    -------
    dict
        Recipes by the names of tensors of the base.

    Raises
    ------
    UnreadableModel
        Anything that is not computed here, or does not fit the base.
    """
    if config.get("peft_type", "LORA") != "LORA" or config.get("use_dora"):
        kind = "DoRA" if config.get("use_dora") else config.get("peft_type")
        what = f"adapters of type {quoted(kind)} are not supported, only plain LoRA"
        raise unreadable(file.parent, what)
    _check_options(config, file.parent / ADAPTER_CONFIG)
    targets = _Targets(base, file)
    factors: dict[str, dict[str, TensorInfo]] = {}
    recipes: dict[str, Recipe] = {}
    for name, info in held.items():
        if (found := _FACTOR.match(name)) and not _FACTOR_BIAS.search(name):
            pair = factors.setdefault(found[1], {})
            if found[2] in pair:
                first = quoted(pair[found[2]].name)
                what = f"a second {found[2]} of one module, beside {first}; is it several adapters?"
                raise unreadable(located(file, name), what)
            pair[found[2]] = info
        elif _UNKNOWN.search(name) or _FACTOR_BIAS.search(name):
            raise unreadable(located(file, name), "a part of an adapter that is not supported")
        else:
            target = targets.of(_unwrapped(name))
            if info.shape[1:] != base.tensors[target].shape[1:]:
                what = f"{_shape(info)} does not fit the base ({_shape(base.tensors[target])})"
                raise unreadable(located(file, name), what)
            _check_first(target, recipes, file, name)
            recipes[target] = Replaced(OWN + name, info.shape)
    if not factors:
        raise unreadable(file, "not a LoRA adapter (no lora_A and lora_B)")
    for module, pair in factors.items():
        target = targets.of(f"{_unwrapped(module)}.weight")
        _check_first(target, recipes, file, module)
        recipes[target] = _merged(base.tensors[target], module, pair, config, file)
    return recipes


def _check_first(target: str, recipes: Mapping[str, Recipe], file: PurePath, name: str) -> None:
    """Refuse a second change of one tensor: one of the two would not be looked at."""
    if target in recipes:
        raise unreadable(located(file, name), f"changes {quoted(target)} a second time")


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
            raise unreadable(located(file, module), "not a pair of matrices lora_A and lora_B")
    if r > MAX_RANK:
        raise unreadable(located(file, module), f"the rank is too large ({r}, at most {MAX_RANK})")
    if r != r2 or not r or not (is_straight or is_turned):
        found = f"lora_A of {_shape(a)} and lora_B of {_shape(b)}"
        raise unreadable(located(file, module), f"{found} do not fit {_shape(weight)} of the base")
    left, right = (a, b) if is_turned else (b, a)
    return Merged(
        name=weight.name,
        shape=weight.shape,
        dtype=NUMPY[weight.dtype],
        left=OWN + left.name,
        right=OWN + right.name,
        rank=r,
        scaling=_scaling_of(_unwrapped(module), r, config, file.parent / ADAPTER_CONFIG),
        is_turned=is_turned,
    )


def _check_options(config: Mapping[str, Any], file: PurePath) -> None:
    """Refuse what changes the values and is not computed here."""
    start = config.get("init_lora_weights")
    if start not in _KEEPS_BASE:
        found = f"init_lora_weights is {quoted(start)}, which changes the base"
        raise unreadable(file, f"{found}; convert the adapter to plain LoRA")
    patterns = config.get("alpha_pattern") or {}
    for key in patterns if isinstance(patterns, dict) else ():
        if _EXPRESSION.intersection(str(key)):
            found = f"alpha_pattern has the expression {quoted(key)}"
            raise unreadable(file, f"{found}; only names of modules are supported")


def _scaling_of(module: str, rank: int, config: Mapping[str, Any], file: PurePath) -> float:
    """``alpha / r``, or ``alpha / sqrt(r)`` for rank-stabilised adapters."""
    alpha = config.get("lora_alpha")
    patterns = config.get("alpha_pattern") or {}
    if isinstance(patterns, dict):
        for key, value in list(patterns.items())[:MAX_PATTERNS]:
            if module == key or module.endswith(f".{key}"):  # never run as a regular expression
                alpha = value
                break
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise unreadable(file, f"lora_alpha is {quoted(alpha)}, not a number")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


class _Targets:
    """The base's tensors, by their names and by all endings of these."""

    def __init__(self, base: Model, file: PurePath) -> None:
        self.base, self.file = base, file
        self.by_ending: dict[str, list[str]] = {}
        for name in base.tensors:
            for ending in _endings(name):
                self.by_ending.setdefault(ending, []).append(name)

    def of(self, name: str) -> str:
        """The same name, or the only one under a longer or shorter prefix."""
        if name in self.base.tensors:
            return name
        near: list[str] = [x for x in _endings(name) if x in self.base.tensors]
        near += self.by_ending.get(name, [])
        if len(near) != 1:
            what = f"changes {quoted(name)}, which {self.base.name} does not have"
            raise unreadable(self.file, f"{what}; name the base it was trained on")
        (target,) = near
        return target


def _endings(name: str) -> list[str]:
    """What stands behind each of the first dots of a name."""
    parts = name.split(".", MAX_DOTS)
    return [".".join(parts[i:]) for i in range(1, len(parts))]


def _unwrapped(name: str) -> str:
    for prefix in _WRAPPED:
        name = name.removeprefix(prefix)
    return name


def _shape(info: TensorInfo) -> str:
    return f"shape {'x'.join(map(str, info.shape))}"
