"""The pages of what is registered: home, a model, and what was made from it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from starlette.responses import RedirectResponse, Response

from weightkin.records.descendants import Descendants
from weightkin.records.registry import Trace
from weightkin.web import homepage, modelpage
from weightkin.web.api import model_or_404, seen
from weightkin.web.asking import Number, unanswered
from weightkin.web.downloads import OfParents, download, links
from weightkin.web.facts import facts_of, with_ancestors
from weightkin.web.guard import MOST_UPLOAD
from weightkin.web.homepage import Asked
from weightkin.web.job_service import JobService
from weightkin.web.overviews import Overviews
from weightkin.web.templates import Templates


def router(service: JobService, overviews: Overviews, templates: Templates) -> APIRouter:
    """The pages of models.

    Parameters
    ----------
    service : JobService
        The registry, and who does the work.
    overviews : Overviews
        What is known of all models.
    templates : Templates
        The look of the pages.

    Returns
    -------
    APIRouter
        The routes.

    Raises
    ------
    HTTPException
        By a route: 404 where there is no such model.
    """
    pages = APIRouter(include_in_schema=False)

    @pages.get("/")
    def home(asked: Annotated[Asked, Query()]) -> Response:
        return templates.page(
            "home.html",
            home=homepage.home(service, overviews.latest(), asked),
            job=unanswered(service, "family"),
            most=MOST_UPLOAD,
        )

    @pages.get("/models/{number}")
    def model(number: Number) -> Response:
        known = model_or_404(service, number)
        glance, answer = overviews.latest(), service.answered("trace", model=number)
        if number not in glance.overview.models:
            raise HTTPException(404, f"#{number}: no such model")  # removed a moment ago
        trace = Trace.from_json(answer[1]) if answer else None
        row = glance.row(number).as_seen(service)
        return templates.page(
            "model.html",
            facts=with_ancestors(service, glance, facts_of(service, known)),
            row=row,
            place=modelpage.place(service, glance, row, trace),
            most_listed=modelpage.MOST_LISTED,
            n_family=glance.sizes[row.standing.first],
            trace=trace,
            job=unanswered(service, "trace", model=number),
            asked=seen(service, answer[0]) if answer else None,
            downloads=links(f"/models/{number}/trace", trace) if trace else (),
            remembered=service.remembered(known) if answer is None else (),
        )

    @pages.get("/models/{number}/trace/{form}")
    def trace_as(number: Number, form: OfParents) -> Response:
        model_or_404(service, number)
        answer = service.answered("trace", model=number)
        if answer is None:
            raise HTTPException(404, f"#{number}: its relatives were not searched for yet")
        return download(Trace.from_json(answer[1]), form, f"trace-{number}")

    @pages.post("/models/{number}/trace")
    def ask_trace(number: Number) -> Response:
        service.trace(model_or_404(service, number))
        return RedirectResponse(f"/models/{number}", status_code=303)

    @pages.get("/models/{number}/descendants")
    def descendants(number: Number) -> Response:
        known = model_or_404(service, number)
        answer = service.answered("descendants", model=number)
        return templates.page(
            "descendants.html",
            model=known,
            found=Descendants.from_json(answer[1]) if answer else None,
            job=unanswered(service, "descendants", model=number),
            asked=seen(service, answer[0]) if answer else None,
        )

    @pages.post("/models/{number}/descendants")
    def ask_descendants(number: Number) -> Response:
        service.descendants(model_or_404(service, number))
        return RedirectResponse(f"/models/{number}/descendants", status_code=303)

    return pages
