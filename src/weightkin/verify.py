"""Can the evidence be recomputed? Reruns a record with its own parameters and compares."""

from __future__ import annotations

import math
from pathlib import Path

from weightkin.compare import compare
from weightkin.errors import UnreadableModel
from weightkin.records import Comparison, Test
from weightkin.weights import Model

REL_TOL = 1e-3  # other machines sum in another order; counts and digests must agree exactly


def verify(
    record: Comparison, a: Model | str | Path | None = None, b: Model | str | Path | None = None
) -> list[str]:
    """Rerun a record on its sources (or on copies at ``a`` and ``b``) and list what differs.

    Returns
    -------
    list of str
        Empty when digests, verdict, p-values and statistics are the same.
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
    """What two records of one comparison disagree on; versions and times do not count."""
    found = []
    for name, x, y in (("a", old.a, new.a), ("b", old.b, new.b)):
        if x.digest != y.digest:
            found.append(f"digest of {name}: {x.digest} in the record, {y.digest} now")
        if x.full_digest and y.full_digest and x.full_digest != y.full_digest:
            found.append(
                f"full digest of {name}: {x.full_digest} in the record, {y.full_digest} now"
            )
    for field in ("verdict", "basis", "method", "kind"):
        if getattr(old, field) != getattr(new, field):
            found.append(f"{field}: {getattr(old, field)} in the record, {getattr(new, field)} now")
    if not _same(old.log10_pvalue, new.log10_pvalue):
        found.append(f"log10 p: {old.log10_pvalue} in the record, {new.log10_pvalue} now")
    tests_old, tests_new = ({_key(t): t for t in record.tests} for record in (old, new))
    for key in sorted(tests_old.keys() ^ tests_new.keys()):
        side = "the record" if key in tests_old else "the rerun"
        found.append(f"test {' '.join(key)}: only in {side}")
    for key in sorted(tests_old.keys() & tests_new.keys()):
        x_test, y_test = tests_old[key], tests_new[key]
        if not (
            _same(x_test.statistic, y_test.statistic)
            and _same(x_test.log10_pvalue, y_test.log10_pvalue)
        ):
            found.append(
                f"test {' '.join(key)}: {x_test.statistic} (log10 p {x_test.log10_pvalue}) in the"
                f" record, {y_test.statistic} (log10 p {y_test.log10_pvalue}) now"
            )
    return found


def _key(test: Test) -> tuple[str, str, str, str, str]:
    return test.name, test.axis, test.view, test.block_a, test.block_b


def _same(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=REL_TOL, abs_tol=1e-6)
