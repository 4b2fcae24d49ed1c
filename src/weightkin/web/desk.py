"""Where questions are asked: every one becomes a job, or finds the one that answers it already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import weightkin
from weightkin.errors import UnreadableModel
from weightkin.records.registry import Registered
from weightkin.registry import browsing
from weightkin.report.terminal import printable
from weightkin.sketch.file import SUFFIX
from weightkin.web.jobs import MOST_KEPT, MOST_WAITING, Job, JobKind, Jobs
from weightkin.web.running import Runner
from weightkin.weights.model import SKETCH_KEY

CHUNK = 1 << 20
MOST_HEADER = 32 << 20  # bytes of the header of an uploaded sketch
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Desk:
    """A registry with the jobs on it and the folder for uploads."""

    registry: Path
    jobs: Jobs
    runner: Runner
    uploads: Path

    def asked(self, **asked: object) -> dict[str, Any]:
        """What a job about this registry needs to know."""
        return {"registry": str(self.registry), **asked}

    def compare(self, a: Registered, b: Registered) -> Job:
        """Compare two registered models."""
        stamp = f"{a.digest} {b.digest} {weightkin.__version__}"
        title = f"{named(a)} with {named(b)}"
        return self.jobs.add("compare", title, self.asked(a=a.id, b=b.id), stamp)

    def trace(self, model: Registered) -> Job:
        """Find the relatives of a registered model, and its way to the root."""
        asked = self.asked(model=model.id)
        return self.jobs.add("trace", f"relatives of {named(model)}", asked, self.stamp())

    def family(self) -> Job:
        """Draw the family graph of the whole registry."""
        return self.jobs.add("family", "family graph", self.asked(), self.stamp())

    def search(self, file: BinaryIO, name: str) -> Job:
        """Search for an uploaded sketch.

        Raises
        ------
        UnreadableModel
            The file does not even begin as a sketch does; its job reads the rest.
        """
        name = printable(name[:LONGEST_NAME]) or "a sketch"
        stamp = self.stamp()
        _check_head(file, name)
        draft = self.uploads / f".{id(file)}.part"
        try:
            target = self.uploads / f"{_copied(file, draft)}{SUFFIX}"
            with self.jobs.changed:  # no other upload tidies up between the file and its job
                draft.replace(target)
                asked = self.asked(upload=str(target), name=name)
                job = self.jobs.add("search", f"search for {name}", asked, stamp)
                self._forget()
        finally:
            draft.unlink(missing_ok=True)
        return job

    def stamp(self) -> str:
        """Changes with the registry and the version."""
        return f"{browsing.stamp(self.registry)} {weightkin.__version__}"

    def latest(self, kind: JobKind, **asked: object) -> Job | None:
        """The newest job that asked this, whatever became of it."""
        return self.jobs.latest(kind, self.asked(**asked), done=False)

    def answered(self, kind: JobKind, **asked: object) -> tuple[Job, str] | None:
        """The newest answer to this with its record."""
        job = self.jobs.latest(kind, self.asked(**asked), done=True)
        return None if job is None else (job, self.jobs.record(job.id))

    def is_young(self, job: Job) -> bool:
        """Whether nothing was added or removed since a job was asked."""
        return job.kind == "compare" or job.stamp == self.stamp()

    def _forget(self) -> None:
        """Remove the uploads that no unfinished job needs."""
        jobs = self.jobs.newest(MOST_KEPT + MOST_WAITING)
        asked = (job.asked.get("upload", "") for job in jobs if job.state != "done")
        needed = {Path(path).name for path in asked}
        for path in self.uploads.rglob(f"*{SUFFIX}"):  # what a killed job cleaned is below
            if path.name not in needed:
                path.unlink(missing_ok=True)


def named(model: Registered) -> str:
    """A model's name for a title: short, and nothing in it that moves text about."""
    return short(model.name, LONGEST_NAME)


def short(text: str, most: int) -> str:
    """A foreign text, printable and cut."""
    shown = printable(text[:most])
    return shown if len(text) <= most and len(shown) <= most else f"{shown[: most - 1]}…"


def _copied(file: BinaryIO, target: Path) -> str:
    known = hashlib.sha256()
    with target.open("wb") as out:
        while data := file.read(CHUNK):
            known.update(data)
            out.write(data)
    return known.hexdigest()


def _check_head(file: BinaryIO, name: str) -> None:
    """Refuse at once what is no sketch: the length of a header, and in it the mark of one."""
    n = int.from_bytes(file.read(8), "little")
    head = file.read(min(n, MOST_HEADER))
    file.seek(0)
    if n > MOST_HEADER or len(head) < n or not head.startswith(b"{"):
        raise UnreadableModel(f"{name}: found no sketch, expected a file of `weightkin sketch`")
    if f'"{SKETCH_KEY}"'.encode() not in head:
        raise UnreadableModel(f"{name}: found tensors, expected a sketch of `weightkin sketch`")
