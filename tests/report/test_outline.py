"""Claim: a family is readable on paper: each model once, below its parent, its kind by a shape."""

import re

from tests import families
from tests.families import graph
from weightkin.records.family import FamilyEdge, FamilyNode
from weightkin.records.kinds import KINDS
from weightkin.report.html import page
from weightkin.report.html.environment import static_text
from weightkin.report.html.graph import graph_values
from weightkin.report.html.graph_model import DrawnEdge, DrawnNode, drawing, family_drawing
from weightkin.report.html.one_family import by_family, family_title, named_after
from weightkin.report.html.outline import MOST_LEVELS, MOST_LINES, MOST_SIBLINGS, outline
from weightkin.report.kind_groups import GLYPHS, GROUPS, glyph_path, group_of
from weightkin.web.familypage import DrawnFamily


def test_a_family_too_large_for_a_sheet_is_an_outline_there():
    nodes = [FamilyNode(id=f"m{i}", name=f"m{i}") for i in range(700)]
    edges = [FamilyEdge(parent="m0", child=f"m{i}") for i in range(1, 700)]
    text = page(families.graph(nodes, edges))
    listed = text[text.index('<ul class="outline">') :].split("</ul>")[0]
    assert listed.count("<li>") == 1 + MOST_SIBLINGS + 1
    assert f"{699 - MOST_SIBLINGS} more" in listed
    assert '<svg class="family"' not in text
    assert '<ul class="outline drawn">' in page(families.named("child"))


def test_an_outline_has_every_model_once_below_its_parent_and_names_further_ones():
    small, *alone = by_family(family_drawing(families.small()))
    assert [x.nodes[0].label for x in alone] == ["stranger"]
    lines = {x.node.label: x for x in outline(small)}
    assert len(lines) == len(small.nodes) == 7
    assert lines["ft"].words == "fine-tuned, 0.97"
    assert lines["mix"].words == "merged, 0.99; also from base-b: merged, 0.99"
    depth = {name: len(x.prefix) for name, x in lines.items()}
    assert depth["base-a"] < depth["ft"] < depth["mix"] == depth["ft-int4"]


def test_a_family_counts_copies_and_no_ancestor_that_is_not_here():
    small, *_ = by_family(family_drawing(families.small()))
    family = DrawnFamily(number=1, name="", title="", drawing=small, numbers=frozenset())
    assert family.n_models == len(small.nodes) == 7  # one more for a copy, one less


def test_a_family_is_called_after_a_model_that_somebody_has():
    small, *_ = by_family(family_drawing(families.small()))
    assert named_after(small).label == "base-a"  # the largest tree below the ancestor
    assert family_title(small) == (
        "Family of base-a and 6 others, whose common ancestor is not here"
    )
    (listed,) = graph_values(small)["families"]
    assert (listed["name"], listed["n"]) == ("base-a", 7)
    placed, *_ = by_family(family_drawing(families.placed()))
    assert family_title(placed) == "Family of base"
    two = [FamilyNode(id="ancestor-1", observed=False), *(FamilyNode(id=x, name=x) for x in "ab")]
    edges = [FamilyEdge(parent="ancestor-1", child=x) for x in "ab"]
    found, *_ = by_family(family_drawing(families.graph(two, edges)))
    assert family_title(found) == "Family of a and 1 other, whose common ancestor is not here"


def test_a_chain_without_end_is_cut_and_goes_no_further_in():
    nodes = [DrawnNode(id=str(i), label=str(i)) for i in range(2000)]
    made = {"kind": "cast", "label": "cast", "style": "inferred", "probability": 1.0}
    edges = [DrawnEdge(parent=str(i), child=str(i + 1), **made) for i in range(1999)]
    lines = outline(drawing(nodes, edges))
    assert len(lines) == MOST_LINES + 1
    assert max(len(x.prefix) for x in lines) == 3 * MOST_LEVELS


def test_every_kind_has_the_shape_of_its_group_and_every_group_a_colour():
    assert {group_of(kind) for kind in KINDS} == set(GROUPS) == set(GLYPHS)
    assert group_of("declared") == ""
    assert len({glyph_path(group, 0, 0) for group in GROUPS}) == len(GROUPS)
    sheet = static_text("style.css")
    colours = [re.findall(f"--kind-{group}: (#[0-9a-f]{{6}})", sheet) for group in GROUPS]
    assert [len(x) for x in colours] == [4] * len(GROUPS)  # light, dark twice, on paper
    text = page(families.small())
    assert all(f'class="glyph {group}"' in text for group in ("tuned", "converted", "merged"))


def test_an_edge_that_nothing_shows_says_so_in_the_outline_and_at_its_line():
    nodes = [FamilyNode(id=x, name=x) for x in "abc"]
    edges = [FamilyEdge(parent="a", child="b", log10_pvalue=0.0, parent_probability=0.48),
             FamilyEdge(parent="a", child="c", log10_pvalue=-40.0, kind="fine-tuned",
                        parent_probability=0.6)]  # fmt: skip
    drawn = family_drawing(graph(nodes, edges))
    words = {x.node.id: x.words for x in outline(drawn) if x.node}
    assert words["b"] == "unknown, 0.48 (undetermined), not shown to be related"
    assert words["c"] == "fine-tuned, 0.60 (undetermined)"
    assert [x.caption for x in drawn.edges] == ["not shown to be related", "fine-tuned"]
