"""Claim: every format of a check has the worst first, each advice once, and no foreign markup."""

import re
from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from tests.report.records import check
from weightkin.records.checking import RULES, Ancestor, Check, Finding
from weightkin.records.comparison import Summary
from weightkin.report.advice import HIDDEN_PARENT, OPEN_PARENT, RULE_WORDS, advice
from weightkin.report.html import Record, body, page
from weightkin.report.junit import junit
from weightkin.report.markdown import MOST_ROWS, markdown
from weightkin.report.priorities import plain_words, what_to_do, worst_first
from weightkin.report.rendering import PAGED
from weightkin.report.sarif import sarif

HOSTILE = (
    "a|b\n<b>x</b>[l](http://e.org)![i](j) `c` www.e.org @somebody #1 $x$ &amp; \x1b[1m\ufffe ```"
)
ATTRIBUTES = {  # of the elements that we write, as the schema of Jenkins (junit-10.xsd) has them
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped"},
    "testcase": {"name", "classname"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"message"},
    "system-out": set(),
}


def many():
    """Findings of several models: a warning, something not verified, two hits of one rule."""
    hit, unread = check().models[0].findings
    other = replace(hit, rule="undeclared-parent")
    first = replace(hit, rule="unknown-licence", level="warning")
    models = [replace(check().models[0], name=name, source=name, findings=found)
              for name, found in (("mild", (first,)), ("open", (unread,)),
                                  ("bad", (hit, other)), ("worse", (hit, other)))]  # fmt: skip
    named = {"forbidden_ancestors": ["x"]}
    rules = {**RULES, "unknown-origin": "off"}
    return replace(check(), models=tuple(models), parameters=named, rules=rules)


def test_the_worst_finding_comes_first_in_every_order():
    record = many()
    for models in (record.models, record.models[::-1]):
        found = worst_first(replace(record, models=models))
        assert [x.rule for _, x in found[:2]] == ["forbidden-ancestor"] * 2
        assert [x.rule for _, x in found[-2:]] == ["unverifiable", "unknown-licence"]
        assert found[0][0].name in ("bad", "worse")


def test_each_advice_is_there_once_with_its_commands():
    record = many()
    found = what_to_do(record)
    assert {x.text for x in found} == {advice(x) for x in record.findings}
    assert found[0].rules == ("forbidden-ancestor",)
    (declaring,) = [x for x in found if x.commands]
    assert [words[1] for words in declaring.commands] == ["bad", "worse"]
    once = MarkdownIt().render(markdown(record))
    for x in found:
        plain = x.text.replace("&", "&amp;").replace("`", "")
        assert once.replace("<code>", "").replace("</code>", "").count(plain) == 1
    assert "<code>weightkin trace MODEL --format model-card</code>" in once
    assert body(record).count(found[0].text) == 1
    assert plain_words(record).endswith("break the policy: forbidden-ancestor, undeclared-parent.")


def finding(code, parent, source="near"):
    summary = Summary(verdict="dependent", basis="exact", log10_pvalue=-9.0, parent=parent)
    return Finding(rule="undeclared-parent", level="error", state="hit", code=code, data={},
                   fingerprint=f"{code}{source}", summary=summary,
                   ancestor=Ancestor(name="near", source=source))  # fmt: skip


@pytest.mark.parametrize(
    ("code", "parent", "words", "command"),
    [
        ("not-declared", "a", RULE_WORDS["undeclared-parent"][1], "trace"),
        ("copy-not-declared", "undetermined", RULE_WORDS["undeclared-parent"][1], "trace"),
        ("not-declared", "undetermined", OPEN_PARENT, "compare"),
        ("perhaps-child", "undetermined", OPEN_PARENT, "compare"),
        ("perhaps-other-child", "b", OPEN_PARENT, "compare"),
        ("hidden-parent", "undetermined", HIDDEN_PARENT, "search"),
    ],
)
def test_nobody_is_told_to_declare_a_parent_that_is_not_known(code, parent, words, command):
    model = replace(check().models[0], source="mine", findings=(finding(code, parent),))
    (todo,) = what_to_do(replace(check(), models=(model,), registry="r.sqlite"))
    assert todo.text == words
    ((verb, *rest),) = todo.commands
    assert verb == command
    assert "mine" in rest


def test_the_command_for_an_open_parent_names_the_other_candidates():
    both = (finding("perhaps-child", "undetermined", "x"), finding("perhaps-child", "b", "y"))
    model = replace(check().models[0], source="mine", findings=both)
    (todo,) = what_to_do(replace(check(), models=(model,), registry="r.sqlite"))
    assert todo.commands == (
        ("compare", "x", "mine", "--with", "y"),
        ("compare", "y", "mine", "--with", "x"),
    )
    imported = replace(model, findings=(finding("perhaps-child", "undetermined", ""),))
    (todo,) = what_to_do(replace(check(), models=(imported,), registry="r.sqlite"))
    assert todo.commands == (("search", "mine", "--registry", "r.sqlite"),)


