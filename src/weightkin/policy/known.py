"""What the weights say about a model and every other one the policy is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from weightkin.api.compare import compare
from weightkin.errors import UnreadableModel, WeightkinError
from weightkin.formats import Model, digest
from weightkin.formats.declared import Declared, declared
from weightkin.policy.equal_values import MIN_EQUAL_SHARE, equal_share
from weightkin.policy.naming import CLAIMED, Meant, Resolved, Unknown
from weightkin.policy.reach import Submitted, Unreached, n_parameters
from weightkin.records import Comparison, Effect
from weightkin.records.checking import Against, Ancestor
from weightkin.records.kinds import equal_kinds
from weightkin.records.registry import Registered, Relative, Trace
from weightkin.registry import Registry
from weightkin.registry.browsing import sketch_of
from weightkin.sketch.stand_in import as_model

Parent = Literal["other", "model", "undetermined"]
SEVERITY = ("dependent", "aligned-only", "not-testable", "no-evidence")
SKETCHED = "compared with its sketch, a sample of it: blind tests were not run"
FRUGAL_LIMIT = "read from a hub: blind tests looked at a part of it"
CAPPED = "the two hold more stacks of blocks than are compared with each other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One other model and what was found. ``parent`` says which came first, if that is known."""

    other: Ancestor
    verdict: str
    basis: str
    log10_pvalue: float
    sentence: str
    kind: tuple[str, ...] = ()
    effect: Effect | None = None
    parent: Parent = "undetermined"
    probability: float = 0.5
    missing: str = ""  # what of the other model could not be read, or is not known
    lacking: str = ""  # why "no evidence" says too little
    parts: tuple[str, ...] = ()  # where weights are shared, if not in all parts
    is_error: bool = False  # the sentence is an error, which names the model
    is_own: bool = False  # the entry of the very model in the registry
    against: Against | None = None  # of a comparison made here
    reach: Unreached | None = None

    @property
    def is_same(self) -> bool:
        """Whether both hold the same values."""
        return bool(equal_kinds(self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that rules look at. ``by_name`` has the models the policy names, or why not."""

    declared: Declared
    digest: str
    by_name: Mapping[str, Evidence | Unknown]
    candidate: Submitted
    trace: Trace | None = None
    by_id: Mapping[int, Evidence] | None = None  # registered models that were compared


def look(
    model: Model,
    named: Mapping[str, Resolved],
    registry: Registry | None,
    *,
    also: Collection[int] = (),
    alpha: float,
    seed: int,
) -> Known:
    """Compare a model with all that is named, and place it among the registered ones.

    The level is paid: each named model gets its share of ``alpha``, the registry one of its own.
    Registered models whose numbers are in ``also`` are compared whatever their vectors say.
    """
    known = [x for meant in named.values() if isinstance(meant, Meant) for x in meant.models]
    trace = None
    by_id: dict[int, Evidence] = {}
    if registry is not None:
        wanted = sorted({x.id for x in known} | set(also))
        trace = registry.trace(model, alpha=alpha, seed=seed, also=wanted, fresh=True)
        by_id = {x.model.id: _of_relative(x, trace) for x in _compared(trace)}
    bench = _Tester(Submitted(model), alpha / max(1, len(named)), seed)
    own = trace.search.registered if trace is not None else None
    if own is not None and own.id in {x.id for x in known}:
        e = _of_registered(own, by_id, bench, registry)
        by_id[own.id] = replace(e, is_own=True, sentence=f"the model itself: {e.sentence}")
    found: dict[str, Evidence | Unknown] = {}
    for name, other in named.items():
        if isinstance(other, Meant):
            each = [_of_registered(x, by_id, bench, registry) for x in other.models]
            worst = min(each, key=lambda x: SEVERITY.index(x.verdict))
            is_open = other.is_claimed and worst.verdict != "dependent"
            found[name] = replace(worst, missing=CLAIMED) if is_open else worst
        elif isinstance(other, Model):
            found[name] = _of_model(other, bench)
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


@dataclass(frozen=True, slots=True)
class _Tester:
    """The model at the gate, and how it is compared with each model that is named."""

    candidate: Submitted
    alpha: float
    seed: int

    def compare(self, other: Model) -> Comparison | WeightkinError:
        """The record with the named model as ``a``, or why there is none."""
        try:
            return compare(other, self.candidate.model, alpha=self.alpha, seed=self.seed)
        except WeightkinError as error:
            return error

    def lacking(self, record: Comparison, other: Model, reach: Unreached) -> str:
        """Why "no evidence" would say too much, "" if it would not."""
        if record.verdict == "dependent":
            return ""
        if (share := equal_share(other, self.candidate.model)) >= MIN_EQUAL_SHARE:
            return f"{share:.0%} of the values looked at are the same, bit for bit, at their places"
        return reach.lacking(record.alpha)


def members_of(registered: Registered, registry: Registry, alpha: float, seed: int) -> set[int]:
    """Ids of the registered models that share weights with one, itself among them."""
    trace = registry.trace(f"#{registered.id}", alpha=alpha, seed=seed, fresh=True).search
    return {registered.id, *(x.model.id for x in trace.relatives if x.verdict == "dependent")}


def _compared(trace: Trace) -> tuple[Relative, ...]:
    return (*trace.search.relatives, *trace.search.others)


def _of_relative(x: Relative, trace: Trace) -> Evidence:
    """A registered model that was compared; its place is that of the edges around the model."""
    found = Evidence(
        other=_ancestor(x.model),
        verdict=x.verdict,
        basis=x.basis,
        log10_pvalue=x.log10_pvalue,
        sentence=x.sentence,
        kind=x.kind,
        effect=x.effect,
    )
    search = trace.search
    for step in (*search.parents, *search.path):
        if step.parent_id == x.model.id:
            is_sure = step in search.parents and step.direction == "determined"
            is_sure = is_sure or _is_sure_above(x.model.id, trace)
            return replace(
                found,
                kind=(step.kind,) if step in search.parents else found.kind,
                parent="other" if is_sure else "undetermined",
                probability=step.direction_probability,
            )
    for step in search.children:
        if step.child_id == x.model.id and step.direction == "determined":
            return replace(found, parent="model", probability=step.direction_probability)
    return found


def _is_sure_above(number: int, trace: Trace) -> bool:
    """Whether every edge from the model up to a registered one is determined."""
    for step in trace.search.path:
        if step.direction != "determined":
            return False
        if step.parent_id == number:
            return True
    return False


def _of_registered(
    registered: Registered,
    by_id: Mapping[int, Evidence],
    bench: _Tester,
    registry: Registry | None,
) -> Evidence:
    """What the registry found, or a comparison with what it holds: the graver of both."""
    other = _ancestor(registered)
    found = by_id.get(registered.id)
    if found is not None and found.verdict == "dependent":
        return replace(found, other=other)
    try:
        sketch = None if registry is None else sketch_of(registry.path, registered)
    except UnreadableModel as error:
        return _not_testable(other, str(error), is_error=True)
    if sketch is None:
        why = "the registry that holds it cannot be read" if registry is None else "it was removed"
        return _not_testable(other, why)
    direct = _of_model(as_model(sketch), bench, other)
    both = [direct] if found is None else [direct, replace(found, other=other)]
    worst = min(both, key=lambda x: SEVERITY.index(x.verdict))
    return replace(worst, against=direct.against, reach=direct.reach)


def _of_model(other: Model, bench: _Tester, known: Ancestor | None = None) -> Evidence:
    """A comparison with a model that the policy names, and what it could have shown."""
    record = bench.compare(other)
    if isinstance(record, WeightkinError):
        named = Ancestor(name=other.name, source=other.source)
        return _not_testable(known or named, str(record), is_error=True)
    ancestor = known or Ancestor(
        name=other.name,
        source=other.source,
        digest=record.a.digest,
        licence=declared(other).licence,
    )
    if record.verdict != "dependent" and _is_equal(record, other, bench):
        return _itself(ancestor)
    is_sketch = other.sketched is not None
    if record.verdict == "not-testable":
        return _not_testable(ancestor, record.sentence)
    reach = bench.candidate.reach(record, other)
    lost = [problem.why for problem in other.problems if problem.loses_tensors]
    if record.incomplete and not lost and not bench.candidate.model.is_partial:
        lost = [CAPPED]
    shared = tuple(part.name for part in record.parts if part.verdict == "dependent")
    parents: Mapping[str, Parent] = {"a": "other", "b": "model"}
    return Evidence(
        other=ancestor,
        verdict=record.verdict,
        basis=record.basis,
        log10_pvalue=record.log10_pvalue,
        sentence=record.sentence,
        kind=record.kind,
        effect=record.effect,
        parent=parents.get(record.direction.parent, "undetermined"),
        probability=record.direction.probability,
        missing=lost[0] if lost else "",
        lacking=bench.lacking(record, other, reach),
        reach=reach,
        parts=shared if len(shared) < len(record.parts) else (),
        against=Against(
            name=ancestor.name,
            summary=record.summary,
            tested=round(reach.share, 4),
            log10_reach=round(reach.log10_pvalue, 3),
            limits=(
                *([SKETCHED] * is_sketch),
                *([FRUGAL_LIMIT] * bool(record.parameters.get("frugal"))),
            ),
        ),
    )


def _not_testable(other: Ancestor, why: str, *, is_error: bool = False) -> Evidence:
    found = Evidence(
        other=other, verdict="not-testable", basis="none", log10_pvalue=0.0, sentence=why
    )
    return replace(found, is_error=is_error)


def _is_equal(record: Comparison, other: Model, bench: _Tester) -> bool:
    """Whether every value of both models was read and is equal, though nothing could be tested."""
    if record.equal is None or record.equal.basis == "sample" or record.incomplete:
        return False
    sizes = n_parameters(other), n_parameters(bench.candidate.model)
    return sizes == (record.equal.same_name,) * 2


def _itself(other: Ancestor) -> Evidence:
    return Evidence(
        other=other,
        verdict="dependent",
        basis="exact",
        log10_pvalue=0.0,
        sentence="all values are equal: this is the model itself",
        kind=("identical",),
    )


def _ancestor(model: Registered) -> Ancestor:
    return Ancestor(
        name=model.name,
        source=model.source,
        digest=model.digest,
        id=model.id,
        licence=model.licence,
    )
