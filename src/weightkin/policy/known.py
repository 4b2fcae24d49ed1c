"""What the weights say about a model and every other one the policy is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from weightkin.formats import Model, digest
from weightkin.formats.declared import Declared, declared
from weightkin.policy.named_models import (
    SEVERITY,
    Evidence,
    Tester,
    ancestor_of,
    of_model,
    of_registered,
)
from weightkin.policy.naming import Meant, Resolved, Unknown
from weightkin.policy.reach import Submitted
from weightkin.policy.secret import Sampling
from weightkin.records import Skipped, left_out
from weightkin.records.comparison import Summary
from weightkin.records.kinds import is_lineage
from weightkin.records.registry import Registered, Relative, Trace
from weightkin.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that rules look at. ``by_name`` has the models the policy names, or why not."""

    declared: Declared
    digest: str
    by_name: Mapping[str, Evidence | Unknown]
    candidate: Submitted
    trace: Trace | None = None
    by_id: Mapping[int, Evidence] | None = None  # registered models that were compared

    @property
    def n_compared(self) -> int:
        """Registered models that were compared, and those that are named and not registered."""
        named = (x for x in self.by_name.values() if isinstance(x, Evidence))
        return len(self.by_id or {}) + sum(not x.other.id for x in named)

    @property
    def unconfirmed(self) -> list[Skipped]:
        """Relations that rest on sketches, whose rows anybody may know, and why."""
        every = (self.by_id or {}).values()
        return [why for x in every if (why := x.unconfirmed) is not None]


def look(
    model: Model,
    named: Mapping[str, Resolved],
    registry: Registry | None,
    *,
    also: Collection[int] = (),
    alpha: float,
    sampling: Sampling,
) -> Known:
    """Compare a model with all that is named, and place it among the registered ones.

    The level is paid: each named model gets its share of ``alpha``, the registry one of its own.

    Parameters
    ----------
    model : Model
        The one at the gate.
    named : mapping
        What the names of the policy mean.
    registry : Registry, optional
        Where its place is looked for.
    also : collection of int
        Numbers of registered models that are compared whatever their vectors say.
    alpha : float
        Level of everything together.
    sampling : Sampling
        How samples are drawn; with a secret the models of ``also`` are compared one by one, too,
        since the search reads sketches, of which anybody may know the rows.

    Returns
    -------
    Known
        All comparisons, by name and by number.

    Raises
    ------
    UnusableRegistry
        The registry cannot be read.
    """
    known = [x for meant in named.values() if isinstance(meant, Meant) for x in meant.models]
    trace = None
    by_id: dict[int, Evidence] = {}
    near: tuple[Relative, ...] = ()
    if registry is not None:
        wanted = sorted({x.id for x in known} | set(also))
        trace = registry.trace(model, alpha=alpha, seed=sampling.seed, also=wanted, fresh=True)
        near = (*trace.search.relatives, *trace.search.others)
        by_id = {
            x.model.id: Evidence(other=ancestor_of(x.model), found=placed(x, trace)) for x in near
        }
    singly = [x.model for x in near if x.model.id in also and sampling.secret is not None]
    bench = Tester(Submitted(model), alpha / max(1, len(named) + len(singly)), sampling)
    own = trace.search.registered if trace is not None else None
    if own is not None and own.id in {x.id for x in known}:
        by_id[own.id] = replace(of_registered(own, by_id, bench, registry), is_own=True)
    for x in singly:
        by_id[x.id] = of_registered(x, by_id, bench, registry)
    found: dict[str, Evidence | Unknown] = {}
    for name, other in named.items():
        if isinstance(other, Meant):
            each = [of_registered(x, by_id, bench, registry) for x in other.models]
            worst = min(each, key=lambda x: SEVERITY.index(x.found.verdict))
            if other.is_claimed and worst.found.verdict != "dependent":
                worst = replace(worst, missing=left_out(name, "digest-claimed"))
            found[name] = worst
        elif isinstance(other, Model):
            found[name] = of_model(other, bench)
        else:
            found[name] = other
    return Known(
        declared=declared(model),
        digest=digest(model),
        by_name=found,
        candidate=bench.candidate,
        trace=trace,
        by_id=by_id,
    )


def members_of(registered: Registered, registry: Registry, alpha: float, seed: int) -> set[int]:
    """Ids of the registered models that share weights with one, itself among them.

    Parameters
    ----------
    registered : Registered
        The one model.
    registry : Registry
        Where it is registered.
    alpha : float
        Level of the search.
    seed : int
        Of the tests.

    Returns
    -------
    set of int
        Numbers in the registry.
    """
    trace = registry.trace(f"#{registered.id}", alpha=alpha, seed=seed, fresh=True).search
    near = [x for x in trace.relatives if x.verdict == "dependent"]
    return {registered.id, *(x.model.id for x in near if is_lineage(x.summary.kind))}


def placed(x: Relative, trace: Trace) -> Summary:
    """What was found about a registered model, with the direction of the edges around the model."""
    search, found = trace.search, replace(x.summary, parent="undetermined", probability=0.5)
    for step in (*search.parents, *search.path):
        if step.parent_id == x.model.id:
            is_sure = step in search.parents and step.direction == "determined"
            is_sure = is_sure or _is_sure_above(x.model.id, trace)
            return replace(
                found,
                kind=(step.kind,) if step in search.parents else found.kind,
                parent="a" if is_sure else "undetermined",
                probability=step.probability,
            )
    for step in search.children:
        if step.child_id == x.model.id and step.direction == "determined":
            return replace(found, parent="b", probability=step.probability)
    return found


def _is_sure_above(number: int, trace: Trace) -> bool:
    """Whether every edge from the model up to a registered one is determined."""
    for step in trace.search.path:
        if step.direction != "determined":
            return False
        if step.parent_id == number:
            return True
    return False
