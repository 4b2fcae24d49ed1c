"""The model that a sketch stands in for: the runs of its tensors under their names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.graph.units import STACK
from weightkin.formats.memory import ArrayStorage
from weightkin.formats.model import Model, Problem, TensorInfo
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.types import Sketch, SketchedTensor
from weightkin.text import shown


def stand_in(sketch: Sketch) -> Model:
    """Make the model of a sketch's runs."""
    held = {tensor.stored_name: tensor for tensor in sketch.as_stored.values()}
    arrays = {name: run_of(tensor) for name, tensor in held.items()}
    return Model(
        source=sketch.source,
        name=sketch.name,
        tensors={
            name: TensorInfo(name, held[name].dtype, array.shape, array.nbytes)
            for name, array in arrays.items()
        },
        config=sketch.config,
        storage=ArrayStorage(arrays, sketch.bytes_read),
        revision=sketch.revision,
        problems=tuple(
            Problem(shown(what), why, loses_tensors=sketch.is_partial)
            for what, why in sketch.problems
        ),
        sketched=sketch,
    )


def as_model(sketch: Sketch) -> Model:
    """A sketch as a model; one that holds everything is a model like any other.

    Axes of a graph are known to the sketch alone: names and shapes do not bring them back.
    """
    is_by_graph = any(axis.stack.split(".")[-1] == STACK for axis in sketch.anatomy.axes)
    return stand_in(sketch) if is_by_graph else whole_model(sketch)


def whole_model(sketch: Sketch) -> Model:
    """A sketch of everything as a model of its own; any other as what it stands in for."""
    model = stand_in(sketch)
    if not sketch.scheme.is_whole or any(name.endswith("]") for name in model.tensors):
        return model
    held = {tensor.stored_name: tensor for tensor in sketch.as_stored.values()}
    arrays = {name: run_of(tensor).reshape(tensor.shape) for name, tensor in held.items()}
    infos = {name: replace(x, shape=held[name].shape) for name, x in model.tensors.items()}
    storage = ArrayStorage(arrays, sketch.bytes_read)
    return replace(model, tensors=infos, storage=storage, sketched=None, held=sketch)


def held_by(model: Model, scheme: Scheme) -> Sketch | None:
    """The sketch of a scheme that a model was opened from and that holds all of it."""
    held = model.held
    if not isinstance(held, Sketch) or held.scheme != scheme:
        return None
    return replace(
        held,
        name=model.name,
        source=model.source,
        revision=model.revision,
        bytes_read=model.bytes_read,
        full_digest=None,
    )


def sketch_behind(model: Model) -> Sketch | None:
    """The sketch whose runs a model holds; None of a whole model."""
    return model.sketched if isinstance(model.sketched, Sketch) else None


def n_parameters(model: Model) -> int:
    """Of a model, or of that which a sketch stands in for."""
    if (sketch := sketch_behind(model)) is not None:
        return sketch.n_parameters
    return sum(math.prod(info.shape) for info in model.tensors.values())


def smaller_of(models: tuple[Model, Model]) -> int:
    """Position of the model with fewer parameters, the first of two equal ones."""
    return int(n_parameters(models[1]) < n_parameters(models[0]))


def run_of(tensor: SketchedTensor) -> npt.NDArray[Any]:
    """The runs of a tensor as stored: a matrix, or the elements of a tensor that is none."""
    run = tensor.stored[: tensor.n_run]
    return np.ascontiguousarray(run if len(tensor.shape) >= 2 else run.reshape(-1))
