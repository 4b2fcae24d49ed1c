"""Any saved record, read and drawn again in every form that its command can print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from weightkin.errors import UsageError
from weightkin.records import Comparison
from weightkin.records.checking import Check
from weightkin.records.descendants import Descendants
from weightkin.records.estimating import Estimate
from weightkin.records.family import FamilyGraph
from weightkin.records.form import data_of, schema_of
from weightkin.records.listing import Adding, Listing
from weightkin.records.location import Location
from weightkin.records.registry import Search, Trace
from weightkin.records.sketching import Sketching
from weightkin.report import graph_formats
from weightkin.report.checking import check_lines
from weightkin.report.comparison import comparison_lines
from weightkin.report.cyclonedx import cyclonedx
from weightkin.report.descendants import descendants_lines
from weightkin.report.heatmap import location_lines
from weightkin.report.in_toto import in_toto
from weightkin.report.junit import junit
from weightkin.report.lists import adding_lines, estimate_lines, listing_lines, sketching_lines
from weightkin.report.markdown import markdown
from weightkin.report.model import ModelRecord
from weightkin.report.model_card import model_card
from weightkin.report.parentage import Parentage, of_comparison, of_trace
from weightkin.report.registry import search_lines, trace_lines
from weightkin.report.sarif import sarif
from weightkin.report.showing import model_lines
from weightkin.report.tree import family_lines

KINDS: Mapping[str, Any] = {
    "comparison": Comparison,
    "location": Location,
    "family": FamilyGraph,
    "search": Search,
    "trace": Trace,
    "descendants": Descendants,
    "check": Check,
    "adding": Adding,
    "listing": Listing,
    "model": ModelRecord,
    "sketching": Sketching,
    "estimate": Estimate,
}
VERSIONS = (1, 2)
ITEMISED = (Adding, Listing, Sketching, Estimate)  # a line for each thing: all are the answer
DRAWN = (Comparison, Location, FamilyGraph, Search, Trace)  # have a picture
PAGED = (Comparison, Location, FamilyGraph, Search, Trace, Check)  # have an HTML report
OF_PARENTS: Mapping[str, Callable[[Parentage], str]] = {
    "cyclonedx": cyclonedx,
    "in-toto": in_toto,
    "model-card": model_card,
}


def read_any(text: str, where: str = "record") -> Any:
    """Read a record of any command.

    Raises
    ------
    UnreadableModel
        No JSON, another schema, or a malformed field.
    """
    known = {f"weightkin/{name}/{n}": kind for name, kind in KINDS.items() for n in VERSIONS}
    schema = schema_of(data_of(text, where), where, tuple(known))
    return known[schema].from_json(text, where)


def lines_of(record: Any, *, width: int, is_unicode: bool, is_full: bool = False) -> list[str]:
    """A record as the command that made it prints it.

    Parameters
    ----------
    record : object
        A record of any command.
    width : int
        Columns of drawings and tables.
    is_unicode : bool
        Draw with Unicode characters, not with ASCII.
    is_full : bool
        All that a record has, not the short form.

    Returns
    -------
    list of str
        Lines without their ends.
    """
    match record:
        case Comparison():
            return comparison_lines(record, is_full=is_full)
        case Location():
            return location_lines(record, is_unicode=is_unicode, is_full=is_full)
        case FamilyGraph():
            return family_lines(record, is_unicode=is_unicode, width=width, is_full=is_full)
        case Search():
            return search_lines(record, is_full=is_full, width=width)
        case Trace():
            return trace_lines(record, is_full=is_full)
        case Descendants():
            return descendants_lines(record, is_full=is_full, width=width)
        case Check():
            return check_lines(record, is_full=is_full)
        case Listing():
            return listing_lines(record, is_full=is_full, width=width)
        case Estimate():
            return estimate_lines(record)
    short: Mapping[type, Callable[..., list[str]]] = {
        Adding: adding_lines,
        ModelRecord: model_lines,
        Sketching: sketching_lines,
    }
    return short[type(record)](record, is_full=is_full)


def written(record: Any, form: str) -> str:
    """A record in a format of other tools.

    Raises
    ------
    UsageError
        Records of this command have no such format.
    """
    writers = _writers(record)
    if form not in writers:
        some = f"it has {', '.join(writers)}" if writers else "it has none"
        raise UsageError(f"--format {form}: not a format of this result; {some}")
    return writers[form](record).rstrip("\n") + "\n"


def _writers(record: Any) -> Mapping[str, Callable[[Any], str]]:
    shared = {"json": _as_json} | ({"html": _page} if isinstance(record, PAGED) else {})
    return {**_own_writers(record), **shared}


def _own_writers(record: Any) -> Mapping[str, Callable[[Any], str]]:
    match record:
        case Comparison():
            return {name: partial(_of_parents, of_comparison, name) for name in OF_PARENTS}
        case Trace():
            return {name: partial(_of_parents, of_trace, name) for name in OF_PARENTS}
        case FamilyGraph():
            return graph_formats.FORMATS
        case Check():
            return {"markdown": markdown, "junit": junit, "sarif": lambda x: sarif(x, Path.cwd())}
    return {}


def _page(record: Any) -> str:
    from weightkin.report.html import page  # its templates are slow to load

    return page(record)


def _as_json(record: Any) -> str:
    return str(record.to_json())


def _of_parents(parentage: Callable[[Any], Parentage], form: str, record: Any) -> str:
    return OF_PARENTS[form](parentage(record))
