"""A sketch as a `Model`: the runs of its tensors under their names, for tests and for the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.stored import anatomy_text
from weightkin.formats.model import Model, Problem, Sketched, TensorInfo
from weightkin.sketch.types import Sketch, SketchedTensor
from weightkin.sources.files import Spans


@dataclass(frozen=True, slots=True)
class SketchStorage:
    """Runs of a sketch held in memory, and the bytes of the model touched to get them."""

    arrays: Mapping[str, npt.NDArray[Any]]
    bytes_touched: int
    sketch: Sketch

    def read(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Elements ``start:stop`` of the flattened run, in its stored dtype."""
        return self.arrays[name].reshape(-1)[start:stop]

    def read_runs(self, name: str, runs: Spans) -> npt.NDArray[Any]:
        """Elements of several ascending runs of the flattened run, joined."""
        return np.concatenate([self.read(name, start, stop) for start, stop in runs])

    def prefetch(self, wanted: Sequence[tuple[str, Spans]]) -> None:
        """Nothing: memory answers at once."""

    @property
    def stamps(self) -> tuple[str, ...]:
        """No file, nothing that tells one state from another."""
        return ()


def stand_in(sketch: Sketch) -> Model:
    """Make the model of a sketch's runs: what its file opens as, without the file."""
    arrays = {name: run_of(tensor) for name, tensor in sketch.tensors.items()}
    return Model(
        source=sketch.source,
        name=sketch.name,
        tensors={
            name: TensorInfo(name, sketch.tensors[name].dtype, array.shape, array.nbytes)
            for name, array in arrays.items()
        },
        config=sketch.config,
        storage=SketchStorage(arrays, sketch.bytes_read, sketch),
        revision=sketch.revision,
        problems=tuple(
            Problem(what, why, loses_tensors=sketch.is_partial) for what, why in sketch.problems
        ),
        sketched=Sketched(
            digest=sketch.digest,
            full_digest=sketch.full_digest,
            scheme=sketch.scheme.name,
            anatomy=anatomy_text(sketch.anatomy),
        ),
    )


def as_model(sketch: Sketch) -> Model:
    """A sketch as a model; one that holds everything is a model like any other."""
    model = stand_in(sketch)
    is_whole = sketch.scheme.is_whole and not any(name.endswith("]") for name in sketch.tensors)
    return replace(model, sketched=None) if is_whole else model


def run_of(tensor: SketchedTensor) -> npt.NDArray[Any]:
    """The runs of a tensor as stored: a matrix, or the elements of a tensor that is none."""
    run = tensor.stored[: tensor.n_run]
    return np.ascontiguousarray(run if len(tensor.shape) >= 2 else run.reshape(-1))
