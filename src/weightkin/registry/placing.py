"""Where a model hangs among its relatives: its parents, its children, the path to its root.

Only the model and its nearest relatives are laid out, by `family_graph`; what they declare is held
against that, and counts for nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from weightkin.lineage.family import family_graph
from weightkin.records import Skipped
from weightkin.records.family import FamilyEdge, FamilyGraph
from weightkin.records.registry import DeclaredParent, Relative, Step
from weightkin.registry.prepared import Prepared, weights_of
from weightkin.registry.searching import Compared
from weightkin.sketch import Sketch, as_model
from weightkin.weights import Model

MOST_PLACED = 14  # relatives that are laid out, the nearest
OWN = "query"


@dataclass(frozen=True, slots=True)
class Place:
    """Edges around a model. ``names`` are those of the nodes, ``ids`` in the registry."""

    parents: tuple[Step, ...] = ()
    children: tuple[Step, ...] = ()
    path: tuple[Step, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def placed(query: Prepared, found: Compared, alpha: float, seed: int) -> Place:
    """Lay out a model with its nearest relatives. Those that hold the same stand for one node."""
    near = [x for x in found.relatives if x.verdict == "dependent"]
    same = [x for x in near if _is_same(query, found, x)]
    near = [x for x in near if x not in same][:MOST_PLACED]
    if not near:
        return Place()
    sources: list[Sketch | Model] = [_source(query.sketch, OWN, any_hidden(near))]
    for x in near:
        sketch = found.candidates[x.model.id].sketch
        sources.append(_source(sketch, f"#{x.model.id}", x.looked_at == "weights"))
    n, m = max(2, found.n_scanned + 1), len(sources)
    share = min(1.0, m * (m - 1) / (n * (n - 1)))  # the level is paid for all pairs there are
    graph = family_graph(sources, alpha=alpha * share, seed=seed)
    names = {OWN: query.sketch.name} | {f"#{x.model.id}": x.model.name for x in near}
    path: list[Step] = []
    at, seen = OWN, {OWN}
    while into := graph.parents_of(at):
        path.append(_step(into[0], names))
        at = into[0].parent
        if at in seen:
            break
        seen.add(at)
    return Place(
        parents=tuple(_step(e, names) for e in graph.parents_of(OWN)),
        children=tuple(_step(e, names) for e in graph.edges if e.parent == OWN),
        path=tuple(path),
        skipped=_missed(graph, names),
    )


def any_hidden(near: Sequence[Relative]) -> bool:
    """Whether a relative was seen in the weights alone."""
    return any(x.looked_at == "weights" for x in near)


def held_against(
    declared: Sequence[str], matches: Mapping[str, Sequence[int]], found: Compared, place: Place
) -> tuple[DeclaredParent, ...]:
    """State of every declared parent, and of every inferred one that is not declared.

    ``matches`` are the registered models that a declared name may mean.
    """
    stated = []
    meant: set[int] = set()
    tested = {x.model.id: x for x in (*found.relatives, *found.others)}
    on_path = {s.parent_id: s for s in (*reversed(place.path), *place.parents)}
    children = {s.child_id for s in place.children if s.direction == "determined"}
    for name in declared:
        ids = [i for i in matches.get(name, ()) if i in tested]
        meant.update(ids)
        stated.append(_state(name, ids, tested, on_path, children))
    for step in place.parents:
        if step.parent_id and step.parent_id not in meant:
            why = f"inferred as a parent ({step.kind}), and not declared"
            stated.append(DeclaredParent(name=step.parent, state="undeclared", why=why))
    return tuple(stated)


def matching(name: str, known: Sequence[tuple[int, str, str]]) -> list[int]:
    """Ids of the registered models (id, name, source) that a declared name may mean."""
    last = PurePath(name).name
    exact = [i for i, called, source in known if name in (called, source)]
    return exact or [i for i, called, source in known if last in (called, PurePath(source).name)]


def _state(
    name: str,
    ids: Sequence[int],
    tested: Mapping[int, Relative],
    on_path: Mapping[int, Step],
    children: set[int],
) -> DeclaredParent:
    related = [i for i in ids if tested[i].verdict == "dependent"]
    if not ids:
        return DeclaredParent(name=name, state="unverifiable", why="not in this registry")
    if not related:
        why = tested[ids[0]].sentence
        if tested[ids[0]].verdict == "not-testable":
            return DeclaredParent(name=name, state="unverifiable", why=why)
        return DeclaredParent(name=name, state="contradicted", why=why)
    above = next((i for i in related if i in on_path), None)
    if above is not None:
        why = f"on the path to the root; {tested[above].sentence}"
        return DeclaredParent(name=name, state="confirmed", why=why)
    if all(i in children for i in related):
        why = f"shares weights, but was made from this model; {tested[related[0]].sentence}"
        return DeclaredParent(name=name, state="contradicted", why=why)
    why = f"shares weights, its place as a parent is not shown; {tested[related[0]].sentence}"
    return DeclaredParent(name=name, state="confirmed", why=why)


def _is_same(query: Prepared, found: Compared, relative: Relative) -> bool:
    from weightkin.lineage.collection import contents_of

    return contents_of(found.candidates[relative.model.id].sketch) == query.contents


def _source(sketch: Sketch, name: str, is_hidden: bool) -> Sketch | Model:
    """What is laid out: everything there is of a small model, the weights of a hidden one."""
    model: Model | str = as_model(sketch)
    if isinstance(model, Model) and model.sketched is None:
        return replace(model, name=name)
    if is_hidden:
        model = weights_of(sketch.source, sketch.digest)
        if isinstance(model, Model):
            return replace(model, name=name)
    return replace(sketch, name=name)


def _step(edge: FamilyEdge, names: Mapping[str, str]) -> Step:
    return Step(
        parent=names.get(edge.parent, edge.parent),
        child=names.get(edge.child, edge.child),
        parent_id=_id(edge.parent),
        child_id=_id(edge.child),
        kind=edge.kind,
        weight=edge.weight,
        log10_pvalue=edge.log10_pvalue,
        direction=edge.direction,
        direction_probability=edge.direction_probability,
        support=edge.support,
        evidence=edge.evidence,
    )


def _id(node: str) -> int:
    return int(node[1:]) if node.startswith("#") else 0


def _missed(graph: FamilyGraph, names: Mapping[str, str]) -> tuple[Skipped, ...]:
    return tuple(replace(x, what=names.get(x.what, x.what)) for x in graph.skipped)
