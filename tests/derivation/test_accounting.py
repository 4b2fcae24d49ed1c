"""Claim: every parameter of the smaller model is in one state, and the verdict says how many."""

import numpy as np
import pytest

from tests import models
from weightkin import compare
from weightkin.formats import model_from_arrays
from weightkin.records.comparison import Comparison
from weightkin.report.comparison import comparison_lines
from weightkin.report.sentences import one_line


def total(accounting):
    states = ("tested", "compared", "incomparable", "unread")
    return sum(getattr(accounting, state).n for state in states)


def test_states_add_up_to_the_smaller_model(rng):
    a = models.base(rng)
    extra = {"own.weight": rng.standard_normal((32, 32)).astype(np.float32)}
    record = compare(a | extra, models.child(a, rng) | {f"b.{k}": v for k, v in a.items()})
    found = record.accounting
    n = sum(x.size for x in (a | extra).values())
    assert total(found) == n
    assert found.incomparable.n == 1024
    assert found.incomparable.codes == ("no-counterpart",)
    assert found.tested.n == sum(x.size for name, x in a.items() if ".mlp." in name)
    assert found.bytes_read == record.bytes_read
    assert Comparison.from_json(record.to_json()).accounting == found


@pytest.mark.parametrize("effort", ["quick", "standard"])
def test_the_verdict_gives_the_tested_share_where_it_is_not_nearly_all(rng, effort):
    a, b = models.base(rng), models.base(rng)
    a["big.weight"], b["big.weight"] = (rng.standard_normal((100, 100)) for _ in range(2))
    record = compare(a, b, effort=effort)
    share = record.accounting.tested_share
    assert share < 0.95
    assert f"{int(100 * share)} % of " in one_line(record)
    assert any("parameters of the smaller model" in line for line in comparison_lines(record))


def test_values_that_are_not_finite_or_of_other_shapes_are_not_compared(rng):
    a = models.base(rng)
    b = dict(a)
    a["x.weight"], b["x.weight"] = np.full((9, 9), np.nan, np.float32), np.ones((9, 9), np.float32)
    a["y.weight"], b["y.weight"] = np.ones((5, 9), np.float32), np.ones((6, 10), np.float32)
    found = compare(model_from_arrays(a), model_from_arrays(b)).accounting
    assert found.incomparable.n == 81 + 45
    assert set(found.incomparable.codes) == {"non-finite-sample", "shapes-differ"}
