"""One question to a registry: who is related to a model, and where in their family it lies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from weightkin._version import __version__
from weightkin.lineage.descent import EdgePath, chance_of_all
from weightkin.records import left_out
from weightkin.records.descendants import Descendant, Descendants
from weightkin.records.family import is_calibrated
from weightkin.records.registry import Step
from weightkin.registry import declarations, entries, family, kept_graph, placing, searching, slots
from weightkin.registry.claims import is_text
from weightkin.registry.known import KnownFamilies
from weightkin.registry.placement import Placed
from weightkin.registry.prepared import Prepared
from weightkin.registry.proposing import Compared, Request
from weightkin.registry.store import opened, write_if_free
from weightkin.registry.stores import store_of


@dataclass(frozen=True, slots=True)
class Traced:
    """What was found about a model."""

    found: Compared
    placed: Placed
    matches: Mapping[str, Sequence[int]]  # models that each declared parent may mean
    first: str  # the one registered first
    known: KnownFamilies  # of the graph of the registry
    is_new: bool  # a family was computed


def traced(
    path: Path, query: Prepared, request: Request, before: KnownFamilies | None = None
) -> Traced:
    """Search the relatives of a model, and place it among them.

    Parameters
    ----------
    path : Path
        The registry's file.
    query : Prepared
        The model.
    request : Request
        What is asked of the search.
    before : KnownFamilies, optional
        What was found about the graph of the registry and not written.

    Returns
    -------
    Traced
        Nothing is written.
    """
    own, alpha, seed = request.own, request.alpha, request.seed
    with opened(path, to_write=False) as connection:
        store = store_of(path, connection)
        parents = [p for p in query.declared.parents if is_text(p)]
        matches = {p: declarations.matching(connection, p) for p in parents}
        wanted = [*request.wanted, *(i for ids in matches.values() for i in ids)]
        wanted = [i for i in wanted if own is None or i != own.id]
        found = searching.search(store, connection, query, replace(request, wanted=wanted))
        held = slots.slots_of(
            connection, lambda what: found.lose(left_out(what, "registry-damaged"))
        )
        old = family.current(connection, held, alpha=alpha, seed=seed, before=before)
        placed, families = placing.place(store, held, old, query, found)
        known = [x.model for x in found.relatives] + ([own] if own is not None else [])
        first = entries.first_of(known)
    found.relatives = [placed.related(x) for x in found.relatives]
    return Traced(found, placed, matches, first, families, is_new=families is not old)


def remember(path: Path, what: Traced) -> None:
    """Write down what other searches can use."""
    writes: list[Callable[[sqlite3.Connection], None]] = []
    own = what.found.request.own
    if own is not None:
        writes.append(partial(searching.remember, own=own, found=what.found))
    if what.is_new:
        writes.append(partial(kept_graph.keep, known=what.known))
    write_if_free(path, *writes)


def descendants_record(query: Prepared, what: Traced, seconds: float) -> Descendants:
    """The record of what descends from a model.

    Parameters
    ----------
    query, what : Prepared, Traced
        The model, and what was found about it.
    seconds : float
        What it took.

    Returns
    -------
    Descendants
        Nearest first.
    """
    placed, request = what.placed, what.found.request
    below = placed.descent.below(placed.own) if placed.descent else {}
    open_ = placed.descent.may_descend(placed.own) if placed.descent else {}
    same = (x for x in placed.models.get(placed.own, ()) if x.id != request.number)
    return Descendants(
        name=query.sketch.name,
        source=query.sketch.source,
        digest=query.sketch.digest,
        alpha=request.alpha,
        n_scanned=what.found.n_scanned,
        identical=tuple(same),
        descendants=_listed(placed, below, is_sure=True),
        may_descend=_listed(placed, open_, is_sure=False),
        placed_among=placed.among,
        registered=request.own,
        skipped=(*what.found.skipped, *placed.placement().skipped),
        seconds=seconds,
        seed=request.seed,
        version=__version__,
        incomplete=query.sketch.is_partial or what.found.is_incomplete,
    )


def _listed(
    placed: Placed, paths: Mapping[str, EdgePath], *, is_sure: bool
) -> tuple[Descendant, ...]:
    found = [
        Descendant(
            model=model,
            determined=is_sure,
            probability=chance_of_all(path),
            log10_pvalue=max(edge.log10_pvalue for edge in path),
            path=tuple(map(without_evidence, placed.steps(path))),
        )
        for node, path in paths.items()
        for model in placed.models.get(node, ())
    ]
    return tuple(sorted(found, key=lambda x: (len(x.path), x.model.id)))


def without_evidence(step: Step) -> Step:
    """A step without its evidence, but for what relates the two where no test of weights does."""
    codes = {"sketches-alone", "compared"} if is_calibrated(step) else {"sketches-alone"}
    return replace(step, evidence=tuple(x for x in step.evidence if x.code in codes))
