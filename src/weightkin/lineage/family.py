"""The family graph of many models, from their weights alone: what `tree` answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

import weightkin
from weightkin.errors import UnreadableModel, UsageError
from weightkin.lineage.collection import Collection, Member, Progress, Source, gather
from weightkin.lineage.draft import Draft
from weightkin.lineage.hidden import Found, find_hidden
from weightkin.lineage.layouts import equal_pairs, not_testable
from weightkin.lineage.leaves import lossy_edges
from weightkin.lineage.mixtures import merge_edges
from weightkin.lineage.proposed import Likeness, proposed
from weightkin.lineage.relatives import Groups, Relatives, Told, components
from weightkin.lineage.trained import Tree, trained_trees
from weightkin.records import Skipped
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode, RunnerUp
from weightkin.sketch import Scheme

ALPHA = 1e-6
EQUAL = 1000.0  # likeness of two models of which one holds all values of the other
MOST_WHYS = 8  # reasons in one line
DISGUISES = ("rotated", "permuted", "rescaled", "sign-flipped")  # the one that names an edge first


def family_graph(
    sources: Sequence[Source],
    *,
    alpha: float = ALPHA,
    seed: int = 0,
    method: Literal["weightkin", "mother"] = "weightkin",
    cache: Path | None = None,
    progress: Progress | None = None,
    workers: int = 1,
    cluster: str | None = None,
) -> FamilyGraph:
    """Recover who was made from whom among many models.

    Null hypothesis of every join: the two models come from independent initialisations; the level
    is paid for all n(n-1)/2 pairs. Directions carry a probability of their own and are claimed from
    0.8 on.

    Parameters
    ----------
    sources : sequence
        Models, sketches or what `open_model` takes.
    alpha : float
        Level at which any two strangers are joined.
    seed : int
        Breaks ties and draws resamples; recorded.
    method : str
        ``mother`` is the second paper's recipe on the same models, for comparison.
    cache : Path, optional
        Keep sketches here between runs.
    progress : callable, optional
        Called with what is done, number done, number in all and bytes read: before each model is
        sketched, then in each phase of the comparing, counted from 0 again.
    workers : int
        Processes that sketch; what they answer does not depend on it.
    cluster : str, optional
        Address of a dask scheduler whose workers sketch instead.

    Returns
    -------
    FamilyGraph
        Nodes with none, one or several parents. Models that could not be read are in ``skipped``.
    """
    started = time.perf_counter()
    if not sources:
        raise UsageError("no model was named, expected at least one")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}, expected a number between 0 and 1")
    collection = gather(sources, cache, progress, workers=workers, cluster=cluster)
    if not collection.members:
        raise UnreadableModel(none_read([x.why for x in collection.skipped]))
    if method == "mother":
        from weightkin.lineage.paper import mother_edges

        families = _families(collection, alpha, seed, progress)[2]
        edges, skipped = mother_edges(collection.members, families)
        n_unobserved = 0
    else:
        edges, n_unobserved, skipped = _found(collection, alpha, seed, progress)
    return _graph(
        collection,
        edges,
        n_unobserved,
        skipped,
        alpha=alpha,
        seed=seed,
        method=method,
        seconds=round(time.perf_counter() - started, 3),
    )


def none_read(whys: Sequence[str]) -> str:
    """One line for models none of which could be read, with the first few reasons."""
    few = "; ".join(whys[:MOST_WHYS])
    more = f"; and {len(whys) - MOST_WHYS} more" if len(whys) > MOST_WHYS else ""
    return f"none of {len(whys)} models could be read: {few}{more}"


def _families(
    collection: Collection, alpha: float, seed: int, progress: Progress | None
) -> tuple[Relatives, Likeness, list[list[int]]]:
    sketches = [m.sketch for m in collection.members]
    relatives = Relatives(sketches, alpha, seed)
    z = proposed(sketches)
    told = _phase(progress, "comparing pairs", collection)
    families = components(relatives, z, range(len(sketches)), told)
    if isinstance(z, np.ndarray) and len(families) > 1:
        relatives.equal = equal_pairs(sketches, families)
    for i, j in relatives.equal:
        z[i, j] = z[j, i] = max(z[i, j], EQUAL)
    if relatives.equal:
        families = components(relatives, z, range(len(sketches)))
    return relatives, z, families


def _phase(
    progress: Progress | None, what: str, collection: Collection, n_before: int = 0, n_all: int = 0
) -> Told | None:
    """How a phase says how far it is; of one done in parts, ``n_before`` of ``n_all`` are over."""
    if progress is None:
        return None

    def told(n_done: int, n_total: int) -> None:
        progress(what, n_before + n_done, n_all or n_total, collection.bytes_read)

    return told


def _found(
    collection: Collection, alpha: float, seed: int, progress: Progress | None
) -> tuple[list[Draft], int, list[Skipped]]:
    """Everything in turn: families, lossy leaves, mixtures, trained trees, hidden models."""
    members = collection.members
    sketches = [m.sketch for m in members]
    relatives, z, families = _families(collection, alpha, seed, progress)
    n_related = sum(len(family) for family in families if len(family) > 1)
    edges: list[Draft] = []
    trees: list[Tree] = []
    n_unobserved = n_laid_out = 0
    for family in families:
        if len(family) < 2:
            trees.append(Tree((), family[0], tuple(family), 0))
            continue
        told = _phase(progress, "laying out families", collection, n_laid_out, n_related)
        n_laid_out += len(family)
        own = lossy_edges(relatives, z, family, told)
        made = {edge.child for edge in own}
        rest = [i for i in family if i not in made]
        mixed = merge_edges(sketches, relatives, rest)
        made |= {edge.child for edge in mixed}
        rest = [i for i in rest if i not in made]
        grown = trained_trees(
            sketches, relatives, components(relatives, z, rest), seed, n_unobserved
        )
        n_unobserved += sum(tree.n_unobserved for tree in grown)
        trees += grown
        edges += [*own, *mixed, *(edge for tree in grown for edge in tree.edges)]
    alone = [family[0] for family in families if len(family) == 1]
    rooted = [tree for tree in trees if tree.root not in alone]
    hidden, unseen = find_hidden(
        members,
        alone,
        [t.oldest_first for t in rooted],
        [t.root for t in rooted],
        relatives.paid_alpha,
        seed,
        _phase(progress, "looking for disguised copies", collection),
    )
    edges += [_hidden_edge(found) for found in hidden]
    skipped = [
        Skipped(what=members[i].id, why="no relatives on the sketch, and no weights to look again")
        for i in alone
        if members[i].model is None
    ]
    skipped += [
        Skipped(what=members[i].id, why="too many models without relatives to compare all weights")
        for i in unseen
    ]
    return edges, n_unobserved, skipped


def _hidden_edge(found: Found) -> Draft:
    """A hidden copy hangs below: its relatives have kept the order of units that it lost."""
    record = found.record
    kinds = [k for k in DISGUISES if k in record.kind]
    return Draft(
        parent=found.parent,
        child=found.child,
        kind=kinds[0] if kinds else "unknown",
        details={"also": kinds[1:]} if len(kinds) > 1 else {},
        log10_pvalue=record.log10_pvalue,
        direction=0.95 if found.is_rooted else 0.5,
        distance=found.distance,
        support=found.support,
        evidence=(record.sentence, f"units seen through tokens differ by {found.distance:.2e}"),
        runner_up=found.runner_up if found.runner_up >= 0 else None,
        behind=found.behind,
        unit="distance",
    )


def _graph(  # noqa: PLR0913 (the record has as many parts)
    collection: Collection,
    edges: Sequence[Draft],
    n_unobserved: int,
    skipped: Sequence[Skipped],
    *,
    alpha: float,
    seed: int,
    method: str,
    seconds: float,
) -> FamilyGraph:
    members = collection.members
    taken = {m.id for m in members}
    unobserved = [_free(f"unobserved-{k + 1}", taken) for k in range(n_unobserved)]

    def name(i: int) -> str:
        return members[i].id if i >= 0 else unobserved[-1 - i]

    nodes = [_node(m) for m in members]
    nodes += [FamilyNode(id=x, observed=False) for x in unobserved]
    drawn = tuple(
        FamilyEdge(
            parent=name(e.parent),
            child=name(e.child),
            kind=e.kind,
            kind_details=e.details,
            weight=e.weight,
            log10_pvalue=e.log10_pvalue,
            direction="determined" if e.is_claimed else "undetermined",
            direction_probability=e.direction,
            distance=e.distance,
            support=e.support,
            evidence=e.evidence,
            runner_up=None
            if e.runner_up is None
            else RunnerUp(parent=name(e.runner_up), behind=max(0.0, e.behind), unit=e.unit),
        )
        for e in edges
    )
    return FamilyGraph(
        nodes=tuple(nodes),
        edges=drawn,
        components=_components([n.id for n in nodes], drawn),
        alpha=alpha,
        method=f"{method}/1",
        parameters={"scheme": Scheme().name, "n_pairs": len(members) * (len(members) - 1) // 2},
        skipped=(*collection.skipped, *skipped),
        seed=seed,
        seconds=seconds,
        bytes_read=collection.bytes_read,
        version=weightkin.__version__,
        incomplete=collection.is_incomplete,
        not_testable=not_testable(members),
    )


def _node(member: Member) -> FamilyNode:
    sketch = member.sketch
    return FamilyNode(
        id=member.id,
        name=sketch.name,
        source=sketch.source,
        digest=sketch.digest,
        duplicates=member.duplicates,
    )


def _components(ids: Sequence[str], edges: Sequence[FamilyEdge]) -> tuple[tuple[str, ...], ...]:
    """Nodes joined by edges, largest family first."""
    groups = Groups(ids)
    for edge in edges:
        groups.join(edge.parent, edge.child)
    return tuple(tuple(g) for g in sorted(groups.all(), key=lambda g: (-len(g), g)))


def _free(wanted: str, taken: set[str]) -> str:
    found, n = wanted, 1
    while found in taken:
        n += 1
        found = f"{wanted}~{n}"
    taken.add(found)
    return found
