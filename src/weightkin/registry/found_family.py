"""The family graph that the file holds, whoever had it computed: nothing is computed here."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from weightkin.records.family import FamilyGraph
from weightkin.registry import graph_head, kept_graph
from weightkin.registry.graph_head import ALPHA
from weightkin.registry.known import KnownFamilies, known_of
from weightkin.registry.layout import renumbered
from weightkin.registry.slots import slots_of
from weightkin.registry.store import opened


@dataclass(frozen=True, slots=True)
class FoundFamily:
    """A graph with the models that hold the contents of its nodes now.

    Families that lost a model are left out. What is left of them is missing.
    """

    graph: FamilyGraph
    n_missing: int  # registered models that are in no family of it


def found_mark(path: Path, *, alpha: float = ALPHA, seed: int = 0) -> tuple[str, str] | None:
    """Which graph `found_family` gives, and when it was found (UTC, ISO 8601); None without one.

    The first is another text whenever the graph or the registered models are others.
    """
    with opened(path, to_write=False) as connection:
        found = graph_head.found_when(connection, alpha=alpha, seed=seed)
        if found is None:
            return None
        models = connection.execute("SELECT count(*), max(id) FROM models").fetchone()
        return f"{kept_graph.stamp(connection)} {models}", found


def found_family(path: Path, *, alpha: float = ALPHA, seed: int = 0) -> FoundFamily | None:
    """Read that graph.

    Parameters
    ----------
    path : Path
        The registry's file.
    alpha, seed : float, int
        Level and seed of the graph: one of others, or of another version, is another question's.

    Returns
    -------
    FoundFamily or None
        None where no question needed such a graph yet, or it is damaged.

    Raises
    ------
    UnusableRegistry
        There is no registry, or it is damaged.
    """
    with opened(path, to_write=False) as connection:
        known = kept_graph.kept(connection, alpha=alpha, seed=seed)
        return None if known is None else _as_registered(connection, known)


def as_registered(path: Path, graph: FamilyGraph) -> FoundFamily:
    """A graph that was found some time ago, as far as its models are still registered.

    Raises
    ------
    UnusableRegistry
        There is no registry, or it is damaged.
    """
    with opened(path, to_write=False) as connection:
        return _as_registered(connection, known_of(graph))


def other_question(path: Path) -> FamilyGraph | None:
    """The head of the graph in the file, where that has another level, seed or version."""
    with opened(path, to_write=False) as connection:
        return graph_head.other_question(connection)


def _as_registered(connection: sqlite3.Connection, known: KnownFamilies) -> FoundFamily:
    held = slots_of(connection)
    known = known.without(known.lost(held))
    n_missing = sum(len(held[x].models) for x in held.keys() - known.groups(held).keys())
    return FoundFamily(renumbered(known.whole(), held), n_missing)
