"""Names and shapes that Flax, Keras and TensorFlow give, as the same modules have them in torch.

A path of modules is joined by dots; a kernel is stored (inputs, outputs) and shown turned; the last
part of a name becomes ``weight`` or ``bias``. This is what the converters of transformers do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from weightkin.formats.computed import Recipe
from weightkin.formats.model import TensorInfo
from weightkin.formats.pieces import Turned
from weightkin.formats.storage import Contents
from weightkin.sources.files import TensorLocation

LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "scale": "weight",
    "embedding": "weight",
    "embeddings": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
KERNEL = "kernel"
_NUMBER = re.compile(r":[0-9]+$", re.ASCII)  # of an output of TensorFlow
_LISTED = "_._"  # before the number of a layer in a list


def in_torch_names(contents: Contents) -> Contents:
    """The same tensors under the names of torch, matrices of kernels as (outputs, inputs).

    Without a kernel the leaves keep their names. Nothing is renamed where two tensors would come to
    have one name.
    """
    paths = _without_root({name: _path_of(name) for name in contents.tensors})
    leaves = LEAVES if any(path[-1] == KERNEL for path in paths.values()) else {}
    new = {
        name: ".".join((*path[:-1], leaves.get(path[-1], path[-1]))) for name, path in paths.items()
    }
    if len(set(new.values())) != len(new):
        return contents
    places = {k: place for k, place in contents.places.items() if k not in new}
    tensors: dict[str, TensorInfo] = {}
    recipes: dict[str, Recipe] = {}
    for name, info in contents.tensors.items():
        place, recipe = contents.places.get(name), contents.recipes.get(name)
        if paths[name][-1] == KERNEL and len(info.shape) == 2 and not (place and place.strides):
            info = replace(info, shape=info.shape[::-1])
            place, recipe = place and _turned(place), recipe and Turned(info.shape, recipe)
        tensors[new[name]] = replace(info, name=new[name])
        if place is not None:
            places[new[name]] = place
        if recipe is not None:
            recipes[new[name]] = recipe
    contents.tensors, contents.places, contents.recipes = tensors, places, recipes
    return contents


def torch_name(name: str) -> str:
    """The name that a tensor of Flax or Keras has in torch."""
    *path, leaf = _path_of(name)
    return ".".join((*path, LEAVES.get(leaf, leaf)))


def _path_of(name: str) -> tuple[str, ...]:
    plain = _NUMBER.sub("", name).replace(_LISTED, "/")
    return tuple(part for part in plain.replace("/", ".").split(".") if part) or (name,)


def _without_root(names: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """Paths without the key under which Flax keeps all parameters."""
    roots = {path[0] for path in names.values()}
    if roots == {"params"} and all(len(path) > 1 for path in names.values()):
        return {name: path[1:] for name, path in names.items()}
    return names


def _turned(place: TensorLocation) -> TensorLocation:
    """A matrix with its rows as columns."""
    shape = place.shape[::-1]
    return replace(place, shape=shape, strides=(1, shape[0]))
