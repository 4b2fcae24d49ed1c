"""The family graph of all registered models: kept in the file, grown by newcomers, else rebuilt.

Nodes are contents, named after the model that was registered first. A graph is taken again while
the same models are registered; models that were added since are hung into it, until these are a
quarter of all, or of a family too large to be laid out for each; whatever else changed, everything
is laid out anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from weightkin.arrays import Floats
from weightkin.compute import Execution, Progress
from weightkin.errors import UnreadableModel, UnusableRegistry
from weightkin.formats import Model
from weightkin.lineage.family import find_family
from weightkin.lineage.growing import MOST_AGAIN, N_NEAR, Proposed, insert_model
from weightkin.lineage.proposed import LEAST_COSINE, N_NEAREST
from weightkin.records import Skipped, unread
from weightkin.records.family import FamilyGraph, FamilyNode
from weightkin.registry.blocks import ALIGNED, INVARIANT, Halves
from weightkin.registry.kept_graph import kept
from weightkin.registry.prepared import held_whole, weights_at_hand
from weightkin.registry.sealed import SealedStore
from weightkin.registry.searching import LEAST_INVARIANT
from weightkin.registry.slots import Sketches, Slot, by_node, slots_of, unused
from weightkin.registry.stores import store_of
from weightkin.sketch import Sketch

MOST_GROWN = 16  # newcomers that a search hangs into the graph before it answers
GROWN = 0.25  # share of newcomers from which everything is laid out anew


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
    if old is not None:
        new = _grown(store, old, held)
        if new is not None and not new.parameters.get(N_NEAR):
            return new, new != old
    return _rebuilt(store, held, alpha, seed, progress), True


def current(
    store: SealedStore,
    connection: sqlite3.Connection,
    *,
    alpha: float,
    seed: int,
    before: FamilyGraph | None = None,
) -> tuple[FamilyGraph, Sketches, bool] | None:
    """The graph that is kept, with all newcomers if these are few.

    Parameters
    ----------
    store, connection : SealedStore, sqlite3.Connection
        An open registry.
    alpha, seed : float, int
        Level and seed of the graph.
    before : FamilyGraph, optional
        One that was made here and not kept.

    Returns
    -------
    FamilyGraph, Sketches, bool, or None
        The graph, the sketches of its nodes, and whether it grew. Of few models it is computed
        where none is kept. None where nothing is kept of many, or too much has changed since.
    """
    old = kept(connection, alpha=alpha, seed=seed)
    if old is not None and old.parameters.get("imported"):
        old = None  # `tree` shows it as such; a place in it is nothing that was found here
    if old is None and before is not None and (before.alpha, before.seed) == (alpha, seed):
        old = before
    held = slots_of(connection)
    graph = None
    if old is not None and len(newcomers(old, held)) <= MOST_GROWN:
        graph = _grown(store, old, held)
    if graph is None and 0 < len(held) <= MOST_AGAIN:
        with suppress(UnreadableModel):
            graph = _rebuilt(store, held, alpha, seed, None)
    known = by_node(graph, held) if graph is not None else None
    if graph is None or known is None:
        return None
    return graph, Sketches(store, known), graph != old


def newcomers(graph: FamilyGraph, held: Mapping[int, Slot]) -> list[Slot]:
    """What is registered and stands behind no node of a graph."""
    there = {number for node in graph.nodes for number in node.registered}
    return [x for x in held.values() if not there & set(x.ids)]


def _grown(store: SealedStore, graph: FamilyGraph, held: Mapping[int, Slot]) -> FamilyGraph | None:
    """The graph with the models that were added since; None where that is not enough."""
    known = by_node(graph, held)
    if known is None:
        return None
    new = newcomers(graph, held)
    n_grown = int(graph.parameters.get("n_grown", 0)) + len(new)
    if n_grown > GROWN * len(held):
        return None
    lost = []
    for own in new:
        sketches = Sketches(store, known)
        name = unused(own.models[0].name, {node.id for node in graph.nodes})
        try:
            sketch = Sketches(store, {name: own})[name]
            graph = _joined(_with(store, graph, sketches, own, name, sketch), name, own)
        except UnreadableModel as error:
            lost.append(unread(name, error))
            continue
        if any(node.id == name for node in graph.nodes):
            known = {**known, name: own}
    if new:
        n_grown -= len(lost)
        graph = replace(graph, parameters={**graph.parameters, "n_grown": n_grown})
    return _with_numbers(graph, known, held, lost)


def _with(
    store: SealedStore, graph: FamilyGraph, sketches: Sketches, own: Slot, name: str, sketch: Sketch
) -> FamilyGraph:
    """Hang one newcomer, near whatever the vectors propose."""
    return insert_model(
        graph,
        sketches,
        replace(sketch, name=name),
        proposals(store, sketches.held, own.slot),
        lambda x: weights_at_hand(sketch if x == name else sketches[x]),
    )


def proposals(store: SealedStore, held: Mapping[str, Slot], slot: int) -> Proposed:
    """Nodes that registered contents may be related to: by sketches, and by weights alone.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The store of an open registry, and the slot of each node.
    slot : int
        That of the contents.

    Returns
    -------
    Proposed
        The nearest by each kind of vector.
    """
    nodes = {x.slot: node for node, x in held.items()}
    found: list[list[str]] = []
    for block, least in ((ALIGNED, LEAST_COSINE), (INVARIANT, LEAST_INVARIANT)):
        own = np.asarray(store.rows(block, [slot])[0], np.float32)
        at, cosine = store.nearest(block, own, N_NEAREST + 1)
        close = [k for k, c in zip(at.tolist(), cosine, strict=True) if c >= least]
        found.append([nodes[k] for k in close if k in nodes])
    return Proposed(found[0], [x for x in found[1] if x not in found[0]])


def _rebuilt(
    store: SealedStore, held: Mapping[int, Slot], alpha: float, seed: int, progress: Progress | None
) -> FamilyGraph:
    names: dict[str, Slot] = {}
    for own in held.values():
        names[unused(own.models[0].name, names)] = own
    sketches = Sketches(store, names)
    hidden = _may_hide(store, held)
    sources: list[Sketch | Model] = []
    lost = []
    for name, own in names.items():
        try:
            sketch = sketches[name]
        except UnreadableModel as error:
            lost.append(unread(name, error))
            continue
        whole = weights_at_hand(sketch) if own.slot in hidden else held_whole(sketch)
        sources.append(replace(sketch if whole is None else whole, name=name))
    if not sources:
        first = lost[0].data["error"]
        raise UnreadableModel(f"none of {len(lost)} sketches could be read: {first}")
    graph = find_family(sources, alpha=alpha, seed=seed, execution=Execution(progress=progress))
    said = {name for name, own in names.items() if own.slot in hidden}
    skipped = tuple(x for x in graph.skipped if x.code != "no-weights" or x.what in said)
    return _with_numbers(replace(graph, skipped=skipped), names, held, lost)


def _may_hide(store: SealedStore, held: Mapping[int, Slot]) -> set[int]:
    """Slots of models whose invariant vectors are alike and whose aligned ones are not."""
    slots = list(held)
    rows = {b.name: store.rows(b, slots) for b in (ALIGNED, INVARIANT)}
    found: set[int] = set()
    for start in range(0, len(slots), 1024):
        some = slice(start, start + 1024)
        for first in range(0, len(slots), 8192):
            other = slice(first, first + 8192)
            alike = _products(rows["invariant"], some, other) >= LEAST_INVARIANT
            if alike.any():
                alike &= _products(rows["aligned"], some, other) < LEAST_COSINE
                i, j = np.nonzero(alike)
                found.update(slots[start + k] for k in i.tolist())
                found.update(slots[first + k] for k in j.tolist())
    return found


def _products(rows: Halves, some: slice, other: slice) -> Floats:
    x, y = (np.asarray(rows[k], dtype=np.float32) for k in (some, other))
    return x @ y.T


def _with_numbers(
    graph: FamilyGraph,
    known: Mapping[str, Slot],
    held: Mapping[int, Slot],
    lost: Iterable[Skipped],
) -> FamilyGraph:
    """The graph with what the registry knows about its nodes: all that holds their values."""
    gone = tuple(lost)
    slot_of = {m.id: x.slot for x in held.values() for m in x.models}

    def registered_node(node: FamilyNode) -> FamilyNode:
        if not node.observed:
            return node
        numbers = node.registered or tuple(
            i for x in (node.id, *node.duplicates) for i in known[x].ids
        )
        slots = dict.fromkeys(slot_of[i] for i in numbers if i in slot_of)
        first, *others = (m for slot in slots for m in held[slot].models)
        return replace(
            node,
            name=first.name,
            source=first.source,
            digest=first.digest,
            duplicates=tuple(m.name for m in others),
            registered=tuple(m.id for m in (first, *others)),
        )

    return replace(
        graph,
        nodes=tuple(map(registered_node, graph.nodes)),
        skipped=(*(x for x in graph.skipped if x not in gone), *gone),
        incomplete=graph.incomplete or bool(gone),
    )


def _joined(graph: FamilyGraph, name: str, own: Slot) -> FamilyGraph:
    """The graph, a newcomer that became no node of its own counted to that of its values."""
    if any(node.id == name for node in graph.nodes):
        return graph
    nodes = (
        replace(x, registered=(*x.registered, *own.ids)) if name in x.duplicates else x
        for x in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))
