"""A family graph that grows: one more model is placed without looking at the others again.

Search vectors name the nearest models, a test says which families they belong to, and only these
are laid out anew with the newcomer. Of a large family only the nearest members take part: all edges
there are stay, and the place of the newcomer among them is undetermined until the next full run.

Limitations: a disguised copy, which its vector does not show, stays alone until the next full run
unless the caller proposes its relatives and has their weights at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from weightkin.formats import Model
from weightkin.lineage.collection import contents_of
from weightkin.lineage.family import find_family
from weightkin.lineage.relatives import Groups, Relatives
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.sketch import Sketch

MOST_AGAIN = 64  # members of a family that is laid out again as a whole
MOST_NEAR = 8  # members of a larger one among which a newcomer is placed
N_NEAR = "n_near"  # parameter of a graph: newcomers that were placed so


@dataclass(frozen=True, slots=True)
class Proposed:
    """Nodes that a newcomer may be related to."""

    close: Sequence[str] = ()  # by its sketch, the nearest first
    hidden: Sequence[str] = ()  # by its weights alone: no test of sketches shows it


def insert_model(
    graph: FamilyGraph,
    sketches: Mapping[str, Sketch],
    newcomer: Sketch,
    proposed: Proposed,
    weights: Callable[[str], Model | None] = lambda _: None,
) -> FamilyGraph:
    """Insert one more model into a graph.

    Parameters
    ----------
    graph : FamilyGraph
        What is known.
    sketches : mapping
        Of its observed nodes, by their id; only those of the newcomer's families are looked up.
    newcomer : Sketch
        Named by its id, which no node has.
    proposed : Proposed
        Nodes that may be related.
    weights : callable
        The weights behind an id, if they are at hand; looked at only because of hidden nodes.

    Returns
    -------
    FamilyGraph
        With the newcomer as a node, or among the duplicates of one.

    Raises
    ------
    ValueError
        The graph has a node of that id.
    """
    name = newcomer.name
    if any(node.id == name for node in graph.nodes):
        raise ValueError(f"{name} is in the graph already")
    family, is_whole, with_weights = _family(graph, sketches, newcomer, proposed)
    n, m = len(sketches) + 1, len(family) + 1
    share = m * (m - 1) / max(1, n * (n - 1)) if family else 1.0
    members: list[Sketch | Model] = []
    for x, own in (*((x, sketches[x]) for x in family), (name, newcomer)):
        model = weights(x) if with_weights else None
        members.append(replace(own if model is None else model, name=x))
    part = find_family(members, alpha=graph.alpha * share, seed=graph.seed)
    if not is_whole:
        part = opened(part, name)
        n_near = int(graph.parameters.get(N_NEAR, 0)) + 1
        graph = replace(graph, parameters={**graph.parameters, N_NEAR: n_near})
    return _with(graph, part, name, set(family), n=n, is_whole=is_whole)


def opened(graph: FamilyGraph, name: str = "") -> FamilyGraph:
    """Leave directions open, of all edges or of one model's: a part of its family was laid out."""
    n = sum(node.observed for node in graph.nodes) - 1
    said = clue("nearest-of-family", n=n)

    def left_open(edge: FamilyEdge) -> FamilyEdge:
        if name and name not in (edge.parent, edge.child):
            return edge
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


def _family(
    graph: FamilyGraph, sketches: Mapping[str, Sketch], newcomer: Sketch, proposed: Proposed
) -> tuple[list[str], bool, bool]:
    """Members of all families that a close model proves it belongs to, and whether these are all.

    One test a family: that of its nearest member, and of the next ones where that fails. Families
    of hidden models take part without a test, and then weights must be looked at.
    """
    home = {x: k for k, group in enumerate(graph.components) for x in group}
    n = len(sketches) + 1
    paid = graph.alpha / (n * (n - 1) / 2)
    joined: set[int] = set()
    for x in proposed.close:
        if home[x] not in joined and are_related(sketches[x], newcomer, paid):
            joined.add(home[x])
    unproven = {home[x] for x in proposed.hidden} - joined
    joined |= unproven
    members = [x for k in sorted(joined) for x in graph.components[k] if x in sketches]
    if len(members) <= MOST_AGAIN:
        return members, True, bool(unproven)
    near = [x for x in dict.fromkeys((*proposed.close, *proposed.hidden)) if home[x] in joined]
    return near[:MOST_NEAR], False, bool(unproven)


def _with(
    graph: FamilyGraph, part: FamilyGraph, name: str, family: set[str], *, n: int, is_whole: bool
) -> FamilyGraph:
    """Replace what was laid out again; of a large family add only the edges to the newcomer."""
    known = {name, *(node.id for node in graph.nodes)}
    fresh = {x.id: _unused(x.id, known) for x in part.nodes if not x.observed}
    edges = [_renamed(e, fresh) for e in part.edges]
    kept = list(graph.edges)
    nodes = list(graph.nodes)
    if is_whole:
        gone = {x.id for x in nodes if not x.observed and _children(graph, x.id) & family}
        nodes = [x for x in nodes if x.id not in gone]
        # a hidden member, which no sketch relates to the others, stays where it hangs
        again = {x for e in edges for x in (e.parent, e.child)} & family
        kept = [e for e in kept if e.child not in again and e.parent not in gone]
    else:
        edges = [e for e in edges if e.child == name]
        fresh = {k: v for k, v in fresh.items() if any(e.parent == v for e in edges)}
    new = {x.id: x for x in part.nodes}
    for k, x in enumerate(nodes):
        if x.id in new and name in new[x.id].duplicates:
            nodes[k] = replace(x, duplicates=(*x.duplicates, name))
    if name in new:
        nodes.append(new[name])
    nodes += [FamilyNode(id=x, observed=False) for x in fresh.values()]
    return replace(
        graph,
        nodes=tuple(nodes),
        edges=(*kept, *edges),
        components=_components(graph, part, name, edges, {x.id for x in nodes}),
        parameters={**graph.parameters, "n_pairs": n * (n - 1) // 2},
        skipped=(*graph.skipped, *(x for x in part.skipped if x.what == name)),
        seconds=graph.seconds + part.seconds,
        bytes_read=graph.bytes_read + part.bytes_read,
    )


def _components(
    graph: FamilyGraph, part: FamilyGraph, name: str, edges: Sequence[FamilyEdge], ids: set[str]
) -> tuple[tuple[str, ...], ...]:
    """Families as they were, those of the newcomer's relatives made one with it."""
    groups = Groups(sorted(ids))
    own = next((group for group in part.components if name in group), ())
    for group in (*graph.components, own, *((e.parent, e.child) for e in edges)):
        left = [x for x in group if x in ids]
        for x in left[1:]:
            groups.join(left[0], x)
    return tuple(tuple(g) for g in sorted(groups.all(), key=lambda g: (-len(g), g)))


def _children(graph: FamilyGraph, parent: str) -> set[str]:
    return {e.child for e in graph.edges if e.parent == parent}


def _renamed(edge: FamilyEdge, fresh: Mapping[str, str]) -> FamilyEdge:
    second = edge.runner_up
    return replace(
        edge,
        parent=fresh.get(edge.parent, edge.parent),
        runner_up=second and replace(second, parent=fresh.get(second.parent, second.parent)),
    )


def _unused(wanted: str, taken: set[str]) -> str:
    stem, n = wanted.rsplit("-", 1)[0], 1
    while f"{stem}-{n}" in taken:
        n += 1
    taken.add(f"{stem}-{n}")
    return f"{stem}-{n}"
