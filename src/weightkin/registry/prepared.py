"""A source becomes what the registry keeps: its sketch, its search vectors, its declarations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.errors import UnreadableModel
from weightkin.lineage.collection import SMALL, contents_of
from weightkin.sketch import Scheme, Sketch, as_model, read_sketch, take_sketch
from weightkin.sketch.invariant import N_DIMS, invariant_vector
from weightkin.sketch.vectors import search_vector
from weightkin.stats.matching import Floats
from weightkin.weights import Model, open_model
from weightkin.weights.declared import Declared, declared


@dataclass(frozen=True, slots=True)
class Prepared:
    """One model, ready to be registered or searched for. No invariant vector: zeros."""

    sketch: Sketch
    contents: str
    aligned: Floats
    invariant: Floats
    declared: Declared


def prepare(source: str | Path | Model | Sketch) -> Prepared:
    """Read one source; small models are kept whole."""
    if isinstance(source, Sketch):
        return of_sketch(source, Declared())
    model = source if isinstance(source, Model) else open_model(source)
    said = declared(model.source)
    if model.sketched is not None:
        return of_sketch(read_sketch(Path(model.source)), Declared())
    sketch = take_sketch(model, Scheme.whole() if model.n_bytes <= SMALL else Scheme())
    return _prepared(replace(sketch, source=place(model.source)), model, said)


def of_sketch(sketch: Sketch, said: Declared, invariant: Floats | None = None) -> Prepared:
    """The same without the weights; what a sketch cannot show is taken from ``invariant``."""
    model = as_model(sketch)
    found = _prepared(sketch, model, said)
    if invariant is not None and not found.invariant.any():
        return replace(found, invariant=invariant)
    return found


def weights_of(source: str, digest: str) -> Model | str:
    """The weights a model was registered from, or why they cannot be looked at."""
    from weightkin.weights import digest as digest_of

    try:
        model = open_model(source)
    except UnreadableModel as error:
        return str(error)
    if model.sketched is not None:
        return "only a sketch is at hand"
    return model if digest_of(model) == digest else "its weights changed since it was registered"


def place(source: str) -> str:
    """The source as an absolute path."""
    return str(Path(source).resolve())


def _prepared(sketch: Sketch, model: Model, said: Declared) -> Prepared:
    vector = invariant_vector(model, read_anatomy(model), sketch)
    aligned = search_vector(sketch)
    return Prepared(
        sketch,
        contents_of(sketch),
        np.nan_to_num(aligned),
        np.zeros(N_DIMS, dtype=np.float32) if vector is None else vector,
        said,
    )
