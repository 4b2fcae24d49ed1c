"""The pages of a registry's families: one family at a time, its edges, and each edge alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from starlette.responses import RedirectResponse, Response

from weightkin.report.html.one_family import n_models
from weightkin.web.asking import JobOrKept, PageNumber, Text, unanswered
from weightkin.web.downloads import OfGraph, download, links
from weightkin.web.familypage import Families, part_of, with_name, with_number
from weightkin.web.job_service import JobService
from weightkin.web.templates import Templates


def family_routes(service: JobService, templates: Templates) -> APIRouter:
    """The pages of the families of one registry.

    Parameters
    ----------
    service : JobService
        The registry, and who does the work.
    templates : Templates
        The look of the pages.

    Returns
    -------
    APIRouter
        The routes.

    Raises
    ------
    HTTPException
        By a route: 404 where there is no such family or edge.
    """
    pages = APIRouter(include_in_schema=False)
    families = Families(service)

    @pages.get("/family")
    def family(
        find: Text = "",
        family: PageNumber = 1,
        kind: Text = "",
        sure: Text = "",
        page: PageNumber = 1,
    ) -> Response:
        drawn = families.latest()
        named = drawn and with_name(drawn, find)
        one = drawn and (named or with_number(drawn, family))
        at = f"?family={one.number}" if one else ""
        return templates.page(
            "family.html",
            drawn=drawn,
            n_models=n_models,
            one=one,
            find=find.strip(),
            is_missed=bool(find.strip()) and named is None,
            view=drawn and one and families.view(drawn, one),
            table=drawn and one and families.table(drawn, one, kind, sure, page),
            job=unanswered(service, "family"),
            downloads=links("/family", part_of(drawn.graph, one), at) if drawn and one else (),
        )

    @pages.get("/family/edges")
    def edges(family: PageNumber = 1, kind: Text = "", sure: Text = "") -> Response:
        drawn = families.latest()
        one = drawn and with_number(drawn, family)
        if not drawn or not one:
            raise HTTPException(404, "no such family")
        table = families.table(drawn, one, kind, sure, 1)
        return templates.page("edges.html", one=one, table=table)

    @pages.post("/family")
    def ask_family() -> Response:
        service.family()
        return RedirectResponse("/family", status_code=303)

    @pages.get("/family/{form}")
    def family_as(form: OfGraph, family: PageNumber = 1) -> Response:
        drawn = families.latest()
        one = drawn and with_number(drawn, family)
        if not drawn or not one:
            raise HTTPException(404, "no such family")
        return download(part_of(drawn.graph, one), form, "family")

    @pages.get("/family/edges/{job}/{number}")
    def edge(job: JobOrKept, number: Annotated[int, Path(ge=0, le=1 << 53)]) -> Response:
        found = families.edge(job, number)
        if found is None:
            raise HTTPException(404, "no such edge")
        return templates.page("edge.html", edge=found)

    return pages
