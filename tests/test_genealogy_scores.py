"""Scores of random families, by examples made by hand: claims, calibration, sets of parents."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.lib import claim
from benchmarks.lib.calibration import (
    brier_score,
    calibration_error,
    chance_error,
    share_interval,
)
from benchmarks.lib.genealogy_nodes import Nodes
from benchmarks.lib.genealogy_scores import score
from benchmarks.lib.spanning_tree import spanning_edges
from zoo.genealogies.kept import Kept, KeptFamily

from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode

genealogies = claim("genealogies")
mixed = claim("mixed")


def member(*parents, op="fine-tune", hidden=False, order=None):
    said = {"op": op} | ({"order": order} if order is not None else {})
    return {
        "parents": [{"name": u, "weight": 1 / len(parents)} for u in parents],
        "operations": [said],
        "depth": len(parents),
        "decoy": "",
        "hidden": hidden,
        "equal": op == "copy",
    }


TRUTH = {
    "seed": 1,
    "net": "llama",
    "members": {
        "m00": member(op="base"),
        "m01": member("m00", hidden=True),
        "m02": member("m01", order=7),  # its nearest member above is m00
        "m03": member("m01", order=7),
        "m04": member("m03", op="copy"),
        "m05": member("m02", "m03", op="merge"),
        "m06": member("m02", op="prune"),
        "m07": member(op="base"),
    },
}
SAME = [["m03", "m04"]]


def answer(*edges):
    return {
        "seed": 1,
        "same": SAME,
        "edges": [[u, v, "unknown", d, p, 1.0, None] for u, v, d, p in edges],
    }


def sure(parent, child, probability, *possible, direction=0.5):
    """An edge with the probability of its parent, and the set of possible ones."""
    parents = [[name, 0.5] for name in possible]
    return [parent, child, "unknown", False, direction, 1.0, None, probability, parents]


def test_truth_is_contracted_over_hidden_members_and_copies():
    nodes = Nodes(TRUTH, SAME)
    assert nodes.parents == {
        "m00": set(),
        "m02": {"m00"},
        "m03": {"m00"},
        "m05": {"m02", "m03"},
        "m06": {"m02"},
        "m07": set(),
    }
    assert nodes.drifts("m02")
    assert not nodes.drifts("m06")
    assert not nodes.stratum("m02").complete
    assert nodes.stratum("m06").complete


def test_a_copy_stands_for_the_model_that_it_equals_also_where_that_is_left_out():
    """Who says that a fine-tune was made from the renamed copy of its base is right."""
    members = {
        "m00": member(op="base", hidden=True),
        "m01": member("m00", op="copy", hidden=True),
        "m02": member("m01", op="copy"),
        "m03": member("m00", order=7),
        "m04": member("m03", hidden=True, order=8),
        "m05": member("m04", op="copy"),
        "m06": member("m04", op="prune"),
    }
    nodes = Nodes({**TRUTH, "members": members}, [])
    above = {"m02": set(), "m03": {"m02"}, "m05": {"m03"}, "m06": {"m05"}}
    assert nodes.parents == above
    assert nodes.true_parents("m02") == {"root"}
    assert [nodes.stratum(x).kind for x in above] == ["base", "fine-tune", "fine-tune", "prune"]
    assert all(nodes.stratum(x).complete for x in above)


def test_edges_are_right_open_or_wrong():
    found = score(
        TRUTH,
        answer(
            ("m00", "m02", True, 0.95),  # right, over the hidden one
            ("m02", "m04", True, 0.9),  # wrong: a sibling, by its copy
            ("m02", "m05", False, 0.6),  # open
            ("unobserved-1", "m06", True, 0.99),  # open: nobody is named
            ("m00", "m07", True, 0.85),  # a root that is given a parent
        ),
    )
    outcomes = {(e.parent, e.child): e.outcome for e in found.edges}
    assert outcomes == {
        ("m00", "m02"): "right",
        ("m00", "m03"): "wrong",
        ("m02", "m05"): "open",
        ("m03", "m05"): "open",
        ("m02", "m06"): "open",
    }
    assert [e.said for e in found.edges if e.outcome == "wrong"] == ["a sibling"]
    assert (found.n_roots, found.n_roots_wrong) == (2, 1)
    assert [(s.probability, s.right) for s in found.stated] == [
        (0.95, True),
        (0.9, False),
        (0.6, True),
        (0.85, False),
    ]


def test_an_edge_the_other_way_round_is_wrong_and_a_grandparent_too():
    found = score(TRUTH, answer(("m06", "m02", True, 0.9), ("m00", "m05", True, 0.9)))
    said = {(e.parent, e.child): (e.outcome, e.said) for e in found.edges}
    assert said["m02", "m06"] == ("wrong", "its child")
    assert said["m00", "m02"] == ("wrong", "a descendant")
    assert said["m02", "m05"] == ("wrong", "an ancestor farther up")


def test_a_recipe_that_claims_all_is_judged_on_all():
    found = score(TRUTH, answer(("m00", "m02", False, 0.5)), claims_all=True)
    assert {e.outcome for e in found.edges if e.child == "m02"} == {"right"}


def test_what_is_claimed_follows_from_the_probability_of_the_parent():
    edges = [sure("m00", "m02", 0.8), sure("m02", "m03", 0.79), sure("m02", "m06", 0.95)]
    found = score(TRUTH, {"same": SAME, "edges": edges})
    outcomes = Counter(e.outcome for e in found.edges)
    assert outcomes == {"right": 2, "open": 3}
    assert [(s.probability, s.claimed, s.right) for s in found.stated] == [
        (0.8, True, True),
        (0.79, False, False),
        (0.95, True, True),
    ]


def test_edges_the_other_way_round_are_reversed_at_any_number_of_steps():
    edges = [
        sure("m06", "m00", 0.95, direction=0.97),  # a grandchild
        sure("m00", "m06", 0.3, direction=0.6),  # a grandparent
        sure("m02", "m03", 0.5, direction=0.9),  # siblings: neither way is right
        sure("unobserved-1", "m07", 0.9),
    ]
    found = score(TRUTH, {"same": SAME, "edges": edges}).stated
    assert [s.reversed_ for s in found] == [True, False, False, False]
    assert [s.is_line for s in found] == [True, True, False, False]
    assert [s.observed for s in found] == [True, True, True, False]


def test_a_member_on_top_is_a_root_or_made_from_what_is_not_here():
    nodes = Nodes(TRUTH, SAME)
    assert nodes.true_parents("m02") == {"m00"}
    assert nodes.true_parents("m00") == nodes.true_parents("m07") == {"root"}
    hidden = changed("m00", hidden=True)
    nodes = Nodes(hidden, SAME)
    assert nodes.true_parents("m02") == nodes.true_parents("m03") == {"unobserved"}
    hidden["members"] |= {u: hidden["members"][u] | {"hidden": True} for u in ("m03", "m04", "m05")}
    assert Nodes(hidden, []).true_parents("m02") == {"unobserved", "root"}  # the only one left
    twin = Nodes(changed("m07", decoy="twin"), SAME)
    assert twin.true_parents("m07") == twin.true_parents("m00") == {"unobserved", "root"}


def changed(name, **fields):
    members = dict(TRUTH["members"])
    members[name] = members[name] | fields
    return TRUTH | {"members": members}


def test_sets_are_covered_by_any_true_parent_and_tops_without_an_edge_state_root():
    edges = [
        sure("m00", "m02", 0.6, "m00", "unobserved"),
        sure("m02", "m04", 0.6, "m02", "m05"),
        sure("m02", "m05", 0.7, "m02", "m04"),
        sure("m04", "m05", 0.7, "m02", "m04"),
        sure("m02", "m06", 0.9, "m00"),
        sure("m03", "m04", 1.0, "m03"),  # its own copy: says nothing
    ]
    found = score(TRUTH, {"same": SAME, "edges": edges}).sets
    assert sorted((s.covered, s.size, s.unobserved, s.root) for s in found) == [
        (False, 1, False, False),  # m06
        (True, 1, False, True),  # m00, which no edge leads to
        (True, 2, False, False),  # m05
        (True, 2, True, False),  # m02
    ]
    assert score(TRUTH, answer(("m00", "m02", True, 0.9))).sets == ()


def test_the_calibration_error_is_how_far_bins_are_off_by_their_size():
    stated = [0.95] * 10 + [0.2] * 30
    right = [True] * 9 + [False] + [True] * 12 + [False] * 18
    assert calibration_error(stated, right) == pytest.approx((10 * 0.05 + 30 * 0.2) / 40)
    assert calibration_error([1.0, 0.0], [True, False]) == 0
    assert brier_score([0.9, 0.2], [True, True]) == pytest.approx((0.01 + 0.64) / 2)


def test_the_calibration_error_of_chance_is_what_coins_of_the_stated_shares_leave():
    assert chance_error([]) == chance_error([0.0, 1.0]) == 0.0
    each = [abs(0.75 - k / 2) * [1, 6, 9][k] / 16 for k in range(3)]  # two of 0.75, enumerated
    assert chance_error([0.75, 0.75]) == pytest.approx(sum(each), abs=0.02)
    assert chance_error([0.5] * 100) == pytest.approx(0.05 * 0.798, abs=0.005)  # of a normal


def test_an_interval_over_families_is_as_wide_as_families_differ():
    alike, apart = share_interval([9] * 50, [10] * 50), share_interval([10, 0] * 25, [10] * 50)
    assert alike == (0.9, 0.9)
    assert share_interval([0, 9, 0], [0, 10, 0]) == (0.9, 0.9)  # only those that have any
    low, high = apart
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / 50**0.5, abs=0.03)
    assert high == pytest.approx(0.5 + 1.96 * 0.5 / 50**0.5, abs=0.03)


def test_strata_hold_everything_once_and_small_ones_are_together():
    one = Nodes(TRUTH, SAME).stratum("m02")
    strata = (
        [one] * 25 + [replace(one, kind="merge")] * 21 + [replace(one, kind=f"k{k}") for k in "abc"]
    )
    found = {
        name: sum(map(inside, strata)) for name, inside in genealogies.strata("made by", strata)
    }
    assert found == {"fine-tune": 25, "merge": 21, "any other": 3}


def test_the_spanning_tree_leads_away_from_the_root_it_is_told(rng):
    def near(x):
        return (x + 0.1 * rng.normal(size=x.shape)).astype(np.float32)

    base = rng.normal(size=(8, 8)).astype(np.float32)
    child, stranger = near(base), near(base)
    values = {"m00": base, "m02": child, "m06": near(child), "m07": stranger}
    naming = dict.fromkeys(values, "") | {"m02": "strip", "m06": "module."}
    members = {u: TRUTH["members"][u] | {"naming": naming[u]} for u in values}
    members["m02"] = members["m02"] | {"parents": [{"name": "m00", "weight": 1.0}]}
    stored = {"": "model.w", "strip": "w", "module.": "module.model.w"}
    kept = {u: Kept({}, {stored[naming[u]]: x}) for u, x in values.items()}
    family = KeptFamily({"seed": 1, "members": members}, {}, kept)
    assert spanning_edges(family) == [("m00", "m02"), ("m02", "m06")]  # m07 is told to be apart


def test_a_mixed_folder_says_who_is_apart_and_which_families_are_joined():
    truth = changed("m07", decoy="twin") | {"net": "llama"}
    present = [u for u, m in truth["members"].items() if not m["hidden"]]
    family = KeptFamily(truth, {}, {u: Kept({}, {}) for u in present})
    other = KeptFamily(truth | {"seed": 2}, {}, family.members)
    key = {f"{s}-{u}": (s, u) for s in (1, 2) for u in present}
    names = [f"1-{u}" for u in present if u != "m06"], [f"2-{u}" for u in present if u != "m07"]

    def drawn(*components, duplicates=(), parent="1-m00", child="1-m02"):
        nodes = tuple(
            FamilyNode(id=x, duplicates=duplicates if x == "1-m03" else ())
            for component in components
            for x in component
        )
        edges = (FamilyEdge(parent=parent, child=child),)
        graph = FamilyGraph(
            nodes=nodes, edges=edges, components=components, alpha=0.1, method="weightkin"
        )
        run = mixed.Run(graph, 0, 1.0, 1.0, 1.0)
        rows = [line.split(" | ") for line in mixed.lines_of([family, other], key, run)[4:]]
        return {row[0].removeprefix("| "): row[1].removesuffix(" |") for row in rows}

    first = tuple(x for x in names[0] if x != "1-m04")
    found = drawn(first, ("1-m06",), tuple(names[1]), ("2-m07",), duplicates=("/x/1-m04",))
    assert found["models apart from most of their family"] == "1 (prune)"
    assert found["components that join families"] == "0"
    assert found["bases that are with another one from the same start"] == "1 of 2"
    assert found["edges between families"] == "0"
    found = drawn((*names[0], "1-m06", *names[1]), ("2-m07",), child="2-m00")
    assert found["models apart from most of their family"] == "0"
    assert found["components that join families"] == "1"
    assert found["edges between families"] == "1"
