"""Claim: every code of a record is found somewhere, has its data, and has words in a report."""

import ast
import re
import string
from typing import get_args

import pytest

from tests import models
from tests.conftest import ROOT
from tests.report.records import comparison
from weightkin import Options, compare
from weightkin.errors import UnreadableModel
from weightkin.records import Comparison
from weightkin.records.checking import RULES
from weightkin.records.codes import (
    DECLARED,
    EARLIER,
    EVIDENCE,
    FINDINGS,
    NOTES,
    PATTERNS,
    REASONS,
    TESTS,
)
from weightkin.records.evidence import Null
from weightkin.records.kinds import KINDS, KindFacts
from weightkin.report.advice import RULE_WORDS
from weightkin.report.clues import DECLARED_WORDS, EVIDENCE_WORDS
from weightkin.report.findings import FINDING_WORDS, NOTE_WORDS
from weightkin.report.model_card import model_card
from weightkin.report.parentage import of_comparison
from weightkin.report.reasons import PATTERN_WORDS, REASON_WORDS, in_words

SOURCE = ROOT / "src" / "weightkin"
SETS = {
    "reasons": (REASONS, REASON_WORDS),
    "evidence": (EVIDENCE, EVIDENCE_WORDS),
    "patterns": (PATTERNS, PATTERN_WORDS),
    "declared": (DECLARED, DECLARED_WORDS),
    "findings": (FINDINGS, FINDING_WORDS),
    "notes": (NOTES, NOTE_WORDS),
}
EVERY_FINDING = {"other", "found", "evidence", "direction", "sure"}  # what its words may use
TABLES = {"records/codes.py", "records/byte_codes.py", "records/kinds.py", "report/reasons.py",
          "report/clues.py", "report/findings.py"}  # fmt: skip
MAKERS = {  # position of the code, its set
    "left_out": (1, REASONS),
    "clue": (0, EVIDENCE),
    "because": (0, FINDINGS),
    "note": (0, NOTES),
}
SPEAK = ("report/", "web/", "cli/", "records/form.py")  # where people read
IN_ERRORS = ("policy/naming.py", "policy/candidates.py", "api/controls.py")  # which are sentences
SAMPLES = {
    "reason": {"code": "no-unit"}, "rule": {"by": "text", "n": 9}, "kinds": ["cast"],
    "images": {"equal": 3}, "roles": ["mlp.up"], "parents": ["x"], "weights": [1.0],
    "through": ["y"], "summary": {"basis": "exact", "log10_pvalue": -9.0}, "shares": [0.5],
    "factors": [0.5], "n_times": [2], "base": "", "model": "b",
    "numbers": [1, 2], "registry": "r.sqlite", "declared": {"code": "itself"}, "rules": ["x"],
    "tensors": {"x": "y"}, "files": {"x": 5}, "parts": ["text"], "id": 1, "digest": "wk1-0",
}  # fmt: skip
SORTED = {"pattern": "sorted", "role": "mlp.up"}


def trees():
    for path in SOURCE.rglob("*.py"):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text())


@pytest.fixture(scope="module")
def texts():
    """Every text in the source but those of the tables."""
    return {
        node.value
        for name, tree in trees()
        if name not in TABLES
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("name", SETS)
def test_every_code_has_words_and_no_words_are_left_over(name):
    codes, words = SETS[name]
    assert codes.keys() == words.keys()
    for code, line in words.items():
        if isinstance(line, str):
            used = {x for _, x, _, _ in string.Formatter().parse(line) if x}
            assert used - (EVERY_FINDING if name == "findings" else set()) <= {*codes[code]}, code


@pytest.mark.parametrize("name", SETS)
def test_every_code_can_be_said(name):
    codes, words = SETS[name]
    for code, names in codes.items():
        data = {key: SAMPLES.get(key, 2.0) for key in names}
        if code in ("order-carries-meaning", "alike-by-index"):
            data = {"a": SORTED, "b": SORTED}
        data |= dict.fromkeys(EVERY_FINDING if name == "findings" else (), "words")
        assert in_words(words, code, data) != code


@pytest.mark.parametrize("name", SETS)
def test_every_code_is_found_by_something(name, texts):
    assert not SETS[name][0].keys() - texts - {*EARLIER}


def test_every_rule_has_a_title_and_says_what_to_do():
    assert RULES.keys() == RULE_WORDS.keys()
    assert all(title and text for title, text in RULE_WORDS.values())


def test_every_kind_is_found_by_something(texts):
    assert not KINDS.keys() - texts


def test_a_kind_is_added_by_one_line_of_its_table(monkeypatch):
    record = comparison(kind=("toy",))
    with pytest.raises(UnreadableModel, match=r"kind\.0 is 'toy', not a kind of this version"):
        Comparison.from_json(record.to_json())
    toy = KindFacts(is_lossy=True, hub="quantized")
    monkeypatch.setitem(KINDS, "toy", toy)
    again = Comparison.from_json(record.to_json())
    assert again == record
    assert "base_model_relation: quantized" in model_card(of_comparison(again))


def test_what_is_noted_has_the_data_of_its_code():
    n = 0
    for name, tree in trees():
        for node in ast.walk(tree):
            called = node.func.id if isinstance(node, ast.Call) and hasattr(node.func, "id") else ""
            if called not in MAKERS or any(x.arg is None for x in node.keywords):
                continue
            position, codes = MAKERS[called]
            code = node.args[position]
            if isinstance(code, ast.Constant):
                n += 1
                given = {x.arg for x in node.keywords}
                wanted = {*codes[code.value]} - {"child", "log_odds", "error"} - given
                assert not wanted, (name, code.value, wanted)
                assert given <= {*codes[code.value]}, (name, code.value, given)
    assert n > 100


def test_nothing_below_the_reports_reads_a_sentence():
    for name, tree in trees():
        if not name.startswith((*SPEAK, *IN_ERRORS)):
            read = [x for x in ast.walk(tree) if isinstance(x, ast.Attribute)]
            assert not [x.lineno for x in read if x.attr == "sentence"], name


def rows_of_methods():
    """The table of all tests in docs/methods.md: names, null and whether a verdict rests on it."""
    text = (ROOT / "docs" / "methods.md").read_text().split("## All tests\n")[1].split("\n## ")[0]
    for line in text.splitlines():
        cells = [x.strip() for x in line.strip("|").split("|")]
        if line.startswith("| ["):
            names = re.findall(r"`(\w+)[^`]*`", cells[0]) or [cells[0]]
            yield names, cells[5].strip("`"), cells[6].startswith("yes")


def test_the_table_of_the_methods_has_every_test_with_its_null(rng):
    rows = list(rows_of_methods())
    assert {x for names, _, _ in rows for x in names} - {"[other stacks](#combining)"} == set(TESTS)
    assert all(null in get_args(Null) for _, null, _ in rows)
    known = {(name, null) for names, null, _ in rows for name in names}
    arrays = models.base(rng)
    options = Options(published=20)
    record = compare(arrays, models.child(arrays, rng), effort="thorough", options=options)
    found = {(x.name, x.null) for x in record.tests}
    assert {"coincidences", "phi_l2", "phi_U_fisher"} <= {name for name, _ in found}
    assert found <= known
    for names, null, is_counted in rows:
        assert not (is_counted and null in ("asymptotic", "monte-carlo")), names
