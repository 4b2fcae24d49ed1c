"""Claim: every ancestor of a model is found, through merges, adapters and declared parents."""

import pytest

from tests.families import graph
from tests.registry.test_standing import NAMES, edge, registered
from weightkin.records.family import FamilyNode
from weightkin.registry.ancestry import ancestry
from weightkin.registry.standing import Placing


def found(name, edges, hidden=(), **declared):
    """Ancestors of a model: number, steps, basis. Model 8 has the contents of model 1."""
    models = {k: registered(k, x, *declared.get(x, ())) for k, x in enumerate(NAMES, 1)}
    nodes = [FamilyNode(id=x, name=x, registered=(k,)) for k, x in enumerate(NAMES[:6], 1)]
    nodes += [FamilyNode(id=x, observed=False) for x in hidden]
    slots = {k: k for k in models} | {8: 1}
    placing = Placing(models=models, slots=slots, graph=graph(nodes, edges))
    above = ancestry(placing, placing.standings({}), NAMES.index(name) + 1)
    return [(x.id, x.steps, x.basis) for x in above]


CHAIN = [
    edge("base", "tuned", kind="lora"),
    edge("tuned", "mix", kind="merged", weight=0.5),
    edge("other", "mix", kind="merged", weight=0.5),
]


def test_all_parents_of_a_merge_and_what_is_above_them_are_ancestors():
    assert found("mix", CHAIN) == [
        (2, 1, "determined"), (4, 1, "determined"), (1, 2, "determined"), (8, 2, "copy"),
    ]  # fmt: skip
    assert found("base", CHAIN) == []


def test_an_ancestor_over_an_edge_that_is_open_is_called_so():
    edges = [edge("base", "tuned"), edge("tuned", "cast", "undetermined")]
    assert found("cast", edges) == [
        (2, 1, "undetermined"), (1, 2, "undetermined"), (8, 2, "copy"),
    ]  # fmt: skip
    edges += [edge("base", "cast", kind="merged", weight=0.5)]
    assert found("cast", edges)[0] == (1, 1, "determined")


def test_a_parent_that_is_not_shown_to_be_related_is_no_ancestor():
    drawn = edge("base", "other", "undetermined", "unknown", log10_p=0.0)
    assert found("other", [*CHAIN, drawn]) == []


def test_an_ancestor_that_is_not_here_is_one_without_a_number():
    edges = [edge("ancestor-1", "base"), edge("base", "tuned")]
    assert found("tuned", edges, hidden=("ancestor-1",))[-1] == (0, 2, "determined")


def test_an_adapter_has_the_ancestors_of_the_base_that_it_declares():
    assert found("new", CHAIN, new=("tuned",)) == [(2, 1, "declared"), (1, 2, "declared"),
                                                   (8, 2, "copy")]  # fmt: skip


@pytest.mark.parametrize("child", ["base", "alone"])
def test_a_declared_parent_that_is_contradicted_is_none(child):
    apart = [("base", "tuned", "cast", "other", "mix"), ("alone",)]
    models = {k: registered(k, x, *{child: ("mix",)}.get(x, ())) for k, x in enumerate(NAMES, 1)}
    nodes = [FamilyNode(id=x, name=x, registered=(k,)) for k, x in enumerate(NAMES[:6], 1)]
    placing = Placing(models=models, slots={k: k for k in models}, graph=graph(nodes, CHAIN, apart))
    assert ancestry(placing, placing.standings({}), NAMES.index(child) + 1) == []


def test_a_copy_has_the_model_it_declares_above_it():
    assert found("copy", CHAIN, copy=("base",)) == [(1, 1, "declared")]
