"""Adding many models: a job whose every item is done, failed or still waiting.

An item becomes known in one transaction, after its sketch and vectors are on disk. Whatever stops
a job loses the models in work and nothing else; resuming takes up what is still waiting. A source
that waits more than once, in one job or in several, is one item: whoever reads it settles it all.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from weightkin._version import __version__
from weightkin.compute import HERE, Execution, run
from weightkin.errors import OutOfReach, UnreadableModel, WeightkinError
from weightkin.formats.source import full_name
from weightkin.processes import Lost
from weightkin.records import Skipped, left_out, unread
from weightkin.records.listing import Adding
from weightkin.records.registry import Registered
from weightkin.registry.claims import is_text
from weightkin.registry.entries import keep, settle
from weightkin.registry.prepared import Prepared, prepare
from weightkin.registry.sealed import SealedStore
from weightkin.registry.sealing import check, seal
from weightkin.registry.store import COLUMNS, now, opened, writing
from weightkin.registry.stores import store_of


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a model could not be read; ``may_wait`` if another try may read it."""

    why: str
    may_wait: bool


PreparedResult = Prepared | Failed


def add_all(
    path: Path,
    sources: Sequence[str | Path],
    *,
    resume: bool = False,
    place: str | None = None,
    execution: Execution = HERE,
) -> Adding:
    """Add sources, or what interrupted jobs left.

    Parameters
    ----------
    path : Path
        The registry's file; made if it is missing.
    sources : sequence of str or Path
        Models to be added; none where interrupted jobs alone are resumed.
    resume : bool
        Also take up what interrupted jobs left.
    place : str, optional
        As in `opened`.
    execution : Execution
        Where models are read, with the progress.

    Returns
    -------
    Adding
        What was added, what was known before, what could not be read.

    Raises
    ------
    UnusableRegistry
        The registry cannot be used.
    """
    started = time.perf_counter()
    progress = execution.progress
    so_far = _SoFar()
    with opened(path, to_write=True, place=place) as connection:
        store = store_of(path, connection, to_write=True)
        for row in connection.execute(f"SELECT {COLUMNS} FROM models"):  # noqa: S608
            check(f"the entry of model #{row[0]}", row[-1], *row[:-1])  # or nothing is added
        named = [full_name(str(source)) for source in sources]
        for name in (x for x in named if not is_text(x)):
            so_far.skipped.append(left_out(ascii(name), "name-no-text"))
        job = begin(connection, [x for x in named if is_text(x)]) if sources else 0
        items = waiting(connection, None if resume else job)
        results = run(
            _result,
            [item.source for item in items],
            workers=execution.workers,
            cluster=execution.cluster,
        )
        with closing(results):
            for done, (item, result) in enumerate(zip(items, results, strict=True)):
                if progress is not None:
                    progress(Path(item.source).name, done, len(items), so_far.n_bytes)
                if isinstance(result, Prepared):
                    _take_up(store, connection, item, result, so_far)
                    continue
                if isinstance(result, Lost):
                    so_far.n_lost += 1
                    result = Failed(f"{item.source}: {result.why}", may_wait=False)
                so_far.n_waiting += result.may_wait
                _settle_failed(connection, item, result, so_far)
        end(connection)
    return Adding(
        job=job,
        added=tuple(so_far.added),
        known=tuple(so_far.known),
        skipped=tuple(so_far.skipped),
        n_waiting=so_far.n_waiting,
        n_lost=so_far.n_lost,
        seconds=round(time.perf_counter() - started, 3),
        version=__version__,
    )


@dataclass(slots=True)
class _SoFar:
    """What became of the sources that are done."""

    date: str = field(default_factory=now)  # when it began: of all that it adds
    added: list[Registered] = field(default_factory=list)
    known: list[Registered] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    n_bytes: int = 0
    n_waiting: int = 0
    n_lost: int = 0


def _take_up(
    store: SealedStore,
    connection: sqlite3.Connection,
    item: Item,
    result: Prepared,
    so_far: _SoFar,
) -> None:
    sketch = result.sketch
    so_far.n_bytes += sketch.bytes_read
    try:
        model, is_new = keep(store, connection, result, item.places, added=so_far.date)
    except UnreadableModel as error:
        _settle_failed(connection, item, Failed(str(error), may_wait=False), so_far)
        return
    (so_far.added if is_new else so_far.known).append(model)
    if sketch.is_partial:
        so_far.skipped += [unread(f"{sketch.name}: {what}", why) for what, why in sketch.problems]


def _settle_failed(
    connection: sqlite3.Connection, item: Item, failed: Failed, so_far: _SoFar
) -> None:
    so_far.skipped.append(unread(item.source, failed.why))
    with writing(connection):
        settle(connection, item.places, "waiting" if failed.may_wait else "failed", failed.why)


@dataclass(frozen=True, slots=True)
class Item:
    """A source that waits, with the jobs it waits in and its positions there."""

    source: str
    places: tuple[tuple[int, int], ...]


def begin(connection: sqlite3.Connection, sources: Sequence[str]) -> int:
    """Write a job down before any of it is done."""
    with writing(connection):
        job = connection.execute("INSERT INTO jobs(begun, seal) VALUES (?, '')", (now(),)).lastrowid
        connection.execute("UPDATE jobs SET seal = sealed(id, begun, ended) WHERE id = ?", (job,))
        rows = [(job, k, source, "waiting", "") for k, source in enumerate(sources)]
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", [(*row, seal(*row)) for row in rows]
        )
    return job or 0


def waiting(connection: sqlite3.Connection, job: int | None) -> list[Item]:
    """Items still to do, of all jobs, or of one: then with the other jobs they wait in as well."""
    found: dict[str, list[tuple[int, int]]] = {}
    for number, position, source, why, given in connection.execute(
        "SELECT job, position, source, why, seal FROM items WHERE state = 'waiting'"
        " AND (? IS NULL OR source IN (SELECT source FROM items WHERE job = ?))"
        " ORDER BY job, position",
        (job, job),
    ):
        place = number, position
        check(f"item {position} of job {number}", given, *place, source, "waiting", why)
        found.setdefault(source, []).append(place)
    return [Item(source, tuple(places)) for source, places in found.items()]


def end(connection: sqlite3.Connection) -> None:
    """Close every job of which nothing waits any more."""
    with writing(connection):
        connection.execute(
            "UPDATE jobs SET ended = ?1, seal = sealed(id, begun, ?1) WHERE ended IS NULL"
            " AND id NOT IN (SELECT job FROM items WHERE state = 'waiting')",
            (now(),),
        )


def _result(source: str) -> PreparedResult:
    try:
        return prepare(source)
    except (WeightkinError, OSError) as error:
        return Failed(str(error), isinstance(error, OutOfReach))
