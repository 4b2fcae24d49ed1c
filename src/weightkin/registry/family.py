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
from weightkin.records import unread
from weightkin.records.family import FamilyGraph
from weightkin.registry.kept_graph import kept
from weightkin.registry.known import KnownFamilies, known_of
from weightkin.registry.layout import N_CONTENTS, empty, laid_out, laid_out_again, renumbered
from weightkin.registry.members import family_of
from weightkin.registry.sealed import SealedStore
from weightkin.registry.slots import Slot, slots_of, unused
from weightkin.registry.stores import store_of

GROWN = 0.25  # share of newcomers from which everything is computed anew


def family(
    path: Path,
    connection: sqlite3.Connection,
    *,
    alpha: float,
    seed: int,
    progress: Progress | None = None,
) -> tuple[FamilyGraph, KnownFamilies | None]:
    """The graph of all models, and what of it is to be kept.

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
    FamilyGraph, KnownFamilies or None
        None where the graph is the one in the file.

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
    known = None if old is None else _completed(store, held, old)
    if known is None:
        names: dict[str, Slot] = {}
        for own in held.values():
            names[unused(own.models[0].name, names)] = own
        graph = laid_out(store, names, alpha=alpha, seed=seed, progress=progress)
        known = known_of(replace(graph, parameters={**graph.parameters, N_CONTENTS: len(held)}))
    return renumbered(known.whole(), held), None if known is old else known


def current(
    connection: sqlite3.Connection,
    held: Mapping[int, Slot],
    *,
    alpha: float,
    seed: int,
    before: KnownFamilies | None = None,
) -> KnownFamilies:
    """What is known of the graph, without models that are not registered any more.

    Parameters
    ----------
    connection, held : sqlite3.Connection, mapping
        An open registry, and what every slot holds.
    alpha, seed : float, int
        Level and seed of the graph.
    before : KnownFamilies, optional
        What was found here and not kept.

    Returns
    -------
    KnownFamilies
        Without a node where nothing is kept, or what is kept was imported or too much was added.
    """
    old = kept(connection, alpha=alpha, seed=seed)
    if old is not None and old.head.parameters.get("imported"):
        old = None  # `tree` shows it as such; a place in it is nothing that was found here
    if before is not None and (before.head.alpha, before.head.seed) == (alpha, seed):
        old = _renewed(before, old)  # with what was computed since
    known = None if old is None else _cleaned(old, held)
    return KnownFamilies(empty(alpha, seed, len(held))) if known is None else known


def settled(
    store: SealedStore, held: Mapping[int, Slot], known: KnownFamilies, start: Iterable[int]
) -> tuple[KnownFamilies, frozenset[int] | None]:
    """The graph with the whole family of some contents, and the slots of that family.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The store of an open registry, and what every slot holds.
    known : KnownFamilies
        What is known.
    start : iterable of int
        Slots of members.

    Returns
    -------
    KnownFamilies, frozenset of int or None
        None where the family is too large to be computed for one question.
    """
    groups = known.groups(held)
    paid = known.head.alpha / max(1, len(held) * (len(held) - 1) // 2)
    slots = family_of(store, held, groups, start, paid)
    if slots is not None and not slots <= groups.keys():
        known = known.replaced(held, slots, laid_out_again(store, held, known, slots))
    return known, slots


def _renewed(before: KnownFamilies, old: KnownFamilies | None) -> KnownFamilies | None:
    """What was found here, as long as the file is the one it was found with."""
    if not before.stamp:
        return before
    return before if old is not None and old.stamp == before.stamp else old


def _cleaned(known: KnownFamilies, held: Mapping[int, Slot]) -> KnownFamilies | None:
    """A graph without families that lost a model; None where too much was added since."""
    n_then = known.head.parameters.get(N_CONTENTS, 0)
    if len(held) > (1 + GROWN) * n_then:
        return None
    lost = known.lost(held)
    return known.without(lost) if lost else known


def _completed(
    store: SealedStore, held: Mapping[int, Slot], old: KnownFamilies
) -> KnownFamilies | None:
    """A graph with all that it lacks; None where that is too much, or a family is too large."""
    known = _cleaned(old, held)
    missing = [] if known is None else sorted(held.keys() - known.groups(held).keys())
    if known is None or len(missing) > GROWN * len(held):
        return None
    if not missing:
        return known
    lost = []
    for slot in missing:
        if slot in known.groups(held):
            continue  # with another one
        try:
            known, slots = settled(store, held, known, [slot])
        except UnreadableModel as error:
            lost.append(unread(held[slot].models[0].name, error))
            continue
        if slots is None:
            return None
    gone = tuple(lost)
    skipped = (*(x for x in known.head.skipped if x not in gone), *gone)
    is_less = known.head.incomplete or bool(gone)
    return replace(known, head=replace(known.head, skipped=skipped, incomplete=is_less))