def test_markdown_is_a_table_below_the_worst_finding():
    text = markdown(many())
    assert text.startswith("## weightkin check: not all could be checked: 4 findings")
    order = [text.index(x) for x in ("**Worst finding**", "### What to do", "### Findings")]
    assert order == sorted(order)
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert html.count("<table>") == 2
    assert html.count("<tr>") == 2 + 6 + 4  # heads, findings, models
    passed = replace(many(), models=(check().models[1],))
    assert "Worst" not in markdown(passed)
    assert "Nothing was found that the policy forbids." in markdown(passed)


def test_a_long_summary_ends_with_how_much_is_left():
    record = many()
    text = markdown(replace(record, models=record.models[:1] * (MOST_ROWS + 7)))
    assert text.count("and 7 more: the record has all.") == 2


def test_hostile_names_are_text_in_markdown_and_xml():
    record = check(HOSTILE)
    html = MarkdownIt("commonmark").enable("table").render(markdown(record))
    ours = {"h2", "h3", "p", "strong", "span", "ul", "li"}
    ours |= {"table", "thead", "tbody", "tr", "th", "td"}
    assert set(re.findall(r"</?(\w+)", html)) <= ours
    rows = re.findall(r"<tr>.*?</tr>", html, re.S)
    assert {row.count("<t") - 1 for row in rows} == {3, 4}
    text = markdown(record)
    assert not re.search(r"https?://|www\.|(?<!>)@somebody|(?<!>)#1|(?<![>\w])\$x", text)
    root = ET.fromstring(junit(record))
    assert "<b>x</b>[l](http://e.org)" in root[0].get("name")


def test_junit_has_a_case_for_each_model_and_rule_as_the_common_schema_asks():
    record = many()
    root = ET.fromstring(junit(record).encode())
    for x in root.iter():
        assert set(x.attrib) == ATTRIBUTES[x.tag], x.tag
        assert [child.tag for child in x] == [] or x.tag in ("testsuites", "testsuite", "testcase")
    assert [suite.get("name") for suite in root] == [x.name for x in record.models]
    for suite, model in zip(root, record.models, strict=True):
        assert [case.get("name") for case in suite] == list(RULES)
        assert {case.get("classname") for case in suite} == {model.source}
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        assert int(root.get(name)) == sum(int(x.get(name)) for x in root) == len([*root.iter(tag)])


def test_only_a_rule_that_was_applied_to_all_of_a_model_passes():
    def state(suite, rule):
        (case,) = [x for x in suite if x.get("name") == rule]
        return [x.tag for x in case]

    mild, open_, bad, _ = ET.fromstring(junit(many()))
    assert state(bad, "forbidden-ancestor") == state(bad, "undeclared-parent") == ["failure"]
    assert state(open_, "unverifiable") == ["error"]
    assert state(open_, "forbidden-ancestor") == ["skipped"]  # perhaps in what was not read
    assert state(mild, "forbidden-ancestor") == []
    assert state(mild, "unknown-licence") == ["system-out"]
    assert state(mild, "unknown-origin") == state(mild, "missing-parent") == ["skipped"]
    bare = replace(many(), registry="", policy="")
    mild = ET.fromstring(junit(bare))[0]
    assert state(mild, "undeclared-parent") == state(mild, "looser-licence") == ["skipped"]


@pytest.mark.parametrize("form", [junit, markdown, page, sarif])
def test_a_saved_record_gives_the_same_bytes(form):
    record = replace(many(), challenge="ab" * 32)
    assert form(Check.from_json(record.to_json())) == form(record)


def test_every_record_with_a_page_is_known_to_be_one():
    assert set(PAGED) == set(get_args(Record))


@pytest.mark.parametrize(
    ("basis", "words"),
    [
        ("exact", "shares weights or a random start (p <= 1e-20, exact)"),
        ("exact-unconfirmed", "units agree, which shared weights would explain, but so would"),
        ("calibrated", "probably related: calibrated evidence alone, no exact test"),
    ],
)
@pytest.mark.parametrize("code", ["forbidden", "not-declared", "perhaps-child", "hidden-parent"])
def test_a_finding_claims_no_more_than_its_basis_shows(basis, words, code):
    summary = Summary(verdict="dependent", basis=basis, log10_pvalue=-20.0)
    rule = "forbidden-ancestor" if code == "forbidden" else "undeclared-parent"
    finding = Finding(rule=rule, level="error", state="hit", code=code, data={},
                      fingerprint="0" * 32, summary=summary,
                      ancestor=Ancestor(name="base", id=3))  # fmt: skip
    assert words in finding.sentence
    assert ("shares weights" in finding.sentence) == (basis == "exact")
    assert "direction undetermined" in finding.sentence


def test_an_ancestor_that_is_not_registered_is_said_after_the_evidence():
    summary = Summary(verdict="dependent", basis="exact", log10_pvalue=-20.0)
    found = replace(finding("hidden-parent", "undetermined"), data={}, summary=summary).sentence
    start = "no parent is declared; near: shares weights or a random start (p <= 1e-20, exact); "
    assert found.startswith(start)
    assert found.endswith("; the two probably have a common ancestor that is not registered")


def test_no_title_of_a_rule_claims_more_than_calibrated_evidence_shows():
    for title, text in RULE_WORDS.values():
        assert "shares weights" not in title
        assert "share weights" not in f"{title} {text}"
