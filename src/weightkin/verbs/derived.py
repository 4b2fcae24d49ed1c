"""How two models that share weights were made from each other: from sketches of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from weightkin.derivation.kinds import Derivation, kind_of
from weightkin.evidence.undone import Undone
from weightkin.records import Skipped
from weightkin.sketch import Scheme, Sketch, read_sketch, take_sketch
from weightkin.weights import Model

WHOLE = 16 << 20  # bytes of a model up to which all of it is looked at
FEW_ROWS = Scheme(n_scattered=2)  # runs are read by the tests too; a scattered row costs a page
WHAT = "kind and direction"


def derive(
    models: tuple[Model, Model], undone: Undone, *, is_full_equal: bool
) -> tuple[Derivation | None, tuple[Skipped, ...]]:
    """Kind and direction of two dependent models, or why there are none.

    ``is_full_equal`` says that full digests agree: then equal samples mean equal models.
    """
    schemes = {m.sketched.scheme for m in models if m.sketched is not None}
    scheme = FEW_ROWS if max(m.n_bytes for m in models) > WHOLE else Scheme.whole()
    if schemes:
        scheme = Scheme.from_name(min(schemes))
    sketches = [_sketch(model, scheme) for model in models]
    a, b = sketches
    if a is None or b is None:
        return None, (Skipped(what=WHAT, why="the file of a sketch is no longer at its source"),)
    derived = kind_of(
        a,
        b,
        undone=undone.kinds,
        undone_details=dict(undone.details),
        is_other_file=_headers(models[0]) != _headers(models[1]),
    )
    if "identical" in derived.kind and not (scheme.is_whole or is_full_equal):
        return None, ()  # equal on the sample is not yet equal
    if derived.kind in (("identical",), ("header-only",)):
        derived = replace(derived, details={"identical": "all values"})
    return derived, ()


def _sketch(model: Model, scheme: Scheme) -> Sketch | None:
    if model.sketched is None:
        return take_sketch(model, scheme)
    path = Path(model.source)
    return read_sketch(path) if path.is_file() else None


def _headers(model: Model) -> tuple[str, ...]:
    """Headers of a model's safetensors files and its config: what is not weights."""
    return repr(sorted(model.config.items(), key=lambda item: item[0])), *model.headers
