"""One model of a collection."""

from __future__ import annotations

from dataclasses import dataclass

from weightkin.formats import Model
from weightkin.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a collection. ``model`` is None where only a sketch is at hand."""

    id: str
    sketch: Sketch
    model: Model | None
    duplicates: tuple[str, ...] = ()
