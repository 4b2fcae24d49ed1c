"""The application: pages and API of one registry behind the guard, errors in one line."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from weightkin._version import __version__
from weightkin.errors import UnreadableModel, UnusableRegistry, UsageError, WeightkinError
from weightkin.report.terminal import printable
from weightkin.web import api, model_routes, pages
from weightkin.web.guard import RequestGuard
from weightkin.web.job_service import JobService
from weightkin.web.jobs import QueueFull, WrongState
from weightkin.web.overviews import Overviews
from weightkin.web.templates import Templates

STATUS: dict[type[WeightkinError], int] = {
    QueueFull: 429,
    WrongState: 409,
    UnreadableModel: 422,
    UsageError: 422,
    UnusableRegistry: 503,
}
TITLES = {  # of pages that say why something was not done; others have the usual phrase
    404: "Not found",
    405: "Not allowed here",
    409: "Not possible now",
    413: "Too large",
    422: "Invalid request",
    429: "Too many jobs are waiting",
    500: "Something went wrong",
    503: "The registry cannot be used",
}

NO_MORE_WORDS = {  # where the framework says nothing but the phrase of the status
    404: "There is nothing at this address.",
    405: "This address does not take such a request.",
}


def make_app(
    service: JobService,
    *,
    names: frozenset[str] = frozenset(),
    token: str = "",
    has_visitors: bool = False,
) -> RequestGuard:
    """Everything that answers, behind its guard.

    Parameters
    ----------
    service : JobService
        The registry, and who does the work.
    names : frozenset of str
        Host names to answer to, beside addresses.
    token : str
        What visitors have to show; empty: nothing.
    has_visitors : bool
        Others than the owner come, who see no folders; so it is in any case where there is a token.

    Returns
    -------
    RequestGuard
        The ASGI application.
    """
    service = replace(service, has_visitors=has_visitors or bool(token))
    templates = Templates(has_token=bool(token))
    app = FastAPI(
        title="weightkin",
        version=__version__,
        summary="Who is related to whom, among registered models.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False},  # nothing of this goes anywhere
    )
    guard = RequestGuard(app, names=names, token=token)
    overviews = Overviews(service)
    app.include_router(api.router(service, overviews))
    app.include_router(model_routes.router(service, overviews, templates))
    app.include_router(pages.router(service, templates, guard))

    async def problem(request: Request, error: Exception) -> Response:
        status, text = _words(error)
        text = service.said(text)
        headers = {"retry-after": "5"} if status == 429 else {}
        if isinstance(error, HTTPException):
            headers |= dict(error.headers or {})
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": text}, status_code=status, headers=headers)
        title = TITLES.get(status, HTTPStatus(status).phrase)
        if isinstance(error, UnreadableModel):
            title = "No sketch"
        page = templates.page("problem.html", status, title=title, text=text)
        page.headers.update(headers)
        return page

    handlers: tuple[type[Exception], ...] = (WeightkinError, HTTPException, RequestValidationError)
    for kind in handlers:
        app.add_exception_handler(kind, problem)
    return guard


def _words(error: Exception) -> tuple[int, str]:
    """Status and one printable line."""
    if isinstance(error, HTTPException):
        is_bare = error.detail == HTTPStatus(error.status_code).phrase
        text = NO_MORE_WORDS.get(error.status_code, "") if is_bare else ""
        return error.status_code, text or printable(str(error.detail))
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(x) for x in first["loc"][1:]) or "the body"
        return 422, printable(f"{where}: {first['msg']}"[:300])
    kinds = (status for kind, status in STATUS.items() if isinstance(error, kind))
    return next(kinds, 500), printable(str(error))
