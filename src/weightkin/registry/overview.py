"""All registered models at a glance, beside a family graph that was found before.

Nothing is computed that is not in the file: a model that was added since is in no family, and
neither is one of a family that lost a model.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from weightkin.records.evidence import Verdict
from weightkin.records.family import FamilyGraph
from weightkin.records.listing import Described
from weightkin.records.registry import Registered
from weightkin.registry import kept_graph
from weightkin.registry.ancestry import Ancestor, ancestry
from weightkin.registry.edges import EDGE_COLUMNS, edge_evidence
from weightkin.registry.listing import described
from weightkin.registry.placement import Placement
from weightkin.registry.sealing import Altered
from weightkin.registry.slots import slots_of
from weightkin.registry.standing import Pair, Placing, Standing
from weightkin.registry.store import opened


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All models, in the order they were added, and where each stands in the graph."""

    placing: Placing
    recalled: Mapping[Pair, Verdict]  # of earlier comparisons
    has_graph: bool

    @cached_property
    def standings(self) -> Mapping[int, Standing]:
        """Where each model stands, by its number."""
        return self.placing.standings(self.recalled)

    @property
    def models(self) -> Mapping[int, Registered]:
        """The models by their numbers, without notes."""
        return self.placing.models

    def placement(self, number: int) -> Placement:
        """The edges around one model."""
        return self.placing.placement(number)

    def ancestry(self, number: int) -> list[Ancestor]:
        """All ancestors of one model."""
        return ancestry(self.placing, self.standings, number)


def overview(path: Path, graph: FamilyGraph | None) -> Overview:
    """Read all models. Cost: about 0.3 ms for each model.

    Parameters
    ----------
    path : Path
        The registry's file.
    graph : FamilyGraph, optional
        Of models that are registered.

    Returns
    -------
    Overview

    Raises
    ------
    UnusableRegistry
        There is no registry, or it is damaged.
    """
    with opened(path, to_write=False) as connection:
        held = slots_of(connection)
        models = {m.id: (m, x.slot) for x in held.values() for m in x.models}
        placing = Placing(
            models={k: models[k][0] for k in sorted(models)},
            slots={k: models[k][1] for k in sorted(models)},
            graph=NOTHING if graph is None else graph,
            untestable=[x for (x,) in connection.execute("SELECT slot FROM untestable")],
        )
        recalled = _recalled(connection, placing.models, placing.asked())
    return Overview(placing=placing, recalled=recalled, has_graph=graph is not None)


def stamp(path: Path) -> str:
    """Changes whenever a model is added or removed, two are compared, or the graph is another."""
    with opened(path, to_write=False) as connection:
        models = connection.execute("SELECT count(*), max(id) FROM models").fetchone()
        edges = connection.execute("SELECT max(rowid) FROM edges").fetchone()
        return f"{models} {edges} {kept_graph.stamp(connection)}"


def describe(path: Path, slots: Iterable[int]) -> dict[int, Described]:
    """What the models of some slots are: the header of every sketch is read."""
    with opened(path, to_write=False) as connection:
        return {slot: described(path, connection, slot) for slot in slots}


def _recalled(
    connection: sqlite3.Connection, models: Mapping[int, Registered], pairs: Iterable[Pair]
) -> dict[Pair, Verdict]:
    """What earlier searches found about pairs; nothing where that was changed since."""
    found: dict[Pair, Verdict] = {}
    for pair in pairs:
        row = connection.execute(
            f"SELECT {EDGE_COLUMNS}, seal FROM edges"  # noqa: S608
            " WHERE a = ? AND b = ? AND digest_a = ? AND digest_b = ?",
            (*pair, *(models[k].digest for k in pair)),
        ).fetchone()
        try:
            found |= {pair: edge_evidence(row).verdict} if row else {}
        except Altered:
            continue
    return found


NOTHING = FamilyGraph(nodes=(), edges=(), components=(), alpha=1e-6, method="")
