"""The family graph in the registry's file: its head, and a row for each family."""

from __future__ import annotations

import json
import sqlite3

from weightkin._version import __version__
from weightkin.records.family import FamilyGraph
from weightkin.registry.entries import now
from weightkin.registry.known import KnownFamilies, Nodes, nodes_of
from weightkin.registry.sealing import Altered, seal
from weightkin.registry.store import writing

ALPHA = 1e-6  # level of a graph, and of a search, where no other is asked for


def kept(connection: sqlite3.Connection, *, alpha: float, seed: int) -> KnownFamilies | None:
    """The graph in the file, if this version found it with these parameters.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    alpha, seed : float, int
        The parameters.

    Returns
    -------
    KnownFamilies or None
    """
    known = stored(connection)
    is_of_now = known is not None and _is_of_now(known.head, alpha, seed)
    return known if is_of_now else None


def found_when(connection: sqlite3.Connection, *, alpha: float, seed: int) -> str | None:
    """When the graph that `kept` gives was found (UTC, ISO 8601); no family of it is read."""
    there = _head(connection)
    return there[1] if there is not None and _is_of_now(there[0], alpha, seed) else None


def other_question(connection: sqlite3.Connection) -> FamilyGraph | None:
    """The head of the graph in the file where it is not the one that pages and lists show."""
    there = _head(connection)
    return None if there is None or _is_of_now(there[0], ALPHA, 0) else there[0]


def stored(connection: sqlite3.Connection) -> KnownFamilies | None:
    """The graph in the file as it was written there, if there is one.

    Families that are damaged are left out, and found again by the next question about them.
    """
    there = _head(connection)
    if there is None:
        return None
    head, _ = there
    nodes: dict[int, Nodes] = {}
    texts: dict[int, str] = {}
    for number, listed, record, given in connection.execute(
        "SELECT number, nodes, record, seal FROM families ORDER BY number"
    ):
        if given == seal(number, listed, record):
            nodes[number] = _nodes(number, listed)
            texts[number] = record
    known = KnownFamilies(head, nodes, texts=texts, stamp=stamp(connection))
    if len(known.ids) < sum(map(len, nodes.values())):
        raise Altered("two families have a node of one name")
    return known


def keep(connection: sqlite3.Connection, known: KnownFamilies) -> None:
    """Put what is known into the file: only the families that changed, or all where it is new.

    Nothing is written where another process changed the graph in the file meanwhile.
    """
    with writing(connection):
        if known.stamp and known.stamp != stamp(connection):
            return
        there = {x for (x,) in connection.execute("SELECT number FROM families")}
        gone = there - known.nodes.keys() if known.stamp else there
        connection.executemany("DELETE FROM families WHERE number = ?", [(x,) for x in gone])
        for graph in known.new.values():
            _insert(connection, graph)
        connection.execute("DELETE FROM family")
        head = known.head
        row = (float(head.alpha), head.seed, head.version, now(), head.to_json(None))
        connection.execute("INSERT INTO family VALUES (?, ?, ?, ?, ?, ?)", (*row, seal(*row)))


def _head(connection: sqlite3.Connection) -> tuple[FamilyGraph, str] | None:
    """The graph without its nodes, and when it was found; None where that is not there whole."""
    row = connection.execute(
        "SELECT alpha, seed, version, found, record, seal FROM family"
    ).fetchone()
    if row is None or row[-1] != seal(*row[:-1]):
        return None
    return FamilyGraph.from_json(str(row[-2]), "the family graph in the file"), str(row[-3])


def _is_of_now(head: FamilyGraph, alpha: float, seed: int) -> bool:
    return (head.alpha, head.seed, head.version) == (alpha, seed, __version__)


def _insert(connection: sqlite3.Connection, graph: FamilyGraph) -> None:
    nodes = json.dumps([[x, list(ids)] for x, ids in nodes_of(graph)])
    record = graph.to_json(None)
    number = connection.execute(
        "INSERT INTO families(nodes, record, seal) VALUES (?, ?, '')", (nodes, record)
    ).lastrowid
    given = seal(number, nodes, record)
    connection.execute("UPDATE families SET seal = ? WHERE number = ?", (given, number))


def _nodes(number: int, text: str) -> Nodes:
    try:
        return tuple((str(x), tuple(map(int, ids))) for x, ids in json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise Altered(f"the nodes of family {number} are not a list") from None


def stamp(connection: sqlite3.Connection) -> str:
    """A text that is another whenever the graph in the file is another."""
    head = connection.execute("SELECT seal FROM family").fetchone()
    n, last = connection.execute("SELECT count(*), max(number) FROM families").fetchone()
    return f"{head[0]} {n} {last}" if head else ""
