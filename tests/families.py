"""Small family graphs, written by hand."""

from __future__ import annotations

import numpy as np

from weightkin.records import clue, unread
from weightkin.records.accounting import PossibleParent
from weightkin.records.family import NOT_HERE, FamilyEdge, FamilyGraph, FamilyNode, RunnerUp


def graph(nodes, edges, components=None, **more):
    """A graph with the required fields filled in; by default it is one component."""
    if components is None:
        components = [tuple(node.id for node in nodes)]
    return FamilyGraph(nodes=tuple(nodes), edges=tuple(edges), components=tuple(components),
                       alpha=1e-6, method="weightkin", **more)  # fmt: skip


def named(name):
    """Two models, the name of the child being hostile."""
    nodes = [FamilyNode(id="base", name="base"), FamilyNode(id=name, name=name, source=name)]
    edge = FamilyEdge(
        parent="base", child=name, kind="fine-tuned", evidence=(clue("text", text=name),)
    )
    return graph(nodes, [edge])


def small():
    """A base, its fine-tune, a quantised copy, a merge, an unobserved ancestor, a stranger."""
    names = ("base-a", "ft", "ft-int4", "base-b", "mix", "loose")
    nodes = [FamilyNode(id=x, name=x, source=f"models/{x}", digest=f"wk1-{x}") for x in names]
    nodes[0] = FamilyNode(id="base-a", name="base-a", source="models/base-a", digest="wk1-base-a",
                          duplicates=("models/base-a-copy",))  # fmt: skip
    nodes += [FamilyNode(id="ancestor-1", observed=False)]
    nodes += [FamilyNode(id="stranger", name="stranger", source="models/stranger")]
    sure = {"direction": "determined", "log10_pvalue": -431.2}
    far = clue("relative-distance", distance=0.125)
    edges = [
        FamilyEdge(parent="base-a", child="ft", kind="fine-tuned", direction_probability=0.97,
                   distance=0.125, support=0.9, evidence=(far,),
                   runner_up=RunnerUp(parent="base-b", behind=0.31), **sure),
        FamilyEdge(parent="ft", child="ft-int4", kind="quantised", kind_details={"bits": 4},
                   direction_probability=1.0, distance=0.05, support=1.0, **sure),
        FamilyEdge(parent="ft", child="mix", kind="merged", weight=0.6, support=0.8,
                   direction_probability=0.99, distance=0.2, **sure),
        FamilyEdge(parent="base-b", child="mix", kind="merged", weight=0.4, support=0.8,
                   direction_probability=0.99, distance=0.3, **sure),
        FamilyEdge(parent="ancestor-1", child="base-a", kind="fine-tuned", distance=0.4,
                   direction_probability=0.9, support=0.5, **sure),
        FamilyEdge(parent="ancestor-1", child="loose", kind="fine-tuned", distance=0.5,
                   direction_probability=0.6, log10_pvalue=-30.0, support=0.5),
    ]  # fmt: skip
    family = tuple(node.id for node in nodes[:-1])
    return graph(nodes, edges, [family, ("stranger",)],
                 skipped=(unread("models/broken", "no tensors"),), seconds=1.5,
                 bytes_read=5000, version="0.1.0")  # fmt: skip


def branching(n):
    """One family: every model hangs from an earlier one, every fifteenth from two."""
    rng = np.random.default_rng(20240607)
    edges = []
    for k in range(1, n):
        parents = rng.choice(max(1, k // 3), 2 if k % 15 == 0 else 1, replace=False)
        kind = "merged" if len(parents) > 1 else "fine-tuned"
        edges += [FamilyEdge(parent=f"model-{p}", child=f"model-{k}", kind=kind,
                             weight=1 / len(parents), direction="determined",
                             direction_probability=0.9) for p in parents]  # fmt: skip
    return graph([FamilyNode(id=f"model-{k}", name=f"model-{k}") for k in range(n)], edges)


def placed():
    """A family with probabilities of parents: sure, open, tied, of a merge, of an unseen model."""
    names = ("base", "old", "cast", "tuned", "mix", "copy")
    nodes = [FamilyNode(id=x, name=x) for x in names]
    nodes += [FamilyNode(id="unobserved-1", observed=False)]
    sure = {"direction": "determined", "log10_pvalue": -30.0}
    mixed = possible(base=0.95, cast=0.95)
    edges = [
        FamilyEdge(parent="unobserved-1", child="old", evidence=(clue("several-roots", n=2),),
                   direction_probability=1.0, parent_probability=0.85,
                   parents=possible(unobserved=0.85), **sure),
        FamilyEdge(parent="base", child="cast", kind="cast", direction_probability=0.98,
                   parent_probability=0.93, parents=possible(base=0.93, old=0.04, unobserved=0.03),
                   runner_up=RunnerUp(parent="old", behind=3.1, unit="log-odds"), **sure),
        FamilyEdge(parent="base", child="tuned", kind="fine-tuned", log10_pvalue=-30.0,
                   direction_probability=0.6, parent_probability=0.41,
                   parents=possible(base=0.41, cast=0.4, root=0.05, old=0.04, mix=0.03, copy=0.02),
                   runner_up=RunnerUp(parent="cast", behind=0.0, unit="log-odds")),
        FamilyEdge(parent="base", child="mix", kind="merged", weight=0.6, parents=mixed,
                   direction_probability=0.99, parent_probability=0.95, **sure),
        FamilyEdge(parent="cast", child="mix", kind="merged", weight=0.4, parents=mixed,
                   direction_probability=0.99, parent_probability=0.95, **sure),
        FamilyEdge(parent="base", child="copy", kind="permuted", log10_pvalue=-30.0,
                   direction_probability=0.5, parent_probability=0.5,
                   runner_up=RunnerUp(parent="old", behind=0.0, unit="log-odds")),
    ]  # fmt: skip
    return graph(nodes, edges, [("base", *names[2:]), ("unobserved-1", "old")])


def possible(**chances):
    """Candidates with their probabilities, in order."""
    return tuple(
        PossibleParent(parent=x, probability=p, observed=x not in NOT_HERE)
        for x, p in chances.items()
    )
