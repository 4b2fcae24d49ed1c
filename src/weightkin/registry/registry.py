"""`Registry`: add, search, trace, list, remove, export and import, on one file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from weightkin.api.arguments import (
    check_alpha,
    check_count,
    check_execution,
    check_flag,
    check_kind,
    check_path,
    check_paths,
    check_seed,
)
from weightkin.api.models import Source, as_source
from weightkin.compute import HERE, Execution, Progress
from weightkin.errors import AdapterAlone, UsageError
from weightkin.formats.write_guard import refuse_inside
from weightkin.records import Skipped
from weightkin.records.descendants import Descendants
from weightkin.records.family import FamilyGraph
from weightkin.records.listing import Adding, Listing
from weightkin.records.registry import Registered, Search, Trace
from weightkin.registry import (
    adding,
    declarations,
    entries,
    family,
    kept_graph,
    listing,
    queries,
    rechecking,
    tracing,
    transfer_archive,
    verifying,
)
from weightkin.registry.fitting import fitting
from weightkin.registry.graph_head import ALPHA
from weightkin.registry.known import KnownFamilies
from weightkin.registry.prepared import Prepared
from weightkin.registry.proposing import Request
from weightkin.registry.store import (
    default_file,
    opened,
    write_if_free,
    writing,
)
from weightkin.registry.stores import new_place, store_of
from weightkin.registry.tracing import Traced

N_COMPARED = 32  # candidates that are compared


class Registry:
    """Many models in one file, found again by their weights.

    Several processes may add and search at once. A stop at any moment leaves a file that opens.

    Parameters
    ----------
    path : str or Path, optional
        The file; made by the first `add`. That of the user without it.
    store : str, optional
        Where vectors and sketches go when the file is made: ``lance:PATH`` or an address such as
        ``lance:s3://bucket/path``, with the extra ``[lance]``. Beside the file without it. The
        file remembers it.
    """

    def __init__(self, path: str | Path | None = None, *, store: str | None = None) -> None:
        self.path = default_file() if path is None else check_path("path", path)
        self._store = check_kind("store", store, str | None, "a text such as lance:PATH")
        self._before: KnownFamilies | None = None  # found by a fresh `trace`, and not kept

    def __repr__(self) -> str:
        return f"<Registry {str(self.path)!r}>"

    def _repr_html_(self) -> str | None:
        return self.listing()._repr_html_() if self.path.is_file() else None

    def add(
        self,
        sources: Sequence[str | Path],
        *,
        resume: bool = False,
        execution: Execution = HERE,
    ) -> Adding:
        """Register models; those that cannot be read are listed in ``skipped``.

        Parameters
        ----------
        sources : sequence of str or Path
            Paths or names of models; may be empty with ``resume``.
        resume : bool
            Also resume interrupted jobs.
        execution : Execution
            Where models are read, and a function that is called with the progress.

        Returns
        -------
        Adding
            What was added, what was already registered, and what was left out.

        Raises
        ------
        UsageError
            An argument has a value that it cannot have.
        UnusableRegistry
            The file is damaged, or cannot be written.
        """
        check_paths("sources", sources)
        if not sources and not check_flag("resume", resume):
            raise UsageError("give at least one model, or --resume (in Python: resume=True)")
        refuse_inside(self.path, sources)
        return adding.add_all(
            self.path,
            sources,
            resume=resume,
            place=new_place(self.path, self._store, sources),
            execution=check_execution(execution),
        )

    def search(
        self, source: Source, *, alpha: float = ALPHA, seed: int = 0, most: int = N_COMPARED
    ) -> Search:
        """Find the registered models that are related to a model.

        Null hypothesis of every verdict: that of `compare`; alpha is divided by the number of
        models that were scanned, whether or not their vectors proposed them. Of an adapter, which
        cannot be tested alone, ``fits`` are the models that have what it changes, by names and
        shapes.

        Parameters
        ----------
        source : Model, str, Path or state dict
            An open model, a source, or the name or number (``#3``) of a registered model.
        alpha : float
            Significance level of the whole search.
        seed : int
            Breaks ties; recorded.
        most : int
            Candidates that are compared, the nearest by search vectors.
        """
        try:
            return self.trace(source, alpha=alpha, seed=seed, most=most).search
        except AdapterAlone:
            return fitting(self.path, str(source), alpha=alpha, seed=seed)

    def trace(
        self,
        source: Source,
        *,
        alpha: float = ALPHA,
        seed: int = 0,
        most: int = N_COMPARED,
        also: Sequence[int] = (),
        fresh: bool = False,
    ) -> Trace:
        """The way of a model to its root, and what it declares held against that.

        An open model is looked at as it is: nothing is opened again by its name. Registered models
        whose numbers are in ``also`` are compared whatever their vectors say. With ``fresh``, as at
        the gate, every comparison is made anew and nothing is written.
        """
        started = time.perf_counter()
        check_alpha(alpha)
        check_seed(seed)
        check_count("most", most, least=1)
        check_flag("fresh", fresh)
        for number in check_kind("also", also, tuple | list, "a list of numbers"):
            check_count("a number of also", number)
        query, own = queries.prepared(self.path, as_source("source", source))
        request = Request(own=own, wanted=also, alpha=alpha, seed=seed, most=most, fresh=fresh)
        what = self._traced(query, request)
        where = what.placed.placement()
        seconds = round(time.perf_counter() - started, 3)
        record = queries.search_record(query, what.found, where, what.first, seconds)
        said = query.declared
        known = declarations.check_declared(said.parents, what.matches, what.found, where)
        return Trace(search=record, declared=known, licence=said.licence)

    def descendants(
        self, source: Source, *, alpha: float = ALPHA, seed: int = 0, fresh: bool = False
    ) -> Descendants:
        """Find the registered models that were made from a model, at any depth.

        Over edges of the family graph whose direction is determined alone; relatives of which that
        is open are listed apart.

        Parameters
        ----------
        source : Model, str, Path or state dict
            An open model, a source, or the name or number (``#3``) of a registered model.
        alpha : float
            Significance level of the search and of the graph.
        seed : int
            Breaks ties; recorded.
        fresh : bool
            Write nothing.

        Returns
        -------
        Descendants
            Each with the path to it, its probability and its p-value.
        """
        started = time.perf_counter()
        check_alpha(alpha)
        check_seed(seed)
        check_flag("fresh", fresh)
        query, own = queries.prepared(self.path, as_source("source", source))
        most = 0 if own is not None else N_COMPARED  # the graph knows what is registered
        request = Request(own=own, wanted=(), alpha=alpha, seed=seed, most=most, fresh=fresh)
        what = self._traced(query, request)
        seconds = round(time.perf_counter() - started, 3)
        return tracing.descendants_record(query, what, seconds)

    def _traced(self, query: Prepared, request: Request) -> Traced:
        """Search and place a model; what others can use is written down, unless all is fresh."""
        what = tracing.traced(self.path, query, request, self._before if request.fresh else None)
        if request.fresh:
            self._before = what.known
        else:
            tracing.remember(self.path, what)
        return what

    def family(
        self, *, alpha: float = ALPHA, seed: int = 0, progress: Progress | None = None
    ) -> FamilyGraph:
        """The family graph of all registered models; each node has its numbers in the registry.

        Null hypothesis of every join: that of `family_graph`; alpha is divided by the number of
        pairs. The graph is stored in the file and reused while the same models are registered. If
        models were only added, they are inserted; otherwise the graph is computed again, which
        costs what `family_graph` does.

        Raises
        ------
        UnusableRegistry
            There is no registry, or no model in it.
        UnreadableModel
            None of its sketches can be read.
        """
        check_alpha(alpha)
        check_seed(seed)
        with opened(self.path, to_write=False) as connection:
            graph, known = family.family(
                self.path, connection, alpha=alpha, seed=seed, progress=progress
            )
        if known is not None:
            write_if_free(self.path, partial(kept_graph.keep, known=known))
        return graph

    def list(self) -> tuple[Registered, ...]:
        """All registered models, in the order they were added."""
        return listing.registered(self.path)

    def listing(self) -> Listing:
        """All registered models with what each is, as ``weightkin list`` prints them."""
        return listing.listing(self.path)

    def remove(self, name: str) -> tuple[Registered, ...]:
        """Remove every model with this name, number (``#3``) or source."""
        check_kind("name", name, str, "a name, a number such as '#3' or a source")
        with opened(self.path, to_write=True, is_made=False) as connection:
            store = store_of(self.path, connection, to_write=True)
            with writing(connection):
                gone = queries.named(connection, name, is_checked=False)
                unused = entries.forget(store, connection, [model.id for model in gone])
            with writing(connection):  # under the lock: nobody adds these contents meanwhile
                for slot, file in unused:
                    row = connection.execute("SELECT 1 FROM contents WHERE sketch = ?", (file,))
                    if row.fetchone() is None:
                        store.forget(slot, file)
        if not gone:
            raise queries.unregistered(name, self.path)
        return tuple(gone)

    def verify(self, *, edges: bool = False) -> tuple[Skipped, ...]:
        """All that is damaged; every sketch is read. With ``edges`` fresh runs are made again."""
        check_flag("edges", edges)
        found = verifying.damages(self.path)
        return tuple(rechecking.rechecked(self.path) if edges and not found else found)

    def export(self, file: str | Path, *, force: bool = False) -> int:
        """Export all but the weights to one file, an older one with ``force``; how many models."""
        target, force = check_path("file", file), check_flag("force", force)
        return transfer_archive.export_to(self.path, target, is_forced=force)

    def import_(self, file: str | Path) -> Adding:
        """Import the models of an exported registry."""
        path = check_path("file", file)
        return transfer_archive.import_from(
            self.path, path, place=new_place(self.path, self._store)
        )
