"""`check`: one model or many against a policy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import weightkin
from weightkin.errors import UnusableRegistry, UsageError, WeightkinError
from weightkin.policy.known import (
    Known,
    Named,
    as_registered,
    is_path,
    look,
    members_of,
    named,
    registered_as,
)
from weightkin.policy.reading import Policy, read_policy
from weightkin.policy.rules import Bench
from weightkin.policy.walk import Found, models_of
from weightkin.records import Skipped
from weightkin.records.checking import (
    ALWAYS,
    NO_REGISTRY,
    RULES,
    Ancestor,
    Check,
    Checked,
    Finding,
    fingerprint,
)
from weightkin.records.registry import Registered
from weightkin.registry import Registry
from weightkin.registry.store import default_file
from weightkin.weights import Model, digest
from weightkin.weights.declared import CARD, folder_of
from weightkin.weights.messages import shown, unreadable
from weightkin.weights.source import may_be_elsewhere

NEED_REGISTRY = ("undeclared-parent", "contradicted-parent", "unverified-parent", "unknown-origin")
Place = str | Path
Source = Place | Model


def check(
    model: Source | Sequence[Source],
    policy: Policy | Place | None = None,
    *,
    registry: Registry | Place | None = None,
    expect: Sequence[Place] = (),
    deny: Sequence[Place] = (),
    seed: int = 0,
) -> Check:
    """Hold models against a policy: forbidden ancestors, declarations, licences.

    Null hypothesis of every p-value: that of `compare`. Each model named by the policy gets its
    share of the policy's alpha, and the search of the registry one alpha, paid for all scanned.

    Parameters
    ----------
    model : str, Path, Model, or a sequence of them
        What is checked: sources, or names and numbers (``#3``) of registered models, of which the
        source is read; of a folder, all weights in and below it (`policy.walk`). One source of
        which nothing can be read raises; what cannot be read among others becomes a finding.
    policy : Policy, str or Path, optional
        A policy or its file. The default levels without it.
    registry : Registry, str or Path, optional
        Where relatives are searched. That of the user without it, if there is one.
    expect, deny : sequence of str or Path
        Sources or registered models, beside those of the policy: parents that the weights must
        show, and models that no weights may be shared with.
    seed : int
        Breaks ties; recorded.

    Returns
    -------
    Check
        Findings of each model. What was named and could not be tested is a finding of its own,
        so that ``outcome`` is never "pass". Nothing that a model card names is opened.

    Raises
    ------
    UnreadableModel
        There is one source, and nothing of it could be read.
    UsageError
        The policy is malformed, or nothing is asked.
    """
    started = time.perf_counter()
    sources = [model] if isinstance(model, str | Path | Model) else list(model)
    rules = policy if isinstance(policy, Policy) else read_policy(policy) if policy else Policy()
    home = _home(registry)
    rules = _with_named(rules, expect, deny)
    asked = (*rules.forbidden_ancestors, *rules.expected_parents, *rules.forbidden_families)
    if not sources or not (asked or policy or home):
        if not sources:
            raise UsageError("no model was named, expected at least one")
        wanted = "--policy, --registry, --expect-parent or --deny"
        why = "there is nothing to hold the model against"
        raise UsageError(f"{why}, and no registry of yours: expected {wanted}")
    room = _open(home, rules, is_full=policy is not None or home is not None, seed=seed)
    checked = _check_all(sources, room, seed)
    return Check(
        models=checked,
        rules={rule: rules.level(rule) for rule in RULES},
        policy=rules.source,
        policy_digest=rules.digest,
        registry=str(home.path) if home else "",
        n_registered=len(room.models),
        alpha=rules.alpha,
        parameters={
            "calibrated": rules.calibrated,
            "aligned_only": rules.aligned_only,
            "undetermined_direction": rules.undetermined_direction,
            "licences": dict(rules.licences),
            "forbidden_ancestors": list(rules.forbidden_ancestors),
            "forbidden_families": list(rules.forbidden_families),
            "expected_parents": list(rules.expected_parents),
        },
        seed=seed,
        seconds=round(time.perf_counter() - started, 3),
        version=weightkin.__version__,
    )


@dataclass(frozen=True, slots=True)
class Room:
    """What all models of one call share. ``problem`` says why there is no registry to ask."""

    policy: Policy
    registry: Registry | None
    models: tuple[Registered, ...]
    named: dict[str, Named]
    families: dict[str, set[int]]
    problem: str
    is_full: bool


def _home(registry: Registry | Place | None) -> Registry | None:
    """The registry named, or the user's own if there is one."""
    if isinstance(registry, Registry):
        return registry
    if registry is None and not default_file().exists():
        return None
    return Registry(registry)


def _with_named(policy: Policy, expect: Sequence[Place], deny: Sequence[Place]) -> Policy:
    for option, names, rule in (
        ("--expect-parent", expect, "missing-parent"),
        ("--deny", deny, "forbidden-ancestor"),
    ):
        if names and policy.level(rule) == "off":
            raise UsageError(f"{option} was given, but the policy turns {rule} off")
    return replace(
        policy,
        forbidden_ancestors=_once(policy.forbidden_ancestors, deny),
        expected_parents=_once(policy.expected_parents, expect),
    )


def _once(stated: Sequence[str], more: Sequence[Place]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, (*stated, *more))))


