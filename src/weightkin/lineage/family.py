"""The family graph of many models, from their weights alone: what `tree` answers."""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from weightkin.compute import COPIES, HERE, PAIRS, PARENTS, Execution, Progress
from weightkin.errors import UnreadableModel, WorkerLost
from weightkin.lineage.candidates import CandidateEdge
from weightkin.lineage.collection import Collection, Source, gather
from weightkin.lineage.containers import family_tree
from weightkin.lineage.frame import in_one_frame
from weightkin.lineage.graph import Drawn, graph_record
from weightkin.lineage.layouts import equal_pairs
from weightkin.lineage.looks import Look
from weightkin.lineage.on_weights import Elsewhere, at_hand
from weightkin.lineage.proposed import LikenessMatrix, proposed
from weightkin.lineage.relatives import OnProgress, Relatives, components
from weightkin.records import clue, left_out
from weightkin.records.family import FamilyGraph
from weightkin.records.form import written
from weightkin.records.kinds import disguises
from weightkin.text import counted

Method = Literal["weightkin", "mother"]

EQUAL_LIKENESS = 1000.0  # likeness of two models of which one holds all values of the other
MOST_WHYS = 8  # reasons in one line


def find_family(
    sources: Sequence[Source],
    *,
    alpha: float,
    seed: int,
    method: Method = "weightkin",
    cache: Path | None = None,
    execution: Execution = HERE,
    elsewhere: Elsewhere | None = None,
) -> FamilyGraph:
    """The family graph of models, sketches or sources; `api.tree.family_graph` says it in full.

    Parameters
    ----------
    sources : sequence
        Paths, names on a hub, open models or sketches.
    alpha : float
        Level of the whole graph; all pairs share it.
    seed : int
        Of tests and resamples.
    method : str
        ``weightkin``, or ``mother`` for the MoTHer recipe.
    cache : Path, optional
        Folder of the cache of sketches.
    execution : Execution
        Where sources are read, with the progress.
    elsewhere : callable, optional
        The weights of a source of which there is a sketch, by its name.

    Returns
    -------
    FamilyGraph
        With sources that could not be read among ``skipped``.

    Raises
    ------
    UnreadableModel
        None of them could be read.
    WorkerLost
        None could be read, and workers were lost over some.
    """
    started = time.perf_counter()
    progress = execution.progress
    collection = gather(sources, cache, execution)
    if not collection.members:
        kind = WorkerLost if collection.n_lost else UnreadableModel
        raise kind(none_read([x.data["error"] for x in collection.skipped]))
    if method == "mother":
        from weightkin.lineage.paper import mother_edges

        families = found_families(collection, alpha, seed, progress, elsewhere)[2]
        edges, skipped = mother_edges(collection.members, families)
        drawn = Drawn(edges, 0, skipped)
    else:
        drawn = _found(collection, alpha, seed, progress, elsewhere)
    graph = graph_record(collection, drawn, alpha=alpha, seed=seed, method=method)
    return replace(graph, seconds=round(time.perf_counter() - started, 3))


def none_read(whys: Sequence[str]) -> str:
    """One line for models none of which could be read, with the first few reasons."""
    few = "; ".join(whys[:MOST_WHYS])
    more = f"; and {len(whys) - MOST_WHYS} more" if len(whys) > MOST_WHYS else ""
    return f"none of {len(whys)} models could be read: {few}{more}"


def found_families(
    collection: Collection,
    alpha: float,
    seed: int,
    progress: Progress | None,
    elsewhere: Elsewhere | None = None,
) -> tuple[Relatives, LikenessMatrix, list[list[int]]]:
    """The tests of all pairs, how alike they are, and the families that the tests join."""
    sketches = [m.sketch for m in collection.members]
    weights = at_hand(collection.members, elsewhere)
    relatives = Relatives(sketches, alpha, seed, weights=weights)
    z = proposed(sketches)
    on_progress = _phase(progress, PAIRS, collection)
    families = components(relatives, z, range(len(sketches)), on_progress)
    if isinstance(z, np.ndarray) and len(families) > 1:
        for pair, part in equal_pairs(sketches, families).items():
            if part is None:
                relatives.equal.add(pair)
            else:
                relatives.parts[pair] = part
    for i, j in relatives.equal:
        z[i, j] = z[j, i] = max(z[i, j], EQUAL_LIKENESS)
    if relatives.equal:
        relatives.by_tests = families
        families = components(relatives, z, range(len(sketches)))
    return relatives, z, families


