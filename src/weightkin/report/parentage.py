"""What a comparison or a trace says about the parents of one model: the matter of every hand-over.

A parent is claimed where it is determined, and nowhere else; what is related without that is kin.
What a model declares is kept apart from what was inferred.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from weightkin.records import Comparison, ModelRef
from weightkin.records.comparison import Summary
from weightkin.records.form import probability_words
from weightkin.records.registry import DeclaredParent, Registered, Relative, Step, Trace
from weightkin.report.clues import evidence_line
from weightkin.report.parent_words import is_support_known
from weightkin.report.terminal import printable

PLACES = ("controls", "relatives")  # parameters that hold paths of this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One model; texts are printable. ``full`` is the full digest, "" where none was taken."""

    name: str
    source: str
    digest: str
    revision: str = ""
    full: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """A model that shares weights with another, what was found, and, for parents, their own."""

    model: Named
    found: Summary
    sentence: str
    weight: float = 1.0
    probability: float | None = None  # as a parent among all candidates
    support: float | None = None
    evidence: tuple[str, ...] = ()
    above: tuple[Kin, ...] = ()

    @property
    def sure(self) -> str:
        """How sure it is that this is a parent."""
        if self.probability is None:
            return f"direction {probability_words(self.found.probability)}"
        return f"parent {probability_words(self.probability)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parentage:
    """A model, its parents as far as they are determined, and other kin. ``why`` if no parent."""

    child: Named
    parents: tuple[Kin, ...]
    kin: tuple[Kin, ...]
    declared: tuple[DeclaredParent, ...]
    why: str
    alpha: float
    seed: int
    version: str
    method: str
    parameters: Mapping[str, Any]


def of_comparison(record: Comparison) -> Parentage:
    """The child is the model that the direction says, b where it says nothing."""
    parent = record.direction.parent
    child, other = (record.a, record.b) if parent == "b" else (record.b, record.a)
    found = Kin(
        model=_of_ref(other),
        found=record.summary,
        sentence=printable(record.sentence),
        evidence=tuple(printable(evidence_line(x)) for x in record.direction.evidence),
    )
    is_related = record.verdict == "dependent"
    is_parent = is_related and parent != "undetermined"
    why = "which of the two came first is not determined" if is_related else found.sentence
    return Parentage(
        child=_of_ref(child),
        parents=(found,) if is_parent else (),
        kin=(found,) if is_related and not is_parent else (),
        declared=(),
        why="" if is_parent else why,
        alpha=record.alpha,
        seed=record.seed,
        version=record.version,
        method=record.method,
        parameters={k: x for k, x in record.parameters.items() if k not in PLACES},
    )


def of_trace(record: Trace) -> Parentage:
    """Parents with determined edges, each with what is determined above it."""
    search = record.search
    by_id = {x.model.id: x for x in search.relatives}
    into = [s for s in search.parents if _is_determined(s)]
    parents = [_of_step(s, by_id, _above(record, s)) for s in into]
    placed = {s.parent_id for s in into}
    placed |= {s.child_id for s in search.children if _is_determined(s)}
    placed |= {s.parent_id for s in takewhile(_is_determined, search.path)}
    related = [x for x in search.relatives if x.verdict == "dependent"]
    kin = tuple(
        Kin(model=_of_registered(x.model), found=x.summary, sentence=printable(x.sentence))
        for x in related
        if x.model.id not in placed
    )
    why = "" if parents else "no registered parent is determined"
    same = [x.model.name for x in related if x.summary.is_same]
    if same and not parents:
        why = f"it has the same values as {printable(same[0])}, so that is not its parent"
    child = Named(
        name=printable(search.name),
        source=printable(search.source),
        digest=search.digest,
        licence=printable(record.licence),
    )
    return Parentage(
        child=child,
        parents=tuple(parents),
        kin=kin,
        declared=record.declared,
        why=why if related else printable(search.sentence),
        alpha=search.alpha,
        seed=search.seed,
        version=search.version,
        method="weightkin-registry/1",
        parameters={"paid_alpha": search.paid_alpha, "n_scanned": search.n_scanned},
    )


def identifier(parentage: Parentage, form: str) -> uuid.UUID:
    """One and the same for the same models and evidence, whenever and wherever it is asked."""
    parts = [form, parentage.version, parentage.child.digest, parentage.child.name]
    for x in (*parentage.parents, *parentage.kin):
        parts += [x.model.digest, x.model.name, f"{x.found.log10_pvalue:.6g}", *x.found.kind]
    return uuid.uuid5(uuid.NAMESPACE_OID, "\0".join(parts))


def _of_ref(ref: ModelRef) -> Named:
    plain = ref.source.rstrip("/")
    name = plain.removeprefix("hf://") if ref.revision else plain.rsplit("/", 1)[-1]
    return Named(
        name=printable(name.split("@")[0] if ref.revision else name) or printable(ref.source),
        source=printable(ref.source),
        digest=ref.digest,
        revision=printable(ref.revision),
        full=ref.full_digest or "",
    )


def _of_registered(model: Registered) -> Named:
    return Named(
        name=printable(model.name),
        source=printable(model.source),
        digest=model.digest,
        revision=printable(model.revision),
        full=model.full_digest,
        licence=printable(model.licence),
    )


def _of_step(step: Step, by_id: Mapping[int, Relative], above: tuple[Kin, ...]) -> Kin:
    """One determined edge. An ancestor that was inferred has no source and no digest."""
    relative = by_id.get(step.parent_id)
    model = Named(name=printable(step.parent), source="", digest="")
    found = Summary(
        verdict="dependent",
        basis=relative.basis if relative else "exact",
        log10_pvalue=step.log10_pvalue,
        kind=(step.kind,),
        effect=relative.effect if relative else None,
        parent="a",
        probability=step.direction_probability,
    )
    return Kin(
        model=_of_registered(relative.model) if relative else model,
        found=found,
        sentence=printable(relative.sentence) if relative else "inferred, not registered",
        weight=step.weight,
        probability=step.parent_probability,
        support=step.support if is_support_known(step) else None,
        evidence=tuple(printable(evidence_line(x)) for x in step.evidence),
        above=above,
    )


def _above(record: Trace, step: Step) -> tuple[Kin, ...]:
    """What is determined above a parent on the path to the root, as a chain."""
    path = record.search.path
    if step not in path:
        return ()
    by_id = {x.model.id: x for x in record.search.relatives}
    chain: tuple[Kin, ...] = ()
    known = takewhile(_is_determined, path[path.index(step) + 1 :])
    for s in reversed(list(known)):
        chain = (_of_step(s, by_id, chain),)
    return chain


def _is_determined(step: Step) -> bool:
    return step.direction == "determined"
