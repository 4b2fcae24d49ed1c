"""The pages of questions: every one works without a script, except for the drawing of a family."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from weightkin.records import Comparison
from weightkin.records.registry import Registered, Search
from weightkin.report import html
from weightkin.web.api import job_or_404, seen
from weightkin.web.asking import Number, Text
from weightkin.web.downloads import OfParents, download, links
from weightkin.web.facts import card_of
from weightkin.web.family_routes import family_routes
from weightkin.web.guard import COOKIE, MOST_UPLOAD, RequestGuard, cookie_of
from weightkin.web.job_service import JobService
from weightkin.web.templates import Templates

Given = Annotated[str, Form(max_length=1000)]
NUMBERED = re.compile(r"(#[0-9]{1,17})(\s.*)?", re.DOTALL)  # what suggestions put into a field


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
        pair = [service.model(found.asked[x]) for x in "ab" if x in found.asked]
        downloads: list[tuple[str, str]] = []
        if found.kind == "search":
            command = "weightkin search SKETCH"
            body = html.body(Search.from_json(text), command=command, is_served=True)
        else:
            compared = Comparison.from_json(text)
            a, b = map(partial(card_of, service), pair, (compared.a, compared.b))
            downloads = links(f"/jobs/{number}/record", compared)
            body = html.body(compared, is_served=True, facts=(a, b))
        return templates.page(
            "result.html",
            job=seen(service, found),
            body=body,
            pair=pair,
            record_data=json.loads(text),
            downloads=downloads,
        )

    @pages.get("/jobs/{number}/record/{form}")
    def record_as(number: Number, form: OfParents) -> Response:
        found = job_or_404(service, number)
        if found.kind != "compare" or found.state != "done":
            raise HTTPException(404, f"job {number}: no comparison that is done")
        return download(Comparison.from_json(service.record(number)), form, f"comparison-{number}")

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

    pages.include_router(family_routes(service, templates))
    return pages


def _to(where: str) -> RedirectResponse:
    return RedirectResponse(where, status_code=303)


def _meant(service: JobService, text: str) -> tuple[Registered, ...]:
    """Registered models a visitor may mean: by name, source, ``#3``, ``#3 name`` or ``3``."""
    numbered = NUMBERED.fullmatch(text.strip())
    found = service.meant(numbered[1] if numbered else text.strip())
    is_number = not found and text.strip().isdecimal()
    return service.meant(f"#{text.strip()}") if is_number else found


def _problem(models: tuple[Registered, ...]) -> str:
    return (
        "Several models have this name: choose one."
        if models
        else "No model has this name or number."
    )
