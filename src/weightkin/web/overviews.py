"""What is known of all models at once, read again when the registry has changed.

What a model is stands in the header of its sketch, a few milliseconds for each. The first ones are
read before a page is shown, the others meanwhile.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from weightkin.errors import UnusableRegistry
from weightkin.records.family import FamilyGraph
from weightkin.records.licences import classes_of, looser
from weightkin.records.listing import Described
from weightkin.records.registry import Registered
from weightkin.registry import overview
from weightkin.registry.found_family import other_question
from weightkin.registry.overview import Overview
from weightkin.registry.placement import Placement
from weightkin.registry.standing import Standing
from weightkin.web.job_service import JobService

AT_ONCE = 100  # sketches that are read before a page is shown
BATCH = 100  # sketches that are read under one connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A licence that permits more than that of a model it was made from."""

    licence: str
    licence_class: str
    ancestor: Registered
    ancestor_licence: str
    ancestor_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model with all that a list says of it."""

    model: Registered
    described: Described
    is_described: bool  # whether its sketch was looked at
    standing: Standing
    is_testable: bool
    conflicts: tuple[Conflict, ...]

    @property
    def verdict(self) -> str:
        """What the weights say of the declared parents, the worst first."""
        states = [x.state or "open" for x in self.standing.declared]
        found = next((x for x in STATES if x in states), "")
        is_made = any(x.direction == "determined" for x in self.standing.parents)
        return found or ("undeclared" if is_made else "none")

    def as_seen(self, service: JobService) -> Row:
        """The same without folders of this machine, where the visitor may not see them."""
        said, here = service.said, self.standing
        standing = replace(
            here,
            family=said(here.family),
            parents=tuple(replace(x, parent=said(x.parent)) for x in here.parents),
            declared=tuple(replace(x, name=said(x.name)) for x in here.declared),
        )
        conflicts = (replace(x, ancestor=service.shown(x.ancestor)) for x in self.conflicts)
        model = service.shown(self.model)
        return replace(self, model=model, standing=standing, conflicts=tuple(conflicts))


STATES = ("contradicted", "open", "unverifiable", "confirmed")


@dataclass(frozen=True, kw_only=True)
class Glance:
    """All models as they were at one moment."""

    stamp: str
    overview: Overview
    described: Mapping[int, Described]  # by slot; filled while it is shown
    other: FamilyGraph | None = None  # head of one that is not shown: of another level or version

    @property
    def has_graph(self) -> bool:
        """Whether a family graph was ever found."""
        return self.overview.has_graph

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """Contents of the models, once each."""
        return tuple(dict.fromkeys(self.overview.placing.slots.values()))

    @property
    def n_undescribed(self) -> int:
        """Contents that were not looked at yet."""
        return sum(slot not in self.described for slot in self.slots)

    @cached_property
    def sizes(self) -> Counter[int]:
        """Models of each family, by the number of its first one."""
        return Counter(x.first for x in self.overview.standings.values())

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every model, in the order they were added."""
        return tuple(map(self.row, self.overview.models))

    def row(self, number: int) -> Row:
        """One model."""
        slot = self.overview.placing.slots[number]
        return Row(
            model=self.overview.models[number],
            described=self.described.get(slot, UNKNOWN),
            is_described=slot in self.described,
            standing=self.overview.standings[number],
            is_testable=slot not in self._untestable,
            conflicts=self._conflicts[number],
        )

    def placement(self, number: int) -> Placement:
        """The edges around one model, and its path to the root."""
        return self.overview.placement(number)

    @cached_property
    def _untestable(self) -> frozenset[int]:
        return frozenset(self.overview.placing.untestable)

    @cached_property
    def _conflicts(self) -> Mapping[int, tuple[Conflict, ...]]:
        found = self.overview.standings.items()
        return {k: tuple(_conflicts(self.overview, k, x)) for k, x in found}


UNKNOWN = Described(id=0)


class Overviews:
    """The newest `Glance` of one registry; safe to use from many threads."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._registry = service.registry
        self._lock = threading.Lock()
        self._known: Glance | None = None
        self._described: dict[int, Described] = {}  # a slot keeps its contents for good
        self._reader: threading.Thread | None = None

    def latest(self) -> Glance:
        """All models as they are now.

        Raises
        ------
        UnusableRegistry
            The registry is damaged, or gone.
        """
        answer = self._service.newest_family()
        stamp = f"{overview.stamp(self._registry)} {answer.key if answer else ''}"
        with self._lock:
            if self._known is None or self._known.stamp != stamp:
                graph = answer and self._service.found_family(answer)
                found = overview.overview(self._registry, graph.graph if graph else None)
                other = None if graph else other_question(self._registry)
                self._known = Glance(
                    stamp=stamp, overview=found, described=self._described, other=other
                )
            known = self._known
            self._read(known)
        return known

    def _read(self, known: Glance) -> None:
        """Look at what was not yet: the first of it at once."""
        if self._reader is not None and self._reader.is_alive():
            return
        missing = [slot for slot in known.slots if slot not in self._described]
        self._described |= overview.describe(self._registry, missing[:AT_ONCE])
        if missing[AT_ONCE:]:
            wanted = (missing[AT_ONCE:],)
            self._reader = threading.Thread(target=self._read_on, args=wanted, daemon=True)
            self._reader.start()

    def _read_on(self, missing: list[int]) -> None:
        for start in range(0, len(missing), BATCH):
            try:
                found = overview.describe(self._registry, missing[start : start + BATCH])
            except UnusableRegistry:
                return  # the next page says so
            self._described |= found


def _conflicts(found: Overview, number: int, standing: Standing) -> Iterator[Conflict]:
    own = classes_of(found.models[number].licence, {})
    for k in standing.ancestors if own else ():
        ancestor = found.models[k]
        why = looser(own, classes_of(ancestor.licence, {}), is_ancestor=True)
        if why is not None:
            data = {x: str(why.data[x]) for x in OF_CONFLICTS}
            yield Conflict(ancestor=ancestor, **data)


OF_CONFLICTS = ("licence", "licence_class", "ancestor_licence", "ancestor_class")
