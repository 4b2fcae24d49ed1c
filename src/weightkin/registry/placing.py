"""The place of a model in its whole family, in the graph of the registry.

Only where a family is too large to be computed for one question are its nearest members alone, and
then no direction is stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from weightkin.errors import UnreadableModel
from weightkin.formats import Model
from weightkin.lineage.growing import opened
from weightkin.records.family import FamilyGraph
from weightkin.records.kinds import is_lineage
from weightkin.records.registry import Among
from weightkin.registry.family import settled
from weightkin.registry.known import KnownFamilies
from weightkin.registry.layout import Newcomer, laid_out, laid_out_again, renumbered
from weightkin.registry.members import is_too_large
from weightkin.registry.placement import NodeFacts, Placed
from weightkin.registry.prepared import Prepared, held_whole, weights_at_hand
from weightkin.registry.proposing import Compared
from weightkin.registry.sealed import SealedStore
from weightkin.registry.slots import Slot, unused
from weightkin.sketch import Sketch

MOST_PLACED = 14  # relatives that are computed where the family is too large, the nearest
QUERY_NODE = "query"


def place(
    store: SealedStore,
    held: Mapping[int, Slot],
    known: KnownFamilies,
    query: Prepared,
    found: Compared,
) -> tuple[Placed, KnownFamilies]:
    """Find a model in the graph of the registry, or lay its family out.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The store of an open registry, and what every slot holds.
    known : KnownFamilies
        What is known of the graph.
    query, found : Prepared, Compared
        The model, and its relatives.

    Returns
    -------
    Placed, KnownFamilies
        No node where it has no relatives and is not registered; and what is known with the family
        of the registered relatives, as far as that could be computed.
    """
    near = [x for x in found.relatives if x.verdict == "dependent" and is_lineage(x.summary.kind)]
    related = {found.candidates[x.model.id].slot: x.looked_at == "weights" for x in near}
    own = found.slot if found.slot in held else None  # its entry may be damaged
    groups = known.groups(held)
    start = [] if own is None else [own]
    start += [slot for slot in related if own not in groups or slot not in groups]
    if not start:
        return Placed(among="registry"), known
    try:
        known, family = settled(store, held, known, start)
    except UnreadableModel:  # which the search has said already
        return Placed(), known
    if family is None or (own is None and is_too_large(family)):
        return _among_nearest(store, held, query, found, related), known
    if own is not None:
        graph = renumbered(known.part(held, family), held)
        at = next((x.id for x in graph.nodes if held[own].ids[0] in x.registered), "")
        return _placed(graph, at, held, query, found), known
    at = unused(QUERY_NODE, known.ids)
    hidden = frozenset(slot for slot, is_hidden in related.items() if is_hidden)
    newcomer = Newcomer(_source(query, at, is_hidden=bool(hidden)), hidden, query.weights_at)
    whole = laid_out_again(store, held, known, family, newcomer)
    at = next((x.id for x in whole.nodes if at in x.duplicates), at)
    return _placed(whole, at, held, query, found), known


def _among_nearest(
    store: SealedStore,
    held: Mapping[int, Slot],
    query: Prepared,
    found: Compared,
    related: Mapping[int, bool],
) -> Placed:
    """Lay out the nearest relatives of a model alone, every direction left open."""
    chosen = dict(list(related.items())[:MOST_PLACED])
    hidden = frozenset(slot for slot, is_hidden in chosen.items() if is_hidden)
    names = {f"#{held[slot].models[0].id}": held[slot] for slot in chosen}
    newcomer = Newcomer(
        _source(query, QUERY_NODE, is_hidden=bool(hidden)), hidden, query.weights_at
    )
    request, n = found.request, max(2, found.n_scanned + (found.slot is None))
    m = len(names) + 1
    alpha = request.alpha * min(1.0, m * (m - 1) / (n * (n - 1)))  # paid for all pairs there are
    graph = opened(laid_out(store, names, alpha=alpha, seed=request.seed, newcomer=newcomer))
    at = next((x.id for x in graph.nodes if QUERY_NODE in x.duplicates), QUERY_NODE)
    return _placed(graph, at, held, query, found, "nearest")


def _placed(
    graph: FamilyGraph,
    own: str,
    held: Mapping[int, Slot],
    query: Prepared,
    found: Compared,
    among: Among = "registry",
) -> Placed:
    """A graph with what its nodes stand for."""
    if not any(node.id == own for node in graph.nodes):
        return Placed(among=among)
    models = {m.id: m for x in held.values() for m in x.models}
    facts = {
        node.id: NodeFacts(node.name, node.registered[0] if node.registered else 0, node.digest)
        for node in graph.nodes
        if node.observed
    }
    facts[own] = NodeFacts(query.sketch.name, found.request.number, query.sketch.digest)
    behind = {x.id: tuple(models[i] for i in x.registered if i in models) for x in graph.nodes}
    return Placed(graph, own, facts, behind, among)


def _source(query: Prepared, name: str, *, is_hidden: bool) -> Sketch | Model:
    """What is computed: everything there is of a small model, the weights of a hidden one."""
    sketch, where = query.sketch, query.weights_at
    model = weights_at_hand(sketch, where) if is_hidden else held_whole(sketch)
    return replace(sketch if model is None else model, name=name)
