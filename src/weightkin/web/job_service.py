"""Where questions are asked: every one becomes a job, or finds the one that answers it already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from weightkin._version import __version__
from weightkin.records.family import FamilyGraph
from weightkin.records.registry import Registered
from weightkin.registry import browsing
from weightkin.registry.found_family import FoundFamily, as_registered, found_family, found_mark
from weightkin.report.html.environment import short
from weightkin.report.terminal import printable
from weightkin.web.jobs import Job, JobKind, Jobs
from weightkin.web.running import Runner
from weightkin.web.uploads import check_head, keep, place_of
from weightkin.web.visitors import ABSOLUTE, shown_model, shown_record, shown_text

LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class FamilyAnswer:
    """A family graph: which one, when it was found, and whether nothing was added since."""

    key: str
    job: int  # 0: the one in the registry
    ended: str = ""
    is_young: bool = True


@dataclass(frozen=True, slots=True)
class JobService:
    """A registry with the jobs on it and the folder for uploads.

    With ``has_visitors`` no folder of this machine is shown.
    """

    registry: Path
    jobs: Jobs
    runner: Runner
    uploads: Path
    has_visitors: bool = False

    def model(self, number: int) -> Registered | None:
        """The registered model of a number, if there is one."""
        found = browsing.one(self.registry, number)
        return None if found is None else self.shown(found)

    def models(self, text: str, *, start: int, most: int) -> browsing.Page:
        """Registered models with a text in their name or source, or of that number."""
        hidden = self.has_visitors
        found = browsing.browse(self.registry, text, start=start, most=most, hidden=hidden)
        return replace(found, models=tuple(map(self.shown, found.models)))

    def meant(self, text: str) -> tuple[Registered, ...]:
        """Registered models of exactly this name, source or number; visitors know no paths."""
        if self.has_visitors and ABSOLUTE.match(text):
            return ()
        return tuple(map(self.shown, browsing.named(self.registry, text)))

    def remembered(self, model: Registered) -> tuple[browsing.Remembered, ...]:
        """What earlier searches found between a model and others."""
        found = browsing.remembered(self.registry, model)
        return tuple(replace(x, model=self.shown(x.model)) for x in found)

    def record(self, number: int) -> str:
        """The record of a job that is done."""
        text = self.jobs.record(number)
        return shown_record(text) if self.has_visitors else text

    def shown(self, model: Registered) -> Registered:
        """A model as it may be seen here."""
        return shown_model(model) if self.has_visitors else model

    def said(self, text: str) -> str:
        """A sentence as it may be seen here."""
        return shown_text(text) if self.has_visitors else text

    def asked(self, **asked: object) -> dict[str, Any]:
        """What a job about this registry needs to know."""
        return {"registry": str(self.registry), **asked}

    def compare(self, a: Registered, b: Registered) -> Job:
        """Compare two registered models."""
        stamp = f"{a.digest} {b.digest} {__version__}"
        title = f"Compare {named(a)} with {named(b)}"
        return self.jobs.add("compare", title, self.asked(a=a.id, b=b.id), stamp)

    def trace(self, model: Registered) -> Job:
        """Find the relatives of a registered model, and its way to the root."""
        asked = self.asked(model=model.id)
        return self.jobs.add("trace", f"Find relatives of {named(model)}", asked, self.stamp())

    def descendants(self, model: Registered) -> Job:
        """Find the models that were made from a registered one."""
        asked = self.asked(model=model.id)
        return self.jobs.add(
            "descendants", f"Find descendants of {named(model)}", asked, self.stamp()
        )

    def family(self) -> Job:
        """Draw the family graph of the whole registry."""
        return self.jobs.add("family", "Draw the family graph", self.asked(), self.stamp())

    def search(self, file: BinaryIO, name: str) -> Job:
        """Search for an uploaded sketch, which is kept until that job is over.

        Raises
        ------
        UnreadableModel
            The file does not even begin as a sketch does; its job reads the rest.
        QueueFull
            Too many jobs wait; nothing is kept.
        """
        name = printable(name[:LONGEST_NAME]) or "a sketch"
        stamp = self.stamp()
        check_head(file, name)
        target = place_of(self.uploads, file)
        asked = self.asked(upload=str(target), name=name)
        keeping = partial(keep, file, target)
        return self.jobs.add("search", f"Search with {name}", asked, stamp, before=keeping)

    def stamp(self) -> str:
        """Changes with the registry and the version."""
        return f"{browsing.stamp(self.registry)} {__version__}"

    def latest(self, kind: JobKind, **asked: object) -> Job | None:
        """The newest job that asked this, whatever became of it."""
        return self.jobs.latest(kind, self.asked(**asked), done=False)

    def answered(self, kind: JobKind, **asked: object) -> tuple[Job, str] | None:
        """The newest answer to this with its record."""
        job = self.jobs.latest(kind, self.asked(**asked), done=True)
        return None if job is None else (job, self.record(job.id))

    def newest_family(self) -> FamilyAnswer | None:
        """The newest family graph: that of a job, or one that somebody else had computed since.

        A job that nothing was added or removed since comes first: it is of all models. A graph of
        other parameters than a job's, or of another version, does not count.
        """
        job = self.jobs.latest("family", self.asked(), done=True)
        mark = found_mark(self.registry)
        if job is not None and (mark is None or self.is_young(job) or mark[1] <= job.ended):
            return self.family_of(job)
        return FamilyAnswer(mark[0], 0, mark[1]) if mark is not None else None

    def family_of(self, job: Job) -> FamilyAnswer:
        """The family graph of a job; another answer whenever the registered models are others."""
        return FamilyAnswer(f"job {job.id} {self.stamp()}", job.id, job.ended, self.is_young(job))

    def family_record(self, answer: FamilyAnswer) -> tuple[str, int] | None:
        """The record of a family graph; and how many registered models it lacks."""
        found = self.found_family(answer)
        if found is None:
            return None
        text = found.graph.to_json(None)
        return shown_record(text) if self.has_visitors else text, found.n_missing

    def found_family(self, answer: FamilyAnswer) -> FoundFamily | None:
        """A family graph without the families that lost a model, with names as registered."""
        if not answer.job:
            return found_family(self.registry)
        job = self.jobs.get(answer.job)
        if job is None or job.kind != "family" or job.state != "done":
            return None
        graph = FamilyGraph.from_json(self.jobs.record(job.id))
        return as_registered(self.registry, graph)

    def is_young(self, job: Job) -> bool:
        """Whether nothing was added or removed since a job was asked."""
        return job.kind == "compare" or job.stamp == self.stamp()


def named(model: Registered) -> str:
    """A model's name for a title: short, and nothing in it that moves text about."""
    return short(model.name, LONGEST_NAME)
