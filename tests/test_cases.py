"""Claim: every input on which 0.1.0 was wrong is answered rightly, or is listed as planned."""

import pytest
from benchmarks.lib import claim

groups = claim("cases").groups

pytestmark = pytest.mark.claim
CASES = [pytest.param(case, id=f"{title}: {case.name}") for title, cases in groups()
         for case in cases]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_right_or_listed_as_planned(case, tmp_path):
    answer = case.run(tmp_path)
    assert answer.is_right or case.planned, answer.now
    assert not (answer.is_right and case.planned), f"no longer planned: {answer.now}"
