"""Claim: the drawing says who was made from whom and how sure that is, whatever names say."""

from dataclasses import replace
from itertools import pairwise

import pytest

from tests import families
from weightkin.errors import UsageError
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyNode, RunnerUp
from weightkin.report.explain import explain
from weightkin.report.tree import family_lines

HOSTILE = [
    "a\nb",
    "\x1b[2Jboo",
    "safe\u202egpj.exe",
    "\u2066isolated\u2069",
    "tab\tand\rreturn",
    "line\u2028separator",
    "lone\ud800surrogate",
    "zero\u200bwidth",
]


def drawing(graph, **more):
    return "\n".join(family_lines(graph, **more))


def test_the_whole_drawing_has_how_each_was_made_and_what_is_open():
    assert drawing(families.small()).splitlines()[2:12] == [
        "base-b",
        "(unobserved ancestor)",
        "├─▶ base-a = models/base-a-copy   fine-tuned",
        "│   └─▶ ft                        fine-tuned",
        "│       ├─▶ ft-int4               quantised (4 bits)",
        "│       └─▶ mix                   merged, weight 0.60",
        "│             + also from base-b  merged, weight 0.40",
        "└── loose                         fine-tuned, direction undetermined",
        "",
        "stranger",
    ]


def test_the_full_drawing_has_the_figures_of_every_edge():
    lines = drawing(families.small(), is_full=True).splitlines()[4:10]
    assert [x[x.index("  ", 24) :].strip() if "  " in x[24:] else x for x in lines] == [
        "fine-tuned, p <= 1e-431, overall distance 0.4, direction 0.90",
        "fine-tuned, p <= 1e-431, overall distance 0.125, direction 0.97, support 0.90",
        "quantised (4 bits), p <= 1e-431, overall distance 0.05, direction >0.99",
        "merged, weight 0.60, p <= 1e-431, overall distance 0.2, direction 0.99, support 0.80",
        "merged, weight 0.40, p <= 1e-431, overall distance 0.3, direction 0.99, support 0.80",
        "fine-tuned, p <= 1e-30, overall distance 0.5, direction undetermined (0.60)",
    ]


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("is_unicode", [True, False])
def test_no_line_of_the_drawing_is_longer_than_the_terminal(width, is_full, is_unicode):
    names = [f"{'long-name-' * (k % 9)}{k}" for k in range(60)]
    chain = [FamilyEdge(parent=a, child=b) for a, b in pairwise(names)]
    deep = families.graph([FamilyNode(id=x, name=x) for x in names], chain)
    for graph in (deep, families.small(), families.placed()):
        lines = family_lines(graph, is_unicode=is_unicode, width=width, is_full=is_full)
        drawn = lines[1 : len(lines) - lines[::-1].index("")]  # without the notes
        assert max(map(len, drawn)) <= width


def test_the_sentence_comes_first_and_what_was_skipped_is_said():
    lines = family_lines(families.small())
    assert lines[0] == families.small().sentence
    assert "  skipped  models/broken: no tensors" in lines
    assert not any("no exact test" in line for line in lines)


def test_an_edge_that_no_exact_test_proves_says_so_in_place_of_a_pvalue():
    graph = families.small()
    for evidence, words in (
        ((), "not shown to be related"),
        ((clue("compared", summary={"basis": "calibrated"}),), "calibrated evidence"),
    ):
        edges = tuple(replace(x, log10_pvalue=0.0, evidence=evidence) for x in graph.edges)
        lines = family_lines(replace(graph, edges=edges), is_full=True)
        assert sum(f", {words}, overall distance" in line for line in lines) == len(edges)
        short = family_lines(replace(graph, edges=edges))
        assert sum(f", {words}" in line for line in short) == len(edges)


def test_plain_characters_draw_the_same_tree():
    plain, unicode = (family_lines(families.small(), is_unicode=x) for x in (False, True))
    assert "\n".join(plain).isascii()
    assert len(plain) == len(unicode)
    assert any(line.startswith("|-> base-a") for line in plain)


def test_plain_characters_spell_out_names_too():
    assert "caf\\xe9" in drawing(families.named("café"), is_unicode=False)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("is_unicode", [True, False])
def test_hostile_names_cannot_move_anything(name, is_unicode):
    graph = families.named(name)
    lines = [*family_lines(graph, is_unicode=is_unicode), *explain(graph, name)]
    assert all(line.isprintable() for line in lines)
    full = family_lines(graph, is_full=True)
    assert sum("base" in line for line in full) == 2  # the root, the unproven edge


def test_markup_in_names_is_text():
    assert "[red]model[/red]" in drawing(families.named("[red]model[/red]"))


def test_long_names_are_cut():
    line = next(x for x in family_lines(families.named("m" * 500)) if "mmm" in x)
    assert "m" * 59 + "…" in line
    assert "m" * 60 not in line


def test_unproven_edges_are_named():
    said = "no exact test reached alpha on 1 of 1 edges: base ── x (p = 1.00); see --explain"
    assert said in drawing(families.named("x"), is_full=True)
    assert "  possibly derived from base: fine-tuned" in explain(families.named("x"), "x")
    names = [f"m{i}" for i in range(10)]
    chain = [FamilyEdge(parent=a, child=b) for a, b in zip(names, names[1:], strict=False)]
    graph = families.graph([FamilyNode(id=x, name=x) for x in names], chain)
    assert "m5 ── m6 (p = 1.00); 3 more; see --explain" in drawing(graph, is_full=True)


