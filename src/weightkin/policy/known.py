"""What the weights say about a model and every other one the policy is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from weightkin.api.compare import compare
from weightkin.errors import UnreadableModel, WeightkinError
from weightkin.formats import Model, digest
from weightkin.formats.declared import Declared, declared
from weightkin.formats.ledger import own_ledger
from weightkin.policy.equal_values import MIN_EQUAL_SHARE, equal_share
from weightkin.policy.naming import Meant, Resolved, Unknown
from weightkin.policy.reach import Submitted, Unreached
from weightkin.policy.same_rows import MIN_SHARE_FOUND, found_share, not_looked_at
from weightkin.records import Comparison, Skipped, left_out, unread
from weightkin.records.checking import Against, Ancestor
from weightkin.records.comparison import Summary
from weightkin.records.kinds import is_lineage
from weightkin.records.registry import Registered, Relative, Trace
from weightkin.registry import Registry
from weightkin.registry.browsing import sketch_of
from weightkin.sketch.stand_in import as_model, n_parameters

SEVERITY = ("dependent", "aligned-only", "not-testable", "no-evidence")
BLIND = "order-independent tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One other model and what was found about it: by the trace where that placed it."""

    other: Ancestor
    found: Summary  # the other model is ``a``
    missing: Skipped | None = None  # what of the other model could not be read, or is not known
    lacking: Skipped | None = None  # why "no evidence" says too little
    is_own: bool = False  # the entry of the very model in the registry
    is_common: bool = False  # nothing is shared but what everybody may share
    against: Against | None = None  # of a comparison made here
    reach: Unreached | None = None

    @property
    def is_related(self) -> bool:
        """Whether the two share weights."""
        return self.found.verdict == "dependent"


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
    seed : int
        Of the tests.

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
    if registry is not None:
        wanted = sorted({x.id for x in known} | set(also))
        trace = registry.trace(model, alpha=alpha, seed=seed, also=wanted, fresh=True)
        by_id = {
            x.model.id: Evidence(other=_ancestor(x.model), found=placed(x, trace))
            for x in (*trace.search.relatives, *trace.search.others)
        }
    bench = _Tester(Submitted(model), alpha / max(1, len(named)), seed)
    own = trace.search.registered if trace is not None else None
    if own is not None and own.id in {x.id for x in known}:
        by_id[own.id] = replace(_of_registered(own, by_id, bench, registry), is_own=True)
    found: dict[str, Evidence | Unknown] = {}
    for name, other in named.items():
        if isinstance(other, Meant):
            each = [_of_registered(x, by_id, bench, registry) for x in other.models]
            worst = min(each, key=lambda x: SEVERITY.index(x.found.verdict))
            if other.is_claimed and worst.found.verdict != "dependent":
                worst = replace(worst, missing=left_out(name, "digest-claimed"))
            found[name] = worst
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

    def lacking(self, record: Comparison, other: Model, reach: Unreached) -> Skipped | None:
        """Why "no evidence" would say too much, None if it would not."""
        if record.verdict == "dependent":
            return None
        if (share := equal_share(other, self.candidate.model)) >= MIN_EQUAL_SHARE:
            return left_out(other.name, "equal-values", share=share)
        if (found := found_share(other, self.candidate.model, self.seed)) >= MIN_SHARE_FOUND:
            return left_out(other.name, "rows-found", share=found)
        return reach.lacking(record.alpha)


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


def _of_registered(
    registered: Registered,
    by_id: Mapping[int, Evidence],
    bench: _Tester,
    registry: Registry | None,
) -> Evidence:
    """What the registry found, or a comparison with what it holds: the graver of both."""
    other = _ancestor(registered)
    found = by_id.get(registered.id)
    if found is not None and found.found.verdict == "dependent":
        return replace(found, other=other)
    try:
        sketch = None if registry is None else sketch_of(registry.path, registered)
    except UnreadableModel as error:
        return _not_testable(other, left_out(other.name, "error", error=str(error)))
    if sketch is None:
        code = "registry-unread" if registry is None else "removed"
        return _not_testable(other, left_out(other.name, code))
    direct = _of_model(as_model(sketch), bench, other)
    both = [direct] if found is None else [direct, replace(found, other=other)]
    worst = min(both, key=lambda x: SEVERITY.index(x.found.verdict))
    return replace(worst, against=direct.against, reach=direct.reach)


def _of_model(other: Model, bench: _Tester, known: Ancestor | None = None) -> Evidence:
    """A comparison with a model that the policy names, and what it could have shown."""
    record = bench.compare(other)
    if isinstance(record, WeightkinError):
        named = known or Ancestor(name=other.name, source=other.source)
        return _not_testable(named, left_out(named.name, "error", error=str(record)))
    ancestor = known or Ancestor(
        name=other.name,
        source=other.source,
        digest=record.a.digest,
        licence=declared(other).licence,
    )
    if record.verdict != "dependent" and _is_equal(record, other, bench):
        same = replace(record, verdict="dependent", basis="equal", kind=("identical",))
        return Evidence(other=ancestor, found=replace(same.summary, log10_pvalue=0.0))
    if record.verdict == "not-testable":
        return Evidence(other=ancestor, found=record.summary)
    reach = bench.candidate.reach(record, other)
    lost = [unread(x.what, x.why) for x in other.problems if x.loses_tensors]
    left = (file for file in own_ledger(other).files if not file.is_read)
    lost += [left_out(x.file, x.codes[-1], **x.data) for x in left]
    if record.incomplete and not lost and bench.candidate.is_read:
        lost = [left_out(other.name, "stacks-left-out")]
    limits = not_looked_at(other, bench.candidate.model)
    limits += [left_out(BLIND, "only-sketch")] if other.sketched is not None else []
    limits += [left_out(BLIND, "hub-part-read")] if record.parameters.get("frugal") else []
    return Evidence(
        other=ancestor,
        found=record.summary,
        missing=lost[0] if lost else None,
        lacking=bench.lacking(record, other, reach),
        reach=reach,
        against=Against(
            name=ancestor.name,
            summary=record.summary,
            tested=round(reach.share, 4),
            log10_reach=round(reach.log10_pvalue, 3),
            limits=tuple(limits),
        ),
    )


def _not_testable(other: Ancestor, why: Skipped) -> Evidence:
    found = Summary(verdict="not-testable", basis="none", log10_pvalue=0.0, reason=why)
    return Evidence(other=other, found=found)


def _is_equal(record: Comparison, other: Model, bench: _Tester) -> bool:
    """Whether every value of both models was read and is equal, though nothing could be tested."""
    if record.equal is None or record.equal.basis == "sample" or record.incomplete:
        return False
    sizes = n_parameters(other), n_parameters(bench.candidate.model)
    return sizes == (record.equal.same_name,) * 2


def _ancestor(model: Registered) -> Ancestor:
    return Ancestor(
        name=model.name,
        source=model.source,
        digest=model.digest,
        id=model.id,
        licence=model.licence,
    )
