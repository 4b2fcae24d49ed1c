"""The family graph in the registry's file: its head, and a row for each family."""

from __future__ import annotations

import json
import sqlite3

from weightkin.records.family import FamilyGraph
from weightkin.registry.graph_head import head_of, is_of_now
from weightkin.registry.known import KnownFamilies, Nodes, nodes_of
from weightkin.registry.sealing import Altered, seal
from weightkin.registry.store import now, writing


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
    if known is None or not is_of_now(known.head, alpha, seed):
        return None
    return known


def stored(connection: sqlite3.Connection) -> KnownFamilies | None:
    """The graph in the file as it was written there, if there is one.

    Families that are damaged are left out, and found again by the next question about them.
    """
    there = head_of(connection)
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
