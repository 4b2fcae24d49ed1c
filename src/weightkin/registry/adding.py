"""Adding many models: a job whose every item is done, failed or still waiting.

An item becomes known in one transaction, after its sketch and vectors are on disk. Whatever stops
a job loses the models in work and nothing else; resuming takes up what is still waiting. A source
that waits more than once, in one job or in several, is one item: whoever reads it settles it all.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import weightkin
from weightkin.compute import Lost, run
from weightkin.errors import OutOfReach, UnreadableModel, UsageError, WeightkinError
from weightkin.records import Skipped
from weightkin.records.registry import Adding, Registered
from weightkin.registry.claims import check_claim, check_texts, is_text
from weightkin.registry.prepared import Prepared, prepare
from weightkin.registry.sealed import SealedStore, with_mark
from weightkin.registry.sealing import seal
from weightkin.registry.store import COLUMNS, opened, registered, writing
from weightkin.registry.stores import store_of
from weightkin.sketch import invariant, vectors
from weightkin.sketch.file import SUFFIX
from weightkin.weights.source import full_name

Progress = Callable[[str, int, int, int], None]  # name, done, in all, bytes read so far


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a model could not be read; ``may_wait`` if another try may read it."""

    why: str
    may_wait: bool


Result = Prepared | Failed


def add_all(
    path: Path,
    sources: Sequence[str | Path],
    *,
    workers: int = 1,
    cluster: str | None = None,
    resume: bool = False,
    place: str | None = None,
    progress: Progress | None = None,
) -> Adding:
    """Add sources, or take up every job that was stopped; ``place`` is that of `opened`."""
    started = time.perf_counter()
    if workers < 1:
        raise UsageError(f"workers is {workers}, expected at least 1")
    if not sources and not resume:
        raise UsageError("no model was named, expected at least one, or resume")
    added: list[Registered] = []
    known: list[Registered] = []
    skipped: list[Skipped] = []
    with opened(path, to_write=True, place=place) as connection:
        store = store_of(path, connection, to_write=True)
        named = [full_name(str(source)) for source in sources]
        for name in (x for x in named if not is_text(x)):
            skipped.append(Skipped(what=ascii(name), why="found a name that is no UTF-8 text"))
        job = begin(connection, [x for x in named if is_text(x)]) if sources else 0
        items = waiting(connection, None if resume else job)
        n_bytes = n_waiting = n_lost = 0
        results = run(_result, [item.source for item in items], workers=workers, cluster=cluster)
        with closing(results):
            for done, (item, result) in enumerate(zip(items, results, strict=True)):
                if progress is not None:
                    progress(Path(item.source).name, done, len(items), n_bytes)
                if isinstance(result, Lost):
                    n_lost += 1
                    result = Failed(f"{item.source}: {result.why}", may_wait=False)
                if isinstance(result, Failed):
                    skipped.append(Skipped(what=item.source, why=result.why))
                    n_waiting += result.may_wait
                    with writing(connection):
                        state = "waiting" if result.may_wait else "failed"
                        _settle(connection, item, state, result.why)
                    continue
                n_bytes += result.sketch.bytes_read
                try:
                    model, is_new = keep(store, connection, result, item)
                except UnreadableModel as error:
                    skipped.append(Skipped(what=item.source, why=str(error)))
                    with writing(connection):
                        _settle(connection, item, "failed", str(error))
                    continue
                (added if is_new else known).append(model)
                skipped += [
                    Skipped(what=f"{result.sketch.name}: {what}", why=why)
                    for what, why in result.sketch.problems
                    if result.sketch.is_partial
                ]
        end(connection)
    return Adding(
        job=job,
        added=tuple(added),
        known=tuple(known),
        skipped=tuple(skipped),
        n_waiting=n_waiting,
        n_lost=n_lost,
        seconds=round(time.perf_counter() - started, 3),
        version=weightkin.__version__,
    )


