"""One model that a policy names against the one at the gate: what a comparison showed, or could."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from weightkin.api.compare import Options, compare
from weightkin.errors import UnreadableModel, WeightkinError
from weightkin.formats import Model
from weightkin.formats.declared import declared
from weightkin.formats.ledger import own_ledger
from weightkin.policy.equal_values import MIN_EQUAL_SHARE, equal_share
from weightkin.policy.reach import Submitted, Unreached
from weightkin.policy.same_rows import MIN_SHARE_FOUND, found_share, not_looked_at
from weightkin.policy.secret import Sampling
from weightkin.records import Comparison, Skipped, left_out, unread
from weightkin.records.checking import Against, Ancestor
from weightkin.records.comparison import Summary
from weightkin.records.registry import Registered
from weightkin.registry import Registry
from weightkin.registry.browsing import sketch_of
from weightkin.registry.prepared import weights_as_registered
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
    drawn: Summary | None = None  # by the secret of the policy alone
    undrawn: Skipped | None = None  # why that could not draw

    @property
    def is_related(self) -> bool:
        """Whether the two share weights."""
        return self.found.verdict == "dependent"

    @property
    def unconfirmed(self) -> Skipped | None:
        """Why a relation that sketches show was not looked at in the weights."""
        run = self.found.fresh
        if run is None or run.why_not is None:
            return None
        return left_out(self.other.name, "sketch-not-drawn", reason=run.why_not.nested)

    @property
    def is_of_sketch(self) -> bool:
        """Whether nothing but rows of a sketch shows a relation, to which one may have been fitted.

        The weights were not at hand: neither a pass nor a hit follows from it.
        """
        is_looked = self.against is not None and self.against.drawn == "sketch"
        is_known = self.unconfirmed is not None or is_looked
        return self.is_related and self.found.basis == "exact-unconfirmed" and is_known

    def lost(self, *, is_needed: bool = False) -> Skipped | None:
        """What nobody could read, or draw: a forbidden model that is found has been found."""
        undrawn = self.undrawn
        if is_needed and undrawn is None and self.is_of_sketch:  # rows that can be set
            undrawn = self.unconfirmed or left_out(self.other.name, "only-sketch")
        return self.missing or (undrawn if is_needed or not self.is_related else None)

    def as_drawn(self) -> Evidence:
        """What the secret of a policy drew, where there is one: rows of sketches are known."""
        return self if self.drawn is None else replace(self, found=self.drawn)


@dataclass(frozen=True, slots=True)
class Tester:
    """The model at the gate, and how it is compared with each model that is named."""

    candidate: Submitted
    alpha: float
    sampling: Sampling

    def compare(self, other: Model) -> Comparison | WeightkinError:
        """The record with the named model as ``a``, or why there is none."""
        try:
            challenge, seed = self.sampling.between(other)
            options = Options(challenge=challenge)
            model = self.candidate.model
            return compare(other, model, alpha=self.alpha, seed=seed, options=options)
        except WeightkinError as error:
            return error

    def lacking(self, record: Comparison, other: Model, reach: Unreached) -> Skipped | None:
        """Why "no evidence" would say too much, None if it would not."""
        if record.verdict == "dependent":
            return None
        seed = record.seed  # drawn with the sample
        rows = None if self.sampling.drawn == "seed" else seed
        if (share := equal_share(other, self.candidate.model, rows)) >= MIN_EQUAL_SHARE:
            return left_out(other.name, "equal-values", share=share)
        if (found := found_share(other, self.candidate.model, seed)) >= MIN_SHARE_FOUND:
            return left_out(other.name, "rows-found", share=found)
        return reach.lacking(record.alpha)


def of_registered(
    registered: Registered,
    by_id: Mapping[int, Evidence],
    bench: Tester,
    registry: Registry | None,
) -> Evidence:
    """What the registry found, or a comparison with what it holds: the graver of both."""
    other = ancestor_of(registered)
    found = by_id.get(registered.id)
    is_keyed = bench.sampling.secret is not None
    if found is not None and found.found.verdict == "dependent" and not is_keyed:
        return replace(found, other=other)
    try:
        sketch = None if registry is None else sketch_of(registry.path, registered)
    except UnreadableModel as error:
        return _not_testable(other, left_out(other.name, "error", error=str(error)))
    if sketch is None:
        code = "registry-unread" if registry is None else "removed"
        return _not_testable(other, left_out(other.name, code))
    model, undrawn = as_model(sketch), None
    direct = None if is_keyed else of_model(model, bench, other)
    if model.sketched is not None and (direct is None or direct.is_related):
        weights = weights_as_registered(registered, sketch, on_hub=is_keyed)
        if isinstance(weights, Skipped):
            undrawn = left_out(other.name, "sketch-not-drawn", reason=weights.nested)
        else:
            model, direct = weights, None
    direct = direct or of_model(model, bench, other)
    both = [direct] if found is None else [direct, replace(found, other=other)]
    worst = min(both, key=lambda x: SEVERITY.index(x.found.verdict))
    worst = replace(worst, against=direct.against, reach=direct.reach)
    return replace(worst, drawn=direct.found, undrawn=undrawn) if is_keyed else worst


def of_model(other: Model, bench: Tester, known: Ancestor | None = None) -> Evidence:
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
    limits += [left_out("sample", "fixed-sample")] if other.sketched is not None else []
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
            source=other.source,
            revision=other.revision or "",
            digest=record.a.digest,
            drawn="sketch" if other.sketched is not None else bench.sampling.drawn,
            limits=tuple(limits),
        ),
    )


def _not_testable(other: Ancestor, why: Skipped) -> Evidence:
    found = Summary(verdict="not-testable", basis="none", log10_pvalue=0.0, reason=why)
    return Evidence(other=other, found=found)


def _is_equal(record: Comparison, other: Model, bench: Tester) -> bool:
    """Whether every value of both models was read and is equal, though nothing could be tested."""
    if record.equal is None or record.equal.basis == "sample" or record.incomplete:
        return False
    sizes = n_parameters(other), n_parameters(bench.candidate.model)
    return sizes == (record.equal.same_name,) * 2


def ancestor_of(model: Registered) -> Ancestor:
    """A registered model as a finding names it."""
    return Ancestor(
        name=model.name,
        source=model.source,
        digest=model.digest,
        id=model.id,
        licence=model.licence,
    )
