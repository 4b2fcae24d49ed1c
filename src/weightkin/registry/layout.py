"""Families computed from what a registry holds, and put into a graph of all of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from weightkin._version import __version__
from weightkin.compute import Execution, Progress
from weightkin.errors import UnreadableModel
from weightkin.formats import Model
from weightkin.lineage.family import find_family
from weightkin.lineage.growing import with_part
from weightkin.records import Skipped, left_out, unread
from weightkin.records.family import FamilyGraph, FamilyNode
from weightkin.registry.known import KnownFamilies
from weightkin.registry.members import may_hide
from weightkin.registry.prepared import held_whole, source_of, weights_at_hand, weights_of
from weightkin.registry.sealed import SealedStore
from weightkin.registry.slots import Sketches, Slot, unused
from weightkin.sketch import Scheme, Sketch

N_CONTENTS = "n_contents"  # parameter of a graph: contents that were registered when it was begun


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A model that is not registered, named by the id of its node.

    ``hidden`` are slots that only their weights show to be related to it; ``weights_at`` is where
    its own are.
    """

    source: Sketch | Model
    hidden: frozenset[int] = frozenset()
    weights_at: str | None = None


def empty(alpha: float, seed: int, n_contents: int) -> FamilyGraph:
    """A graph of a registry without any node."""
    return FamilyGraph(
        nodes=(),
        edges=(),
        components=(),
        alpha=alpha,
        method="weightkin/1",
        parameters={"scheme": Scheme().name, "n_pairs": 0, N_CONTENTS: n_contents},
        seed=seed,
        version=__version__,
    )


def laid_out(
    store: SealedStore,
    names: Mapping[str, Slot],
    *,
    alpha: float,
    seed: int,
    newcomer: Newcomer | None = None,
    progress: Progress | None = None,
) -> FamilyGraph:
    """The graph of some registered contents, and perhaps of one model that is not registered.

    Parameters
    ----------
    store : SealedStore
        Where the sketches are.
    names : mapping
        What is computed, by the ids of the nodes.
    alpha, seed : float, int
        Level and seed of the graph.
    newcomer : Newcomer, optional
        A model that is not registered.
    progress : callable, optional
        Called with the progress.

    Returns
    -------
    FamilyGraph
        Its nodes with their numbers in the registry.

    Raises
    ------
    UnreadableModel
        None of the sketches can be read.
    """
    sketches = Sketches(store, names)
    hidden = may_hide(store, (own.slot for own in names.values()))
    hidden |= newcomer.hidden if newcomer is not None else set()
    sources: list[Sketch | Model] = []
    lost = []
    for name, own in names.items():
        try:
            sketch = sketches[name]
        except UnreadableModel as error:
            lost.append(unread(name, error))
            continue
        where = source_of(own.models)
        whole = weights_at_hand(sketch, where) if own.slot in hidden else held_whole(sketch)
        sources.append(replace(sketch if whole is None else whole, name=name))
    if names and not sources:
        first = lost[0].data["error"]
        raise UnreadableModel(f"none of {len(lost)} sketches could be read: {first}")
    if newcomer is not None:
        sources.append(newcomer.source)

    def elsewhere(name: str) -> Model | Skipped:
        """The weights of a node as they were registered; what is on a hub is left there."""
        if name in names:
            return weights_of(sketches[name], source_of(names[name].models), on_hub=False)
        if newcomer is None or not isinstance(newcomer.source, Sketch):
            return left_out(name, "only-sketch")
        return weights_of(newcomer.source, newcomer.weights_at, on_hub=False)

    how = Execution(progress=progress)
    graph = find_family(sources, alpha=alpha, seed=seed, execution=how, elsewhere=elsewhere)
    said = {name for name, own in names.items() if own.slot in hidden}
    skipped = [x for x in graph.skipped if x.code != "no-weights" or x.what in said]
    return _with_numbers(graph, names, (*skipped, *lost), is_incomplete=bool(lost))


def laid_out_again(
    store: SealedStore,
    held: Mapping[int, Slot],
    known: KnownFamilies,
    slots: Collection[int],
    newcomer: Newcomer | None = None,
) -> FamilyGraph:
    """The families of some contents, with all that is new in them, computed anew.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The sketches, and what every slot holds.
    known : KnownFamilies
        The graph of the registry.
    slots : collection of int
        What is computed.
    newcomer : Newcomer, optional
        A model that is not registered, named by an id that no node has.

    Returns
    -------
    FamilyGraph
        Without all that is known of others.

    Raises
    ------
    UnreadableModel
        None of the sketches can be read.
    """
    graph = renumbered(known.part(held, slots), held)
    taken = known.ids
    names = _named(graph, held, slots, taken)
    is_more = newcomer is not None
    n, m = len(held) + is_more, len(names) + is_more
    share = m * (m - 1) / max(1, n * (n - 1)) if m > 1 else 1.0  # the level is paid for all pairs
    alpha = graph.alpha * min(1.0, share)
    part = laid_out(store, names, alpha=alpha, seed=graph.seed, newcomer=newcomer)
    return with_part(graph, part, names, taken)


def renumbered(graph: FamilyGraph, held: Mapping[int, Slot]) -> FamilyGraph:
    """A graph with all models that hold the contents of its nodes now."""
    slot_of = {m.id: x for x in held.values() for m in x.models}

    def node(x: FamilyNode) -> FamilyNode:
        slots = {slot_of[i].slot: slot_of[i] for i in x.registered if i in slot_of}
        return _registered(x, slots.values()) if slots else x

    return replace(graph, nodes=tuple(map(node, graph.nodes)))


def _named(
    graph: FamilyGraph, held: Mapping[int, Slot], slots: Collection[int], ids: Collection[str]
) -> dict[str, Slot]:
    """Some slots under the ids of their nodes, the others under ids that no node has."""
    node_of = {node.registered[0]: node.id for node in graph.nodes if node.registered}
    taken = set(ids)
    found: dict[str, Slot] = {}
    for own in (held[slot] for slot in sorted(slots)):
        name = node_of.get(own.models[0].id)
        if name is None:
            name = unused(own.models[0].name, taken)
            taken.add(name)
        found[name] = own
    return found


def _with_numbers(
    graph: FamilyGraph,
    names: Mapping[str, Slot],
    skipped: tuple[Skipped, ...],
    *,
    is_incomplete: bool,
) -> FamilyGraph:
    """A graph with what the registry knows about its nodes: all that holds their values."""

    def node(x: FamilyNode) -> FamilyNode:
        slots = [names[k] for k in (x.id, *x.duplicates) if k in names]
        more = tuple(k for k in x.duplicates if k not in names)
        found = _registered(x, slots) if slots else x
        return replace(found, duplicates=(*found.duplicates, *more)) if slots and more else found

    nodes = tuple(map(node, graph.nodes))
    incomplete = graph.incomplete or is_incomplete
    return replace(graph, nodes=nodes, skipped=skipped, incomplete=incomplete)


def _registered(node: FamilyNode, slots: Iterable[Slot]) -> FamilyNode:
    first, *others = (model for own in slots for model in own.models)
    return replace(
        node,
        name=first.name,
        source=first.source,
        digest=first.digest,
        duplicates=tuple(m.name for m in others),
        registered=tuple(m.id for m in (first, *others)),
    )