def _phase(
    progress: Progress | None, what: str, collection: Collection, n_before: int = 0, n_all: int = 0
) -> OnProgress | None:
    """How a phase says how far it is; of one done in parts, ``n_before`` of ``n_all`` are over."""
    if progress is None:
        return None

    def on_progress(n_done: int, n_total: int) -> None:
        progress(what, n_before + n_done, n_all or n_total, collection.bytes_read)

    return on_progress


def _found(
    collection: Collection,
    alpha: float,
    seed: int,
    progress: Progress | None,
    elsewhere: Elsewhere | None,
) -> Drawn:
    """Everything in turn: families, the parents of their members, hidden models."""
    members = collection.members
    relatives, _, families = found_families(collection, alpha, seed, progress, elsewhere)
    looking = _phase(progress, COPIES, collection)
    frames = in_one_frame(members, relatives, families, looking)
    relatives.framed, families = frames.framed, frames.families
    n_related = sum(len(family) for family in families if len(family) > 1)
    edges: list[CandidateEdge] = []
    n_unobserved = n_placed = 0
    for family in families:
        if len(family) < 2:
            continue
        on_progress = _phase(progress, PARENTS, collection, n_placed, n_related)
        n_placed += len(family)
        tree = family_tree(relatives, family, n_unobserved, on_progress)
        n_unobserved += tree.n_unobserved
        edges += tree.edges
    alone = {family[0] for family in families if len(family) == 1}
    edges += [_edge_apart(look, alone) for look in frames.apart if {look.a, look.b} & alone]
    skipped = [left_out(members[i].id, "no-weights") for i in alone if members[i].model is None]
    skipped += [left_out(members[i].id, "too-many-alone") for i in frames.unseen]
    for (i, j), part in sorted(relatives.parts.items()):
        both = f"{members[i].id} and {members[j].id}"
        skipped.append(left_out(both, "shared-part", parts=list(part.shared)))
    if relatives.unconfirmed:
        said = counted(len(relatives.unconfirmed), "pair")
        first = min(relatives.unconfirmed)
        reason = relatives.unconfirmed[first].nested
        skipped.append(left_out(said, "sketches-alone", reason=reason))
    return Drawn([_said(relatives, edge) for edge in edges], n_unobserved, skipped)


def _said(relatives: Relatives, edge: CandidateEdge) -> CandidateEdge:
    """An edge that says where only sketches show that its two models are related."""
    pair = min(edge.parent, edge.child), max(edge.parent, edge.child)
    own = [x for x in relatives.unconfirmed if edge.parent < 0 and edge.child in x]
    why = relatives.unconfirmed.get(own[0] if own else pair)
    if why is None:
        return edge
    said = clue("sketches-alone", reason=why.nested)
    return replace(edge, evidence=(*edge.evidence, said), is_unconfirmed=True)


def _edge_apart(look: Look, alone: Set[int]) -> CandidateEdge:
    """A model that is related to another one, and too far from it to be measured in its frame."""
    parent, child = (look.a, look.b) if look.b in alone else (look.b, look.a)
    record = look.record
    kinds = disguises(record.kind) if record else []
    return CandidateEdge(
        parent=parent,
        child=child,
        kind=kinds[0] if kinds else "unknown",
        log10_pvalue=record.log10_pvalue if record else 0.0,
        probability=0.5,
        evidence=(clue("compared", summary=written(record.summary)),) if record else (),
    )
