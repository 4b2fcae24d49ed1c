"""What the weights say about a model and every other one the policy is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

from weightkin.errors import WeightkinError
from weightkin.records import Effect
from weightkin.records.checking import Ancestor
from weightkin.records.comparison import EQUAL_KINDS
from weightkin.records.registry import Registered, Relative, Trace
from weightkin.registry import Registry
from weightkin.verbs.compare import compare
from weightkin.weights import Model, digest, open_model
from weightkin.weights.declared import Declared, declared
from weightkin.weights.messages import shown, unreadable

Parent = Literal["other", "model", "undetermined"]
DIGEST = "wk1-"


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
    missing: str = ""  # what of the other model could not be read
    is_own: bool = False  # the entry of the very model in the registry

    @property
    def is_same(self) -> bool:
        """Whether both hold the same values."""
        return any(kind in EQUAL_KINDS for kind in self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that rules look at. ``by_name`` has the models the policy names, or why not."""

    declared: Declared
    digest: str
    by_name: Mapping[str, Evidence | str]
    trace: Trace | None = None
    by_id: Mapping[int, Evidence] | None = None  # registered models that were compared


def registered_as(name: str, models: Sequence[Registered]) -> Registered | str | None:
    """The registered model that a name of the policy means, None if it can only mean a path.

    A name that means both a registered model and a path is taken for neither, and the text says
    so: whoever may write a folder here would choose what the policy means.
    """
    if name.startswith("#") and name[1:].isdecimal():
        return next((m for m in models if m.id == int(name[1:])), None)
    found = next((m for m in reversed(models) if name in (m.name, m.digest)), None)
    if is_path(name):
        if found is None:
            return None
        said = f"is both a path here and registered as #{found.id}"
        return f"{shown(name)}: {said}, expected #{found.id}, its digest or an absolute path"
    return found or next((m for m in reversed(models) if name == m.source), None)


def as_registered(known: Registered) -> Model | WeightkinError:
    """The weights of a registered model, if they are still those."""
    try:
        model = open_model(known.source)
        if digest(model) == known.digest:
            return model
    except WeightkinError as error:
        return error
    found = f"other weights than those registered as #{known.id}"
    return unreadable(shown(known.source), found, "the same (`weightkin add` registers these)")


Named = Registered | Model | str  # what the policy means by a name, or why it cannot be had


def named(names: Sequence[str], registry: Registry | None, models: Sequence[Registered],
          *, only_registered: bool = False) -> dict[str, Named]:  # fmt: skip
    """Find every model that a policy names; opens those that are not registered."""
    found: dict[str, Named] = {}
    for name in names:
        registered = registered_as(name, models)
        if registered is not None:
            found[name] = registered
        elif name.startswith(("#", DIGEST)) or only_registered:
            where = f" in {shown(registry.path)}" if registry else ", and there is no registry"
            found[name] = f"no such registered model{where}"
        else:
            try:
                found[name] = open_model(name)
            except WeightkinError as error:
                found[name] = str(error)
    return found


def look(
    model: Model,
    named: Mapping[str, Named],
    registry: Registry | None,
    *,
    digest: str,
    alpha: float,
    seed: int,
) -> Known:
    """Compare a model with all that is named, and place it among the registered ones.

    The level is paid: each named model gets its share of ``alpha``, the registry one of its own.
    """
    known = [x for x in named.values() if isinstance(x, Registered)]
    trace = None
    by_id: dict[int, Evidence] = {}
    if registry is not None:
        wanted = sorted({x.id for x in known})
        trace = registry.trace(model.source, alpha=alpha, seed=seed, also=wanted)
        by_id = {x.model.id: _of_relative(x, trace) for x in _compared(trace)}
    by_id |= {x.id: _itself(x) for x in known if x.digest == digest and x.id not in by_id}
    found: dict[str, Evidence | str] = {}
    for name, other in named.items():
        if isinstance(other, Registered):
            found[name] = _of_registered(other, by_id)
        elif isinstance(other, Model):
            found[name] = _of_model(other, model, alpha / len(named), seed)
        else:
            found[name] = other
    return Known(declared=said_by(model), digest=digest, by_name=found, trace=trace, by_id=by_id)


def said_by(model: Model) -> Declared:
    """What a model declares, wherever it lies."""
    return declared(model)


def members_of(registered: Registered, registry: Registry, alpha: float, seed: int) -> set[int]:
    """Ids of the registered models that share weights with one, itself among them."""
    trace = registry.search(f"#{registered.id}", alpha=alpha, seed=seed)
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


def _of_registered(registered: Registered, by_id: Mapping[int, Evidence]) -> Evidence | str:
    """Found under its own number, or under that of a model with the same contents."""
    same = (e for e in by_id.values() if e.other.digest == registered.digest)
    found = by_id.get(registered.id) or next(same, None)
    if found is None:
        return "it could not be compared: its sketch in the registry is damaged"
    return replace(found, other=_ancestor(registered))


def _of_model(other: Model, model: Model, alpha: float, seed: int) -> Evidence | str:
    try:
        record = compare(other, model, alpha=alpha, seed=seed)
        said = said_by(other)
    except WeightkinError as error:
        return str(error)
    if record.verdict == "not-testable":
        return record.sentence
    lost = [problem.why for problem in other.problems if problem.loses_tensors]
    parents: Mapping[str, Parent] = {"a": "other", "b": "model"}
    return Evidence(
        other=Ancestor(
            name=other.name, source=other.source, digest=record.a.digest, licence=said.licence
        ),
        verdict=record.verdict,
        basis=record.basis,
        log10_pvalue=record.log10_pvalue,
        sentence=record.sentence,
        kind=record.kind,
        effect=record.effect,
        parent=parents.get(record.direction.parent, "undetermined"),
        probability=record.direction.probability,
        missing=lost[0] if lost else "",
    )


def _itself(registered: Registered) -> Evidence:
    return Evidence(
        other=_ancestor(registered),
        verdict="dependent",
        basis="exact",
        log10_pvalue=0.0,
        sentence="the same digest: this is the model itself",
        kind=("identical",),
        is_own=True,
    )


def _ancestor(model: Registered) -> Ancestor:
    return Ancestor(
        name=model.name,
        source=model.source,
        digest=model.digest,
        id=model.id,
        licence=model.licence,
    )


def is_meant(declared_name: str, other: Ancestor) -> bool:
    """Whether a declared name may mean a model: its name or source, or the last part of both."""
    last = PurePath(declared_name).name
    names = other.name, other.source
    return declared_name in names or last in (other.name, PurePath(other.source).name)


def is_path(name: str) -> bool:
    """Whether there is anything at a path of this name."""
    try:
        return "\0" not in name and Path(name).exists()
    except OSError:
        return False
