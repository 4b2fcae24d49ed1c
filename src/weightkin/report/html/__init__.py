"""Records as one page of HTML that a lawyer and an engineer can both read.

    page(record)       a whole page: styles, scripts and the record inside, no network
    body(record)       its contents alone, for a page of somebody else's
    notebook_html(record)   the page without scripts in a frame, as notebooks show it

Every record has its template in `report/templates`, with macros for what is common. The parts here:
`environment` (templates, filters, escaping), `figures` (grids of evidence), `layout`, `graph_model`
and `graph` (where nodes stand, what edges say, the drawing).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from weightkin.records import Comparison
from weightkin.records.checking import Check
from weightkin.records.family import FamilyGraph, rests_on_values
from weightkin.records.location import Location
from weightkin.records.registry import Search, Trace
from weightkin.report.advice import RULE_WORDS
from weightkin.report.block_rows import block_rows, rows_caption
from weightkin.report.comparison import answer_facts, looked_at
from weightkin.report.derived import DETAIL_KEYS, kind_words
from weightkin.report.glossary import TERMS, anchor_of, meaning_of
from weightkin.report.heatmap import map_words, residual_words
from weightkin.report.html.block_figures import accounting_bar, extent_bars, parts_map
from weightkin.report.html.commands import Record, command_of
from weightkin.report.html.environment import GRAPH_SCRIPTS, environment, source_name
from weightkin.report.html.exhibit import Exhibit, head_style
from weightkin.report.html.figures import block_map, matrix_map, unit_dots
from weightkin.report.html.graph import graph_values
from weightkin.report.html.graph_model import family_drawing, trace_drawing
from weightkin.report.nodes import UNOBSERVED
from weightkin.report.plain import NOT_SHOWN, found_words
from weightkin.report.priorities import plain_words as check_words
from weightkin.report.priorities import what_to_do, worst_first
from weightkin.report.registry import licences_of
from weightkin.report.registry import plain_words as search_words
from weightkin.report.terminal import TOO_FEW, is_aligned_only, is_too_few, next_step
from weightkin.text import counted

if TYPE_CHECKING:
    from weightkin.report.facts import ModelFacts

__all__ = ["Exhibit", "Record", "body", "notebook_html", "page"]

SCRIPTS = ("page.js",)
MOST_PLOTS = 12  # of unit maps
USED_TERM = re.compile(r'data-term="([^"]+)"')
Facts = tuple["ModelFacts | None", "ModelFacts | None"]


def page(
    record: Record,
    *,
    command: str = "",
    exhibit: Exhibit | None = None,
    facts: Facts = (None, None),
) -> str:
    """One self-contained page: under 100 kB, or 150 kB with a family graph, plus the record.

    Parameters
    ----------
    record : Comparison, Location, FamilyGraph, Search, Trace or Check
        What a verb returned, or what was read back from JSON.
    command : str
        The command that made the record; by default one that would make it again.
    exhibit : Exhibit, optional
        Title, case reference and author to print on it; by default only the date of today.
    facts : (ModelFacts or None, ModelFacts or None)
        What the two models of a comparison or a location are, where they could be read.

    Returns
    -------
    str
        HTML.
    """
    shown_by = exhibit or Exhibit()
    contents = body(record, command=command, exhibit=shown_by, facts=facts)
    scripts = (*SCRIPTS, *GRAPH_SCRIPTS) if 'class="graph-data"' in contents else SCRIPTS
    return _whole(record, contents, scripts, shown_by)


def body(
    record: Record,
    *,
    command: str = "",
    is_served: bool = False,
    exhibit: Exhibit | None = None,
    facts: Facts = (None, None),
) -> Markup:
    """The contents of the page, from the sentence to the command; needs its style sheet.

    Parameters
    ----------
    record : Comparison, Location, FamilyGraph, Search, Trace or Check
        What a verb returned, or what was read back from JSON.
    command : str
        The command that made the record; by default one that would make it again.
    is_served : bool
        For a page of the server: the names of registered models are links.
    exhibit : Exhibit, optional
        Title, case reference and author to print on it.
    facts : (ModelFacts or None, ModelFacts or None)
        What the two models of a comparison or a location are, where they could be read.

    Returns
    -------
    Markup
        HTML, everything in it escaped.
    """
    name, values = _template(record)
    values |= {"record": record, "command": command or command_of(record)}
    values |= {"exhibit": exhibit, "facts": facts}
    templates = environment(is_served=is_served)
    contents = templates.get_template(name).render(**values)
    used = sorted(set(USED_TERM.findall(contents)) & set(TERMS), key=str.lower)
    terms = [(anchor_of(x), x, meaning_of(x)) for x in used]
    end = templates.from_string('{% import "macros.html" as m %}{{ m.glossary(terms) }}')
    return Markup(contents + end.render(terms=terms))


def notebook_html(record: Record) -> str:
    """The page in a frame that runs no script."""
    frame = escape(
        _whole(record, body(record), (), Exhibit())
    )  # the frame reads it as a page of its own
    style = "width:100%;height:40rem;border:1px solid #8883;border-radius:6px"
    return f'<iframe sandbox srcdoc="{frame}" style="{style}" title="weightkin report"></iframe>'


def _whole(record: Record, contents: Markup, scripts: tuple[str, ...], exhibit: Exhibit) -> str:
    return (
        environment()
        .get_template("report.html")
        .render(
            title=exhibit.title or _title(record),
            head_style=Markup(head_style(exhibit, _title(record))),
            body=contents,
            scripts=scripts,
            record_data=json.loads(record.to_json()),
        )
    )


def _title(record: Record) -> str:
    match record:
        case Comparison() | Location():
            return " and ".join(_names(record))
        case FamilyGraph():
            return f"Family graph of {counted(len(record.nodes), 'model')}"
        case Search():
            return f"Relatives of {record.name}"
        case Trace():
            return f"Lineage of {record.search.name}"
        case Check():
            return f"Check of {counted(len(record.models), 'model')}"


def _template(record: Record) -> tuple[str, dict[str, Any]]:
    """The template of a record, and what it needs beside the record."""
    match record:
        case Comparison():
            return "comparison.html", _of_comparison(record)
        case Location():
            return "location.html", _of_location(record)
        case FamilyGraph():
            return "family.html", _of_family(record)
        case Search():
            return "search.html", _of_trace(Trace(search=record)) | {"trace": None}
        case Trace():
            return "search.html", _of_trace(record)
        case Check():
            return "check.html", {
                "worst": next(iter(worst_first(record)), None),
                "to_do": what_to_do(record),
                "plain": check_words(record),
                "rule_words": RULE_WORDS,
            }


def _of_comparison(record: Comparison) -> dict[str, Any]:
    a, b = _names(record)
    details = record.kind_details
    return {
        "kinds": kind_words(record),
        "a": a,
        "b": b,
        "found": found_words(record),
        "caveat": NOT_SHOWN.get(record.verdict, ""),
        "answers": list(answer_facts(record)),
        "looked_at": looked_at(record),
        "next_step": next_step(record),
        "map": parts_map(record) if record.tests else None,
        "looked_bar": accounting_bar(record),
        "bars": extent_bars(record),
        "blocks": block_map(record),
        "differing": block_rows(record),
        "rows_caption": rows_caption(record),
        "aligned_only": [x for x in record.axes if is_aligned_only(record, x)],
        "too_few": [x for x in record.axes if is_too_few(record, x)],
        "too_few_words": TOO_FEW,
        "trusted": sorted({x.trusts for x in record.axes} - {"either"}),
        "details": sorted(details, key=lambda k: DETAIL_KEYS.index(k) if k in DETAIL_KEYS else 99),
    }


def _of_location(record: Location) -> dict[str, Any]:
    a, b = _names(record)
    maps = [(x, matrix_map(x) if x.trusts else None) for x in record.matrices]
    return {
        "a": a,
        "b": b,
        "maps": maps,
        "residual": [line for x in record.residual for line in residual_words(x, record.alpha)],
        "mapped": map_words(record),
        "plots": [(x, unit_dots(x)) for x in record.unit_maps[:MOST_PLOTS]],
    }


def _of_family(graph: FamilyGraph) -> dict[str, Any]:
    drawn = family_drawing(graph)
    tested = [e.log10_pvalue for e in graph.edges if not rests_on_values(e, graph.alpha)]
    alone = [x[0] for x in graph.components if len(x) == 1 and x[0] not in graph.untested]
    return {
        "drawn": graph_values(drawn),
        "index": drawn.index(),
        "labels": {node.id: node.id if node.observed else UNOBSERVED for node in graph.nodes},
        "same": {node.id: node.duplicates for node in graph.nodes},
        "n_equal": len(graph.edges) - len(tested),
        "n_open": sum(10**p > graph.alpha for p in tested),
        "weakest": max(tested, default=None),
        "explained": [edge for edge in graph.edges if edge.evidence],
        "alone": alone,
        "observed": [node for node in graph.nodes if node.observed],
        "n_same": sum(len(node.duplicates) for node in graph.nodes),
    }


def _of_trace(record: Trace) -> dict[str, Any]:
    drawn = trace_drawing(record)
    return {
        "search": record.search,
        "plain": search_words(record.search),
        "trace": record,
        "drawn": graph_values(drawn) if drawn.edges else None,
        "notes": {x.model.id: x.model.notes for x in record.search.relatives},
        "licences": licences_of(record.search),
    }


def _names(record: Comparison | Location) -> tuple[str, str]:
    """Short names of the two models of a record; their sources where those are equal."""
    a, b = (source_name(ref.source) for ref in (record.a, record.b))
    return (a, b) if a != b else (record.a.source, record.b.source)
