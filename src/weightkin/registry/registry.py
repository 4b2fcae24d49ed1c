"""`Registry`: add, search, trace, list, remove, export and import, on one file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from weightkin.errors import UnusableRegistry, UsageError
from weightkin.formats import Model
from weightkin.formats.declared import Declared
from weightkin.formats.source import full_name, full_name_of, may_be_elsewhere
from weightkin.formats.write_guard import refuse_inside
from weightkin.records.family import FamilyGraph
from weightkin.records.registry import Adding, Registered, Search, Trace
from weightkin.registry import (
    adding,
    declarations,
    entries,
    family,
    placing,
    searching,
    slots,
    transfer_archive,
)
from weightkin.registry.claims import is_path, is_text
from weightkin.registry.prepared import Prepared, of_sketch, prepare
from weightkin.registry.store import COLUMNS, default_file, opened, write_if_free, writing
from weightkin.registry.stores import new_place, store_of
from weightkin.sketch.source import open_model
from weightkin.text import shown, unreadable

ALPHA = 1e-6
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
        self.path = default_file() if path is None else Path(path)
        self._store = store
        self._before: FamilyGraph | None = None  # made by a fresh `trace`, and not kept

    def add(
        self,
        sources: Sequence[str | Path],
        *,
        workers: int = 1,
        cluster: str | None = None,
        resume: bool = False,
        progress: adding.Progress | None = None,
    ) -> Adding:
        """Register models; what cannot be read is in ``skipped``, the rest goes on.

        With ``resume``, also takes up whatever stopped jobs left over. ``workers`` processes read
        models, or the workers of a ``cluster``: the address of a dask scheduler.
        """
        refuse_inside(self.path, sources)
        return adding.add_all(
            self.path,
            sources,
            workers=workers,
            cluster=cluster,
            resume=resume,
            place=new_place(self.path, self._store, sources),
            progress=progress,
        )

    def search(
        self, source: str | Path, *, alpha: float = ALPHA, seed: int = 0, most: int = N_COMPARED
    ) -> Search:
        """Who is related to a model, among all that are registered.

        Null hypothesis of every verdict: that of `compare`; the level is paid for all models that
        were scanned, whether or not their vectors proposed them.

        Parameters
        ----------
        source : str or Path
            A source, or the name or number (``#3``) of a registered model.
        alpha : float
            Level of the whole search.
        seed : int
            Breaks ties; recorded.
        most : int
            Candidates that are compared, the nearest by search vectors.
        """
        return self.trace(source, alpha=alpha, seed=seed, most=most).search

    def trace(
        self,
        source: str | Path | Model,
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
        if not 0 < alpha < 1 or most < 1:
            raise UsageError("alpha must lie between 0 and 1, and most be at least 1")
        query, own = self._query(source)
        with opened(self.path, to_write=False) as connection:
            store = store_of(self.path, connection)
            parents = [p for p in query.declared.parents if is_text(p)]
            matches = {p: declarations.matching(connection, p) for p in parents}
            named = (*also, *(x for ids in matches.values() for x in ids))
            wanted = [i for i in named if own is None or i != own.id]
            asked = searching.Asked(own, alpha, seed, most, fresh)
            found = searching.search(store, connection, query, wanted, asked)
            before = self._before if fresh else None
            whole = family.current(store, connection, alpha=alpha, seed=seed, before=before)
            if whole is None:
                where = placing.place_among_nearest(store, slots.slots_of(connection), query, found)
            else:
                slot = searching.slot_of(connection, query)
                where = placing.place_in_graph(whole[0], whole[1], query, slot, found)
            known = [x.model for x in found.relatives] + ([own] if own is not None else [])
            first = entries.first_of(connection, known)
        if fresh:
            self._before = whole[0] if whole is not None else None
        else:
            writes: list[Callable[[sqlite3.Connection], None]] = []
            if own is not None:
                writes.append(partial(searching.remember, own=own, found=found))
            if whole is not None and whole[2]:
                writes.append(partial(family.keep, graph=whole[0]))
            write_if_free(self.path, *writes)
        seconds = round(time.perf_counter() - started, 3)
        record = placing.search_record(query, found, where, first, seconds)
        said = query.declared
        declared = declarations.check_declared(said.parents, matches, found, where)
        return Trace(search=record, declared=declared, licence=said.licence)

    def family(
        self,
        *,
        alpha: float = ALPHA,
        seed: int = 0,
        progress: adding.Progress | None = None,
    ) -> FamilyGraph:
        """The family graph of all registered models; each node says its numbers here.

        Null hypothesis of every join: that of `family_graph`; the level is paid for all pairs.
        The graph is kept in the file, and taken from there while the same models are registered.
        Models that were only added are hung into it; otherwise all is laid out anew, which costs
        what `family_graph` does.

        Raises
        ------
        UnusableRegistry
            There is no registry, or no model in it.
        UnreadableModel
            None of its sketches can be read.
        """
        if not 0 < alpha < 1:
            raise UsageError(f"alpha is {alpha}, expected a number between 0 and 1")
        with opened(self.path, to_write=False) as connection:
            graph, is_new = family.family(
                self.path, connection, alpha=alpha, seed=seed, progress=progress
            )
        if is_new:
            write_if_free(self.path, partial(family.keep, graph=graph))
        return graph

    def list(self) -> tuple[Registered, ...]:
        """All registered models, in the order they were added."""
        with opened(self.path, to_write=False) as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM models ORDER BY id")  # noqa: S608
            return tuple(entries.with_notes(connection, row) for row in rows.fetchall())

    def remove(self, name: str) -> tuple[Registered, ...]:
        """Forget every model of this name, number (``#3``) or source."""
        if not self.path.exists():
            raise UnusableRegistry(f"{self.path}: no such registry, expected one that `add` made")
        with opened(self.path, to_write=True) as connection:
            store = store_of(self.path, connection, to_write=True)
            with writing(connection):
                gone = self._named(connection, name)
                unused = entries.forget(store, connection, [model.id for model in gone])
            with writing(connection):  # under the lock: nobody adds these contents meanwhile
                for slot, file in unused:
                    row = connection.execute("SELECT 1 FROM contents WHERE sketch = ?", (file,))
                    if row.fetchone() is None:
                        store.forget(slot, file)
        if not gone:
            raise UsageError(f"{name}: no such model in {self.path}")
        return tuple(gone)

    def export(self, file: str | Path) -> int:
        """Write everything but the weights into one file; how many models."""
        return transfer_archive.export_to(self.path, Path(file))

    def import_(self, file: str | Path) -> Adding:
        """Register the models of an exported file."""
        return transfer_archive.import_from(
            self.path, Path(file), place=new_place(self.path, self._store)
        )

    def _query(self, source: str | Path | Model) -> tuple[Prepared, Registered | None]:
        """A model to search for; and which registered one it is, if it is one."""
        with opened(self.path, to_write=False) as connection:
            if isinstance(source, Model) or is_path(str(source)):
                model = source if isinstance(source, Model) else open_model(source)
                query = prepare(model)
                slot = searching.slot_of(connection, query)
                if slot is None or not is_text(query.sketch.source):
                    return query, None
                rows = connection.execute(  # a digest is a sample: the contents must be the same
                    f"SELECT {COLUMNS} FROM models WHERE source = ? AND slot = ?",  # noqa: S608
                    (full_name_of(model), slot),
                ).fetchall()
                return query, entries.with_notes(connection, rows[-1]) if rows else None
            found = self._named(connection, str(source))
            if not found:
                if not may_be_elsewhere(str(source)):
                    nowhere = f"neither a path nor a model of that name or number in {self.path}"
                    raise unreadable(shown(source), nowhere, "one of them, or org/name on a hub")
                return prepare(source), None
            own = found[-1]
            file, slot = connection.execute(
                "SELECT contents.sketch, contents.slot FROM contents JOIN models"
                " ON models.slot = contents.slot WHERE models.id = ?",
                (own.id,),
            ).fetchone()
            store = store_of(self.path, connection)
            vector = searching.invariant_at(store, slot)
            sketch = store.sketch(slot, file)
        sketch = replace(sketch, name=own.name, source=own.source, digest=own.digest)
        return of_sketch(sketch, Declared(own.declared_parents, own.licence), vector), own

    def _named(self, connection: sqlite3.Connection, name: str) -> tuple[Registered, ...]:
        if not is_text(name) or "\0" in name:
            return ()
        number = int(name[1:]) if name.startswith("#") and name[1:].isdecimal() else -1
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM models WHERE name = ? OR id = ? OR source = ?"  # noqa: S608
            " ORDER BY id",
            (name, number, full_name(name)),
        ).fetchall()
        return tuple(entries.with_notes(connection, row) for row in rows)
