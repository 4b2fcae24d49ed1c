"""A family graph that grows: one family is computed anew, and nothing else is looked at.

Search vectors name the models that may be related, a test says which are, and the whole family of
a newcomer is computed again with it. Where that is too large, only its nearest members are, without
any direction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from weightkin.lineage.collection import contents_of
from weightkin.lineage.groups import Groups
from weightkin.lineage.relatives import Relatives
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.sketch import Sketch


def with_part(
    graph: FamilyGraph, part: FamilyGraph, names: Collection[str], elsewhere: Collection[str] = ()
) -> FamilyGraph:
    """Put families that were computed anew into a graph, in place of those there.

    A hidden copy whose relation to the others nothing shows this time stays where it was.

    Parameters
    ----------
    graph : FamilyGraph
        All that is known.
    part : FamilyGraph
        Whole families of it, with what is new in them.
    names : collection of str
        What was to be computed: nodes of the part, their duplicates, and what could not be read.
    elsewhere : collection of str
        More names of nodes that are taken.

    Returns
    -------
    FamilyGraph
        Unobserved nodes of the part have names that no other node has.
    """
    new = {node.id for node in part.nodes if node.observed}
    old = {x for group in graph.components if new & set(group) for x in group}
    taken = ({node.id for node in graph.nodes} | set(elsewhere)) - old | new
    fresh = {node.id: _unused(node.id, taken) for node in part.nodes if not node.observed}
    part = _renamed(part, fresh)
    alone = {group[0] for group in part.components if len(group) == 1}
    stay = [e for e in graph.edges if e.child in alone and e.parent in new and _is_hidden(e)]
    nodes = (*(x for x in graph.nodes if x.id not in old), *part.nodes)
    edges = (*(e for e in graph.edges if e.child not in old), *part.edges, *stay)
    groups = [*(x for x in graph.components if not old & set(x)), *part.components]
    groups += [(e.parent, e.child) for e in stay]
    gone = old | set(names)
    n = sum(node.observed for node in nodes)
    return replace(
        graph,
        nodes=nodes,
        edges=edges,
        components=_components([x.id for x in nodes], groups),
        parameters={**graph.parameters, "n_pairs": n * (n - 1) // 2},
        skipped=(*(x for x in graph.skipped if x.what not in gone), *part.skipped),
        not_testable=(*(x for x in graph.not_testable if x not in gone), *part.not_testable),
        seconds=round(graph.seconds + part.seconds, 3),
        bytes_read=graph.bytes_read + part.bytes_read,
        incomplete=graph.incomplete or part.incomplete,
    )


def opened(graph: FamilyGraph) -> FamilyGraph:
    """Leave the directions of all edges open: a part of a family was computed."""
    n = sum(node.observed for node in graph.nodes) - 1
    said = clue("nearest-of-family", n=n)

    def left_open(edge: FamilyEdge) -> FamilyEdge:
        sure = min(edge.direction_probability, 0.5)
        return replace(
            edge,
            direction="undetermined",
            direction_probability=sure,
            evidence=(*edge.evidence, said),
        )

    return replace(graph, edges=tuple(map(left_open, graph.edges)))


def are_related(a: Sketch, b: Sketch, alpha: float) -> bool:
    """Whether two sketches are of one family: equal contents, or a test that rejects.

    Parameters
    ----------
    a, b : Sketch
        The two models.
    alpha : float
        Level of this one test.

    Returns
    -------
    bool
        True also says that two contents are equal.
    """
    same = contents_of(a) == contents_of(b)
    return same or Relatives([a, b], alpha, 0).test(0, 1)[1]


def _is_hidden(edge: FamilyEdge) -> bool:
    """Whether only the weights of the two models showed that they are related."""
    return any(x.code == "compared" for x in edge.evidence)


def _components(
    ids: Collection[str], groups: Collection[tuple[str, ...]]
) -> tuple[tuple[str, ...], ...]:
    """Groups of nodes that share one, made one; the largest first."""
    joined = Groups(ids)
    for group in groups:
        for x in group[1:]:
            joined.join(group[0], x)
    return tuple(tuple(g) for g in sorted(joined.all(), key=lambda g: (-len(g), g)))


def _renamed(graph: FamilyGraph, fresh: Mapping[str, str]) -> FamilyGraph:
    """A graph with other names of some nodes."""

    def name(x: str) -> str:
        return fresh.get(x, x)

    def edge(x: FamilyEdge) -> FamilyEdge:
        second, parents = x.runner_up, x.parents
        return replace(
            x,
            parent=name(x.parent),
            child=name(x.child),
            runner_up=second and replace(second, parent=name(second.parent)),
            parents=parents and tuple(replace(p, parent=name(p.parent)) for p in parents),
        )

    return replace(
        graph,
        nodes=tuple(replace(x, id=name(x.id)) for x in graph.nodes),
        edges=tuple(map(edge, graph.edges)),
        components=tuple(tuple(map(name, x)) for x in graph.components),
    )


def _unused(wanted: str, taken: set[str]) -> str:
    stem, n = wanted.rsplit("-", 1)[0], 1
    while f"{stem}-{n}" in taken:
        n += 1
    taken.add(f"{stem}-{n}")
    return f"{stem}-{n}"
