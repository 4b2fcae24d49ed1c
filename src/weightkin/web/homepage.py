"""The home page: counts, what needs a look, and a table to search, filter and sort."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from weightkin.records.registry import Registered
from weightkin.registry import browsing
from weightkin.web.job_service import JobService
from weightkin.web.overviews import Glance, Row

ON_PAGE = 50
MOST_OPTIONS = 200  # values of one filter that are offered, the most frequent
NONE = "-"  # in an address: no value
Text = Annotated[str, Field(max_length=1000)]
Key = Callable[[Row], Any]

VERDICTS = {
    "contradicted": "contradicted",
    "confirmed": "confirmed",
    "unverifiable": "cannot be verified",
    "undeclared": "inferred, none declared",
    "open": "not checked yet",
    "none": "none declared",
}
FACETS: Mapping[str, tuple[str, Callable[[Row], str]]] = {
    "architecture": ("Architecture", lambda row: row.described.architecture or NONE),
    "dtype": ("dtype", lambda row: row.described.dtype or NONE),
    "family": ("Family", lambda row: str(row.standing.first or NONE)),
    "verdict": ("Declared parent", lambda row: row.verdict),
}
LOOKS: Mapping[str, tuple[str, Callable[[Row], bool]]] = {  # worst first
    "contradicted": ("Contradicted declarations", lambda row: row.verdict == "contradicted"),
    "licence": ("Licence conflicts", lambda row: bool(row.conflicts)),
    "undeclared": ("Parent not declared", lambda row: row.verdict == "undeclared"),
    "unverifiable": ("Declared parent not verifiable", lambda row: row.verdict == "unverifiable"),
    "unplaced": ("Not in the family graph", lambda row: not row.standing.is_placed),
    "untestable": ("Hardly testable", lambda row: not row.is_testable),
    "unread": (
        "Sketch not readable",
        lambda row: row.is_described and not row.described.architecture,
    ),
}
BAD = ("contradicted", "licence")  # shown even where there is none
OF_GRAPH = ("contradicted", "licence", "undeclared", "unverifiable", "unplaced")
SORTS: Mapping[str, tuple[str, Key]] = {
    "added": ("Added", lambda row: row.model.id),
    "name": ("Model", lambda row: row.model.name.lower()),
    "architecture": ("Architecture", lambda row: row.described.architecture.lower()),
    "parameters": ("Parameters", lambda row: row.described.n_parameters),
    "dtype": ("dtype", lambda row: row.described.dtype),
    "family": ("Family", lambda row: row.standing.family.lower()),
    "declared": ("Declared parent", lambda row: ",".join(row.model.declared_parents).lower()),
    "inferred": (
        "Inferred parent",
        lambda row: ",".join(x.parent for x in row.standing.parents).lower(),
    ),
    "licence": ("Licence", lambda row: row.model.licence.lower()),
}
LARGEST_FIRST = ("parameters",)
TABLE = ("name", "architecture", "parameters", "dtype", "family", "declared", "inferred", "licence")


class Asked(BaseModel, frozen=True):
    """What a visitor asked for; an empty text asks for nothing."""

    q: Text = ""
    architecture: Text = ""
    dtype: Text = ""
    family: Text = ""  # the number of its first model
    verdict: Text = ""
    look: Text = ""
    sort: Text = ""
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1  # a page after the last is empty

    @property
    def query(self) -> dict[str, str]:
        """What the address of another page keeps."""
        return {k: x for k, x in self.model_dump(exclude={"page"}).items() if x}

    def address(self, **changed: str | int) -> str:
        """The first page of the same with something else."""
        return f"/?{urlencode(self.query | changed)}"

    @property
    def is_filtered(self) -> bool:
        """Whether some models are left out."""
        return bool(self.query.keys() - {"sort"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the table: its title, in which order it is, and where another order is."""

    name: str
    title: str
    order: str  # as aria-sort says it; empty: not sorted by it
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """A filter: what may be chosen, with the number of models of each."""

    name: str
    title: str
    options: tuple[tuple[str, str, int], ...]  # value, words, models


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Something that a person should look at."""

    name: str
    words: str
    n: int
    is_bad: bool
    is_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Everything that the page shows."""

    glance: Glance
    asked: Asked
    n_models: int
    n_families: int
    looks: tuple[Look, ...]
    counts: Mapping[str, int]  # of `LOOKS`
    facets: tuple[Facet, ...]
    columns: tuple[Column, ...]
    sorts: tuple[tuple[str, str], ...]
    n_found: int
    n_pages: int
    rows: tuple[Row, ...]


