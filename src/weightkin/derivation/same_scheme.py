"""Two models of one scheme: where one is a sketch, the other is sketched in the same way."""

from __future__ import annotations

from weightkin.anatomy.side import Side
from weightkin.derivation.equal import schemes_held
from weightkin.errors import UsageError
from weightkin.records import Skipped, left_out
from weightkin.records.codes import TestGroup
from weightkin.sketch.stand_in import stand_in
from weightkin.sketch.take import take_sketch

BEYOND: tuple[tuple[str, TestGroup], ...] = (
    ("order-independent tests (signs, units by tokens)", "blind"),
    ("activations", "activations"),
    ("published statistics", ""),
    ("calibrated tests", "calibrated"),
    ("transformation back (--recover)", ""),
)


def with_same_scheme(a: Side, b: Side, *, full: bool) -> tuple[Side, Side, tuple[Skipped, ...]]:
    """Sketch the side that is none, if one is; say what a sketch cannot answer.

    Which rows are kept depends on shapes alone, so the null hypotheses of the aligned tests hold on
    the sample as they do on the whole.

    Parameters
    ----------
    a, b : Side
        The two models.
    full : bool
        Take the full digest of the side that is sketched.

    Returns
    -------
    tuple
        Both sides, and what was left out; as given where neither is a sketch.

    Raises
    ------
    UsageError
        The two are sketches of two schemes.
    """
    schemes = schemes_held((a.model, b.model))
    if not schemes:
        return a, b, ()
    scheme = schemes[0]
    if schemes[-1] != scheme:
        names = " and ".join(sorted(x.name for x in schemes))
        raise UsageError(f"the sketches have two schemes, {names}; take one of them again")
    missed = [left_out(what, "sketch-sample", test, scheme=scheme.name) for what, test in BEYOND]
    sides = []
    for label, side in (("a", a), ("b", b)):
        model = side.model
        if model.sketched is None:
            sketch = take_sketch(model, scheme, with_full_digest=full)
            sides.append(Side(stand_in(sketch), sketch.anatomy))
        else:
            sides.append(side)
            if full and model.sketched.full_digest is None:
                missed.append(left_out(f"full digest of {label}", "taken-without-full-digest"))
    return sides[0], sides[1], tuple(missed)
