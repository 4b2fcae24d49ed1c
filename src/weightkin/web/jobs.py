"""The file of jobs: what visitors asked for, how far it is, and the record that came of it.

It lies beside the registry and belongs to one server at a time, which holds SQLite's lock on it as
long as it runs. A job that was running when a server stopped is interrupted, and can be rerun.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from weightkin.errors import UnusableRegistry, WeightkinError

JobKind = Literal["compare", "trace", "descendants", "search", "family"]
JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

JOBS_SCHEMA = 1
MOST_WAITING = 16  # jobs that may be queued
MOST_KEPT = 500  # jobs that ended
JOB_COLUMNS = "id, kind, title, asked, stamp, state, said, made, begun, ended"
CREATE_JOBS = """
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, title TEXT NOT NULL,
  asked TEXT NOT NULL, stamp TEXT NOT NULL, state TEXT NOT NULL, said TEXT NOT NULL,
  made TEXT NOT NULL, begun TEXT NOT NULL, ended TEXT NOT NULL, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs(state, id);
CREATE INDEX IF NOT EXISTS jobs_by_asked ON jobs(kind, asked, id);
"""
OVER = ("done", "failed", "cancelled", "interrupted")


class QueueFull(WeightkinError):
    """So many jobs wait that no other is taken."""


class WrongState(WeightkinError):
    """A job that is not in a state where this can be done to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work. Times are UTC, ISO 8601, empty while there is none.

    ``asked`` is what the work needs to know; ``stamp`` the state of the models it was asked about:
    a job of another stamp has to be done again. ``said`` is how far it is, or why it failed.
    """

    id: int
    kind: JobKind
    title: str
    asked: dict[str, Any]
    stamp: str
    state: JobState
    said: str = ""
    made: str
    begun: str = ""
    ended: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing happens to it any more by itself."""
        return self.state in OVER


