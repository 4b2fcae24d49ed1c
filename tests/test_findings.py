"""Claim: every section of the results says what it found with a figure, read from its own text."""

import re
from dataclasses import replace

import pytest
from benchmarks.lib import claim, result_pages, results
from benchmarks.lib.findings import families, verdicts, work
from benchmarks.lib.result_pages import without_note
from benchmarks.lib.result_text import MissingText, number, numbers, read_text
from benchmarks.lib.tables import markdown

TEXTS = result_pages.stored_texts(results.DOCS)
STORED = [x for x in results.SECTIONS.values() if x.title in TEXTS]


def table(header, *rows):
    return read_text(markdown(header, rows))


def with_one_change(text):
    """The text with one row less, or with another digit in one cell or paragraph, in turn."""
    for i, rows in enumerate(text.tables):
        for j, row in enumerate(rows):
            fewer = (*rows[:j], *rows[j + 1 :])
            yield replace(text, tables=(*text.tables[:i], fewer, *text.tables[i + 1 :]))
            for name, cell in row.items():
                if cell[:1].isdigit():
                    other = (*rows[:j], row | {name: _other(cell)}, *rows[j + 1 :])
                    yield replace(text, tables=(*text.tables[:i], other, *text.tables[i + 1 :]))
    for i, words in enumerate(text.paragraphs):
        if _other(words) != words:
            kept = text.paragraphs
            yield replace(text, paragraphs=(*kept[:i], _other(words), *kept[i + 1 :]))


def _finding(section, text):
    """What a section found; None where a row that it needs is gone."""
    try:
        return section.finding(text)
    except LookupError:
        return None


def _other(words):
    return re.sub(r"\d", lambda digit: str(9 - int(digit[0])), words, count=1)


@pytest.mark.parametrize("section", STORED, ids=lambda x: x.title)
def test_a_section_says_what_it_found(section):
    said = section.finding(without_note(TEXTS[section.title]))
    assert re.search(r"\d", said)
    assert said.endswith(".")
    assert len(said) < 200
    assert "stranger" not in section.title + said


@pytest.mark.parametrize("section", STORED, ids=lambda x: x.title)
def test_another_text_changes_what_was_found(section):
    text = without_note(TEXTS[section.title])
    said = section.finding(text)
    others = {_finding(section, other) for other in with_one_change(text)}
    assert others - {said, None}


def test_the_front_page_is_that_of_the_stored_texts():
    front = (results.DOCS / "results.md").read_text()
    rows = result_pages.findings_table(list(results.SECTIONS.values()), TEXTS)
    assert len(rows) == len(STORED) + len({x.page for x in STORED}) + 2
    assert "\n".join(rows) in front
    assert TEXTS.keys() <= {x.title for x in results.SECTIONS.values()}


@pytest.mark.parametrize("section", STORED, ids=lambda x: x.title)
def test_a_section_stands_on_its_page_only(section):
    pages = (results.DOCS / "results").glob("*.md")
    there = [x.stem for x in pages if f"\n## {section.title}\n" in x.read_text()]
    assert there == [section.page]


def test_pairs_that_were_not_testable_are_told_from_those_without_evidence():
    header = ("truth", "dependent", "aligned-only", "no-evidence", "not-testable", "pairs")
    text = table(header, ("related", 5, 1, 2, 0, 8), ("independent", 0, 0, 1100, 20, 1120))
    assert verdicts.zoo_pairs(text) == (
        "In-sample: 5 of 8 related pairs are found (1 aligned only, 2 without evidence); of 1,120"
        " unrelated pairs 0 are found (1,100 tested and without evidence, 20 not testable)."
    )


def test_a_false_alarm_is_counted():
    header = ("truth", "dependent", "aligned-only", "no-evidence", "not-testable", "pairs")
    text = table(header, ("related", 1, 0, 0, 0, 1), ("independent", 1, 2, 4, 0, 7))
    assert "of 7 unrelated pairs 3 are found" in verdicts.zoo_pairs(text)
    header = ("null pairs", "p-value of", "<= 0.01", "valid")
    text = table(header, ("a", "units", "0.02", "**NO**"), ("a", "heads", "0.001", "yes"))
    assert verdicts.null_pairs(text).startswith("1 of 2 statistics, on 1 kinds")


def test_framed_models_and_relatives_are_told_apart():
    framing = claim("framing")
    found = [
        framing.Compared("128 wide", made, 0, is_related, "dependent", basis, 1.0, 1.0)
        for made, is_related, basis in (
            ("everything", False, "exact"),
            ("gates", False, "bound"),
            ("cosine 0.9", True, "exact"),
        )
    ]
    assert verdicts.framing(read_text(framing.table(found))) == (
        "1 of 2 framed unrelated models are called dependent by exact or calibrated evidence;"
        " 1 of 1 relatives are found."
    )


def test_parents_that_differ_and_those_left_open_are_told_apart():
    rows = zip(claim("left_out").OUTCOMES, (7, 2, 1, 3), ("", "", "", ""), strict=True)
    text = table(("parents named by `trace` and by `tree`", "models", ""), *rows)
    assert families.left_out(text) == (
        "`trace` and `tree` name the same parents for 7 of 13 models, others for 3; 3 are left"
        " open by one of them."
    )


def test_a_mixture_with_another_weight_is_not_right():
    header = ("model", "truth", "found", "closure")
    rows = [("m", "0.6 a + 0.4 b", x, 0) for x in ("0.58 a + 0.42 b", "0.5 a + 0.5 b", "1.0 a")]
    lines = [*markdown(header, rows), "", *markdown(header, rows[:1])]
    assert "right for 1 of 3 mixtures by whole tensors, and for 1 of 1" in verdicts.merges(
        read_text(lines)
    )


def test_measures_over_their_limit_are_counted():
    text = table(
        ("what", "measured", "at most", "share of it"),
        ("tree of 100 models, seconds", "1.50", "2", "0.75"),
        ("tree of 1,000 models, seconds", "30.00", "20", "1.50"),
        ("tree of 1,000 models, CPU seconds", "29.00", "", ""),
    )
    assert work.scale(text) == (
        "1 of 2 measures are within their limits; tree of 1,000 models: 30.00 s."
    )


def test_the_most_of_the_views_is_reported():
    text = table(
        ("matrix", "units", "views of both models, seconds", "peak memory"),
        ("mlp.up", 512, "3.5 (+ 9 making values)", "900 MB (100 MB before)"),
        ("mlp.down", 512, "12.5 (+ 9 making values)", "800 MB (100 MB before)"),
    )
    assert work.views(text) == "Views of one matrix take at most 12.5 s and 900 MB."


def test_tables_are_read_by_their_columns():
    lines = ["About", "it.", "", "| a |  |  |", "|---|---|---|", "| x | 1,000 |  |", "", "More."]
    text = read_text(lines)
    assert text.tables == (({"a": "x", "": "1,000", "2": ""},),)
    assert text.paragraphs == ("About it.", "More.")
    assert text.values("a", "") == {"x": "1,000"}
    assert number(text.rows("a")[0][""]) == 1000
    with pytest.raises(MissingText, match="no table with the columns b"):
        text.rows("b")


def test_numbers_are_read_with_their_signs():
    assert numbers("-1.5e-3 of 2,000 (5 %)") == [-0.0015, 2000, 5]
    with pytest.raises(MissingText, match="no number in 'none'"):
        number("none")
