"""What two records of one comparison disagree on, value by value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from weightkin.papers import thorough
from weightkin.records import Comparison, Test
from weightkin.records.codes import TESTS
from weightkin.records.location import Location

IGNORED = {"a", "b", "seconds", "bytes_read", "version"}  # digests of a and b are compared apart
REL_TOL = 1e-3  # other machines sum in another order; counts and digests must agree exactly
# What running a model gives differs more: near ties of a matching tip, fits of MLPs drift apart.
RUN_TOL, RUN_LOG_TOL = 0.05, 0.2
MAX_VALUE_LENGTH = 200  # characters of a value
Record = Comparison | Location


def differences(old: Record, new: Record, *, is_there: bool = False) -> list[str]:
    """What two records of one comparison disagree on.

    Everything counts but where the models lie, how long it took, how many bytes were touched and
    which version ran. Other models are said first, and alone.

    Parameters
    ----------
    old, new : Comparison or Location
        The record, and what was found now.
    is_there : bool
        Both were read where the record says: revisions count too.

    Returns
    -------
    list of str
        One line for each difference; empty where the two agree.
    """
    found = other_models(old, new, is_there=is_there)
    if found:
        return found
    if isinstance(old, Comparison) and isinstance(new, Comparison):
        found += _of_runs(old, new)
        old, new = _without_runs(old), _without_runs(new)
        new = new if old.blocks else replace(new, blocks=())  # records of before have none
    return found + value_differences(asdict(old), asdict(new))


def verdict_differences(old: Record, new: Record, *, is_there: bool = False) -> list[str]:
    """What two records conclude differently; other models are said first, and alone.

    Parameters
    ----------
    old, new : Comparison or Location
        The record, and what was found now.
    is_there : bool
        Both were read where the record says: revisions count too.

    Returns
    -------
    list of str
        One line for each difference of models, verdicts or matched blocks.
    """
    found = other_models(old, new, is_there=is_there)
    return found or value_differences(_conclusion(old), _conclusion(new))


def _conclusion(record: Record) -> dict[str, Any]:
    if isinstance(record, Comparison):
        return {"verdict": record.verdict}
    return {"blocks": sorted([x.block_a, x.block_b] for x in record.matched)}


def other_models(old: Record, new: Record, *, is_there: bool = False) -> list[str]:
    """Which digests of two records differ: one line each; revisions too where they lie there."""
    found = []
    for name, x, y in (("a", old.a, new.a), ("b", old.b, new.b)):
        values = {"digest": (x.digest, y.digest), "full digest": (x.full_digest, y.full_digest)}
        if is_there:
            values["revision"] = (x.revision, y.revision)
        for what, (before, now) in values.items():
            if before != now:
                found.append(f"{what} of {name}: {_cut(before)} in the record, {_cut(now)} now")
    return found


def value_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Every value of two records that differs, by its path; what need not agree is left out."""
    found = []
    before, now = dict(_leaves(old)), dict(_leaves(new))
    for path in sorted(before.keys() | now.keys()):
        x, y = before.get(path, "nothing"), now.get(path, "nothing")
        own = path.removeprefix("accounting.").split(".")[0]
        if own not in IGNORED and not _same(x, y):
            found.append(f"{path[:MAX_VALUE_LENGTH]}: {_cut(x)} in the record, {_cut(y)} now")
    return found


def what_agrees(record: Record) -> str:
    """What an empty list of differences means for this record."""
    words = "sample digests and all numbers agree"
    if isinstance(record, Comparison) and any(map(thorough.is_from_running, record.tests)):
        return f"{words}, those of {thorough.ACTIVATION_TESTS} to {RUN_TOL:.0%}"
    return words


def _of_runs(old: Comparison, new: Comparison) -> list[str]:
    """Differences of the tests that ran the models; one line if only one record has them."""
    tests = [{_key(t): t for t in r.tests if thorough.is_from_running(t)} for r in (old, new)]
    if not tests[0] and not tests[1]:
        return []
    if not tests[0] or not tests[1]:
        lacking = new if tests[0] else old
        left = [s for s in lacking.skipped if s.test == "activations"]
        why = [s.data.get("error", s.code) for s in left]
        counts = f"{len(tests[0])} in the record, {len(tests[1])} now"
        return [f"{thorough.ACTIVATION_TESTS}: {counts} ({why[0] if why else 'not run'})"]
    found = []
    for key in sorted(tests[0].keys() | tests[1].keys()):
        x, y = tests[0].get(key), tests[1].get(key)
        if x is None or y is None:
            found.append(f"{' '.join(key)}: only {'now' if x is None else 'in the record'}")
        elif not _close(x, y):
            before, now = (f"{t.statistic:.6g} (log10 p {t.log10_pvalue:.4g})" for t in (x, y))
            found.append(f"{' '.join(key)}: {before} in the record, {now} now")
    return found


def _key(test: Test) -> tuple[str, str, str]:
    return test.name, test.block_a, test.block_b


def _close(x: Test, y: Test) -> bool:
    """Equal but for what rounding may tip; chi-squared statistics carry their p-values' spread."""
    is_sum = TESTS[x.name].is_sum
    return (
        (x.axis, x.trusts, x.n_units, x.null) == (y.axis, y.trusts, y.n_units, y.null)
        and math.isclose(
            x.statistic,
            y.statistic,
            rel_tol=RUN_LOG_TOL if is_sum else RUN_TOL,
            abs_tol=5.0 if is_sum else RUN_TOL,
        )
        and math.isclose(x.log10_pvalue, y.log10_pvalue, rel_tol=RUN_LOG_TOL, abs_tol=1.0)
    )


def _without_runs(record: Comparison) -> Comparison:
    return replace(
        record,
        tests=tuple(t for t in record.tests if not thorough.is_from_running(t)),
        skipped=tuple(s for s in record.skipped if s.test != "activations"),
    )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a record by its path; what is None is not written into records."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _leaves(item, f"{path}.{position}")
    elif value is not None:
        yield path, value


def _same(x: Any, y: Any) -> bool:
    """Counts, texts and truth values exactly; what was measured as far as machines agree."""
    if isinstance(y, float) and isinstance(x, float | int) and not isinstance(x, bool):
        return math.isclose(x, y, rel_tol=REL_TOL, abs_tol=1e-6)
    return isinstance(x, bool) == isinstance(y, bool) and bool(x == y)


def _cut(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"