class Jobs:
    """The jobs of one server; safe to use from many threads.

    Parameters
    ----------
    path : Path
        The file; made if it is missing. Locked until `close`.

    Raises
    ------
    UnusableRegistry
        Another server holds it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)  # a job was queued or cancelled
        with self._told():
            self._connection = sqlite3.connect(
                path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")  # kept after the commit, by that mode
            self._prepare()
            self._connection.execute("COMMIT")

    def add(
        self,
        kind: JobKind,
        title: str,
        asked: Mapping[str, Any],
        stamp: str,
        *,
        before: Callable[[], None] | None = None,
    ) -> Job:
        """Queue a job, or return the one that was asked before and still holds.

        ``before`` is called where a job is queued, before anyone can take it.

        Raises
        ------
        QueueFull
            `MOST_WAITING` jobs are queued.
        """
        text = json.dumps(asked, sort_keys=True)
        with self._written():
            old = self._rows(
                "kind = ? AND asked = ? AND stamp = ? AND state IN ('queued', 'running', 'done')"
                " ORDER BY id DESC LIMIT 1",
                (kind, text, stamp),
            )
            if old:
                return old[0]
            self._check_room()
            if before is not None:
                before()
            number = self._connection.execute(
                "INSERT INTO jobs VALUES (NULL, ?, ?, ?, ?, 'queued', '', ?, '', '', '')",
                (kind, title, text, stamp, now()),
            ).lastrowid
            self._connection.execute(
                f"DELETE FROM jobs WHERE id <= ? AND state IN {OVER}",  # noqa: S608 (constants)
                ((number or 0) - MOST_KEPT,),
            )
            self.changed.notify_all()
            return self._rows("id = ?", (number,))[0]

    def get(self, number: int) -> Job | None:
        """One job, if there is one of this number."""
        with self._lock, self._told():
            found = self._rows("id = ?", (number,)) if number < 1 << 62 else []
            return found[0] if found else None

    def newest(self, most: int = 50) -> tuple[Job, ...]:
        """The latest jobs, newest first."""
        with self._lock, self._told():
            return tuple(self._rows("1 ORDER BY id DESC LIMIT ?", (most,)))

    def unfinished(self) -> tuple[Job, ...]:
        """The jobs that wait or run, in order."""
        with self._lock, self._told():
            return tuple(self._rows("state IN ('queued', 'running') ORDER BY id", ()))

    def latest(self, kind: JobKind, asked: Mapping[str, Any], *, done: bool) -> Job | None:
        """The newest job that asked this: one that is done, or one of any state."""
        text = json.dumps(asked, sort_keys=True)
        only = "AND state = 'done'" if done else ""
        with self._lock, self._told():
            where = f"kind = ? AND asked = ? {only} ORDER BY id DESC LIMIT 1"
            found = self._rows(where, (kind, text))
            return found[0] if found else None

    def record(self, number: int) -> str:
        """The record of a job that is done, as JSON; empty before."""
        with self._lock, self._told():
            row = self._connection.execute(
                "SELECT record FROM jobs WHERE id = ?", (number,)
            ).fetchone()
            return str(row[0]) if row else ""

    def rerun(self, number: int) -> Job | None:
        """Queue a job again that failed, was cancelled or interrupted; searches have no file left.

        Raises
        ------
        WrongState
            It is not over, done, or a search.
        QueueFull
            `MOST_WAITING` jobs are queued.
        """
        with self._written():
            job = self.get(number)
            if job is None:
                return None
            if job.state not in OVER or job.state == "done":
                raise WrongState(f"job {number} is {job.state} and cannot be run again")
            if job.kind == "search":
                raise WrongState(f"job {number} searched for a file that is gone: upload it again")
            self._check_room()
            self._connection.execute(
                "UPDATE jobs SET state = 'queued', said = '', begun = '', ended = '' WHERE id = ?",
                (number,),
            )
            self.changed.notify_all()
            return self.get(number)

    def cancel_queued(self, number: int) -> bool:
        """Cancel a job that has not begun; whether it was one."""
        with self._written():
            found = self._connection.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'",
                (now(), number),
            )
            return found.rowcount == 1

    def begin(self) -> Job | None:
        """Take the job that has waited longest."""
        with self._written():
            found = self._rows("state = 'queued' ORDER BY id LIMIT 1", ())
            if not found:
                return None
            self._connection.execute(
                "UPDATE jobs SET state = 'running', begun = ? WHERE id = ?", (now(), found[0].id)
            )
            return self.get(found[0].id)

    def say(self, number: int, text: str) -> None:
        """How far a running job is."""
        with self._written():
            self._connection.execute("UPDATE jobs SET said = ? WHERE id = ?", (text, number))

    def end(self, number: int, state: JobState, said: str = "", record: str = "") -> None:
        """Write down what became of a running job."""
        with self._written():
            self._connection.execute(
                "UPDATE jobs SET state = ?, said = ?, record = ?, ended = ? WHERE id = ?",
                (state, said, record, now(), number),
            )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, JOBS_SCHEMA):
            raise UnusableRegistry(f"{self._path}: jobs of version {version}, not {JOBS_SCHEMA}")
        for statement in CREATE_JOBS.split(";"):
            self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {JOBS_SCHEMA}")
        self._connection.execute(
            "UPDATE jobs SET state = 'interrupted', said = 'the server stopped', ended = ?"
            " WHERE state = 'running'",
            (now(),),
        )

    def _check_room(self) -> None:
        n = self._connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[
            0
        ]
        if n >= MOST_WAITING:
            raise QueueFull(f"{n} jobs are waiting already; try again when some are done")

    def _rows(self, where: str, values: tuple[object, ...]) -> list[Job]:
        rows = self._connection.execute(
            f"SELECT {JOB_COLUMNS} FROM jobs WHERE {where}",  # noqa: S608 (constants)
            values,
        )
        names = JOB_COLUMNS.split(", ")
        found = (dict(zip(names, row, strict=True)) for row in rows)
        return [Job(**{**row, "asked": _asked(row["asked"])}) for row in found]

    @contextmanager
    def _written(self) -> Iterator[None]:
        with self._lock, self._told():
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                what = f"{self._path}: in use; does another server run on this registry?"
                raise UnusableRegistry(what) from None
            raise UnusableRegistry(f"{self._path}: the jobs cannot be used ({error})") from None
        except sqlite3.DatabaseError as error:
            raise UnusableRegistry(f"{self._path}: the jobs cannot be used ({error})") from None


def _asked(text: str) -> dict[str, Any]:
    """What was asked; nothing where the text is not what was written."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
