"""Records as one page of HTML that a lawyer and an engineer can both read.

    page(record)       a whole page: styles, scripts and the record inside, no network
    body(record)       its contents alone, for a page of somebody else's
    notebook_html(record)   the page without scripts in a frame, as notebooks show it

The parts: `build` (elements, escaping), `words` (what verdicts mean), `tables`, `heat` (grids of
evidence), `layout` and `drawn` (where nodes stand, what edges say), `graph` (the drawing), one
module for the record of each verb, `shell` (the page around it).
"""

from __future__ import annotations

import html

from weightkin.records import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.records.location import Location
from weightkin.records.registry import Search, Trace
from weightkin.report.html.build import Html, join
from weightkin.report.html.comparison import comparison_body
from weightkin.report.html.family import family_body
from weightkin.report.html.location import location_body
from weightkin.report.html.registry import search_body, trace_body
from weightkin.report.html.sections import Record, recompute_section
from weightkin.report.html.shell import GRAPH_SCRIPTS, SCRIPTS, whole_page
from weightkin.report.html.words import names

__all__ = ["body", "notebook_html", "page"]


def page(record: Record, *, command: str = "") -> str:
    """One self-contained page: under 100 kB, or 600 kB with a family graph, plus the record.

    Parameters
    ----------
    record : Comparison, Location, FamilyGraph, Search or Trace
        What a verb returned, or what was read back from JSON.
    command : str
        The command that made the record; by default one that would make it again.
    """
    contents = body(record, command=command)
    scripts = GRAPH_SCRIPTS if 'class="graph-data"' in contents else SCRIPTS
    return whole_page(_title(record), contents, record.to_json(), scripts)


def body(record: Record, *, command: str = "") -> Html:
    """The contents of the page, from the sentence to the command; needs its style sheet."""
    return join([*_sections(record), recompute_section(record, command)])


def notebook_html(record: Record) -> str:
    """The page in a frame that runs no script."""
    text = whole_page(_title(record), body(record), record.to_json(), ())
    style = "width:100%;height:40rem;border:1px solid #8883;border-radius:6px"
    frame = html.escape(text)  # an attribute: the frame reads it as a page of its own
    return f'<iframe sandbox srcdoc="{frame}" style="{style}" title="weightkin report"></iframe>'


def _sections(record: Record) -> list[Html | None]:
    match record:
        case Comparison():
            return comparison_body(record)
        case Location():
            return location_body(record)
        case FamilyGraph():
            return family_body(record)
        case Search():
            return search_body(record)
        case Trace():
            return trace_body(record)


def _title(record: Record) -> str:
    match record:
        case Comparison() | Location():
            return " and ".join(names(record))
        case FamilyGraph():
            return f"Family of {len(record.nodes)} models"
        case Search():
            return f"Relatives of {record.name}"
        case Trace():
            return f"Path of {record.search.name}"
