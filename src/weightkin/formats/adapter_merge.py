"""What merging an adapter into its base does to each tensor, as recipes computed row by row.

The formulas are those of PEFT's own merge, and of LyCORIS, kohya and diffusers for their files.
What is not computed is refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from weightkin.formats.adapter_deltas import OWN, Changed, Replaced, RowsReplaced, Scaled, Stored
from weightkin.formats.adapter_experts import parameters_that_fit
from weightkin.formats.adapter_factors import (
    FACTORS,
    MAX_RANK,
    Factors,
    delta_of,
    n_factors,
    rank_of,
)
from weightkin.formats.adapter_names import BIAS, IA3, MAGNITUDE, TOKENS, UNKNOWN, WHOLE, A, B, Part
from weightkin.formats.adapter_options import Options
from weightkin.formats.adapter_targets import WEIGHT, Targets, is_stored_turned
from weightkin.formats.computed import Recipe
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.model import Model, TensorInfo
from weightkin.text import located, quoted, unreadable

BASE_LAYER = ".base_layer."  # before a tensor of a module inside the one that holds its factors
FLOATS = ("F", "BF")  # beginnings of the types that a difference can be added to


@dataclass(slots=True)
class Merge:
    """Recipes of the tensors of a base that an adapter changes, made one module at a time."""

    base: Model
    options: Options
    file: PurePath  # of the adapter, for messages
    scales: Mapping[str, float] | None = None  # by module, where the file itself holds them
    own: dict[str, TensorInfo] = field(default_factory=dict)  # given whole in place of the base's
    recipes: dict[str, Recipe] = field(default_factory=dict)
    targets: Targets = field(init=False)
    is_turned: bool = field(init=False)

    def __post_init__(self) -> None:
        self.targets = Targets(self.base, self.file)
        is_said = bool(self.options.config.get("fan_in_fan_out"))
        self.is_turned = is_stored_turned(self.base, is_said=is_said)

    def add_all(self, parts: Mapping[str, Part], held: Mapping[str, TensorInfo]) -> None:
        """Recipes of everything that an adapter, or a part of it, holds.

        Raises
        ------
        UnreadableModel
            Anything that is not computed here, or does not fit the base.
        """
        modules: dict[str, dict[str, TensorInfo]] = {}
        of_module: dict[str, Part] = {}
        for name, part in parts.items():
            if part.part == UNKNOWN:
                raise unreadable(located(self.file, name), "a part of an adapter not supported")
            if part.part == WHOLE:
                self._whole(part.module, held[name])
                continue
            factors = modules.setdefault(part.module, {})
            if part.part in factors:
                first = quoted(factors[part.part].name)
                what = f"a second {part.part} of one module, beside {first}"
                raise unreadable(located(self.file, name), f"{what}; is it several adapters?")
            factors[part.part] = held[name]
            of_module[part.module] = part
        for module, factors in modules.items():
            self._module(of_module[module], factors)
        for target, info in self.own.items():  # what no factor changes
            if target not in self.recipes:
                self._replace(target, info)
        self._check_tables()

    def _whole(self, name: str, info: TensorInfo) -> None:
        if BASE_LAYER in name:
            self.own[self.targets.of(name.replace(BASE_LAYER, "."))] = info
        else:
            self._replace(self.targets.of(name), info)

    def _replace(self, target: str, info: TensorInfo) -> None:
        weight = self.base.tensors[target]
        if info.shape[1:] != weight.shape[1:] or len(info.shape) != len(weight.shape):
            what = f"{_shape(info)} does not fit the base ({_shape(weight)})"
            raise unreadable(located(self.file, info.name), what)
        dtype = NUMPY[weight.dtype]
        self._put(target, Replaced(OWN + info.name, info.shape, dtype), info.name)

    def _put(self, target: str, recipe: Recipe, name: str) -> None:
        """Add a recipe; a second change of one tensor would not be looked at."""
        if target in self.recipes:
            what = f"changes {quoted(target)} a second time"
            raise unreadable(located(self.file, name), what)
        dtype = self.base.tensors[target].dtype
        if not dtype.startswith(FLOATS):
            what = f"changes {quoted(target)}, which the base stores as {dtype}"
            raise unreadable(located(self.file, name), what)
        self.recipes[target] = recipe

    def _source(self, target: str) -> TensorInfo:
        """What a change begins with, under the name it is read by: the base's, or the adapter's."""
        weight, info = self.base.tensors[target], self.own.get(target)
        if info is None:
            return weight
        return TensorInfo(OWN + info.name, weight.dtype, info.shape, info.n_bytes)

    def _module(self, part: Part, parts: Factors) -> None:
        if frozenset(parts) == {A, B} and self._parameter(part.module, parts):
            return
        target = self.targets.weight_of(part)
        if TOKENS in parts:
            self._tokens(part.module, target, parts[TOKENS])
        elif IA3 in parts:
            self._check_targeted(part.module)
            self._scale(part.module, target, parts[IA3])
        else:
            self._change(part.module, target, parts)

    def _parameter(self, module: str, factors: Factors) -> bool:
        """A change of a parameter that is no module of its own; False where none is named."""
        wanted = self.options.config.get("target_parameters")
        if not wanted:
            return False
        found = parameters_that_fit(self.targets, module, factors, wanted)
        if not found and BASE_LAYER not in f"{module}.":
            return False
        if len(found) != 1:
            what = f"its factors fit {len(found)} of the target_parameters, not one"
            raise unreadable(located(self.file, module), f"{what}; merge it with peft")
        ((target, name, rank, delta),) = found
        weight = self.base.tensors[target]
        recipe = Changed(
            name=target,
            shape=weight.shape,
            dtype=NUMPY[weight.dtype],
            delta=delta,
            scaling=self.options.scaling(name, rank),
            n_factors=n_factors(factors),
        )
        self._put(target, recipe, module)
        return True

    def _change(self, module: str, target: str, parts: Factors) -> None:
        """``W + scaling * delta`` for a weight, and for the bias beside it."""
        factors = {x: info for x, info in parts.items() if x in FACTORS}
        where, rank = located(self.file, module), rank_of(factors)
        if rank > MAX_RANK:
            raise unreadable(where, f"the rank is too large ({rank}, at most {MAX_RANK})")
        source = self._source(target)
        delta = delta_of(source, factors, is_base_turned=self.is_turned)
        if delta is None:
            found = ", ".join(f"{x} of {_shape(info)}" for x, info in sorted(factors.items()))
            what = f"{found or 'no factors'} do not fit {_shape(source)} of the base"
            raise unreadable(where, what)
        self._check_targeted(module)
        scaling = self._scaling(module, rank, factors)
        recipe = Changed(
            name=source.name,
            shape=source.shape,
            dtype=NUMPY[source.dtype],
            delta=delta,
            scaling=scaling,
            magnitude=self._magnitude(where, source, parts, factors),
            n_factors=n_factors(factors),
        )
        self._put(target, recipe, module)
        if BIAS in parts:
            self._bias(target, parts[BIAS], scaling)

    def _scaling(self, module: str, rank: int, factors: Factors) -> float:
        if self.scales is not None:
            return self.scales.get(module, float(rank)) / rank if rank else 1.0
        is_lora = not any(x.startswith(("hada", "lokr")) for x in factors)
        return self.options.scaling(module, rank, "lora_alpha" if is_lora else "alpha")

    def _check_targeted(self, module: str) -> None:
        if self.scales is None:
            self.options.check_targeted(module)

    def _magnitude(self, where: str, source: TensorInfo, parts: Factors, factors: Factors) -> str:
        """The lengths of the rows of a sum (DoRA); empty where it is plain LoRA."""
        is_dora, info = bool(self.options.config.get("use_dora")), parts.get(MAGNITUDE)
        if not is_dora and info is None:
            return ""
        if not is_dora or info is None:
            raise unreadable(
                where, "use_dora and lora_magnitude_vector go together, one is missing"
            )
        if "lora_A" not in factors or (self.is_turned and len(source.shape) == 2):
            what = "use_dora is supported for layers stored as (outputs, inputs) only"
            raise unreadable(where, f"{what}; merge it with peft")
        if math.prod(info.shape) != source.shape[0]:
            what = f"lora_magnitude_vector of {_shape(info)} does not fit {_shape(source)}"
            raise unreadable(where, what)
        return OWN + info.name

    def _bias(self, target: str, info: TensorInfo, scaling: float) -> None:
        bias = target.removesuffix(WEIGHT) + ".bias"
        where = located(self.file, info.name)
        if bias not in self.base.tensors:
            raise unreadable(where, f"lora_bias: the base has no {quoted(bias)} to add it to")
        source = self._source(bias)
        if info.shape != source.shape:
            raise unreadable(where, f"{_shape(info)} does not fit {_shape(source)} of the base")
        recipe = Changed(
            name=source.name,
            shape=source.shape,
            dtype=NUMPY[source.dtype],
            delta=Stored(OWN + info.name, 1),
            scaling=scaling,
            n_factors=n_factors({BIAS: info}),
        )
        self._put(bias, recipe, info.name)

    def _scale(self, module: str, target: str, info: TensorInfo) -> None:
        """IA3: outputs, or the inputs of a layer, multiplied by a vector."""
        weight = self._source(target)
        is_output = info.shape[1:] == (1,)  # (outputs, 1), or (1, inputs)
        is_by_row = is_output != self.is_turned
        n = weight.shape[0] if is_by_row else math.prod(weight.shape[1:])
        is_vector = len(info.shape) == len(weight.shape) == 2 and 1 in info.shape
        if not is_vector or math.prod(info.shape) != n:
            what = f"{IA3} of {_shape(info)} does not fit {_shape(weight)} of the base"
            raise unreadable(located(self.file, module), what)
        bias = target.removesuffix(WEIGHT) + ".bias"
        changed = {target: is_by_row} | ({bias: True} if is_output else {})
        for name, is_row in changed.items():
            if name in self.base.tensors:
                source = self._source(name)
                recipe = Scaled(
                    name=source.name,
                    shape=source.shape,
                    dtype=NUMPY[source.dtype],
                    factors=OWN + info.name,
                    is_by_row=is_row,
                    n_factors=n_factors({IA3: info}),
                )
                self._put(name, recipe, info.name)

    def _tokens(self, module: str, target: str, info: TensorInfo) -> None:
        """Some rows of a table, replaced by those of the adapter."""
        source, tokens = self._source(target), self.options.tokens(module)
        if info.shape != (len(tokens), *source.shape[1:]) or len(set(tokens)) < len(tokens):
            what = f"{_shape(info)} does not fit its {len(tokens)} trainable_token_indices"
            raise unreadable(located(self.file, info.name), what)
        if tokens and max(tokens) >= source.shape[0]:
            what = f"trainable_token_indices name row {max(tokens)} of {source.shape[0]}"
            raise unreadable(located(self.file, info.name), what)
        at = np.argsort(np.array(tokens, dtype=np.int64))
        recipe = RowsReplaced(
            name=source.name,
            shape=source.shape,
            dtype=NUMPY[source.dtype],
            table=OWN + info.name,
            order=np.array(tokens, dtype=np.int64)[at],
            at=at,
        )
        self._put(target, recipe, info.name)

    def _check_tables(self) -> None:
        """Refuse a table of tokens that grew where another one of its size did not."""
        for target, recipe in self.recipes.items():
            old = self.base.tensors[target].shape
            if recipe.shape == old:
                continue
            left = [
                name
                for name, info in self.base.tensors.items()
                if info.shape == old and name not in self.recipes and not _is_in_block(name)
            ]
            if left:
                what = f"has {recipe.shape[0]} rows of {quoted(target)}, {old[0]} in the base"
                what += f", and none of {quoted(left[0])}, which peft makes as long"
                raise unreadable(self.file, f"{what}; save it with save_embedding_layers")


def _is_in_block(name: str) -> bool:
    return any(part.isdecimal() for part in name.split("."))


def _shape(info: TensorInfo) -> str:
    return f"shape {'x'.join(map(str, info.shape))}"
