"""Weights that everybody may share: a candidate is tested again without those of common models.

A tensor is common if a model that the policy calls common holds one of its shape with the very same
values, rounded to its precision, whatever both are called: a part of a common model is common too.
Nothing that was trained further is excused.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from weightkin.formats import Model
from weightkin.formats.dtypes import NUMPY
from weightkin.policy.known import Known, look
from weightkin.policy.named_models import Evidence
from weightkin.policy.naming import Meant, Resolved, all_of
from weightkin.policy.secret import Sampling
from weightkin.records import Skipped, left_out
from weightkin.records.comparison import Summary
from weightkin.registry import Registry
from weightkin.registry.browsing import sketch_of
from weightkin.sketch.stand_in import as_model

NARROW = ("F16", "BF16")  # to which common values may have been rounded
BY_VALUES = ("equal-values", "rows-found")
ROWS_AT_ONCE = 1 << 12
Key = tuple[tuple[int, ...], str]  # shape, and digest of the values as float32


def without_commons(
    known: Known,
    model: Model,
    named: Mapping[str, Resolved],
    names: tuple[Collection[str], Collection[str]],
    registry: Registry | None,
    test: tuple[float, Sampling],
) -> Known:
    """Evidence about forbidden models from all that is not common.

    Parameters
    ----------
    known : Known
        What was found about the whole model.
    model : Model
        The one at the gate.
    named : mapping
        What the names of the policy mean.
    names : pair of collections
        Forbidden models, and common ones.
    registry : Registry, optional
        Where registered ones are.
    test : float, Sampling
        Level for each named model, and how samples are drawn.

    Returns
    -------
    Known
        With ``is_common`` where nothing else is shared.
    """
    forbidden, commons = names
    hits = {name: e for name in forbidden if (e := _shared(known, name)) is not None}
    others = [other for name in commons if isinstance(other := named[name], Model)]
    if not hits or not others:
        return known
    kept = _left(model, others)
    if len(kept) == len(model.tensors):
        return known
    own = replace(model, tensors={name: model.tensors[name] for name in kept})
    found = dict(known.by_name)
    for name, e in hits.items():
        again = _again(own, named[name], registry, test) if kept else _nothing(e)
        if again is not None and again.found.verdict not in ("dependent", "aligned-only"):
            found[name] = replace(again, other=e.other, is_common=True)
    return replace(known, by_name=found)


def _shared(known: Known, name: str) -> Evidence | None:
    """Evidence that a model shares anything with a forbidden one: by a test, or by its values."""
    e = known.by_name.get(name)
    if not isinstance(e, Evidence) or e.is_own:
        return None
    by_values = e.lacking is not None and e.lacking.code in BY_VALUES
    return e if by_values or e.found.verdict in ("dependent", "aligned-only") else None


def _nothing(e: Evidence) -> Evidence:
    """Of a model that holds nothing that is not common."""
    none = Summary(verdict="no-evidence", basis="none", log10_pvalue=0.0)
    return Evidence(other=e.other, found=none)


def _again(
    own: Model, other: Resolved, registry: Registry | None, test: tuple[float, Sampling]
) -> Evidence | None:
    if isinstance(other, Meant):
        sketch = None if registry is None else sketch_of(registry.path, other.first)
        if sketch is None:
            return None
        known = all_of(other.first, sketch) if test[1].secret else as_model(sketch)
        if isinstance(known, Skipped):
            return None  # what was found stays
        other = known
    alpha, sampling = test
    found = look(own, {"again": other}, None, alpha=alpha, sampling=sampling).by_name["again"]
    if not isinstance(found, Evidence) or found.against is None:
        return found if isinstance(found, Evidence) else None
    limits = (*found.against.limits, left_out("", "without-commons"))
    return replace(found, against=replace(found.against, limits=limits))


def _left(model: Model, commons: Iterable[Model]) -> list[str]:
    """Names of the tensors that no common model has."""
    dtypes: dict[tuple[int, ...], set[str]] = defaultdict(lambda: {""})
    for info in model.tensors.values():
        dtypes[info.shape].add(info.dtype if info.dtype in NARROW else "")
    held = {
        _key(common, name, dtype)
        for common in commons
        if common.sketched is None
        for name, info in common.tensors.items()
        for dtype in dtypes.get(info.shape, ())
    }
    known = {shape for shape, _ in held}
    return [
        name
        for name, info in model.tensors.items()
        if info.shape not in known or _key(model, name) not in held
    ]


def _key(model: Model, name: str, dtype: str = "") -> Key:
    """Shape and values of a tensor, rounded to a narrower dtype where one is named."""
    shape = model.tensors[name].shape
    digest = hashlib.sha256()
    for start in range(0, shape[0] if shape else 1, ROWS_AT_ONCE):
        part = model.rows(name, slice(start, start + ROWS_AT_ONCE) if shape else None)
        if dtype:
            with np.errstate(over="ignore"):
                part = part.astype(NUMPY[dtype]).astype(np.float32)
        digest.update((part + 0.0).tobytes())  # one zero, whatever its sign
    return shape, digest.hexdigest()
