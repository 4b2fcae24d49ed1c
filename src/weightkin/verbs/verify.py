"""Can the evidence be recomputed? Reruns a record with its own parameters and compares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.records import Comparison
from weightkin.verbs.compare import compare
from weightkin.weights import Model

IGNORED = {"a", "b", "seconds", "bytes_read", "version"}  # digests of a and b are compared apart
REL_TOL = 1e-3  # other machines sum in another order; counts and digests must agree exactly


def verify(
    record: Comparison, a: Model | str | Path | None = None, b: Model | str | Path | None = None
) -> list[str]:
    """Rerun a record on its sources (or on copies at ``a`` and ``b``) and list what differs.

    Returns
    -------
    list of str
        Empty when digests and every number of the record are the same.
    """
    parameters = record.parameters
    try:
        again = compare(
            record.a.source if a is None else a,
            record.b.source if b is None else b,
            alpha=record.alpha,
            seed=record.seed,
            quick=bool(parameters["quick"]),
            thorough=bool(parameters["thorough"]),
            published=int(parameters["published"]),
            with_full_digest=bool(parameters["with_full_digest"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableModel(f"record: malformed parameters ({error})") from None
    return differences(record, again)


def differences(old: Comparison, new: Comparison) -> list[str]:
    """What two records of one comparison disagree on.

    Everything counts but where the models lie, how long it took, how many bytes were touched and
    which version ran. Other models are said first, and alone.
    """
    found = []
    for name, x, y in (("a", old.a, new.a), ("b", old.b, new.b)):
        if x.digest != y.digest:
            found.append(f"digest of {name}: {x.digest} in the record, {y.digest} now")
        if x.full_digest and y.full_digest and x.full_digest != y.full_digest:
            found.append(
                f"full digest of {name}: {x.full_digest} in the record, {y.full_digest} now"
            )
    if found:
        return found
    values_old, values_new = dict(_leaves(asdict(old))), dict(_leaves(asdict(new)))
    for path in sorted(values_old.keys() | values_new.keys()):
        x_value, y_value = values_old.get(path, "nothing"), values_new.get(path, "nothing")
        if path.split(".")[0] not in IGNORED and not _same(x_value, y_value):
            found.append(f"{path}: {x_value} in the record, {y_value} now")
    return found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a record by its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _leaves(item, f"{path}.{position}")
    else:
        yield path, value


def _same(x: Any, y: Any) -> bool:
    numbers = all(isinstance(v, float | int) and not isinstance(v, bool) for v in (x, y))
    return math.isclose(x, y, rel_tol=REL_TOL, abs_tol=1e-6) if numbers else bool(x == y)
