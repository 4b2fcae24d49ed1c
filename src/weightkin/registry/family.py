"""The family graph of all registered models: kept in the file, grown by newcomers, else rebuilt.

Nodes are contents, named after the model that was registered first. A graph may lack models: those
that no question was about since they were added. A question about one has its whole family laid
out, and nothing else. `family` lays out all that is missing; everything is computed anew where that
is more than a quarter of all, or a family is too large to be computed for each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from weightkin.compute import Progress
from weightkin.errors import UnreadableModel, UnusableRegistry
from weightkin.lineage.growing import without
from weightkin.records import unread
from weightkin.records.family import FamilyGraph
from weightkin.registry.kept_graph import kept
from weightkin.registry.layout import (
    N_CONTENTS,
    empty,
    groups_of,
    laid_out,
    laid_out_again,
    renumbered,
)
from weightkin.registry.members import family_of
from weightkin.registry.sealed import SealedStore
from weightkin.registry.slots import Slot, lost_nodes, slots_of, unused
from weightkin.registry.stores import store_of

GROWN = 0.25  # share of newcomers from which everything is computed anew


def family(
    path: Path,
    connection: sqlite3.Connection,
    *,
    alpha: float,
    seed: int,
    progress: Progress | None = None,
) -> tuple[FamilyGraph, bool]:
    """The graph of all models, and whether it is another than the one that is kept.

    Parameters
    ----------
    path, connection : Path, sqlite3.Connection
        An open registry.
    alpha, seed : float, int
        Level and seed of the graph.
    progress : callable, optional
        Called while the graph is rebuilt.

    Returns
    -------
    FamilyGraph, bool
        Where the second is true, the graph is not the one in the file.

    Raises
    ------
    UnusableRegistry
        No model is registered.
    UnreadableModel
        None of the sketches can be read.
    """
    held = slots_of(connection)
    if not held:
        raise UnusableRegistry(f"{path}: no model is registered")
    store = store_of(path, connection)
    old = kept(connection, alpha=alpha, seed=seed)
    graph = None if old is None else _completed(store, held, old)
    if graph is None:
        names: dict[str, Slot] = {}
        for own in held.values():
            names[unused(own.models[0].name, names)] = own
        graph = laid_out(store, names, alpha=alpha, seed=seed, progress=progress)
        graph = replace(graph, parameters={**graph.parameters, N_CONTENTS: len(held)})
    return graph, graph != old


def current(
    connection: sqlite3.Connection,
    held: Mapping[int, Slot],
    *,
    alpha: float,
    seed: int,
    before: FamilyGraph | None = None,
) -> FamilyGraph:
    """What is known of the graph, without models that are not registered any more.

    Parameters
    ----------
    connection, held : sqlite3.Connection, mapping
        An open registry, and what every slot holds.
    alpha, seed : float, int
        Level and seed of the graph.
    before : FamilyGraph, optional
        One that was made here and not kept.

    Returns
    -------
    FamilyGraph
        Without a node where nothing is kept, or what is kept was imported or too much was added.
    """
    old = kept(connection, alpha=alpha, seed=seed)
    if old is not None and old.parameters.get("imported"):
        old = None  # `tree` shows it as such; a place in it is nothing that was found here
    if before is not None and (before.alpha, before.seed) == (alpha, seed):
        old = before  # with what was computed since
    graph = None if old is None else _cleaned(old, held)
    return empty(alpha, seed, len(held)) if graph is None else graph


def settled(
    store: SealedStore, held: Mapping[int, Slot], graph: FamilyGraph, start: Iterable[int]
) -> tuple[FamilyGraph, frozenset[int] | None]:
    """The graph with the whole family of some contents, and the slots of that family.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The store of an open registry, and what every slot holds.
    graph : FamilyGraph
        What is known.
    start : iterable of int
        Slots of members.

    Returns
    -------
    FamilyGraph, frozenset of int or None
        None where the family is too large to be computed for one question.
    """
    groups = groups_of(graph, held)
    paid = graph.alpha / max(1, len(held) * (len(held) - 1) // 2)
    slots = family_of(store, held, groups, start, paid)
    if slots is not None and not slots <= groups.keys():
        graph = laid_out_again(store, held, graph, slots)
    return graph, slots


def _cleaned(graph: FamilyGraph, held: Mapping[int, Slot]) -> FamilyGraph | None:
    """A graph without families that lost a model; None where too much was added since."""
    n_then = graph.parameters.get(N_CONTENTS, 0)
    if len(held) > (1 + GROWN) * n_then:
        return None
    lost = lost_nodes(graph, held)
    return renumbered(without(graph, lost) if lost else graph, held)


def _completed(
    store: SealedStore, held: Mapping[int, Slot], old: FamilyGraph
) -> FamilyGraph | None:
    """A graph with all that it lacks; None where that is too much, or a family is too large."""
    graph = _cleaned(old, held)
    missing = [] if graph is None else sorted(held.keys() - groups_of(graph, held).keys())
    if graph is None or len(missing) > GROWN * len(held):
        return None
    lost = []
    for slot in missing:
        if slot in groups_of(graph, held):
            continue  # with another one
        try:
            graph, slots = settled(store, held, graph, [slot])
        except UnreadableModel as error:
            lost.append(unread(held[slot].models[0].name, error))
            continue
        if slots is None:
            return None
    gone = tuple(lost)
    skipped = (*(x for x in graph.skipped if x not in gone), *gone)
    return replace(graph, skipped=skipped, incomplete=graph.incomplete or bool(gone))
