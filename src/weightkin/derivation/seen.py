"""The sketch of a model that is compared: taken, held, or read again from its file."""

from __future__ import annotations

from pathlib import Path

from weightkin.formats import Model
from weightkin.sketch import Scheme, Sketch, read_sketch, take_sketch
from weightkin.sketch.stand_in import SketchStorage

WHOLE = 16 << 20  # bytes of a model up to which all of it is looked at


def is_small(model: Model) -> bool:
    """Whether all of a model is looked at."""
    return model.n_bytes <= WHOLE


def sketch_of(model: Model, scheme: Scheme) -> Sketch | None:
    """The sketch of a model; None where the file of one is no longer at its source."""
    if model.sketched is None:
        return take_sketch(model, scheme)
    if isinstance(model.storage, SketchStorage):
        return model.storage.sketch
    path = Path(model.source)
    return read_sketch(path) if path.is_file() else None
