"""Claim: expressions of others match as `re` says, and none takes longer than a second or two."""

import re

import numpy as np
import pytest

from weightkin.formats.patterns import CannotMatch, Matcher

EXPRESSIONS = [
    r"(.*\.)?(a\.[01]\..*q)$", r"a|b", r"\S+\W", r"(a|ab)(c|bcd)*", r"[^a-c]+\d*", r"\w+\.x{2,3}",
    r"(?:a+)+b", r"^a.*$", r"(.*\.)?(a)|(b)$", r"a??b", r"[\w.]+", r"x*", r"(x*)*", r"(a|)+",
    r"()*a", r"\D{2}.?", r"(a*b)+?[x-z]", r"[^\d.]*",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_matches_are_those_of_re(expression):
    rng = np.random.default_rng(0)
    for size in rng.integers(0, 9, 200):
        text = "".join(rng.choice(list("abcdx.1_q"), size))
        whole, begun = re.fullmatch(expression, text), re.match(expression, text)
        assert Matcher().fullmatch(expression, text) == (whole is not None), text
        assert Matcher().match(expression, text) == (begun is not None), text


@pytest.mark.parametrize(
    "expression",
    ["(", "(a)\\1", "(?i)a", "(?=a)b", "a" * 5000, "(" * 3000, "(?:){4000000000}", "a\\b",
     "(.*)*" * 800, "(" + ".*" * 300 + "x)*"],
)  # fmt: skip
def test_what_is_not_supported_or_takes_too_long_is_an_error(expression):
    matcher = Matcher()

    def often():
        for _ in range(10_000):
            matcher.match(expression, "a" * 4000 + "!")

    with pytest.raises(CannotMatch):
        often()


def test_what_takes_python_for_ever_takes_no_time():
    assert not Matcher().fullmatch(r"(a+)+(.*.*.*.*)*b", "a" * 4000)