@dataclass(frozen=True, slots=True)
class Item:
    """A source that waits, with the jobs it waits in and its positions there."""

    source: str
    places: tuple[tuple[int, int], ...]


def begin(connection: sqlite3.Connection, sources: Sequence[str]) -> int:
    """Write a job down before any of it is done."""
    with writing(connection):
        job = connection.execute("INSERT INTO jobs(begun) VALUES (?)", (now(),)).lastrowid
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, 'waiting', '')",
            [(job, k, source) for k, source in enumerate(sources)],
        )
    return job or 0


def waiting(connection: sqlite3.Connection, job: int | None) -> list[Item]:
    """Items still to do, of all jobs, or of one: then with the other jobs they wait in as well."""
    found: dict[str, list[tuple[int, int]]] = {}
    for source, *place in connection.execute(
        "SELECT source, job, position FROM items WHERE state = 'waiting'"
        " AND (? IS NULL OR source IN (SELECT source FROM items WHERE job = ?))"
        " ORDER BY job, position",
        (job, job),
    ):
        found.setdefault(source, []).append((place[0], place[1]))
    return [Item(source, tuple(places)) for source, places in found.items()]


def end(connection: sqlite3.Connection) -> None:
    """Close every job of which nothing waits any more."""
    with writing(connection):
        connection.execute(
            "UPDATE jobs SET ended = ? WHERE ended IS NULL AND id NOT IN"
            " (SELECT job FROM items WHERE state = 'waiting')",
            (now(),),
        )


def keep(
    store: SealedStore,
    connection: sqlite3.Connection,
    what: Prepared,
    item: Item | None = None,
    *,
    added: str = "",
    imported: str = "",
) -> tuple[Registered, bool]:
    """Register one model and settle its item; whether it is new.

    Raises
    ------
    UnreadableModel
        A text that cannot be kept, or a digest that its sketch claims and another model has.
    """
    sketch = what.sketch
    said = what.declared
    check_texts(sketch.name, sketch.source, sketch.revision or "", said.licence, *said.parents)
    if what.claimed:
        check_claim(store, connection, sketch)
    file = f"{hashlib.sha256(f'{what.contents} {sketch.scheme.name}'.encode()).hexdigest()}{SUFFIX}"
    with writing(connection):
        slot = _slot(connection, store, what, file)
        values = (sketch.name, sketch.source, sketch.revision or "", sketch.digest)
        old = connection.execute(
            f"SELECT {COLUMNS} FROM models WHERE source = ? AND digest = ? AND slot = ?",  # noqa: S608
            (sketch.source, sketch.digest, slot),
        ).fetchone()
        if old is None:
            connection.execute(
                "INSERT INTO models(name, source, revision, digest, full_digest, added, parents,"
                " licence, imported, claimed, slot, seal, version)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?)",
                (
                    *values,
                    sketch.full_digest or "",
                    added or now(),
                    json.dumps(what.declared.parents),
                    what.declared.licence,
                    imported,
                    int(what.claimed),
                    slot,
                    weightkin.__version__,
                ),
            )
            _seal_last(connection)
        if item is not None:
            _settle(connection, item, "done", "")
        row: tuple[object, ...] = (
            old
            or connection.execute(
                f"SELECT {COLUMNS} FROM models WHERE id = last_insert_rowid()"  # noqa: S608
            ).fetchone()
        )
        return with_notes(connection, row), old is None


def forget(
    store: SealedStore, connection: sqlite3.Connection, ids: Sequence[int]
) -> list[tuple[int, str]]:
    """Remove models from the database; slots and sketch files that nothing is left in."""
    for number in ids:
        connection.execute("DELETE FROM models WHERE id = ?", (number,))
        connection.execute("DELETE FROM edges WHERE ? IN (a, b)", (number,))
    unused = connection.execute(
        "SELECT slot, sketch FROM contents WHERE slot NOT IN (SELECT slot FROM models)"
        " ORDER BY slot"
    ).fetchall()
    less = -store.mark([slot for slot, _ in unused])
    (mark,) = connection.execute("SELECT mark FROM totals").fetchone()
    connection.executemany("DELETE FROM contents WHERE slot = ?", [(slot,) for slot, _ in unused])
    connection.execute(
        "UPDATE totals SET n_models = n_models - ?, n_contents = n_contents - ?, mark = ?",
        (len(ids), len(unused), with_mark(mark, less)),
    )
    return unused


