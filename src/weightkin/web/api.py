"""The API: what the pages show and start, as JSON, for programs."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Response, UploadFile
from pydantic import BeforeValidator

from weightkin.records import Comparison
from weightkin.records.descendants import Descendants
from weightkin.records.family import FamilyGraph
from weightkin.records.registry import Registered, Search, Trace
from weightkin.web.facts import ModelFacts, facts_of, with_ancestors
from weightkin.web.job_service import JobService
from weightkin.web.jobs import Job, JobKind, JobState
from weightkin.web.overviews import Overviews

MOST_ON_PAGE = 200
Number = Annotated[int, Path(ge=1, le=1 << 53, description="Number in the registry.")]
JobNumber = Annotated[int, Path(ge=1, le=1 << 53, description="Number of the job.")]
JSON = "application/json"
Answers = dict[int | str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """Why something was not done, in one line."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingAnswer:
    """One page of the models that were asked for."""

    n_found: int
    page: int
    n_pages: int
    models: tuple[Registered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSeen:
    """A job. ``said`` is how far it is or why it failed; times are UTC, empty while there is none.

    ``is_young`` is false where models were added or removed since it was asked.
    """

    id: int
    kind: JobKind
    title: str
    state: JobState
    said: str
    made: str
    begun: str
    ended: str
    is_over: bool
    is_young: bool
    seconds: int | None  # from its start to its end; none before
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsSeen:
    """The latest jobs, newest first."""

    jobs: tuple[JobSeen, ...]


def _number(value: object) -> object:
    """What is read as a whole number: no text and no truth value, which would pass for one."""
    if isinstance(value, bool | str):
        raise ValueError("expected the number of a model")  # noqa: TRY004
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRequest:
    """Numbers of two registered models."""

    a: Annotated[int, Query(ge=1, le=1 << 53), BeforeValidator(_number)]
    b: Annotated[int, Query(ge=1, le=1 << 53), BeforeValidator(_number)]


def seen(service: JobService, job: Job) -> JobSeen:
    """A job as it is told to visitors: without paths of this machine."""
    kept = {f.name: getattr(job, f.name) for f in fields(JobSeen) if hasattr(job, f.name)}
    kept |= {name: service.said(kept[name]) for name in ("title", "said")}
    young, page = service.is_young(job), f"/jobs/{job.id}"
    return JobSeen(**kept, is_young=young, seconds=_seconds(job), page=page)


def _seconds(job: Job) -> int | None:
    try:
        took = datetime.fromisoformat(job.ended) - datetime.fromisoformat(job.begun)
    except ValueError:
        return None
    return int(took.total_seconds())


def model_or_404(service: JobService, number: int) -> Registered:
    """A registered model by its number."""
    model = service.model(number)
    if model is None:
        raise HTTPException(404, f"#{number}: no such model")
    return model


def listing(service: JobService, text: str, page: int, size: int) -> ListingAnswer:
    """One page of models; a page after the last is empty.

    Parameters
    ----------
    service : JobService
        The registry, and who does the work.
    text : str
        Looked for in names and sources; empty: all models.
    page : int
        From 1 on.
    size : int
        Models of a page.

    Returns
    -------
    ListingAnswer
        The models, and how many pages there are.
    """
    found = service.models(text, start=(page - 1) * size, most=size)
    n_pages = max(1, math.ceil(found.n_found / size))
    return ListingAnswer(n_found=found.n_found, page=page, n_pages=n_pages, models=found.models)


def _answers(*codes: int, model: Any = None) -> Answers:
    """Errors a route documents, beside those that every route may give."""
    words: dict[int, str] = {
        400: "The body cannot be read.",
        401: "A token is needed.",
        403: "Another site asked for this.",
        404: "There is no such thing.",
        409: "The job is in another state.",
        413: "The body is too large.",
        421: "This host name is not served.",
        422: "Malformed, or no sketch.",
        431: "The head of the request is too large.",
        429: "Too many jobs wait already.",
        503: "The registry cannot be used.",
    }
    said: Answers = {
        code: {"model": ErrorAnswer, "description": words[code]} for code in sorted({*codes, *EVER})
    }
    if model is not None:
        said[200] = {"model": model}
    return said


EVER = (401, 421, 422, 431, 503)
ASKING = (400, 403, 413, 429)


def router(service: JobService, overviews: Overviews) -> APIRouter:
    """All routes of the API of one registry."""
    api = APIRouter(prefix="/api")

    @api.get("/models", tags=["models"], responses=_answers())
    def models(
        query: Annotated[
            str, Query(max_length=1000, description="Part of a name or source, or a number.")
        ] = "",
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        size: Annotated[int, Query(ge=1, le=MOST_ON_PAGE)] = 50,
    ) -> ListingAnswer:
        """Registered models in the order they were added."""
        return listing(service, query, page, size)

    @api.get("/models/{number}", tags=["models"], responses=_answers(404))
    def model(number: Number) -> ModelFacts:
        """One registered model: what its sketch shows, and the licences of its ancestors."""
        facts = facts_of(service, model_or_404(service, number))
        return with_ancestors(service, overviews.latest(), facts)

    @api.get("/models/{number}/trace", tags=["models"], responses=_answers(404, model=Trace))
    def trace(number: Number) -> Response:
        """The newest record of relatives, path to the root and declared parents."""
        model_or_404(service, number)
        return _record(service.answered("trace", model=number))

    @api.post(
        "/models/{number}/trace", tags=["jobs"], status_code=202, responses=_answers(404, *ASKING)
    )
    def ask_trace(number: Number) -> JobSeen:
        """Find relatives, path and declared parents of a model."""
        return seen(service, service.trace(model_or_404(service, number)))

    @api.get(
        "/models/{number}/descendants", tags=["models"], responses=_answers(404, model=Descendants)
    )
    def descendants(number: Number) -> Response:
        """The newest record of the models that were made from this one."""
        model_or_404(service, number)
        return _record(service.answered("descendants", model=number))

    @api.post(
        "/models/{number}/descendants",
        tags=["jobs"],
        status_code=202,
        responses=_answers(404, *ASKING),
    )
    def ask_descendants(number: Number) -> JobSeen:
        """Find the models that were made from a model, at any depth."""
        return seen(service, service.descendants(model_or_404(service, number)))

    @api.post("/compare", tags=["jobs"], status_code=202, responses=_answers(404, *ASKING))
    def compare(pair: PairRequest) -> JobSeen:
        """Compare two registered models."""
        a, b = (model_or_404(service, number) for number in (pair.a, pair.b))
        return seen(service, service.compare(a, b))

    @api.post("/search", tags=["jobs"], status_code=202, responses=_answers(*ASKING))
    def search(sketch: UploadFile) -> JobSeen:
        """Find the relatives of an uploaded sketch (a file of `weightkin sketch`; no weights)."""
        return seen(service, service.search(sketch.file, sketch.filename or ""))

    @api.get("/family", tags=["family"], responses=_answers(404, model=FamilyGraph))
    def family() -> Response:
        """The newest family graph of all registered models, whoever had it computed."""
        answer = service.newest_family()
        found = answer and service.family_record(answer)
        if not answer or not found:
            return _record(None)
        headers = {"x-weightkin-job": str(answer.job)} if answer.job else {}
        return Response(found[0], media_type=JSON, headers=headers)

    @api.post("/family", tags=["family"], status_code=202, responses=_answers(*ASKING))
    def ask_family() -> JobSeen:
        """Draw the family graph of all registered models."""
        return seen(service, service.family())

    @api.get("/jobs", tags=["jobs"], responses=_answers())
    def jobs() -> JobsSeen:
        """The latest fifty jobs."""
        return JobsSeen(jobs=tuple(seen(service, job) for job in service.jobs.newest()))

    @api.get("/jobs/{number}", tags=["jobs"], responses=_answers(404))
    def job(number: JobNumber) -> JobSeen:
        """One job: its state, and how far it is."""
        return seen(service, job_or_404(service, number))

    @api.get(
        "/jobs/{number}/record",
        tags=["jobs"],
        responses=_answers(404, 409, model=Comparison | Trace | Search | FamilyGraph),
    )
    def record(number: JobNumber) -> Response:
        """The record of a job that is done."""
        found = job_or_404(service, number)
        if found.state != "done":
            raise HTTPException(409, f"job {number} is {found.state}; only a done one has a record")
        return Response(service.record(number), media_type=JSON)

    @api.post("/jobs/{number}/cancel", tags=["jobs"], responses=_answers(403, 404, 409))
    def cancel(number: JobNumber) -> JobSeen:
        """Cancel a job that waits, or kill one that runs."""
        found = job_or_404(service, number)
        if not service.runner.cancel(number):
            raise HTTPException(409, f"job {number} is {found.state} and cannot be cancelled")
        return seen(service, job_or_404(service, number))

    @api.post(
        "/jobs/{number}/rerun",
        tags=["jobs"],
        status_code=202,
        responses=_answers(403, 404, 409, 429),
    )
    def rerun(number: JobNumber) -> JobSeen:
        """Queue a job again that failed, was cancelled or interrupted."""
        found = service.jobs.rerun(number)
        if found is None:
            raise HTTPException(404, f"job {number}: no such job")
        return seen(service, found)

    return api


def job_or_404(service: JobService, number: int) -> Job:
    """A job by its number."""
    job = service.jobs.get(number)
    if job is None:
        raise HTTPException(404, f"job {number}: no such job")
    return job


def _record(found: tuple[Job, str] | None) -> Response:
    if found is None:
        raise HTTPException(404, "not computed yet; POST here to start it")
    job, text = found
    return Response(text, media_type=JSON, headers={"x-weightkin-job": str(job.id)})
