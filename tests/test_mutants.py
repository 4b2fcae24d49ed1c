"""Claim: mutants change one thing each, and are run against the tests that reach it."""

import ast

import pytest
from benchmarks.lib import claim
from benchmarks.lib.mutations import mutations

mutants = claim("mutants")
TEXT = '''
"""A text of a module: 1 < 2."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    SIZE = 3


@cache(maxsize=64)
def first(x: Literal[5], *, strict: bool = True) -> int | None:
    """The docstring: 1 + 1."""
    if x < 10 and not x:
        raise ValueError(f"{x + 1} of {len('é' * 2)}")
    y = zip(x, x, strict=True)
    return -x


LIMIT = 1 << 20
'''


def changes():
    return {(x.old, x.new.strip("()")) for x in mutations(TEXT)}


def test_operators_constants_conditions_and_answers_change():
    assert changes() == {
        ("x < 10 and not x", "x < 10 or not x"),
        ("x < 10", "x <= 10"),
        ("10", "11"),
        ("not x", "x"),
        ("return -x", "return None"),
        ("-x", "x"),
        ("True", "False"),  # the default; that of zip is left out
        ("1 << 20", "1 >> 20"),
        ("1", "2"),
        ("20", "21"),
    }


def test_every_mutant_can_be_read_and_differs_in_one_place():
    tree = ast.dump(ast.parse(TEXT))
    for x in mutations(TEXT):
        changed = x.apply(TEXT)
        assert ast.dump(ast.parse(changed)) != tree
        assert TEXT.encode()[x.start : x.stop].decode() == x.old


def test_lines_that_run_at_import_are_known():
    assert {x.old for x in mutations(TEXT) if not x.is_in_function} >= {"1 << 20", "True"}
    assert all(x.is_in_function for x in mutations(TEXT) if x.old == "-x")


def test_a_sample_is_drawn_by_a_fixed_seed_with_the_tests_that_reach_it():
    found = {"files": {}, "seconds": {}}
    drawn = mutants.sample(20, found)
    assert [str(m) for m in drawn] == [str(m) for m in mutants.sample(20, found)]
    assert {m.group for m in mutants.sample(10**6, found)} == set(mutants.GROUPS)
    assert all(m.tests == () for m in drawn)
    m = drawn[0]
    seconds = {"slow": 3.0, "quick": 1.0, "endless": 1000.0}
    files = {m.file: {str(m.mutation.line): list(seconds)}}
    (again, *_) = mutants.sample(20, {"files": files, "seconds": seconds})
    assert again.tests == ("quick", "slow")


@pytest.mark.parametrize(("dead", "said"), [(8, "enough"), (7, "TOO FEW")])
def test_the_table_says_whether_enough_are_noticed(dead, said):
    drawn = mutants.sample(10, {"files": {}, "seconds": {}})
    text = mutants.lines(drawn, [k < dead for k in range(10)])
    assert text[0].startswith(f"{dead} of 10 mutants are noticed by a test: {said}")
    assert sum(line.startswith("- `") for line in text) == 10 - dead
