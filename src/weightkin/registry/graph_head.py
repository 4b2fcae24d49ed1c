"""The head of the family graph in the registry's file: what it answers, and when it was found."""

from __future__ import annotations

import sqlite3

from weightkin._version import __version__
from weightkin.records.family import FamilyGraph
from weightkin.registry.sealing import seal

ALPHA = 1e-6  # level of a graph, and of a search, where no other is asked for


def head_of(connection: sqlite3.Connection) -> tuple[FamilyGraph, str] | None:
    """The graph without its nodes, and when it was found; None where that is not there whole."""
    row = connection.execute(
        "SELECT alpha, seed, version, found, record, seal FROM family"
    ).fetchone()
    if row is None or row[-1] != seal(*row[:-1]):
        return None
    return FamilyGraph.from_json(str(row[-2]), "the family graph in the file"), str(row[-3])


def is_of_now(head: FamilyGraph, alpha: float, seed: int) -> bool:
    """Whether this version found a graph with these parameters."""
    return (head.alpha, head.seed, head.version) == (alpha, seed, __version__)


def found_when(connection: sqlite3.Connection, *, alpha: float, seed: int) -> str | None:
    """When the graph that `kept` gives was found (UTC, ISO 8601); no family of it is read."""
    there = head_of(connection)
    return there[1] if there is not None and is_of_now(there[0], alpha, seed) else None


def other_question(connection: sqlite3.Connection) -> FamilyGraph | None:
    """The head of the graph in the file where it is not the one that pages and lists show."""
    there = head_of(connection)
    return None if there is None or is_of_now(there[0], ALPHA, 0) else there[0]
