"""Sketches: a model becomes a small consistent sample of every tensor, which can stand in for it.

`scheme` says which rows and columns are kept; `types` what a sketch is; `take` makes one; `facts`
measures a sample; `overlap` lines two samples up; `stand_in` makes a sketch a `Model` that can be
tested; `file` writes and reads it; `cache` keeps it by digest.
"""

from weightkin.sketch.cache import cached_sketch
from weightkin.sketch.file import read_sketch, write_sketch
from weightkin.sketch.overlap import overlap
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.stand_in import as_model, stand_in
from weightkin.sketch.take import take_sketch
from weightkin.sketch.types import Sketch, SketchedTensor

__all__ = [
    "Scheme",
    "Sketch",
    "SketchedTensor",
    "as_model",
    "cached_sketch",
    "overlap",
    "read_sketch",
    "stand_in",
    "take_sketch",
    "write_sketch",
]
