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

import numpy as np

from weightkin.lineage.collection import contents_of
from weightkin.lineage.family import family_graph
from weightkin.lineage.proposed import LEAST_COSINE, N_NEAREST
from weightkin.lineage.relatives import Groups, Relatives
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.sketch import Sketch
from weightkin.sketch.vectors import nearest, search_vector, search_vectors
from weightkin.stats.matching import Floats
from weightkin.weights import Model

MOST_AGAIN = 64  # members of a family that is laid out again as a whole
MOST_NEAR = 8  # members of a larger one among which a newcomer is placed
N_NEAR = "n_near"  # parameter of a graph: newcomers that were placed so


@dataclass(frozen=True, slots=True)
class Grown:
    """Sketches by the name of their node, their search vectors in that order, and their graph."""

    sketches: Mapping[str, Sketch]
    vectors: Floats  # (n, 1024)
    graph: FamilyGraph


def grown(graph: FamilyGraph, sketches: Mapping[str, Sketch]) -> Grown:
    """Prepare a graph for additions; ``sketches`` are those of its observed nodes, by their id."""
    return Grown(sketches, search_vectors(list(sketches.values())), graph)


def add_model(known: Grown, name: str, sketch: Sketch) -> Grown:
    """Place one more model.

    Null hypothesis of the joins: that of `family_graph`; the level is paid for all pairs there are.
    Edges of other families, and of members of large families that are not near, stay as they are.
    """
    vector = search_vector(sketch)[None]
    names = list(known.sketches)
    _, near, cosine = next(nearest(known.vectors, N_NEAREST, of=vector))
    close = [names[k] for k, c in zip(near[0], cosine[0], strict=True) if c >= LEAST_COSINE]
    graph = hung(known.graph, known.sketches, name, sketch, close)
    vectors = np.concatenate([known.vectors, vector])
    return Grown({**known.sketches, name: sketch}, vectors, graph)


def hung(
    graph: FamilyGraph,
    sketches: Mapping[str, Sketch],
    name: str,
    sketch: Sketch,
    close: Sequence[str],
    *,
    hidden: Sequence[str] = (),
    weights: Callable[[str], Model | None] = lambda _: None,
) -> FamilyGraph:
    """Hang one more model into a graph.

    Parameters
    ----------
    graph : FamilyGraph
        What is known.
    sketches : mapping
        Of its observed nodes, by their id; only those of the newcomer's families are looked up.
    name : str
        The newcomer's id, which no node has.
    sketch : Sketch
        The newcomer.
    close : sequence of str
        Nodes that may be related, the nearest first.
    hidden : sequence of str
        Nodes that may be related though no test of sketches shows it.
    weights : callable
        The weights behind an id, if they are at hand; asked only because of ``hidden``.
    """
    if any(node.id == name for node in graph.nodes):
        raise ValueError(f"{name} is in the graph already")
    family, is_whole, with_weights = _family(graph, sketches, sketch, close, hidden)
    n, m = len(sketches) + 1, len(family) + 1
    share = m * (m - 1) / max(1, n * (n - 1)) if family else 1.0
    members: list[Sketch | Model] = []
    for x, own in (*((x, sketches[x]) for x in family), (name, sketch)):
        model = weights(x) if with_weights else None
        members.append(replace(own if model is None else model, name=x))
    part = family_graph(members, alpha=graph.alpha * share, seed=graph.seed)
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
    """Whether two sketches are of one family: equal contents, or a test that rejects."""
    same = contents_of(a) == contents_of(b)
    return same or Relatives([a, b], alpha, 0).test(0, 1)[1]


def _family(
    graph: FamilyGraph,
    sketches: Mapping[str, Sketch],
    sketch: Sketch,
    close: Sequence[str],
    hidden: Sequence[str],
) -> tuple[list[str], bool, bool]:
    """Members of all families that a close model proves it belongs to, and whether these are all.

    One test a family: that of its nearest member, and of the next ones where that fails. Families
    of hidden models take part without a test, and then weights must be looked at.
    """
    home = {x: k for k, group in enumerate(graph.components) for x in group}
    n = len(sketches) + 1
    paid = graph.alpha / (n * (n - 1) / 2)
    joined: set[int] = set()
    for x in close:
        if home[x] not in joined and are_related(sketches[x], sketch, paid):
            joined.add(home[x])
    unproven = {home[x] for x in hidden} - joined
    joined |= unproven
    members = [x for k in sorted(joined) for x in graph.components[k] if x in sketches]
    if len(members) <= MOST_AGAIN:
        return members, True, bool(unproven)
    near = [x for x in dict.fromkeys((*close, *hidden)) if home[x] in joined]
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
