"""Two models judged with further relatives at hand: the direction that a pair alone cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Literal

from weightkin.api.models import Source, open_model
from weightkin.formats import Model
from weightkin.lineage.family import find_family
from weightkin.records import Clue, Comparison, Direction, clue
from weightkin.records.family import CLAIMED, FamilyEdge, FamilyGraph
from weightkin.records.kinds import equal_kinds


def with_relatives(
    record: Comparison, pair: Sequence[Model], relatives: Sequence[Source]
) -> Comparison:
    """A record with the direction that relatives show.

    Everything but the direction is what was said of the two alone. The direction is that of the
    path between them in the family graph of all models at hand; a model that is an ancestor
    through others is called the parent too, and the evidence names the path, and each step of it.

    Parameters
    ----------
    record : Comparison
        Of the two models alone.
    pair : sequence of Model
        The two models.
    relatives : sequence of Model, str, Path or state dict
        Further models of the family.

    Returns
    -------
    Comparison
        With ``relatives`` among the parameters. Cost: that of `find_family`.
    """
    others = [open_model(x) for x in relatives]
    sources = [f"{x.source}@{x.revision}" if x.revision else x.source for x in others]
    record = replace(record, parameters=record.parameters | {"relatives": sources})
    if record.verdict != "dependent" or equal_kinds(record.kind):
        return record
    graph = find_family([*pair, *others], alpha=record.alpha, seed=record.seed)
    return replace(
        record,
        direction=_direction(graph, record.direction, pair[0].source, pair[1].source),
        skipped=(*record.skipped, *graph.skipped),
        incomplete=record.incomplete or graph.incomplete,
    )


def _direction(graph: FamilyGraph, alone: Direction, a: str, b: str) -> Direction:
    """The direction of the way between two models of a graph; that of the pair beside it."""
    ids = {node.source: node.id for node in graph.nodes}
    n = sum(node.observed for node in graph.nodes)
    if a not in ids or b not in ids:
        return replace(alone, evidence=(*alone.evidence, clue("among-equal", n=n)))
    ends: tuple[tuple[Literal["a", "b"], str, str], ...] = (("a", a, b), ("b", b, a))
    for parent, source, target in ends:
        way = _way(graph, ids[source], ids[target])
        if way is None:
            continue
        probability = prod(edge.probability for edge in way)
        is_claimed = all(e.direction == "determined" for e in way) and probability >= CLAIMED
        through = [edge.child for edge in way[:-1]]
        found = {"child": ids[target], "parent": ids[source], "through": through}
        said = clue("among-below", n=n, **found)
        return Direction(
            parent=parent if is_claimed else "undetermined",
            probability=round(probability, 4),
            evidence=(said, *evidence_of_path(way, probability)),
        )
    return Direction(evidence=(clue("among-neither", n=n),))


def evidence_of_path(way: Sequence[FamilyEdge], probability: float) -> Iterator[Clue]:
    """The evidence of each edge, under the names of its ends where there are several."""
    if len(way) == 1:
        yield from way[0].evidence
        return
    is_open = [edge.direction != "determined" for edge in way]
    if not any(is_open) and probability < CLAIMED:
        yield clue("together", probability=round(probability, 4))
    steps = [f"{edge.parent} to {edge.child}" for edge in way]
    for step, edge, undetermined in zip(steps, way, is_open, strict=True):
        if undetermined:
            found = clue("step-undetermined", probability=edge.probability)
            yield replace(found, step=step)
    for step, edge in zip(steps, way, strict=True):
        yield from (replace(x, step=step) for x in edge.evidence)


def _way(graph: FamilyGraph, above: str, below: str) -> list[FamilyEdge] | None:
    """Edges down from one node to another, through the parents that count most."""
    way: list[FamilyEdge] = []
    here = below
    while here != above:
        edges = graph.parents_of(here)
        if not edges:
            return None
        way.insert(0, next((edge for edge in edges if edge.parent == above), edges[0]))
        here = way[0].parent
    return way
