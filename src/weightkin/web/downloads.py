"""Records that a server has, in every format that the command line writes; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fastapi import HTTPException
from starlette.responses import Response

from weightkin.records.family import FamilyGraph
from weightkin.report.pictures import picture_of, svg
from weightkin.report.rendering import written

OfParents = Literal["cyclonedx", "in-toto", "model-card", "html", "svg"]
OfGraph = Literal["graphml", "gexf", "dot", "mermaid", "newick", "html", "svg"]


@dataclass(frozen=True, slots=True)
class Format:
    """What a format is called, how its files end, and what they are."""

    words: str
    suffix: str
    media: str


FORMATS: Mapping[str, Format] = {
    "cyclonedx": Format("CycloneDX", ".cdx.json", "application/vnd.cyclonedx+json"),
    "in-toto": Format("in-toto", ".intoto.json", "application/vnd.in-toto+json"),
    "model-card": Format("model card", ".md", "text/markdown"),
    "graphml": Format("GraphML", ".graphml", "application/graphml+xml"),
    "gexf": Format("GEXF", ".gexf", "application/gexf+xml"),
    "dot": Format("DOT", ".dot", "text/vnd.graphviz"),
    "mermaid": Format("Mermaid", ".mmd", "text/plain"),
    "newick": Format("Newick", ".nwk", "text/plain"),
    "html": Format("HTML report", ".html", "text/html"),
    "svg": Format("SVG picture", ".svg", "image/svg+xml"),
}


def links(address: str, record: Any, query: str = "") -> list[tuple[str, str]]:
    """The addresses of all formats of a record, with their words."""
    forms = get_args(OfGraph if isinstance(record, FamilyGraph) else OfParents)
    has_picture = isinstance(record, FamilyGraph) or picture_of(record) is not None
    return [(f"{address}/{x}{query}", FORMATS[x].words) for x in forms if x != "svg" or has_picture]


def download(record: Any, form: str, stem: str) -> Response:
    """A record as a file.

    Parameters
    ----------
    record : object
        A record as this visitor may see it.
    form : str
        One of `FORMATS` that the record has.
    stem : str
        Name of the file without its end.

    Returns
    -------
    Response

    Raises
    ------
    HTTPException
        404 where there is nothing to draw.
    """
    if form == "svg":
        picture = picture_of(record)
        if picture is None:
            raise HTTPException(404, "this result has no picture")
        text = svg(picture)
    else:
        text = written(record, form)
    known = FORMATS[form]
    headers = {"content-disposition": f'attachment; filename="{stem}{known.suffix}"'}
    return Response(text, media_type=known.media, headers=headers)
