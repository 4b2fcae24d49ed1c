"""What two models hold in common by their values alone: all, after rounding, or whole networks."""

from __future__ import annotations

from dataclasses import dataclass

from weightkin.derivation.equality import Equality, equality, is_rounded_copy
from weightkin.derivation.networks import SharedPart, equal_part
from weightkin.derivation.rounded import Rounded, rounded_equality
from weightkin.sketch.types import Sketch


@dataclass(frozen=True, slots=True)
class InCommon:
    """Equal values of two models, and what that is proof of."""

    sketches: tuple[Sketch, Sketch]
    found: Equality
    rounded: Rounded | None = None  # where formats of numbers are unlike, and nothing said it all
    part: SharedPart | None = None  # networks that are equal, beside others that are not
    is_proof: bool = False  # one model holds the other or a network of it, and not by chance

    @property
    def with_rounding(self) -> Equality:
        """What is equal; after rounding, where that makes one model a part of the other."""
        is_rounded = self.rounded is not None and self.rounded.found.is_part
        return self.rounded.found if self.rounded is not None and is_rounded else self.found


def in_common(a: Sketch, b: Sketch) -> InCommon:
    """Compare the values of two sketches of one scheme and layout.

    Rounding is looked at only where the values as they are say nothing of a whole model.
    """
    both, found = (a, b), equality(a, b)
    if found.is_part or is_rounded_copy(a, b):
        return InCommon(both, found, is_proof=True)
    part = equal_part(a, b, found)
    rounded = rounded_equality(a, b)
    if rounded is not None:
        part = part or equal_part(*rounded.sketches, rounded.found)
    is_proof = part is not None or (rounded is not None and rounded.found.is_part)
    return InCommon(both, found, rounded, part, is_proof)
