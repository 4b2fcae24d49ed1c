"""How two models that share weights were made from each other: from sketches of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from weightkin.derivation.disguise import Disguise
from weightkin.derivation.equal import Shared, is_small, schemes_held, sketches_of
from weightkin.derivation.in_common import in_common
from weightkin.derivation.kinds import Derivation, KnownPair, kind_of
from weightkin.formats import Model
from weightkin.formats.dry_run import is_remote
from weightkin.records import Skipped, clue, left_out
from weightkin.records.kinds import equal_kinds
from weightkin.sketch import Scheme

AFAR = Scheme(
    n_rows=16, n_scattered=0, n_columns=1024, has_views=False
)  # every row costs a page of a disk or a request, whatever is taken of it
FEW_ROWS = replace(AFAR, n_scattered=2)
DEEPER = {  # a rank up to half as many rows shows: where it may be an adapter
    AFAR: replace(AFAR, n_rows=32),
    FEW_ROWS: replace(FEW_ROWS, n_rows=48),
}
TOKEN_TABLE_ROLES = ("embed", "unembed")  # roles that adapters seldom change
KIND_AND_DIRECTION = "kind and direction"


def derive(
    models: tuple[Model, Model], undone: Disguise, shared: Shared, *, frugal: bool = False
) -> tuple[Derivation, tuple[Skipped, ...]]:
    """Kind and direction of two dependent models, and what they rest on where that is little.

    Parameters
    ----------
    models : (Model, Model)
        a and b.
    undone : Disguise
        Disguise of b that was seen through.
    shared : Shared
        What was found equal before; equal digests of everything mean equal models.
    frugal : bool
        Look at a smaller sample, and say so.

    Returns
    -------
    tuple
        The derivation; and what was left out for the smaller sample.
    """
    scheme = scheme_for(models, frugal=frugal)
    derived = _derive(models, scheme, undone, shared)
    if scheme in DEEPER and _may_be_adapter(derived):
        scheme = DEEPER[scheme]
        derived = _derive(models, scheme, undone, shared)
    derived = _as_far_as_read(derived, models, shared)
    if scheme not in (AFAR, DEEPER[AFAR]):
        return derived, ()
    return derived, (left_out(KIND_AND_DIRECTION, "smaller-sample", scheme=scheme.name),)


def embedding_alone(parts: Sequence[str]) -> Derivation:
    """Name the kind of two models that hold one embedding, and nothing else that was found."""
    return Derivation(
        kind=("shared-part",),
        details={"parts": list(parts)},
        parent="undetermined",
        probability=0.5,
        evidence=(clue("shared-networks", parts=list(parts)),),
    )


def is_far(models: tuple[Model, Model]) -> bool:
    """Whether either is a large model whose bytes come from a server."""
    return any(is_remote(m) and not is_small(m) for m in models)


def scheme_for(models: tuple[Model, Model], *, frugal: bool) -> Scheme:
    """How much of two models is looked at."""
    if held := schemes_held(models):
        return min(held, key=lambda scheme: scheme.name)
    if all(map(is_small, models)):
        return Scheme.whole()
    return AFAR if frugal else FEW_ROWS


def _derive(
    models: tuple[Model, Model], scheme: Scheme, undone: Disguise, shared: Shared
) -> Derivation:
    common = shared.common
    if common.sketches[0].scheme != scheme:
        common = in_common(*sketches_of(models, scheme))
    known = KnownPair(disguise=undone, is_other_file=_is_other_file(*models), common=common)
    a, b = common.sketches
    return kind_of(a, b, known)


def _may_be_adapter(derived: Derivation) -> bool:
    """Whether some roles were left as they are, as adapters do and other training seldom."""
    changed = set(derived.details.get("roles", ()))
    return "fine-tuned" in derived.kind and bool(changed) and not changed & set(TOKEN_TABLE_ROLES)


def _as_far_as_read(derived: Derivation, models: tuple[Model, Model], shared: Shared) -> Derivation:
    """Say of equal values how much was looked at: all of both, a sample, what could be read."""
    same = equal_kinds(derived.kind)
    lost = [what for unread in shared.unread for what in unread.what]
    if not same:
        return derived
    if lost:
        found = {"identical": "readable", "n_unread": len(lost), "first_unread": lost[0]}
        return replace(derived, kind=("part",), details=derived.details | found)
    if shared.is_all:
        is_renamed = _is_other_file(*models)
        kind = "header-only" if is_renamed else "identical"
        return replace(derived, kind=(kind,), details=derived.details | {"identical": "all"})
    seen = "sample" if "equal-on-sample" in same else "all"
    return replace(derived, details=derived.details | {"identical": seen})


def _is_other_file(a: Model, b: Model) -> bool:
    """Whether more than weights differs; a sketch does not hold what would tell."""
    is_sketch = a.sketched is not None or b.sketched is not None
    return not is_sketch and _headers(a) != _headers(b)


def _headers(model: Model) -> tuple[str, ...]:
    """Headers of a model's safetensors files and its config: what is not weights."""
    return repr(sorted(model.config.items(), key=lambda item: item[0])), *model.headers
