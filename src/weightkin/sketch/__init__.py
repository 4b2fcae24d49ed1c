"""Sketches: a model becomes a small consistent sample of every tensor, which can stand in for it.

`scheme` says which rows and columns are kept; `types` what a sketch is; `take` makes one; `facts`
measures a sample; `overlap` lines two samples up; `stand_in` makes a sketch a `Model` that can be
tested; `file` writes and reads it; `cache` keeps it by digest.
"""

from typing import TYPE_CHECKING

from weightkin.on_demand import names_of

if TYPE_CHECKING:
    from weightkin.sketch.cache import cached_sketch
    from weightkin.sketch.file import read_sketch, write_sketch
    from weightkin.sketch.scheme import Scheme
    from weightkin.sketch.stand_in import as_model
    from weightkin.sketch.take import take_sketch
    from weightkin.sketch.types import Sketch, SketchedTensor

__all__ = [
    "Scheme",
    "Sketch",
    "SketchedTensor",
    "as_model",
    "cached_sketch",
    "read_sketch",
    "take_sketch",
    "write_sketch",
]

_HOMES = {
    "Scheme": "scheme",
    "Sketch": "types",
    "SketchedTensor": "types",
    "as_model": "stand_in",
    "cached_sketch": "cache",
    "read_sketch": "file",
    "take_sketch": "take",
    "write_sketch": "file",
}
__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
