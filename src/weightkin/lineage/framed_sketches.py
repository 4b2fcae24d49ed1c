"""Sketches of models that were brought into a frame, and how far they are from its members."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weightkin.derivation.distances import relate
from weightkin.formats import Model
from weightkin.lineage.candidates import Member
from weightkin.sketch import Sketch, take_sketch
from weightkin.sketch.layout import in_one_layout

IDENTITY = (
    *("name", "source", "digest", "full_digest", "n_parameters", "n_bytes", "config"),
    *("bytes_read", "problems", "is_partial", "revision"),
)
QUARTER = 0.25


def distance(a: Sketch, b: Sketch) -> float:
    """Mean relative distance of all matrices that can be compared; infinite without any."""
    far = _of_matrices(a, b)
    return float(np.mean(far)) if far else float("inf")


def low_distance(a: Sketch, b: Sketch) -> float:
    """The distance that a quarter of these matrices is not above; infinite without any."""
    far = _of_matrices(a, b)
    return float(np.quantile(far, QUARTER)) if far else float("inf")


def _of_matrices(a: Sketch, b: Sketch) -> list[float]:
    return [t.relative_distance for t in relate(a, b).matrices]


def sketch_of(made: Model, own: Member) -> Sketch:
    """The sketch of a model brought back: that of the member in all but the values."""
    sketch = take_sketch(made, own.sketch.scheme)
    if own.sketch.before is not None:
        sketch = in_one_layout([own.sketch, sketch])[1]
    kept = {name: getattr(own.sketch, name) for name in IDENTITY}
    return replace(sketch, **kept)
