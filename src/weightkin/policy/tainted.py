"""Forbidden ancestors at any depth: what descends from a forbidden model in the registry.

A model may share nothing that a test finds with a distant ancestor. Its parents in the registry
show the way there, as far as the direction of every step is determined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weightkin.errors import UnreadableModel, UnusableRegistry
from weightkin.formats import Model
from weightkin.policy.naming import Meant, Resolved
from weightkin.records import Because, because
from weightkin.records.checking import Ancestor
from weightkin.records.comparison import Summary
from weightkin.records.family import is_unconfirmed
from weightkin.records.kinds import is_lineage
from weightkin.records.registry import Search
from weightkin.registry import Registry

ABOVE = ("identical", "parent", "merged-into", "ancestor")


@dataclass(frozen=True, slots=True)
class Way:
    """Why a model descends from a forbidden one.

    ``is_unconfirmed``: by nothing but rows of sketches, which may have been set to match.
    """

    why: Because | None
    is_open: bool = False
    is_unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class Tainted:
    """Registered models that descend from a forbidden one, by number, and those that may.

    ``through`` has the names of the models between, from the forbidden one down.
    """

    origin: Ancestor
    through: dict[int, tuple[str, ...]] = field(default_factory=dict)
    probability: dict[int, float] = field(default_factory=dict)
    may: set[int] = field(default_factory=set)
    unconfirmed: set[int] = field(default_factory=set)  # by a step that sketches alone show

    def found(self, search: Search) -> Way:
        """Why a model descends from the forbidden one, or is related to it with that left open."""
        known = {x.model.id for x in search.relatives if is_of_sketch(x.summary)}
        known |= {s.parent_id for s in search.parents if is_unconfirmed(s)}
        known |= self.unconfirmed
        found = (x for x in search.relatives if x.verdict == "dependent")
        related = [x for x in found if is_lineage(x.summary.kind)]
        above = {x.model.id: x.model.name for x in related if x.relation in ABOVE}
        above |= {s.parent_id: s.parent for s in search.parents if s.direction == "determined"}
        if search.registered is not None:
            above[search.registered.id] = search.registered.name
        hits = [number for number in above if number in self.through]
        if hits:
            first = max(hits, key=lambda k: (len(self.through[k]), -k))  # the nearest
            names = dict.fromkeys((*self.through[first], above[first]))
            through = [x for x in names if x != search.name]
            sure = self.probability[first]
            why = because("forbidden-above", through=through, probability=sure)
            return Way(why, is_unconfirmed=first in known)
        open_ = {x.model.id: x.model.name for x in related if x.relation == "unknown"}
        near = {k: name for k, name in above.items() if k in self.may}
        near |= {k: name for k, name in open_.items() if k in self.may or k in self.through}
        if not near:
            return Way(None, is_open=True)
        chosen = min(near.keys() - known, default=min(near))
        why = because("forbidden-perhaps", relative=near[chosen])
        return Way(why, is_open=True, is_unconfirmed=chosen in known)


def is_of_sketch(x: Summary) -> bool:
    """Whether nothing but a sketch shows a relation, whose weights were not at hand."""
    is_alone = x.fresh is not None and x.fresh.why_not is not None
    return x.basis == "exact-unconfirmed" and is_alone


def tainted(
    name: str, meant: Resolved, registry: Registry, *, alpha: float, seed: int
) -> Tainted | None:
    """What descends from a forbidden model; None where that cannot be looked at.

    Parameters
    ----------
    name : str
        As the policy has it.
    meant : Meant, Model or Unknown
        The registered models of that name, or one that is not registered.
    registry : Registry
        Where descendants are looked for.
    alpha, seed : float, int
        Level and seed of the family graph.

    Returns
    -------
    Tainted or None
    """
    sources: list[str | Model] = []
    if isinstance(meant, Meant):
        sources = [f"#{model.id}" for model in meant.models]
    elif isinstance(meant, Model):
        sources = [meant]
    found: Tainted | None = None
    for source in sources:
        try:
            record = registry.descendants(source, alpha=alpha, seed=seed, fresh=True)
        except (UnreadableModel, UnusableRegistry):  # findings of their own: both are searched too
            continue
        own = record.registered
        found = found or Tainted(
            Ancestor(
                name=record.name if own else name,
                source=record.source,
                digest=record.digest,
                id=own.id if own else 0,
                licence=own.licence if own else "",
            )
        )
        for model in (*record.identical, *((own,) if own else ())):
            found.through[model.id], found.probability[model.id] = (record.name,), 1.0
        for x in record.descendants:
            path = (record.name, *(step.child for step in x.path[:-1]))
            found.through.setdefault(x.model.id, path)
            found.probability.setdefault(x.model.id, x.probability)
        found.may.update(x.model.id for x in record.may_descend)
        listed = (*record.descendants, *record.may_descend)
        found.unconfirmed.update(x.model.id for x in listed if any(map(is_unconfirmed, x.path)))
    return found


def all_tainted(
    names: Mapping[str, Resolved], registry: Registry | None, *, alpha: float, seed: int
) -> dict[str, Tainted]:
    """The same for all forbidden models, by their names in the policy."""
    if registry is None:
        return {}
    found = {k: tainted(k, x, registry, alpha=alpha, seed=seed) for k, x in names.items()}
    return {k: x for k, x in found.items() if x is not None}
