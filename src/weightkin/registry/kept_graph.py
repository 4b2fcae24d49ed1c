"""The family graph in the registry's file."""

from __future__ import annotations

import sqlite3

from weightkin._version import __version__
from weightkin.records.family import FamilyGraph
from weightkin.registry.entries import now
from weightkin.registry.sealing import check, seal
from weightkin.registry.store import writing


def kept(connection: sqlite3.Connection, *, alpha: float, seed: int) -> FamilyGraph | None:
    """The graph in the file, if this version found it with these parameters.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    alpha, seed : float, int
        The parameters.

    Returns
    -------
    FamilyGraph or None
    """
    record = stored(connection)
    if record is None:
        return None
    graph = FamilyGraph.from_json(record, "the family graph in the file")
    asked = (alpha, seed, __version__)
    return graph if (graph.alpha, graph.seed, graph.version) == asked else None


def stored(connection: sqlite3.Connection) -> str | None:
    """The graph in the file as it was written there, if there is one."""
    row = connection.execute(
        "SELECT alpha, seed, version, found, record, seal FROM family"
    ).fetchone()
    if row is None:
        return None
    check("the family graph", row[-1], *row[:-1])
    return str(row[-2])


def keep(connection: sqlite3.Connection, graph: FamilyGraph) -> None:
    """Put a graph into the file, in place of the one there."""
    with writing(connection):
        connection.execute("DELETE FROM family")
        row = (float(graph.alpha), graph.seed, graph.version, now(), graph.to_json(None))
        connection.execute("INSERT INTO family VALUES (?, ?, ?, ?, ?, ?)", (*row, seal(*row)))
