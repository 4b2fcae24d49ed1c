"""The family graph that the file holds, whoever had it computed: nothing is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weightkin.records.family import FamilyGraph
from weightkin.registry import kept_graph
from weightkin.registry.layout import renumbered
from weightkin.registry.slots import slots_of
from weightkin.registry.store import opened


@dataclass(frozen=True, slots=True)
class FoundFamily:
    """A graph with the models that hold the contents of its nodes now."""

    graph: FamilyGraph
    n_missing: int  # registered models that are in no family of it


def found_mark(path: Path) -> tuple[str, str] | None:
    """Which graph the file holds, and when it was found (UTC, ISO 8601); None where there is none.

    The first is another text whenever the graph or the registered models are others.
    """
    with opened(path, to_write=False) as connection:
        row = connection.execute("SELECT found FROM family").fetchone()
        if row is None:
            return None
        models = connection.execute("SELECT count(*), max(id) FROM models").fetchone()
        return f"{kept_graph.stamp(connection)} {models}", str(row[0])


def found_family(path: Path) -> FoundFamily | None:
    """Read that graph.

    Parameters
    ----------
    path : Path
        The registry's file.

    Returns
    -------
    FoundFamily or None
        None where no question needed a graph yet.

    Raises
    ------
    UnusableRegistry
        There is no registry, or it is damaged.
    """
    with opened(path, to_write=False) as connection:
        known = kept_graph.stored(connection)
        if known is None:
            return None
        held = slots_of(connection)
        n_missing = sum(len(held[x].models) for x in held.keys() - known.groups(held).keys())
        return FoundFamily(renumbered(known.whole(), held), n_missing)