def test_every_disguise_of_a_hidden_copy_is_told():
    nodes = [FamilyNode(id=x, name=x) for x in ("base", "x")]
    edge = FamilyEdge(
        parent="base", child="x", kind="rotated", kind_details={"also": ["permuted", "signs\n"]}
    )
    assert "x  rotated and permuted and signs\\n, not shown to be related" in drawing(
        families.graph(nodes, [edge])
    )


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("log-odds", "1.6 times less probable"),
        ("distance", "farther by 0.5 of the norm"),
        ("new\n", "worse by 0.5"),
    ],
)
def test_what_the_second_parent_is_behind_in_is_said(unit, words):
    nodes = [FamilyNode(id=x, name=x) for x in "abc"]
    second = RunnerUp(parent="c", behind=0.5, unit=unit)
    graph = families.graph(nodes, [FamilyEdge(parent="a", child="b", runner_up=second)])
    assert f"    runner-up  c ({words})" in explain(graph, "b")


def test_deep_chains_and_wide_families_are_drawn():
    names = [f"m{i}" for i in range(1500)]
    chain = [FamilyEdge(parent=a, child=b) for a, b in zip(names, names[1:], strict=False)]
    nodes = [FamilyNode(id=x, name=x) for x in names]
    assert sum("m" in line for line in family_lines(families.graph(nodes, chain))) >= 1500
    star = [FamilyEdge(parent="m0", child=x) for x in names[1:]]
    assert sum("─ m" in line for line in family_lines(families.graph(nodes, star))) == 1499


def test_strangers_are_lone_roots():
    nodes = [FamilyNode(id=x, name=x) for x in "ab"]
    lines = family_lines(families.graph(nodes, [], [("a",), ("b",)]))
    assert lines[:4] == ["2 models: no family, 2 without relatives", "", "a", "b"]


def test_no_models_make_no_lines_of_models():
    assert family_lines(families.graph([], [], []))[0] == "0 models: no family"


def test_explain_says_why_and_what_came_second():
    assert explain(families.small(), "ft") == [
        "ft",
        "",
        "  derived from base-a: fine-tuned",
        "    related    p <= 1e-431, overall distance 0.125",
        "    direction  determined (estimate 0.97)",
        "    support    the nearest model in 90 % of the resamples of the matrices",
        "    runner-up  base-b (worse by 0.31)",
        "",
        "  parent of ft-int4: quantised (4 bits)",
        "  parent of mix: merged",
    ]


def test_the_parent_has_its_probability_beside_who_else_it_may_be():
    lines = drawing(families.placed(), is_full=True).splitlines()
    drawn = [x for x in lines if "overall distance 0, " in x and " + also from " not in x]
    figures = {
        x.split()[1]: x.split("overall distance 0, ")[1].removesuffix(", support 0.00")
        for x in drawn
    }
    assert figures == {
        "old": "parent 0.85, direction >0.99",
        "cast": "parent 0.93 (or old 0.04, a model that is not here 0.03), direction 0.98",
        "tuned": "parent undetermined (0.41, tied with cast 0.40, or none of them 0.05,"
        " old 0.04, mix 0.03, 1 more), direction 0.60",
        "mix": "parent 0.95, direction 0.99",
        "copy": "parent undetermined (0.50, tied with old), direction 0.50",
    }
    assert "  no arrow head: the parent is undetermined; the most probable one is drawn" in lines
    short = {x.split()[1]: x for x in drawing(families.placed()).splitlines() if "─" in x}
    assert short["cast"].endswith("  cast")
    assert short["tuned"].endswith("fine-tuned, parent 0.41 (tied with cast 0.40)")


def test_explain_lists_every_candidate():
    lines = explain(families.placed(), "tuned")
    said = "tied with cast 0.40, or none of them 0.05, old 0.04, mix 0.03, copy 0.02"
    assert f"    others     {said}" in lines
    assert not any("runner-up" in line for line in lines)  # one list of who else it may be
    assert not any("others" in x for x in explain(families.placed(), "mix"))


def test_explain_finds_a_model_by_id_source_or_duplicate():
    graph = families.small()
    for name in ("base-a", "models/base-a", "models/base-a-copy"):
        assert explain(graph, name)[0] == "base-a = models/base-a-copy"
    assert "no parent found among" in explain(graph, "stranger")[1]
    merged = [line for line in explain(graph, "mix") if "derived from" in line]
    assert [line.split()[2] for line in merged] == ["ft:", "base-b:"]
    assert "(unobserved ancestor)" in explain(graph, "loose")[2]


def test_explain_names_what_is_near_an_unknown_name():
    with pytest.raises(UsageError, match="no model here is called 'ft-int8'; did you mean ft-int4"):
        explain(families.small(), "ft-int8")
    nodes = [FamilyNode(id=x, name="model") for x in "ab"]
    with pytest.raises(UsageError, match="'model' names 2 models: a, b"):
        explain(families.graph(nodes, []), "model")


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"bits": 4, "group": 64}, "(4 bits)"),
        ({"rank": 16}, "(rank 16)"),
        ({"share": 0.5}, "(share 0.5)"),
        ({"dtype": "bfloat16"}, "(bfloat16)"),
        ({"kept_layers": [0, 1, 3]}, "(3 blocks)"),
        ({"n_rows": 1234567}, "(1234567 rows)"),
        ({"method": "slerp\n"}, "(slerp\\n)"),
        ({"bits": None, "seed": 3}, "x  fine-tuned, not shown to be related"),
    ],
)
def test_a_kind_is_told_with_its_main_number(details, words):
    nodes = [FamilyNode(id=x, name=x) for x in ("base", "x")]
    edge = FamilyEdge(parent="base", child="x", kind="fine-tuned", kind_details=details)
    assert words in drawing(families.graph(nodes, [edge]))
