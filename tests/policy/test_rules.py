"""Claim: each rule of a policy is touched where it says, at the level it says, and nowhere else."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from weightkin import Policy, compare
from weightkin.formats.declared import Declared
from weightkin.policy.known import Known, placed
from weightkin.policy.named_models import Evidence
from weightkin.policy.naming import Unknown
from weightkin.policy.reach import LEAST_BYTES, LEAST_TESTED, PAID, Unreached, smallest
from weightkin.policy.reading import STRICTNESS
from weightkin.policy.rules import RuleContext
from weightkin.records import left_out, unread
from weightkin.records.checking import RULES, Ancestor, fingerprint
from weightkin.records.comparison import Summary
from weightkin.records.evidence import Test
from weightkin.records.registry import (
    DeclaredParent,
    Registered,
    Relative,
    Search,
    Step,
    Trace,
)

OWN = "wk1-own"
FAILED = left_out("x", "error", error="x: found nothing at this path")
COPY = ("identical",)


def summary(parent="undetermined", **more):
    facts = {"verdict": "dependent", "basis": "exact", "log10_pvalue": -100.0,
             "kind": ("fine-tuned",), "parent": parent, "probability": 0.9}  # fmt: skip
    return Summary(**{**facts, **more})


def evidence(number, parent="undetermined", *, name="", licence="mit", is_own=False, **more):
    """A model m1, m2 ... with its number; what else is given is of what was found."""
    other = Ancestor(name=name or f"m{number}", source=f"/m/m{number}", digest=f"wk1-{number}",
                     id=number, licence=licence)  # fmt: skip
    return Evidence(other=other, found=summary(parent, **more), is_own=is_own)


def unrelated(number, verdict="no-evidence", **more):
    return evidence(number, verdict=verdict, log10_pvalue=0.0, kind=(), **more)


def registered(number):
    return Registered(id=number, name=f"m{number}", source="", revision="", digest="",
                      full_digest="", added="")  # fmt: skip


def relative(number, **more):
    return Relative(model=registered(number), summary=summary(**more), cosine=1.0,
                    invariant_cosine=1.0)  # fmt: skip


def step(parent, child=0, **more):
    return Step(parent=f"m{parent}", child=f"m{child}", parent_id=parent, child_id=child, **more)


def search(**more):
    facts = {"name": "x", "source": "x", "digest": OWN, "n_scanned": 5, "n_compared": 2,
             "alpha": 1e-6, "paid_alpha": 1e-7, "relatives": ()}  # fmt: skip
    return Search(**{**facts, **more})


def context(
    *known,
    policy=None,
    by_name=None,
    families=None,
    declares=(),
    licence="mit",
    states=(),
    trace=True,
    **searched,
):
    """Rules with everything they look at; ``searched`` are fields of the search."""
    found = Trace(search=search(**searched), declared=states) if trace else None
    return RuleContext(
        policy=policy or Policy(),
        known=Known(
            declared=Declared(tuple(declares), licence),
            digest=OWN,
            by_name=by_name or {},
            candidate=None,
            trace=found,
            by_id={e.other.id: e for e in known},
        ),
        families=families or {},
        is_full=True,
    )


def told(findings):
    return [(x.rule, x.code, x.level, x.ancestor and x.ancestor.name) for x in findings]


def undeclared(code, name, level="error"):
    return ("undeclared-parent", code, level, name)


# undeclared: parents, copies and expected parents that nothing declares


@pytest.mark.parametrize(
    ("parent", "cap", "level"),
    [("a", "off", "error"), ("undetermined", "error", "error"),
     ("undetermined", "warning", "warning"), ("undetermined", "off", None),
     ("b", "warning", "warning")],
)  # fmt: skip
def test_a_parent_that_nothing_declares(parent, cap, level):
    policy = Policy(undetermined_direction=cap)
    rules = context(evidence(1, parent), policy=policy, parents=(step(1),))
    assert told(rules.undeclared()) == ([undeclared("not-declared", "m1", level)] if level else [])
    for name in ("m1", "org/M1", "/m/m1"):
        rules = context(evidence(1, parent), policy=policy, parents=(step(1),), declares=(name,))
        assert told(rules.undeclared()) == []


def test_a_parent_that_was_not_compared_is_none():
    assert told(context(parents=(step(1),)).undeclared()) == []


@pytest.mark.parametrize("trace", [True, False])
def test_an_expected_parent_that_nothing_declares(trace):
    policy = Policy(expected_parents=("m1",))

    def found(e, **more):
        return told(context(by_name={"m1": e}, policy=policy, trace=trace, **more).undeclared())

    for parent in ("a", "undetermined"):
        assert found(evidence(1, parent)) == [undeclared("not-declared", "m1")]
        assert found(evidence(1, parent), declares=("m1",)) == []
    assert found(evidence(1, "b")) == []  # it was made from this model
    assert found(unrelated(1)) == []
    assert found(unrelated(1, "aligned-only")) == []
    assert found(unrelated(1, "not-testable")) == []
    assert found(Unknown(FAILED)) == []


def test_a_copy_that_nothing_declares():
    rules = context(evidence(1, kind=COPY), evidence(2, kind=COPY, is_own=True))
    assert told(rules.undeclared()) == [undeclared("copy-not-declared", "m1")]
    assert told(context(evidence(1, kind=COPY), declares=("m1",)).undeclared()) == []
    assert told(context(unrelated(1)).undeclared()) == []
    rules = context(evidence(1, "a", kind=COPY), parents=(step(1),))
    assert told(rules.findings())[0] == undeclared("not-declared", "m1")  # once, not twice
    assert len([x for x in rules.findings() if x.rule == "undeclared-parent"]) == 1


def test_unknown_parents_are_asked_for_only_where_no_parent_is_known():
    far, near = evidence(1, log10_pvalue=-10.0), evidence(2, log10_pvalue=-20.0)
    assert told(context(far, near).undeclared()) == [undeclared("perhaps-child", "m2")]
    assert told(context(far, near, trace=False).undeclared()) == []
    assert told(context(far, near, declares=("m1",)).undeclared()) == []
    rules = context(far, near, declares=("m7",))  # of no relative
    assert told(rules.undeclared()) == [undeclared("perhaps-other-child", "m2")]
    rules = context(far, near, unrelated(3), declares=("m3",))
    assert told(rules.undeclared()) == [undeclared("perhaps-other-child", "m2")]
    rules = context(far, near, parents=(step(1),))
    assert told(rules.undeclared()) == [undeclared("not-declared", "m1")]


# relatives of a model none of whose parents is known


@pytest.mark.parametrize("cap", STRICTNESS)
def test_a_relative_of_a_model_that_is_not_registered_may_be_its_parent(cap):
    policy = Policy(undetermined_direction=cap)
    found = told(context(evidence(1, "b"), policy=policy).undeclared())
    assert found == ([] if cap == "off" else [undeclared("perhaps-child", "m1", cap)])


@pytest.mark.parametrize("cap", STRICTNESS)
def test_a_parent_shared_with_a_relative_and_not_registered(cap):
    policy = Policy(undetermined_direction=cap)  # changes nothing here
    near = evidence(1, log10_pvalue=-10.0), evidence(2, log10_pvalue=-20.0)
    for own in (None, registered(9)):
        parents = (step(0, direction="determined"),)
        rules = context(*near, policy=policy, parents=parents, registered=own)
        assert told(rules.undeclared()) == [undeclared("hidden-parent", "m2")]


@pytest.mark.parametrize("parent", [0, 3])
def test_a_parent_that_is_not_sure_is_no_parent_that_is_shared(parent):
    """One that is not here at 0.49, or one that is here and was not compared."""
    near = evidence(1, log10_pvalue=-10.0), evidence(2, log10_pvalue=-20.0)
    for direction in ("undetermined", "determined")[: 2 if parent else 1]:
        rules = context(*near, parents=(step(parent, direction=direction),))
        assert told(rules.undeclared()) == [undeclared("perhaps-child", "m2")]


def test_of_a_registered_model_only_open_children_may_be_parents():
    """What hangs below it with a known direction is none, nor what hangs elsewhere."""
    known = [evidence(1), evidence(2, "b"), evidence(3), evidence(4, "a"), unrelated(5)]
    children = tuple(step(9, number) for number in (1, 2, 4, 5))
    rules = context(*known, children=children, registered=registered(9))
    assert told(rules.undeclared()) == [undeclared("perhaps-child", "m1", "warning")]


def test_without_relatives_but_copies_nothing_is_asked():
    for known in ((), (unrelated(1),), (evidence(1, kind=COPY),)):
        assert not {x.code for x in context(*known).undeclared()} - {"copy-not-declared"}
    assert told(context(evidence(1), trace=False).undeclared()) == []


# stated: declared parents that the weights contradict, or that nobody could test


def state(value, code="compared", name="m1"):
    return DeclaredParent(name=name, state=value, code=code, summary=summary())


@pytest.mark.parametrize("value", ["confirmed", "undeclared"])
def test_what_is_confirmed_is_left_alone(value):
    rules = context(evidence(1), declares=("m1",), states=(state(value),))
    assert told(rules.stated()) == []


def test_a_declared_parent_that_the_registry_contradicts():
    rules = context(unrelated(1), declares=("m1",), states=(state("contradicted"),))
    assert told(rules.stated()) == [("contradicted-parent", "contradicted", "error", "m1")]
    (found,) = rules.stated()
    assert found.data == {"name": "m1", "declared": {"code": "compared"}}
    assert found.summary == unrelated(1).found
    for known in ((), (unrelated(2),)):
        rules = context(*known, declares=("m1",), states=(state("contradicted"),))
        assert told(rules.stated()) == []
    strict = Policy(calibrated="off", aligned_only="off")  # lower no contradiction
    for more in ({"basis": "calibrated"}, {"verdict": "aligned-only"}):
        e = evidence(1, **more)
        rules = context(e, policy=strict, declares=("m1",), states=(state("contradicted"),))
        assert [x.level for x in rules.stated()] == ["error"]


@pytest.mark.parametrize("states", [(), (state("unverifiable", "not-registered"),)])
@pytest.mark.parametrize(
    ("e", "is_told"),
    [(evidence(0, "a", name="m1"), False), (evidence(0, name="m1"), False),
     (evidence(0, "b", name="m1"), True), (unrelated(0, name="m1"), True),
     (unrelated(0, "aligned-only", name="m1"), True),
     (unrelated(0, "not-testable", name="m1"), False)],
)  # fmt: skip
def test_a_declared_parent_that_the_policy_names_too(states, e, is_told):
    rules = context(by_name={"#1": e, "gone": Unknown(FAILED)}, declares=("m1",), states=states)
    wanted = [("contradicted-parent", "contradicted", "error", "m1")] if is_told else []
    assert told(rules.stated()) == wanted


def test_a_declared_parent_that_nothing_was_compared_with():
    row = ("unverified-parent", "unverified", "error", "m1")
    open_ = (state("unverifiable", "not-registered"),)
    rules = context(declares=("m1",), states=open_)
    assert told(rules.stated()) == [row]
    (found,) = rules.stated()
    assert found.state == "unverifiable"
    assert found.data["declared"] == {"code": "not-registered"}
    assert found.summary == open_[0].summary
    for level, wanted in (("warning", [(*row[:2], "warning", "m1")]), ("off", [])):
        policy = Policy(levels={"unverified-parent": level})
        assert told(context(declares=("m1",), states=open_, policy=policy).stated()) == wanted


def test_without_a_registry_a_declared_parent_counts_only_where_the_policy_asks():
    row = ("unverified-parent", "unverified-no-registry", "error", "m1")
    asked = Policy(stated=frozenset(("unverified-parent",)))
    other = Policy(stated=frozenset(("unknown-origin",)))
    assert told(context(declares=("m1",), policy=asked, trace=False).stated()) == [row]
    for policy in (Policy(), other):
        assert told(context(declares=("m1",), policy=policy, trace=False).stated()) == []
    assert told(context(declares=("m1",)).stated()) == [row]  # a registry that says nothing of it


def test_every_declared_parent_is_judged_by_itself():
    states = (state("contradicted"), state("confirmed", name="m2"),
              state("unverifiable", "not-registered", name="m3"))  # fmt: skip
    rules = context(unrelated(1), evidence(2), declares=("m3", "m2", "m1"), states=states)
    assert [(x.rule, x.ancestor.name) for x in rules.stated()] == [
        ("unverified-parent", "m3"),
        ("contradicted-parent", "m1"),
    ]


# forbidden, expected, not testable


def test_a_forbidden_ancestor():
    policy = Policy(forbidden_ancestors=("x",))

    def found(e, **more):
        more.setdefault("policy", policy)
        return [(x.code, x.level) for x in context(by_name={"x": e}, **more).forbidden()]

    for parent in ("a", "b", "undetermined"):
        assert found(evidence(1, parent)) == [("forbidden", "error")]
    assert found(evidence(1, is_own=True)) == [("forbidden-itself", "error")]
    assert found(unrelated(1, "aligned-only")) == [("forbidden", "warning")]
    for e in (unrelated(1), unrelated(1, "not-testable"), Unknown(FAILED)):
        assert found(e) == []
    assert found(evidence(1), policy=Policy()) == []


@pytest.mark.parametrize(("rule", "kind", "cap"), list(product(STRICTNESS, repeat=3)))
def test_the_lowest_level_counts(rule, kind, cap):
    """Of the rule, of the kind of evidence and of the finding; a contradiction has no caps."""
    levels = {"forbidden-ancestor": rule, "missing-parent": rule}
    policy = Policy(forbidden_ancestors=("x",), levels=levels, calibrated=kind, aligned_only=cap)
    lowest = min(rule, kind, key=STRICTNESS.index)
    e = evidence(1, basis="calibrated")
    found = [x.level for x in context(by_name={"x": e}, policy=policy).forbidden()]
    assert found == ([] if lowest == "off" else [lowest])
    lowest = min(rule, cap, key=STRICTNESS.index)
    e = evidence(1, verdict="aligned-only")
    found = [x.level for x in context(by_name={"x": e}, policy=policy).forbidden()]
    assert found == ([] if lowest == "off" else [lowest])
    expects = replace(policy, expected_parents=("x",))
    found = [x.level for x in context(by_name={"x": e}, policy=expects).missing()]
    assert found == ([] if rule == "off" else [rule])


def test_a_forbidden_family_is_that_of_its_members():
    near = [evidence(1, log10_pvalue=-9.0), evidence(2), evidence(3, log10_pvalue=-500.0)]
    rules = context(*near, unrelated(4), families={"f": {1, 2, 4}, "g": {4}})
    assert told(rules.forbidden()) == [("forbidden-family", "in-forbidden-family", "error", "m2")]
    assert next(rules.forbidden()).data == {"family": "f"}


@pytest.mark.parametrize(
    ("e", "wanted"),
    [(evidence(1, "a"), []), (evidence(1), []),
     (evidence(1, "b"), [("expected-is-child", "error")]),
     (evidence(1, "b", basis="calibrated"), [("expected-is-child", "warning")]),
     (evidence(1, basis="calibrated"), [("expected-calibrated", "warning")]),
     (unrelated(1), [("expected-not-shown", "error")]),
     (unrelated(1, "aligned-only"), [("expected-not-shown", "error")]),
     (unrelated(1, "not-testable"), []), (Unknown(FAILED), [])],
)  # fmt: skip
def test_an_expected_parent_that_the_weights_do_not_show(e, wanted):
    policy = Policy(expected_parents=("x", "y"))
    found = context(by_name={"x": e}, policy=policy).missing()
    assert [(x.code, x.level) for x in found] == wanted


@pytest.mark.parametrize(
    ("e", "code", "other"),
    [(Unknown(FAILED), "named-unread", "x"),
     (Unknown(left_out("x", "not-registered", registry="")), "named-unknown", "x"),
     (replace(unrelated(1), missing=FAILED), "named-unknown", "m1"),
     (replace(evidence(1), missing=FAILED), "named-unknown", "m1"),
     (unrelated(1, "not-testable"), "named-not-testable", "m1"),
     (unrelated(1, "not-testable", reason=left_out("", "no-axis")), "named-not-testable", "m1"),
     (unrelated(1, "not-testable", reason=unread("x", "y")), "named-not-testable", "m1"),
     (unrelated(1, "not-testable", reason=FAILED), "named-unread", "m1"),
     (replace(unrelated(1), lacking=FAILED), "named-tested-little", "m1"),
     (unrelated(1), None, ""), (evidence(1), None, "")],
)  # fmt: skip
def test_what_could_not_be_tested_is_open(e, code, other):
    policy = Policy(forbidden_ancestors=("x",))
    found = list(context(by_name={"x": e}, policy=policy).unverifiable())
    assert told(found) == ([("unverifiable", code, "error", other)] if code else [])
    assert all(x.state == "unverifiable" for x in found)


def test_tests_that_reach_little_count_for_what_is_forbidden_alone():
    e = replace(unrelated(1), lacking=FAILED)
    for policy, n in (
        (Policy(forbidden_ancestors=("x",)), 1),
        (Policy(forbidden_families=("x",)), 1),
        (Policy(expected_parents=("x",)), 0),
    ):
        assert len(list(context(by_name={"x": e}, policy=policy).unverifiable())) == n


def test_a_family_with_members_that_could_not_be_tested():
    known = [unrelated(1), *(unrelated(i, "not-testable") for i in (2, 3, 4)), evidence(5)]
    rules = context(*known, families={"f": {1, 2, 3, 5}, "g": {1, 5}})
    (found,) = rules.unverifiable()
    assert told([found]) == [("unverifiable", "family-not-testable", "error", "m2")]
    assert found.data == {"family": "f", "n": 2}


def test_a_search_that_could_test_nothing_is_open():
    lost = relative(1, verdict="not-testable", reason=left_out("", "no-axis"))
    related = relative(2)
    why = left_out("", "no-unit")
    for found, n, n_scanned in (
        ({"not_testable": why}, 5, 5),
        ({"not_testable": why, "registered": registered(9)}, 4, 5),
        ({"others": (lost,) * 2}, 2, 2),
    ):
        (finding,) = context(**found, n_scanned=n_scanned).unverifiable()
        assert told([finding]) == [("unverifiable", "search-not-testable", "error", "registry")]
        assert finding.data["n"] == n
        assert finding.data["reason"]["code"] == ("no-unit" if "not_testable" in found else
                                                  "no-axis")  # fmt: skip
        assert (
            told(context(**found, n_scanned=n_scanned, relatives=(related,)).unverifiable()) == []
        )
    assert told(context(others=(lost,) * 2, n_scanned=3).unverifiable()) == []
    (finding,) = context(skipped=(FAILED,)).unverifiable()
    assert told([finding]) == [("unverifiable", "registered-left-out", "error", "x")]


# ancestors, licences, origin


def names(rules):
    return [e.other.name for e in rules.ancestors]


def test_ancestors_are_parents_copies_and_named_relatives():
    known = [evidence(i) for i in range(1, 8)] + [evidence(8, kind=COPY), unrelated(9)]
    rules = context(*known, parents=(step(3),), path=(step(3), step(1), step(99)))
    assert names(rules) == ["m3", "m1", "m8"]
    assert names(context(*known, declares=("m5", "m9"))) == ["m8", "m5"]
    assert names(context(evidence(1, "b"), declares=("m1",))) == []
    policy = Policy(expected_parents=("x", "y"))
    by_name = {"x": evidence(0, name="far"), "y": unrelated(0, name="else")}
    assert names(context(by_name=by_name, policy=policy, trace=False)) == ["far"]
    assert names(context(evidence(1, kind=COPY, is_own=True))) == []


@pytest.mark.parametrize(
    ("own", "theirs", "wanted"),
    [("mit", "mit", []),
     ("mit", "gpl-3.0", [("looser-licence", "licence-looser", "error", "m1")]),
     ("gpl-3.0", "mit", []),
     ("", "mit", [("unknown-licence", "licence-missing", "warning", None)]),
     ("odd", "mit", [("unknown-licence", "licence-unknown", "warning", None)]),
     ("mit", "", [("unknown-licence", "ancestor-licence-missing", "warning", "m1")]),
     ("mit", "odd", [("unknown-licence", "ancestor-licence-unknown", "warning", "m1")])],
)  # fmt: skip
def test_licences_are_compared_with_those_of_ancestors(own, theirs, wanted):
    rules = context(evidence(1, "a", licence=theirs), licence=own, parents=(step(1),))
    assert told(rules.licences()) == wanted
    assert told(context(evidence(1, licence=theirs), licence=own).licences()) == []


@pytest.mark.parametrize("cap", STRICTNESS)
def test_a_looser_licence_where_it_is_open_who_came_first(cap):
    policy = Policy(undetermined_direction=cap)
    for parent, level in (("a", "error"), ("undetermined", cap)):
        e = evidence(1, parent, licence="cc-by-nc-4.0")
        rules = context(e, policy=policy, parents=(step(1),))
        found = [(x.level, x.data) for x in rules.licences()]
        data = {"licence": "mit", "licence_class": "permissive",
                "ancestor_licence": "cc-by-nc-4.0", "ancestor_class": "non-commercial"}  # fmt: skip
        assert found == ([] if level == "off" else [(level, data)])


def test_an_unknown_origin_counts_the_models_that_were_tested():
    lost = relative(1, verdict="not-testable")
    row = ("unknown-origin", "no-relatives", "warning", None)
    for more, n in (({}, 5), ({"others": (lost,)}, 4), ({"registered": registered(9)}, 4)):
        rules = context(**more)
        assert told(rules.origin()) == [row]
        assert next(rules.origin()).data == {"n": n}
    for more in ({"relatives": (relative(1),)}, {"not_testable": FAILED}, {"declares": ("y",)},
                 {"trace": False}):  # fmt: skip
        assert told(context(**more).origin()) == []
    assert told(context(policy=Policy(levels={"unknown-origin": "off"})).origin()) == []


def test_findings_are_each_told_once_errors_first_in_the_order_of_the_rules():
    policy = Policy(forbidden_ancestors=("x", "y"), expected_parents=("x",))
    by_name = {"x": evidence(1, "b"), "y": evidence(1, "b")}
    known = [evidence(2, "a", licence="")]
    rules = context(*known, policy=policy, by_name=by_name, parents=(step(2),))
    found = rules.findings()
    assert [(x.rule, x.level) for x in found] == [
        ("forbidden-ancestor", "error"),
        ("missing-parent", "error"),
        ("undeclared-parent", "error"),
        ("unknown-licence", "warning"),
    ]
    assert found[0].fingerprint == fingerprint("forbidden-ancestor", OWN, "wk1-1")
    assert {x.rule for x in replace(rules, is_full=False).findings()} == {
        "forbidden-ancestor",
        "missing-parent",
    }
    by_name = {"x": evidence(0, "b", name="far")}
    e = replace(by_name["x"], other=Ancestor(name="far"))
    (found,) = context(policy=policy, by_name={"x": e}).forbidden()
    assert found.fingerprint == fingerprint("forbidden-ancestor", OWN, "far")
    assert set(RULES) >= {x.rule for x in rules.findings()}


# where a trace places a model, and what tests could have shown


SURE, OPEN = {"direction": "determined"}, {"direction": "undetermined"}


@pytest.mark.parametrize(
    ("around", "parent", "kind"),
    [({}, "undetermined", ("fine-tuned",)),
     ({"parents": (step(1, kind="noise", **SURE),)}, "a", ("noise",)),
     ({"parents": (step(1, kind="noise", **OPEN),)}, "undetermined", ("noise",)),
     ({"path": (step(2, **SURE), step(1, 2, **SURE))}, "a", ("fine-tuned",)),
     ({"path": (step(2, **OPEN), step(1, 2, **SURE))}, "undetermined", ("fine-tuned",)),
     ({"path": (step(2, **SURE), step(1, 2, **OPEN))}, "undetermined", ("fine-tuned",)),
     ({"children": (step(9, 1, **SURE),)}, "b", ("fine-tuned",)),
     ({"children": (step(9, 1, **OPEN),)}, "undetermined", ("fine-tuned",)),
     ({"children": (step(9, 2, **SURE),)}, "undetermined", ("fine-tuned",))],
)  # fmt: skip
def test_the_trace_says_which_came_first(around, parent, kind):
    found = placed(relative(1, parent="b"), Trace(search=search(**around)))
    assert (found.parent, found.kind) == (parent, kind)


@pytest.mark.parametrize(
    ("change", "code"),
    [({}, None),
     ({"log10_pvalue": math.log10(1e-6)}, None), ({"log10_pvalue": -5.99}, "out-of-reach"),
     ({"share": LEAST_TESTED}, None), ({"share": LEAST_TESTED - 1e-9}, "tests-reach-little"),
     ({"hidden": 500}, None), ({"hidden": 501}, "untested-could-hold")],
)  # fmt: skip
def test_no_evidence_needs_tests_that_could_have_found_it(change, code):
    assert LEAST_BYTES == 0.5
    facts = {"hidden": 0, "share": 1.0, "of_other": 1000, "log10_pvalue": -50.0}
    found = Unreached(**{**facts, **change}).lacking(1e-6)
    assert (found and found.code) == code


def test_units_that_move_in_cells_alone_reach_less():
    """Sixteen units in any order, in cells of four, or by their signs."""
    test = Test(
        name="coincidences", axis="units", trusts="either", block_a="graph.0", block_b="graph.0",
        n_units=16, statistic=1.0, log10_pvalue=0.0, null="bound",
    )  # fmt: skip
    record = compare(*[{"w": np.ones((2, 2), np.float32)}] * 2)
    record = replace(record, tests=(test,))
    whole = PAID - math.lgamma(17) / math.log(10)
    assert smallest(record, {}) == pytest.approx(whole)
    cells = PAID - 4 * math.lgamma(5) / math.log(10)
    assert smallest(record, {("graph.0", "units"): 4}) == pytest.approx(cells)
    assert smallest(record, {("graph.1", "units"): 4}) == pytest.approx(whole)