def _open(home: Registry | None, policy: Policy, *, is_full: bool, seed: int) -> Room:
    problem = ""
    models: tuple[Registered, ...] = ()
    families: dict[str, set[int]] = {}
    if home is not None:
        try:
            models = home.list()
            heads = named(policy.forbidden_families, home, models, only_registered=True)
            families = {
                name: members_of(x, home, policy.alpha, seed)
                for name, x in heads.items()
                if isinstance(x, Registered)
            }
        except UnusableRegistry as error:
            home, models, problem = None, (), str(error)
    elif stated := [rule for rule in NEED_REGISTRY if rule in policy.stated]:
        problem = f"no registry, which {', '.join(stated)} of the policy ask for"
    heads = named(policy.forbidden_families, home, models, only_registered=True)
    found = named((*policy.forbidden_ancestors, *policy.expected_parents), home, models)
    return Room(policy, home, models, heads | found, families, problem, is_full)


def _check_all(sources: Sequence[Source], room: Room, seed: int) -> tuple[Checked, ...]:
    """All that the sources name or hold, in that order; raises where one source has nothing."""
    checked: list[Checked] = []
    errors: list[WeightkinError] = []
    states: list[Skipped] = []
    for source in sources:
        inside = (
            [Found(source.source, source)] if isinstance(source, Model) else _named(source, room)
        )
        for found in inside:
            one = _tried(found, room, seed)
            told = one if isinstance(one, Checked) else _unreadable(found.source, str(one))
            reasons = [x.reason for x in told.findings if x.state == "unverifiable"]
            if found.is_state and reasons and len(reasons) == len(told.findings):
                why = f"of a trainer, and no weights that can be tested ({reasons[0]})"
                states.append(Skipped(what=shown(found.source), why=why))
                continue
            checked.append(told)
            if isinstance(one, WeightkinError):
                errors.append(one)
    if len(sources) == 1 and len(errors) == len(checked):
        raise errors[0]
    first, *rest = checked  # every source has at least one, be it an error
    return (replace(first, skipped=(*first.skipped, *states)), *rest)


def _tried(found: Found, room: Room, seed: int) -> Checked | WeightkinError:
    if isinstance(found.model, WeightkinError):
        return found.model
    try:
        return _check_one(found.model, room, seed)
    except WeightkinError as error:
        return error


def _named(source: Source, room: Room) -> Iterable[Found]:
    """What a source holds; where it is no path, the registered model of that name or number."""
    if isinstance(source, Model):
        return [Found(source.source, source)]
    text = str(source)
    if is_path(text):
        return models_of(source)
    known = registered_as(text, room.models)
    if isinstance(known, Registered):
        return [Found(known.source, as_registered(known))]
    if room.registry and known is None and not may_be_elsewhere(text):
        nowhere = f"neither a path nor a model of that name or number in {room.registry.path}"
        return [Found(text, unreadable(shown(text), nowhere, "one of them, or org/name"))]
    return models_of(source)


def _check_one(model: Model, room: Room, seed: int) -> Checked:
    policy = room.policy
    own = digest(model)
    try:
        known = look(model, room.named, room.registry, digest=own, alpha=policy.alpha, seed=seed)
    except UnusableRegistry as error:  # damaged where it was not looked at before
        room = replace(room, registry=None, families={}, problem=str(error))
        known = look(model, room.named, None, digest=own, alpha=policy.alpha, seed=seed)
    bench = Bench(policy, known, room.families, room.is_full)
    findings = bench.findings()
    if room.problem:
        findings = (_open_finding(own, "registry", room.problem), *findings)
    lost = [f"{x.what}: {x.why}" for x in model.problems if x.loses_tensors]
    unread = [*((x.what, x.why) for x in known.declared.unread), *(("model", x) for x in lost[:1])]
    said = "not all of the model could be read"
    findings = (*(_open_finding(own, what, f"{said}: {why}") for what, why in unread), *findings)
    return Checked(
        name=model.name,
        source=model.source,
        revision=model.revision or "",
        digest=own,
        card=_card(model),
        declared_parents=known.declared.parents,
        licence=known.declared.licence,
        n_compared=_n_compared(known),
        findings=findings,
        skipped=tuple(Skipped(what=x.what, why=x.why) for x in model.problems),
    )


def _n_compared(known: Known) -> int:
    direct = [e for e in known.by_name.values() if not isinstance(e, str) and not e.other.id]
    return len(known.by_id or {}) + len(direct)


def _unreadable(source: str, why: str) -> Checked:
    finding = _open_finding(source, "model", why)
    return Checked(name=Path(source).name or source, source=source, findings=(finding,))


def _open_finding(own: str, what: str, why: str) -> Finding:
    return Finding(
        rule=ALWAYS,
        level="error",
        state="unverifiable",
        reason=why,
        advice=NO_REGISTRY if what == "registry" else RULES[ALWAYS].help,
        fingerprint=fingerprint(ALWAYS, own, what),
        ancestor=Ancestor(name=what) if what == "registry" else None,
    )


def _card(model: Model) -> str:
    """The file beside a local model that declares, "" if there is none."""
    if model.revision:
        return ""
    folder = folder_of(Path(model.source))
    names = (CARD, "config.json")
    return next((str(folder / name) for name in names if (folder / name).is_file()), "")