def home(service: JobService, glance: Glance, asked: Asked) -> Home:
    """What the page shows of what was asked for. Cost: one pass over all models in memory.

    Parameters
    ----------
    service : JobService
        The registry as this visitor may see it.
    glance : Glance
        All models.
    asked : Asked
        Text, filters, order and page.

    Returns
    -------
    Home
    """
    rows = glance.rows
    counts = {name: sum(map(test, rows)) for name, (_, test) in LOOKS.items()}
    text = asked.q.strip()
    numbers = browsing.numbers(service.registry, text, hidden=service.has_visitors) if text else ()
    named = [row for row in rows if not text or row.model.id in numbers]
    found = _sorted([row for row in named if _fits(row, asked)], asked.sort)
    shown = found[(asked.page - 1) * ON_PAGE : asked.page * ON_PAGE]
    families = {row.standing.first: row.standing.family for row in rows if row.standing.first}
    return Home(
        glance=glance,
        asked=asked,
        n_models=len(rows),
        n_families=len(families),
        counts=counts,
        looks=tuple(_looks(counts, has_graph=glance.has_graph)),
        facets=(
            *(_facet(name, named, asked, service) for name in FACETS),
            _attention(named, asked),
        ),
        columns=tuple(_column(name, asked) for name in TABLE),
        sorts=_sorts(asked),
        n_found=len(found),
        n_pages=max(1, math.ceil(len(found) / ON_PAGE)),
        rows=_as_seen(service, shown),
    )


def _looks(counts: Mapping[str, int], *, has_graph: bool) -> Iterator[Look]:
    """What there is to look at: the bad in any case, and of the rest what is there and known."""
    for name, (words, _) in LOOKS.items():
        is_known, is_bad = has_graph or name not in OF_GRAPH, name in BAD
        if is_bad or (is_known and counts[name]):
            yield Look(name=name, words=words, n=counts[name], is_bad=is_bad, is_known=is_known)


def _fits(row: Row, asked: Asked, but: str = "") -> bool:
    """Whether a model has every value that was asked for, one filter left out."""
    for name, (_, key) in FACETS.items():
        wanted = getattr(asked, name)
        if wanted and name != but and key(row) != wanted:
            return False
    look = LOOKS.get(asked.look)
    return but == "look" or look is None or look[1](row)


def _sorted(rows: list[Row], sort: str) -> list[Row]:
    """In an order; models without a value come last in either direction."""
    known = SORTS.get(sort.removeprefix("-"))
    if known is None:
        return rows
    _, key = known
    full = [row for row in rows if key(row)]
    full.sort(key=key, reverse=sort.startswith("-"))
    return full + [row for row in rows if not key(row)]


def _facet(name: str, rows: Sequence[Row], asked: Asked, service: JobService) -> Facet:
    title, key = FACETS[name]
    found = Counter(key(row) for row in rows if _fits(row, asked, name))
    chosen = getattr(asked, name)
    options = [x for x in found.most_common(MOST_OPTIONS) if x[0] != chosen]
    options += [(chosen, found[chosen])] if chosen else []
    options.sort(key=lambda x: (-x[1], x[0]))
    words = VERDICTS if name == "verdict" else {NONE: "none"}
    if name == "family":
        words = {str(x.standing.first): service.said(x.standing.family) for x in rows} | words
    said = tuple((x, words.get(x, x), n) for x, n in options)
    return Facet(name=name, title=title, options=said)


def _attention(rows: Sequence[Row], asked: Asked) -> Facet:
    fitting = [row for row in rows if _fits(row, asked, "look")]
    counted = ((name, words, sum(map(test, fitting))) for name, (words, test) in LOOKS.items())
    options = tuple(x for x in counted if x[2] or x[0] == asked.look)
    return Facet(name="look", title="Needs a look", options=options)


def _column(name: str, asked: Asked) -> Column:
    title, _ = SORTS[name]
    orders = {name: "ascending", f"-{name}": "descending"}
    first = f"-{name}" if name in LARGEST_FIRST else name
    turned = next(x for x in orders if x != first)
    other = turned if asked.sort == first else first
    return Column(
        name=name, title=title, order=orders.get(asked.sort, ""), address=asked.address(sort=other)
    )


def _sorts(asked: Asked) -> tuple[tuple[str, str], ...]:
    """Orders for where the head of the table is not shown, with the one of now."""
    found = {"": "first added", "-added": "newest"}
    found |= {f"-{x}" if x in LARGEST_FIRST else x: SORTS[x][0].lower() for x in TABLE}
    name = asked.sort.removeprefix("-")
    if asked.sort not in found and name in SORTS:
        found[asked.sort] = f"{SORTS[name][0].lower()}, reversed"
    return tuple(found.items())


def _as_seen(service: JobService, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Models with their notes, as this visitor may see them."""
    ids = [row.model.id for row in rows]
    models: dict[int, Registered] = {m.id: m for m in browsing.several(service.registry, ids)}
    return tuple(
        replace(row.as_seen(service), model=service.shown(models.get(row.model.id, row.model)))
        for row in rows
    )
