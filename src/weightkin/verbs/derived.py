"""How two models that share weights were made from each other: from sketches of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from weightkin.derivation.kinds import Derivation, kind_of
from weightkin.evidence.undone import Undone
from weightkin.records import Skipped
from weightkin.sketch import Scheme, Sketch, read_sketch, take_sketch
from weightkin.sketch.stand_in import SketchStorage
from weightkin.weights import Model
from weightkin.weights.dry_run import is_remote

WHOLE = 16 << 20  # bytes of a model up to which all of it is looked at
FEW_ROWS = Scheme(n_scattered=2)  # runs are read by the tests too; a scattered row costs a page
AFAR = Scheme(n_rows=16, n_scattered=0, n_columns=1024)  # rows come whole, and each one costs
DEEPER = replace(AFAR, n_rows=32)  # a rank up to half as many shows: where it may be an adapter
TOKENS = ("embed", "unembed")  # roles that adapters seldom change
WHAT = "kind and direction"


def derive(
    models: tuple[Model, Model], undone: Undone, *, is_full_equal: bool, frugal: bool = False
) -> tuple[Derivation | None, tuple[Skipped, ...]]:
    """Kind and direction of two dependent models, or why there are none.

    ``is_full_equal`` says that full digests agree: then equal samples mean equal models. With
    ``frugal`` a smaller sample is looked at, and that is said.
    """
    scheme = scheme_for(models, frugal=frugal)
    derived = _derive(models, scheme, undone)
    if scheme == AFAR and derived is not None and _may_be_adapter(derived):
        scheme = DEEPER
        derived = _derive(models, scheme, undone)
    if derived is None:
        return None, (Skipped(what=WHAT, why="the file of a sketch is no longer at its source"),)
    if "identical" in derived.kind and not (scheme.is_whole or is_full_equal):
        return None, ()  # equal on the sample is not yet equal
    if derived.kind in (("identical",), ("header-only",)):
        derived = replace(derived, details={"identical": "all values"})
    if scheme not in (AFAR, DEEPER):
        return derived, ()
    why = f"rest on a smaller sample ({scheme.name}), as a large model is read from a hub"
    return derived, (Skipped(what=WHAT, why=f"{why}; a downloaded copy shows more"),)


def is_far(models: tuple[Model, Model]) -> bool:
    """Whether either is a large model whose bytes come from a server."""
    return any(is_remote(m) and m.n_bytes > WHOLE for m in models)


def scheme_for(models: tuple[Model, Model], *, frugal: bool) -> Scheme:
    """How much of two models is looked at."""
    schemes = {m.sketched.scheme for m in models if m.sketched is not None}
    if schemes:
        return Scheme.from_name(min(schemes))
    if max(m.n_bytes for m in models) <= WHOLE:
        return Scheme.whole()
    return AFAR if frugal else FEW_ROWS


def _derive(models: tuple[Model, Model], scheme: Scheme, undone: Undone) -> Derivation | None:
    a, b = (_sketch(model, scheme) for model in models)
    if a is None or b is None:
        return None
    return kind_of(
        a,
        b,
        undone=undone.kinds,
        undone_details=dict(undone.details),
        is_other_file=_is_other_file(*models),
    )


def _may_be_adapter(derived: Derivation) -> bool:
    """Whether some roles were left as they are, as adapters do and other training seldom."""
    changed = set(derived.details.get("roles", ()))
    return "fine-tuned" in derived.kind and bool(changed) and not changed & set(TOKENS)


def _sketch(model: Model, scheme: Scheme) -> Sketch | None:
    if model.sketched is None:
        return take_sketch(model, scheme)
    if isinstance(model.storage, SketchStorage):
        return model.storage.sketch
    path = Path(model.source)
    return read_sketch(path) if path.is_file() else None


def _is_other_file(a: Model, b: Model) -> bool:
    """Whether more than weights differs; a sketch does not hold what would tell."""
    is_sketch = a.sketched is not None or b.sketched is not None
    return not is_sketch and _headers(a) != _headers(b)


def _headers(model: Model) -> tuple[str, ...]:
    """Headers of a model's safetensors files and its config: what is not weights."""
    return repr(sorted(model.config.items(), key=lambda item: item[0])), *model.headers
