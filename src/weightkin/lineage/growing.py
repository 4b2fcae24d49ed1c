"""A family graph that grows: one more model is placed without looking at the others again.

Search vectors name the nearest models, a test says which families they belong to, and only these
are laid out anew with the newcomer. Of a large family only the nearest members take part: the edges
of the others stay, and so do all of the newcomer's that do not lead to it.

Limitations: a disguised copy, which its vector does not show, stays alone until the next full run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightkin.lineage.collection import contents_of
from weightkin.lineage.family import family_graph
from weightkin.lineage.proposed import LEAST_COSINE, N_NEAREST
from weightkin.lineage.relatives import Relatives
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.sketch import Sketch
from weightkin.sketch.vectors import nearest, search_vector, search_vectors
from weightkin.stats.matching import Floats

MOST_AGAIN = 8  # members of a family that are laid out again


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
    node = next((x for x in _nodes(known.graph, known.sketches) if x.id == name), None)
    if node is not None:
        raise ValueError(f"{name} is in the graph already")
    vector = search_vector(sketch)[None]
    names = list(known.sketches)
    _, near, cosine = next(nearest(known.vectors, N_NEAREST, of=vector))
    close = [names[k] for k, c in zip(near[0], cosine[0], strict=True) if c >= LEAST_COSINE]
    family, is_whole = _family(known, sketch, close)
    sketches = {**known.sketches, name: sketch}
    n, m = len(sketches), len(family) + 1
    share = m * (m - 1) / max(1, n * (n - 1)) if family else 1.0
    members = [replace(sketches[x], name=x) for x in (*family, name)]
    part = family_graph(members, alpha=known.graph.alpha * share, seed=known.graph.seed)
    graph = _with(known.graph, part, name, set(family), is_whole=is_whole)
    return Grown(sketches, np.concatenate([known.vectors, vector]), graph)


def _nodes(graph: FamilyGraph, among: Mapping[str, Sketch]) -> Sequence[FamilyNode]:
    return [node for node in graph.nodes if node.id in among]


def _family(known: Grown, sketch: Sketch, close: Sequence[str]) -> tuple[list[str], bool]:
    """Members of all families that a close model proves it belongs to, and whether these are all.

    One test a family: that of its nearest member, and of the next ones where that fails.
    """
    home = {x: k for k, group in enumerate(known.graph.components) for x in group}
    n = len(known.sketches) + 1
    paid = known.graph.alpha / (n * (n - 1) / 2)
    joined: set[int] = set()
    for x in close:
        if home[x] not in joined and _is_related(known.sketches[x], sketch, paid):
            joined.add(home[x])
    members = [x for k in sorted(joined) for x in known.graph.components[k] if x in known.sketches]
    if len(members) <= MOST_AGAIN:
        return members, True
    return [x for x in close if home[x] in joined][:MOST_AGAIN], False


def _is_related(a: Sketch, b: Sketch, alpha: float) -> bool:
    same = contents_of(a) == contents_of(b)
    return same or Relatives([a, b], alpha, 0).test(0, 1)[1]


def _with(
    graph: FamilyGraph, part: FamilyGraph, name: str, family: set[str], *, is_whole: bool
) -> FamilyGraph:
    """Replace what was laid out again; of a large family add only the edges to the newcomer."""
    known = {node.id for node in graph.nodes}
    fresh = {x.id: _unused(x.id, known) for x in part.nodes if not x.observed}
    edges = [_renamed(e, fresh) for e in part.edges]
    kept = list(graph.edges)
    nodes = list(graph.nodes)
    if is_whole:
        gone = {x.id for x in nodes if not x.observed and _children(graph, x.id) & family}
        nodes = [x for x in nodes if x.id not in gone]
        kept = [e for e in kept if e.child not in family and e.parent not in gone]
    else:
        edges = [e for e in edges if e.child == name]
        fresh = {k: v for k, v in fresh.items() if any(e.parent == v for e in edges)}
    new = {x.id: x for x in part.nodes}
    nodes = [new.get(x.id, x) if x.observed else x for x in nodes]
    if name in new:
        nodes.append(new[name])
    nodes += [FamilyNode(id=x, observed=False) for x in fresh.values()]
    return replace(
        graph,
        nodes=tuple(nodes),
        edges=(*kept, *edges),
        components=_components(graph, part, name, fresh, {x.id for x in nodes}),
        seconds=graph.seconds + part.seconds,
        bytes_read=graph.bytes_read + part.bytes_read,
    )


def _components(
    graph: FamilyGraph, part: FamilyGraph, name: str, fresh: Mapping[str, str], ids: set[str]
) -> tuple[tuple[str, ...], ...]:
    """Families as they were, those of the newcomer's relatives made one with it."""
    own = next((group for group in part.components if name in group), ())
    touched = {fresh.get(x, x) for x in own}
    groups, joined = [], set(touched & ids)
    for group in graph.components:
        left = [x for x in group if x in ids]
        if touched.intersection(left):
            joined.update(left)
        elif left:
            groups.append(tuple(left))
    if joined:
        groups.append(tuple(sorted(joined)))
    return tuple(sorted(groups, key=lambda g: (-len(g), g)))


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
