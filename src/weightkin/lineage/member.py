"""One model of a collection."""

from __future__ import annotations

from dataclasses import dataclass

from weightkin.sketch import Sketch
from weightkin.weights import Model


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a collection. ``model`` is None where only a sketch is at hand."""

    id: str
    sketch: Sketch
    model: Model | None
    duplicates: tuple[str, ...] = ()
