"""The pages of questions: every one works without a script, except for the drawing of a family."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from weightkin.records import Comparison
from weightkin.records.registry import Registered, Search
from weightkin.report import html
from weightkin.report.html.environment import environment, static_bytes
from weightkin.web.api import job_or_404, seen
from weightkin.web.facts import card_of
from weightkin.web.familypage import Families
from weightkin.web.guard import COOKIE, MOST_UPLOAD, RequestGuard, cookie_of
from weightkin.web.job_service import JobService
from weightkin.web.jobs import Job

MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
         "svg": "image/svg+xml"}  # fmt: skip
FILES = ("style.css", "page.js", "server.js", "graph.js", "cytoscape.min.js", "mark.svg")
Number = Annotated[int, Path(ge=1, le=1 << 53)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
Text = Annotated[str, Query(max_length=1000)]
Given = Annotated[str, Form(max_length=1000)]
NUMBERED = re.compile(r"(#[0-9]{1,17})(\s.*)?", re.DOTALL)  # what suggestions put into a field


@dataclass(frozen=True)
class Templates:
    """The look of all pages."""

    has_token: bool = False
    files: dict[str, bytes] = field(default_factory=lambda: {x: static_bytes(x) for x in FILES})

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """One template as an answer."""
        found = environment(is_served=True).get_template(f"web/{template}")
        text = found.render(**values, static=self.address, has_token=self.has_token)
        return HTMLResponse(text, status_code=status)

    def address(self, name: str) -> str:
        """Where a file of the pages lies; another address for other contents."""
        return f"/static/{hashlib.sha256(self.files[name]).hexdigest()[:16]}/{name}"

    def file(self, name: str) -> Response | None:
        """One file, to be kept by the browser for good."""
        if name not in self.files:
            return None
        kind = MEDIA_TYPES[name.rsplit(".", 1)[-1]]
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(self.files[name], media_type=kind, headers=headers)


def router(service: JobService, templates: Templates, guard: RequestGuard) -> APIRouter:
    """All pages of one registry but those of `model_routes`.

    Parameters
    ----------
    service : JobService
        The registry, and who does the work.
    templates : Templates
        The look of the pages.
    guard : RequestGuard
        Knows the token of visitors.

    Returns
    -------
    APIRouter
        The routes.

    Raises
    ------
    HTTPException
        By a route: 404 where there is no such model, job, edge or file.
    """
    pages = APIRouter(include_in_schema=False)
    families = Families(service)

    @pages.get("/family")
    def family(kind: Text = "", sure: str = "", page: PageNumber = 1) -> Response:
        drawn = families.latest()
        return templates.page(
            "family.html",
            drawn=drawn,
            table=drawn and families.table(drawn, kind, sure, page),
            job=_latest(service, service.latest("family")),
            asked=drawn and seen(service, drawn.job),
        )

    @pages.post("/family")
    def ask_family() -> Response:
        service.family()
        return _to("/family")

    @pages.get("/family/edges/{job}/{number}")
    def edge(job: Number, number: Annotated[int, Path(ge=0, le=1 << 53)]) -> Response:
        found = families.edge(job_or_404(service, job), number)
        if found is None:
            raise HTTPException(404, "no such edge")
        return templates.page("edge.html", edge=found)

    @pages.get("/compare")
    def compare(a: Text = "", b: Text = "") -> Response:
        return templates.page("compare.html", a=a, b=b, problems={}, choices={})

    @pages.post("/compare")
    def ask_compare(a: Given = "", b: Given = "") -> Response:
        found = {"a": _meant(service, a), "b": _meant(service, b)}
        if all(len(models) == 1 for models in found.values()):
            return _to(f"/jobs/{service.compare(found['a'][0], found['b'][0]).id}")
        problems = {side: _problem(models) for side, models in found.items() if len(models) != 1}
        choices = {side: models for side, models in found.items() if len(models) > 1}
        return templates.page("compare.html", a=a, b=b, problems=problems, choices=choices)

    @pages.get("/search")
    def search() -> Response:
        return templates.page("search.html", most=MOST_UPLOAD, problem="")

    @pages.post("/search")
    def ask_search(sketch: UploadFile) -> Response:
        return _to(f"/jobs/{service.search(sketch.file, sketch.filename or '').id}")

    @pages.get("/jobs")
    def jobs() -> Response:
        return templates.page(
            "jobs.html", jobs=[seen(service, job) for job in service.jobs.newest(100)]
        )

    @pages.get("/jobs/{number}")
    def job(number: Number) -> Response:
        found = job_or_404(service, number)
        if found.state != "done":
            return templates.page("job.html", job=seen(service, found))
        if found.kind == "trace":
            return _to(f"/models/{found.asked['model']}")
        if found.kind == "descendants":
            return _to(f"/models/{found.asked['model']}/descendants")
        if found.kind == "family":
            return _to("/family")
        text = service.record(number)
        kind = Search if found.kind == "search" else Comparison
        pair = [service.model(found.asked[x]) for x in "ab" if x in found.asked]
        cards = tuple(card_of(service, x) for x in pair)
        command = "weightkin search SKETCH" if found.kind == "search" else ""
        return templates.page(
            "result.html",
            job=seen(service, found),
            body=html.body(
                kind.from_json(text),
                command=command,
                is_served=True,
                facts=(cards[0], cards[1]) if cards else (None, None),
            ),
            pair=pair,
            record_data=json.loads(text),
        )

    @pages.post("/jobs/{number}/cancel")
    def cancel(number: Number) -> Response:
        job_or_404(service, number)
        service.runner.cancel(number)
        return _to(f"/jobs/{number}")

    @pages.post("/jobs/{number}/rerun")
    def rerun(number: Number) -> Response:
        job_or_404(service, number)
        service.jobs.rerun(number)
        return _to(f"/jobs/{number}")

    @pages.get("/login")
    def login() -> Response:
        return templates.page("login.html", problem="")

    @pages.post("/login")
    def ask_login(token: Given = "") -> Response:
        if not guard.is_token(token.strip()):
            return templates.page("login.html", 403, problem="This is not the token.")
        answer = _to("/")
        answer.set_cookie(COOKIE, cookie_of(token.strip()), httponly=True, samesite="strict")
        return answer

    @pages.post("/logout")
    def logout() -> Response:
        answer = _to("/login")
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    @pages.get("/about")
    def about(request: Request) -> Response:
        paths = request.app.openapi()["paths"].items()
        routes = [
            (f"{verb.upper()} {path}", x["description"])
            for path, verbs in paths
            for verb, x in verbs.items()
        ]
        return templates.page("about.html", routes=routes)

    @pages.get("/static/{mark}/{name}")
    def static(mark: str, name: str) -> Response:
        found = templates.file(name)
        if found is None or templates.address(name) != f"/static/{mark}/{name}":
            raise HTTPException(404, "no such file")
        return found

    return pages


def _to(where: str) -> RedirectResponse:
    return RedirectResponse(where, status_code=303)


def _latest(service: JobService, job: Job | None) -> object:
    """The newest job of a question, unless it has been answered."""
    return None if job is None or job.state == "done" else seen(service, job)


def _meant(service: JobService, text: str) -> tuple[Registered, ...]:
    """Registered models a visitor may mean: by name, source, ``#3`` or ``#3 name``."""
    numbered = NUMBERED.fullmatch(text.strip())
    return service.meant(numbered[1] if numbered else text.strip())


def _problem(models: tuple[Registered, ...]) -> str:
    return "Several models have this name: choose one." if models else "No model has this name."
