"""Claim: the lines below a verdict state what was found, and repeat nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import families
from tests.report.records import EFFECT, check, comparison, location, search, trace
from weightkin.records import Direction, Part, clue, left_out
from weightkin.records.accounting import Equal
from weightkin.records.comparison import Summary
from weightkin.records.family import FamilyEdge
from weightkin.records.notes import note
from weightkin.report.accounting import share_words
from weightkin.report.checking import check_lines
from weightkin.report.comparison import answer_facts, comparison_lines
from weightkin.report.derived import derivation_facts
from weightkin.report.draws import refreshed_lines
from weightkin.report.explain import explain
from weightkin.report.findings import direction_words
from weightkin.report.heatmap import location_lines
from weightkin.report.line import Line, painted
from weightkin.report.plain import plain_words
from weightkin.report.registry import search_lines, trace_lines
from weightkin.report.table import table
from weightkin.text import percent

EMBEDDED = Part(name="embedding", verdict="aligned-only", log10_pvalue=-9.0, is_embedding=True)
MIXED = Part(name="vision", verdict="dependent", log10_pvalue=-99.0)
OTHER = Part(name="text", verdict="no-evidence", log10_pvalue=0.0)
SAME = Equal(n_parameters=9, same_name=9, other_name=0, basis="all")
SAMPLED = replace(SAME, basis="sample")


def texts(lines, label):
    return [x[14:] for x in lines if x.startswith(f"  {label:<10}  ")]


def test_the_answer_comes_first_and_details_are_asked_for():
    lines = comparison_lines(comparison())
    assert lines[0] == "dependent (p <= 1e-504, exact, 1 block)"
    made = "model b was probably made from model a."
    assert lines[1] == f"These two models share weights or a random start: {made}"
    labels = [x[2:12].rstrip() for x in lines if x.startswith("  ") and not x.startswith("   ")]
    assert labels[:2] == ["model a", "model b"]
    assert labels[2:-1] == ["shared", "blocks", "how made", "came first", "looked at", "skipped"]
    full = comparison_lines(comparison(), is_full=True)
    assert full[: len(lines) - 1] == lines[:-1]
    assert len(full) > len(lines) + 8


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kind": ("identical",), "equal": SAME}, "are the same: all their values are equal."),
        (
            {"kind": ("equal-on-sample",), "equal": replace(SAME, basis="sample")},
            "probably the same",
        ),
        ({"kind": ("identical",), "equal": SAME, "incomplete": True}, "probably the same"),
        (
            {"parts": (MIXED, EMBEDDED, OTHER)},
            "share weights or a random start in vision. Nothing was found elsewhere.",
        ),
        ({"basis": "exact-unconfirmed"}, "or one of them was made to match the other."),
        ({"basis": "calibrated"}, "no exact test shows it."),
        ({"direction": Direction()}, "These two models share weights or a random start."),
        (
            {"direction": Direction(), "kind": ("shared-part",), "basis": "equal"},
            "These two models share weights.",
        ),
        ({"verdict": "no-evidence"}, "That does not show that the models are independent."),
        ({"verdict": "aligned-only"}, "does not show that they share weights."),
        ({"verdict": "not-testable"}, "so nothing can be said about them."),
    ],
)
def test_the_plain_sentence_claims_no_more_than_the_verdict(more, words):
    record = comparison(**more)
    assert words in plain_words(record)
    assert comparison_lines(record)[1] == plain_words(record)


def test_parts_are_listed_only_if_their_verdicts_differ():
    same = comparison()
    mixed = replace(same, parts=(*same.parts, EMBEDDED))
    assert texts(comparison_lines(same), "part") == []
    full = comparison_lines(same, is_full=True)
    assert [x for x in full if x.startswith("  part block.0: dependent")]
    assert texts(comparison_lines(mixed), "part")[1] == "embedding: aligned only"


def test_the_null_hypothesis_is_stated_where_a_test_was_run():
    null = "  null hypothesis: the two models were initialised independently"
    full = comparison_lines(comparison(), is_full=True)
    assert sum(x.startswith(null) for x in full) == 1
    none = comparison_lines(comparison(axes=(), tests=()), is_full=True)
    assert not any(x.startswith(null) for x in none)


def test_colours_are_codes_around_the_text_alone():
    line = Line.of("a ", ("bold words", "strong"), " end")
    assert line == "a bold words end"
    assert painted(line, [line]) == ["a \x1b[1mbold words\x1b[0m end"]
    parts = ["a bold", "  words end"]
    assert painted(line, parts) == ["a \x1b[1mbold\x1b[0m", "  \x1b[1mwords\x1b[0m end"]
    assert painted("plain", ["pla", "  in"]) == ["pla", "  in"]


def test_a_table_is_as_wide_as_what_is_in_it():
    rows = [("x", "1", ""), ("long name", "1,000", "")]
    lines = table(("name", "n", "none"), rows, right=(1,))
    assert lines == ["  name           n", "  x              1", "  long name  1,000"]
    assert table(("name",), []) == []
    rows = [("first-and-a-very-long-last", "12"), ("b", "3")]
    cut = table(("name", "n"), rows, right=(1,), width=19)
    assert cut == ["  name            n", "  first...-last  12", "  b               3"]


def test_no_two_names_are_cut_to_the_same_text():
    rows = [(f"#{n}", name, "LlamaForCausalLM", "708K", "F32") for n, name in
            enumerate(("llama-a-ft1", "llama-b-ft1", "a-name-that-is-long-and-cut"))]  # fmt: skip
    head = ("", "model", "class", "size", "type")
    lines = table(head, rows, right=(0,), width=40, spare=(2, 4))
    assert "llama-a-ft1" in lines[1]
    assert "llama-b-ft1" in lines[2]
    assert "..." in lines[3]
    assert all(len(x) <= 40 for x in lines)
    narrow = table(("", "model", "class"), [x[:3] for x in rows], width=24, spare=(2,))
    assert "class" not in narrow[0]


def test_what_a_search_comes_to_is_one_plain_sentence():
    found = search()
    assert search_lines(found)[:2] == [found.sentence, f"{found.name} was probably made from base."]
    assert "  step        child <- #1 base (fine-tuned; direction 0.97)" in trace_lines(trace())
    step = replace(found.parents[0], direction="undetermined")
    for record, words in (
        (replace(found, parents=(step,)), "whether it was made from one of them is open."),
        (replace(found, relatives=(), others=()), f"No sign of weights shared with {found.name}"),
        (
            replace(found, relatives=(), not_testable=left_out("", "no-axis")),
            f"{found.name} could not be tested here",
        ),
    ):
        assert words in search_lines(record)[1]


def test_a_model_whose_units_only_line_up_is_counted_apart_and_not_called_related():
    found = search()
    (first, *_) = found.relatives
    lined_up = replace(first, summary=replace(first.summary, verdict="aligned-only"))
    alone = replace(found, relatives=(lined_up,), parents=(), path=())
    assert alone.sentence.startswith(f"{found.name}: 1 aligned only among ")
    assert "this alone shows no relation" in search_lines(alone)[1]
    both = replace(alone, relatives=(first, lined_up))
    assert ": 1 relative and 1 aligned only among " in both.sentence
    assert "is related to registered models" in search_lines(both)[1]


def test_of_models_that_only_line_up_it_is_said_in_what_and_how_little_alike():
    axis = comparison().axes[0]
    (words,) = [
        text
        for label, text in answer_facts(
            comparison(verdict="aligned-only", axes=(replace(axis, passes=False),))
        )
        if label == "in order"
    ]
    assert words == "hidden units (cosine 0.97, best wrong match 0.37)"


def test_an_edge_that_no_test_shows_and_a_parent_without_a_name_are_called_so():
    (step,) = trace().search.path
    unshown = replace(step, direction="undetermined", log10_pvalue=0.0)
    hidden = replace(step, parent="unobserved-1", parent_id=0, parent_digest="")
    lines = trace_lines(replace(trace(), search=replace(search(), path=(unshown, hidden))))
    assert any("(fine-tuned, not shown to be related; " in x for x in lines)
    assert any(x.startswith("  path        (unobserved ancestor) ->") for x in lines)


def test_the_table_of_relatives_fits_the_terminal_and_details_are_asked_for():
    found = replace(search("a-long-name-" * 9).relatives[0])
    many = replace(search(), relatives=(found,) * 30)
    lines = search_lines(many, width=70)
    assert max(map(len, lines)) <= 70
    assert "  10 more (-v lists them)" in lines
    assert sum("p <= 1e-100" in x for x in lines) == 20
    assert sum(found.sentence in x for x in search_lines(many, is_full=True)) == 30


def test_relatives_with_the_same_contents_are_named():
    found = search().relatives[0]
    same = note("same-contents", name="a-copy", id=2)
    other = replace(found, model=replace(found.model, notes=(same,)))
    lines = search_lines(replace(search(), relatives=(other, found)))
    assert [x for x in lines if "a-copy (#2)" in x] == [f"  #1 child: {same.sentence}"]


def test_the_worst_finding_is_not_said_twice_in_a_row():
    hit, open_ = check().models[0].findings
    first = replace(check(), models=(replace(check().models[0], findings=(hit, open_)),))
    last = replace(first, models=(replace(first.models[0], findings=(open_, hit)),))
    for record, n in ((first, 0), (last, 1)):
        assert sum(x.startswith("  worst") for x in check_lines(record)) == n


def test_a_check_gives_each_advice_once_and_says_what_is_broken():
    model = check().models[0]
    hits = replace(model, findings=model.findings[:1])
    record = replace(check(), models=(hits, replace(hits, name="second")))
    lines = check_lines(record)
    assert lines[:2] == [record.sentence, "2 of 2 models break the policy: forbidden-ancestor."]
    one = replace(record, models=(hits,))
    assert check_lines(one)[1] == "The model breaks the policy: forbidden-ancestor."
    advices = [x for x in lines if x.startswith("  forbidden-ancestor: ")]
    assert len(advices) == 1
    assert sum(x.startswith("  error forbidden-ancestor: ") for x in lines) == 2
    assert "not a pass" in check_lines(check())[1]
    assert not any("alpha" in x for x in lines)
    assert "alpha" in check_lines(record, is_full=True)[-1]


@pytest.mark.parametrize(
    ("kind", "details", "line"),
    [
        ("quantised", {"bits": 8, "scope": "row", "scheme": "symmetric"},
         "quantised (8 bits, per row, symmetric)"),
        ("fine-tuned", {"typical_distance": 0.257, "share_equal": 0.99999},
         "fine-tuned, or mixed with other models (median distance 0.257, 99.9 % of values"
         " equal; two models alone do not show which)"),
        ("magnitude-pruned", {"share": 0.5}, "magnitude-pruned (50 % zeros)"),
        ("noise", {"share": 0.01}, "noise (noise of 1 % of the standard deviation)"),
        ("unknown", {}, "unknown"),
    ],
)  # fmt: skip
def test_a_kind_has_its_main_numbers_in_words(kind, details, line):
    facts = list(derivation_facts(comparison(kind=(kind,), kind_details=details)))
    assert facts == [("how made", line), ("came first", "a (probability 0.99)")]


def test_what_relatives_were_asked_about_is_not_left_open():
    asked = Direction(evidence=(clue("among-neither", n=3),))
    record = comparison(kind=("fine-tuned",), kind_details={}, direction=asked)
    assert next(iter(derivation_facts(record))) == ("how made", "fine-tuned")


def test_what_is_tested_by_index_and_by_tokens_has_two_names():
    one = comparison().tests[0]
    lines = comparison_lines(comparison(tests=(one, one)), is_full=True)
    assert sum(x.startswith("  hidden units (mlp), block.0 ") for x in lines) == 1
    assert sum(x.startswith("  hidden units (mlp), block.0, by tokens ") for x in lines) == 1


def test_a_test_of_something_but_the_units_is_named():
    one = comparison().tests[0]
    tests = (replace(one, name="signs", view="weights"), replace(one, name="turns", axis="qk"))
    lines = comparison_lines(comparison(tests=tests), is_full=True)
    assert any(x.startswith("  signs of hidden units (mlp), weights  ") for x in lines)
    assert any(x.startswith("  turns of query-key heads, block.0  ") for x in lines)


def test_a_second_look_says_what_is_unconfirmed():
    old = comparison(basis="exact-unconfirmed")
    lines = refreshed_lines(old, old, -9.0)
    assert lines[0].startswith("dependent, unconfirmed, p <= ")
    assert "unconfirmed" not in refreshed_lines(comparison(), comparison(), -9.0)[0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"parent_probability": 0.7999}, "parent     undetermined (0.79, at least 0.8 is needed)"),
        ({"parent_probability": 0.97}, "parent     undetermined (0.97)"),  # a part of a family
        ({"parent_probability": 0.8, "direction": "determined"}, "parent     determined (0.80)"),
        ({"parent_probability": 0.5}, "direction  probability 0.60 that the parent is the older"),
        ({}, "direction  undetermined (estimate 0.60)"),
        ({"direction": "determined"}, "direction  determined (estimate 0.60)"),
    ],
)
def test_the_parent_of_an_edge_has_its_reason(more, words):
    edge = FamilyEdge(parent="base-a", child="ft", direction_probability=0.6, **more)
    graph = replace(families.small(), edges=(edge,))
    assert any(x.startswith(f"    {words}") for x in explain(graph, "ft"))


def test_a_search_that_compared_nothing_says_so():
    none = replace(search(), relatives=(), others=(), n_compared=0)
    assert none.sentence == "child: no relatives found among 2 models (no candidate to compare)"
    some = replace(none, n_compared=2)
    assert some.sentence.endswith("(no evidence of shared weights with 2)")


def test_the_models_of_the_sentence_of_a_search_add_up():
    found = search().relatives[0]
    lost = replace(found, summary=replace(found.summary, verdict="not-testable"))
    free = replace(found, summary=replace(found.summary, verdict="no-evidence"))
    some = replace(search(), relatives=(), others=(lost, free, free), n_scanned=9, n_compared=3,
                   registered=replace(found.model, id=7, digest="wk1-own"))  # fmt: skip
    assert some.sentence == (
        "child: no relatives found among 8 other models"
        " (no evidence of shared weights with 2, 1 not testable, 5 not compared)"
    )
    copied = replace(some, registered=found.model)  # its contents, under another name, are compared
    assert "among 9 other models" in copied.sentence
    assert "6 not compared" in copied.sentence


def test_a_search_that_compared_some_says_at_least():
    some = replace(search(), n_scanned=9, n_compared=2)
    assert some.sentence == "child: at least 1 relative among 9 models (7 not compared)"
    inside = replace(some, registered=replace(some.relatives[0].model, digest="wk1-own"))
    assert "at least 1 relative among 8 other models (6 not compared)" in search_lines(inside)[0]
    assert "8 other models scanned, 2 of them compared in" in search_lines(inside)[-1]
    assert "1 relative among 2 compared, 1 parent, " in repr(inside)
    assert replace(inside, n_compared=8).sentence == "child: 1 relative among 8 other models"


@pytest.mark.parametrize(
    ("share", "n_decimals", "words"),
    [(1.0, 0, "100 %"), (0.9999999999999, 0, "99 %"), (0.996, 0, "99 %"), (0.29, 0, "29 %"),
     (0.004, 0, "under 1 %"), (0.0, 0, "0 %"), (0.99999, 1, "99.9 %"), (0.0004, 1, "under 0.1 %"),
     (1.0, 1, "100.0 %")],
)  # fmt: skip
def test_shares_are_rounded_down_everywhere(share, n_decimals, words):
    assert percent(share, n_decimals) == words


def test_a_comparison_and_a_check_give_the_same_share():
    record = check()
    named = replace(record.models[0].against[0], tested=0.996)
    model = replace(record.models[0], against=(named,), findings=())
    lines = check_lines(replace(record, models=(model,)))
    assert any("the tests cover 99 % of the parameters" in x for x in lines)
    assert share_words(996, 1000) == "99 %"


def test_one_of_something_is_one():
    hit = check().models[0].findings[0]
    missing = replace(hit, code="licence-missing", data={"n_ancestors": 1})
    said = "no licence is declared, but the model has 1 known ancestor"
    assert missing.sentence == said
    related = replace(hit, code="licence-missing-related", data={"n_relatives": 2})
    assert "but the model has 2 relatives" in related.sentence
    one = replace(check(), models=(replace(check().models[0], findings=(hit,)),))
    assert repr(one).endswith(": 1 finding in 1 model>")


def test_who_came_first_is_named():
    x = Summary(verdict="dependent", basis="exact", log10_pvalue=-9, parent="a", probability=0.97)
    assert direction_words(x) == "; the other model came first (probability 0.97)"
    derived = "; the other model was derived from this one (probability 0.97)"
    assert direction_words(replace(x, parent="b")) == derived


def test_a_percentage_of_inheritance_is_one():
    said = clue("inherits", share=0.63).sentence
    assert said == "inherits 63 % of the changes that made its parent"


def test_units_in_their_place_are_a_number_and_the_others_are_named():
    record = location(n=3)
    odd = record.unit_maps[0]  # units in another order, a sign flipped
    plain = replace(odd, name_b=odd.name_a, units_b=(0, 1), in_order=True, n_flipped=0)
    lines = location_lines(replace(record, unit_maps=(plain, plain, odd)))
    assert "  hidden units: every unit found, in order, in 2 of 3 pairs of blocks" in lines
    assert sum("units of a found among" in x for x in lines) == 1
    full = location_lines(replace(record, unit_maps=(plain, plain, odd)), is_full=True)
    assert sum("units of a found among" in x for x in full) == 3
    assert "alpha 1e-06" in full[-1]


def test_the_effect_on_the_shared_line_is_that_of_an_axis_that_passes():
    record = comparison()
    first = record.axes[0]
    below = replace(first, passes=False)
    other = replace(
        first,
        axis="turns",
        passes=True,
        log10_pvalue=-8.0,
        effect=replace(EFFECT, observed=0.08, chance=0.06),
    )
    lines = comparison_lines(replace(record, axes=(below, other), basis="exact-unconfirmed"))
    assert texts(lines, "shared") == [
        "rotary planes: matched units are alike (cosine 0.08, best wrong match 0.06)"
    ]


def test_a_location_counts_the_tensors_that_were_found():
    record = location()
    names = {x.name_b for x in record.tensors if x.relation in ("equal", "close")}
    assert f"{len(names)} of {record.n_tensors_b} tensors found" in repr(record)
    twice = replace(record, tensors=(*record.tensors, *record.tensors))
    assert repr(twice) == repr(record)