def with_notes(connection: sqlite3.Connection, row: tuple[object, ...]) -> Registered:
    """A model with what else is known about its contents and its source."""
    model = registered(row)
    same = connection.execute(
        "SELECT name, id FROM models WHERE id != ? AND slot ="
        " (SELECT slot FROM models WHERE id = ?) ORDER BY id",
        (model.id, model.id),
    ).fetchall()
    other = connection.execute(
        "SELECT id, digest, added FROM models WHERE source = ? AND id != ? AND slot !="
        " (SELECT slot FROM models WHERE id = ?) ORDER BY id",
        (model.source, model.id, model.id),
    ).fetchall()
    notes = ["its digest is what its sketch claims, not computed here"] if model.claimed else []
    notes += [f"same contents on the sample as {name} (#{k})" for name, k in same]
    notes += [f"other contents under this source: #{k}, {d[:20]}…, {t}" for k, d, t in other]
    return registered(row, tuple(notes))


def first_of(connection: sqlite3.Connection, models: Sequence[Registered]) -> str:
    """Name of the model registered first; "" where one call added it together with another."""
    if not models:
        return ""
    first, *others = sorted(models, key=lambda m: (m.added, m.id))
    together = {
        source
        for (job,) in connection.execute(
            "SELECT DISTINCT job FROM items JOIN jobs ON jobs.id = job WHERE source = ?"
            " AND begun <= ? AND (ended IS NULL OR ended >= ?)",
            (first.source, first.added, first.added),
        ).fetchall()
        for (source,) in connection.execute("SELECT source FROM items WHERE job = ?", (job,))
    }
    is_tie = any(m.source in together or m.added == first.added for m in others)
    return "" if is_tie else first.name


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _slot(connection: sqlite3.Connection, store: SealedStore, what: Prepared, file: str) -> int:
    """Where these contents are; written if they are new."""
    old = connection.execute(
        "SELECT slot FROM contents WHERE contents = ?", (what.contents,)
    ).fetchone()
    if old is not None:
        return int(old[0])
    slot: int
    slot, mark = connection.execute("SELECT next_slot, mark FROM totals").fetchone()
    vectors_of = (what.aligned, what.invariant)
    seals = store.write(slot, what.contents, file, what.sketch, vectors_of)
    names = (what.sketch.scheme.name, vectors.NAME, invariant.NAME)
    row = (slot, what.contents, file, *names, seals.sketch, seals.aligned, seals.invariant)
    connection.execute("INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute(
        "UPDATE totals SET n_contents = n_contents + 1, next_slot = next_slot + 1, mark = ?",
        (with_mark(mark, seals.mark),),
    )
    return slot


def _seal_last(connection: sqlite3.Connection) -> None:
    """Seal the model inserted last, now that it has its number, and count it."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM models WHERE id = last_insert_rowid()"  # noqa: S608
    ).fetchone()
    connection.execute("UPDATE models SET seal = ? WHERE id = ?", (seal(*row[:-1]), row[0]))
    connection.execute("UPDATE totals SET n_models = n_models + 1")


def _settle(connection: sqlite3.Connection, item: Item, state: str, why: str) -> None:
    connection.executemany(  # what another process has settled meanwhile stays as it is
        "UPDATE items SET state = ?, why = ? WHERE job = ? AND position = ? AND state = 'waiting'",
        [(state, why, *place) for place in item.places],
    )


def _result(source: str) -> Result:
    try:
        return prepare(source)
    except (WeightkinError, OSError) as error:
        return Failed(str(error), isinstance(error, OutOfReach))
