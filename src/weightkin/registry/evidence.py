"""What a registry found out travels with it: comparisons and the family graph, marked as imported.

Numbers in an exported file are those of its registry; they become those of this one. Nothing here
is believed by a search: it compares anew, and replaces what was imported.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.records import Skipped, clue, unread
from weightkin.records.comparison import Summary
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.records.form import written
from weightkin.records.registry import Registered
from weightkin.registry import kept_graph
from weightkin.registry.claims import is_text
from weightkin.registry.edges import (
    EDGE_COLUMNS,
    Edge,
    edge_evidence,
    known_from,
    write_edges,
)
from weightkin.registry.known import known_of
from weightkin.registry.layout import N_CONTENTS
from weightkin.registry.schema import BEFORE
from weightkin.registry.store import writing

MAX_SEED = 1 << 62


def exported(connection: sqlite3.Connection) -> dict[str, Any]:
    """Comparisons and the family graph, as they go into the file."""
    rows = connection.execute(
        f"SELECT {EDGE_COLUMNS}, seal FROM edges ORDER BY a, b"  # noqa: S608
    ).fetchall()
    keys = EDGE_COLUMNS.split(", ")[:-1]
    compared = [
        {**dict(zip(keys, row[:-2], strict=True)), "evidence": written(edge_evidence(row))}
        for row in rows
    ]
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    known = None if version == BEFORE else kept_graph.stored(connection)
    graph = None if known is None else known.whole()
    here = {number for (number,) in connection.execute("SELECT id FROM models")}
    if graph is not None and not all(here.issuperset(x.registered) for x in graph.nodes):
        graph = None  # a model was removed since: the next question finds the graph again
    family = None if graph is None else json.loads(graph.to_json(None))
    return {"comparisons": compared, "family": family}


def imported(
    connection: sqlite3.Connection,
    listing: Mapping[str, Any],
    models: Mapping[int, Registered],
    source: Path,
    *,
    is_empty: bool,
) -> list[Skipped]:
    """Take over what a file says about its models; malformed comparisons are left out.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    listing : mapping
        The parsed listing of the file.
    models : mapping
        Registered models by their numbers in the file.
    source : Path
        The file.
    is_empty : bool
        No model was registered before: the family graph is taken over too.

    Returns
    -------
    list of Skipped
        A family graph that could not be read.
    """
    said = listing.get("comparisons", [])
    rows = list(_rows(said if isinstance(said, list) else [], models))
    with writing(connection):  # what was found here stays
        write_edges(connection, rows, over=False)
    record = listing.get("family")
    if record is None or not is_empty:
        return []
    try:
        graph = FamilyGraph.from_json(json.dumps(record), f"{source}: family graph")
        kept_graph.keep(connection, known_of(_renumbered(graph, models, source)))
    except UnreadableModel as error:
        return [unread("family graph", error)]
    return []


def _rows(said: list[Any], models: Mapping[int, Registered]) -> Iterator[Edge]:
    """Comparisons of models that came along, with the digests they were made of."""
    for entry in said:
        match entry:
            case {
                "a": int(a),
                "b": int(b),
                "digest_a": str(digest_a),
                "digest_b": str(digest_b),
                "version": str(version),
                "found": str(found),
                "evidence": dict(evidence),
            } if a in models and b in models and (known := _known(evidence)) is not None:
                x, y = models[a], models[b]
                text = json.dumps(written(known))
                is_theirs = (x.digest, y.digest) == (digest_a, digest_b) and x.id != y.id
                if is_theirs and is_text(version + found):
                    yield x.id, y.id, digest_a, digest_b, version, found, text


def _known(said: Mapping[str, Any]) -> Summary | None:
    """What pages and lists can show of a comparison: it is believed in any case by none."""
    try:
        known = known_from(said)
    except ValueError:
        return None
    if known.log10_pvalue > 0:
        return None
    bare = replace(known, kind_details={}, effect=None, parts=(), reason=None, fresh=None)
    return replace(bare, alpha=0.0, looked_at="imported")


def _renumbered(graph: FamilyGraph, models: Mapping[int, Registered], source: Path) -> FamilyGraph:
    """A graph with the numbers of this registry, every edge marked."""
    by_old = {k: model.id for k, model in models.items()}
    digests = {model.id: model.digest for model in models.values()}
    note = clue("imported", version=graph.version)

    def node(x: FamilyNode) -> FamilyNode:
        ids = tuple(by_old.get(k, 0) for k in x.registered)
        if x.observed and (not ids or 0 in ids or digests[ids[0]] != x.digest):
            what = f"node {x.id[:80]!r} of the family graph is not a model of this file"
            raise UnreadableModel(f"{source}: {what}")
        return replace(x, registered=ids)

    def edge(x: FamilyEdge) -> FamilyEdge:
        return x if note in x.evidence else replace(x, evidence=(*x.evidence, note))

    n_then = graph.parameters.get(N_CONTENTS, 0)
    if not (isinstance(graph.seed, int) and graph.seed < MAX_SEED and isinstance(n_then, int)):
        raise UnreadableModel(f"{source}: family graph: malformed seed or number of models")
    if not (isinstance(graph.version, str) and is_text(graph.version)):
        raise UnreadableModel(f"{source}: family graph: malformed version")
    nodes, edges = tuple(map(node, graph.nodes)), tuple(map(edge, graph.edges))
    marked = {**graph.parameters, "imported": True}
    return replace(graph, nodes=nodes, edges=edges, parameters=marked)
