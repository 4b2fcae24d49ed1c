"""Which parts of an adapter belong to a base: a file may hold those of all models of a pipeline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.formats.adapter_merge import Merge
from weightkin.formats.adapter_names import ALPHA, PARTS_OF, Part, other_part, peft_part
from weightkin.formats.adapter_options import Options, check_options
from weightkin.formats.computed import Recipe
from weightkin.formats.json_text import parse_object
from weightkin.formats.model import Model, Problem, TensorInfo
from weightkin.formats.safetensors_file import read_json
from weightkin.formats.storage import Contents, FileStorage
from weightkin.sources.files import File
from weightkin.text import located, quoted, unreadable

METADATA = "lora_adapter_metadata"  # of diffusers: the configs of all groups
MAX_GROUPS = 8

Merged = tuple[dict[str, Recipe], list[Problem]]


def merged(
    base: Model, contents: Contents, stored: FileStorage, config: File | None, file: PurePath
) -> Merged:
    """One recipe for each tensor of the base that an adapter changes, and what it leaves out.

    Parameters
    ----------
    base : Model
        The base.
    contents : Contents
        What the file of the adapter holds.
    stored : FileStorage
        Its elements.
    config : File, optional
        The config of an adapter that PEFT wrote.
    file : PurePath
        The file of the adapter, for messages.

    Returns
    -------
    recipes : dict
        By the names of tensors of the base.
    left : list of Problem
        Parts that belong to other models of a pipeline.

    Raises
    ------
    UnreadableModel
        Anything that is not computed, or nothing that fits the base.
    """
    held = contents.tensors
    if config is not None:
        options = read_json(config, "config", 0, config.size)
        return _of_peft(base, held, options, config.path, file), []
    parts = {name: other_part(name) for name in held}
    groups = sorted({part.group for part in parts.values()})
    if len(groups) > MAX_GROUPS:
        raise unreadable(file, f"factors of {len(groups)} models, at most {MAX_GROUPS}")
    configs = _configs_of(contents.metadata, file)
    fit: list[tuple[str, dict[str, Recipe]]] = []
    errors: list[tuple[str, UnreadableModel]] = []
    for group in groups:
        inside = {name: part for name, part in parts.items() if part.group == group}
        start = f"{group}."
        said = {k.removeprefix(start): v for k, v in configs.items() if k.startswith(start)}
        try:
            fit.append((group, _of_group(base, contents, stored, inside, said, file)))
        except UnreadableModel as error:
            errors.append((group, error))
    if len(fit) > 1:
        found = " and ".join(quoted(group) for group, _ in fit)
        raise unreadable(file, f"the factors of {found} both fit the base; name a file of one")
    if not fit:
        raise errors[0][1]
    left = [Problem(f"factors of {group or 'a model'}", str(error)) for group, error in errors]
    return fit[0][1], left


def _of_peft(
    base: Model,
    held: Mapping[str, TensorInfo],
    config: Mapping[str, Any],
    config_path: PurePath,
    file: PurePath,
) -> dict[str, Recipe]:
    """An adapter of PEFT, with its config."""
    kind = check_options(config, config_path)
    parts = {name: peft_part(name) for name in held}
    for name, part in parts.items():
        if part.part not in PARTS_OF[kind]:
            raise unreadable(located(file, name), f"a part that peft_type {kind} does not have")
    merge = Merge(base, Options(config, config_path), file)
    merge.add_all(parts, held)
    return merge.recipes


def _of_group(
    base: Model,
    contents: Contents,
    stored: FileStorage,
    parts: Mapping[str, Part],
    config: Mapping[str, Any],
    file: PurePath,
) -> dict[str, Recipe]:
    """The factors of one model, with the scales that stand in the file."""
    factors = {name: part for name, part in parts.items() if part.part != ALPHA}
    alphas = {name: part for name, part in parts.items() if part.part == ALPHA}
    if config and alphas:
        raise unreadable(file, f"scales in alpha and in {METADATA}; which of them counts is open")
    if config:
        check_options(config, file)
    scales = None if config else _scales(alphas, contents, stored, file)
    merge = Merge(base, Options(config, file), file, scales)
    merge.add_all(factors, contents.tensors)
    return merge.recipes


def _scales(
    alphas: Mapping[str, Part], contents: Contents, stored: FileStorage, file: PurePath
) -> dict[str, float]:
    """The alpha of each module that has one."""
    stored.prefetch([(name, [(0, 1)]) for name in alphas])
    found: dict[str, float] = {}
    for name, part in alphas.items():
        value = math.nan
        if math.prod(contents.tensors[name].shape) == 1:
            value = float(stored.read(name, 0, 1)[0])
        if not math.isfinite(value):
            raise unreadable(located(file, name), "alpha is not one number")
        if not value:
            raise unreadable(located(file, name), "alpha is 0, which programs read in two ways")
        found[part.module] = value
    return found


def _configs_of(metadata: Mapping[str, str], file: PurePath) -> dict[str, Any]:
    """The configs that diffusers writes into the header, under ``group.option``."""
    text = metadata.get(METADATA)
    return parse_object(text.encode(), file, METADATA) if text else {}
