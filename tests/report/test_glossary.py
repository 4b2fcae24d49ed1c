"""Claim: every label of a report is an everyday word or a term that the report explains."""

import re
from html import unescape
from pathlib import Path

import pytest

from tests import families
from tests.report import records
from weightkin.records.checking import RULES
from weightkin.report.comparison import comparison_lines
from weightkin.report.glossary import ALSO, TERMS, anchor_of, meaning_of
from weightkin.report.html import body, page
from weightkin.report.tree import family_lines

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
EVERYDAY = {  # labels that nobody stops at, or that the text beside them explains
    *("a model that is not here", "author", "bytes read", "case reference", "child", "compared by"),
    *("date of this report", "declared licence", "declared parent", "declared parents", "digest"),
    *("evidence", "finding", "findings", "level", "limits", "looked at", "meaning", "method"),
    *("model", "models", "name", "number type", "order", "other candidates", "outcome", "part"),
    *("policy", "registered", "registered models", "registry", "relation", "rule", "shape in b"),
    *("shared", "shared weights", "source", "state", "test", "time", "version", "what", "why"),
    *("what was found", "revision", "architecture", "not read", "tested", "norms", "tensor"),
    *("signs flipped", "units found in b", "equal values", "in the other model", "same contents"),
    *("between blocks of different depth", "units that two matrices match alike"),
    *("highest and median control", "rank among controls", "above the highest control by"),
    *("digest of the controls", "shows shared weights by itself", "parameters in tests"),
    *("digest of the policy", "samples drawn by a secret, commitment", "p-values called bound"),
    *("not verified", "warnings", "broken where"),
    *(
        "sample drawn by",
        *("what changed", "licence"),
        "bits",
        "roles that changed",
    ),  # numbers of the kind, which stands above them
}


def labels(text):
    """What heads a column or stands before a value, in lower case, with the term it leads to."""
    found = re.findall(r"<(th|dt)[^>]*>(.*?)</\1>", text.split('id="glossary"')[0], re.DOTALL)
    for _, inner in found:
        link = re.search(r'href="#([^"]+)"', inner)
        yield unescape(re.sub(r"<[^>]+>", "", inner)).lower(), link and link[1]


@pytest.mark.parametrize("make", [*records.ALL, families.small])
def test_every_label_is_an_everyday_word_or_leads_to_its_meaning(make):
    text = page(make())
    found = list(labels(text))
    assert found
    for label, anchor in found:
        assert anchor or label in EVERYDAY or label in RULES, label
        assert anchor is None or f'id="{anchor}"' in text


@pytest.mark.parametrize("term", [x for x in TERMS if f"| **{x}** |" in GLOSSARY.read_text()])
def test_a_term_of_the_documents_has_the_same_meaning_in_reports(term):
    row = re.search(rf"^\| \*\*{re.escape(term)}\*\* \| (.*) \|$", GLOSSARY.read_text(), re.M)
    assert row[1].startswith(TERMS[term])


def test_a_report_explains_what_it_uses_and_nothing_else():
    text = page(records.comparison())
    entries = re.findall(r'<div id="(term-[^"]+)"><dt>', text)
    used = set(re.findall(r'data-term="([^"]+)"', text))
    assert entries == [anchor_of(x) for x in sorted(used, key=str.lower)]
    assert set(ALSO.values()) <= set(TERMS)
    assert "`" not in "".join(map(meaning_of, TERMS))


def test_the_two_distances_have_a_name_each():
    details = {"relative_distance": 0.2, "typical_distance": 0.3}
    text = page(records.comparison(kind=("fine-tuned",), kind_details=details))
    assert [x for x, _ in labels(text) if "distance" in x] == [
        "median distance",
        "overall distance",
    ]
    lines = "\n".join(comparison_lines(records.comparison(kind_details=details)))
    assert "median distance 0.3" in lines
    assert "overall distance 0.4" in "\n".join(family_lines(families.small(), is_full=True))
    for make in (*records.ALL, families.small, families.placed):
        assert "relative distance" not in page(make())


@pytest.mark.parametrize("word", ["log-odds", "Enough for a verdict", " runs)"])
def test_no_report_has_a_word_that_only_its_authors_know(word):
    for make in (*records.ALL, families.small, families.placed):
        assert word not in body(make())
