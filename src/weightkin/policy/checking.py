"""`check`: one model or many against a policy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from weightkin._version import __version__
from weightkin.api.arguments import check_paths, check_seed
from weightkin.api.models import Source as Checkable
from weightkin.api.models import as_source, as_sources
from weightkin.errors import (
    NoRegistry,
    UnreadableModel,
    UnusableRegistry,
    UsageError,
    WeightkinError,
)
from weightkin.evidence.draws import fresh
from weightkin.formats import Model
from weightkin.policy.beside import Beside
from weightkin.policy.candidates import Room, Source, candidates_of, card_of, held_by_trainer
from weightkin.policy.commons import without_commons
from weightkin.policy.faults import tried
from weightkin.policy.known import look, members_of
from weightkin.policy.named_models import Evidence
from weightkin.policy.naming import Meant, named
from weightkin.policy.reach import DENSE, FREE
from weightkin.policy.reading import LEAST_ALPHA, Policy, read_policy, secret_of
from weightkin.policy.rules import RuleContext
from weightkin.policy.same_rows import IN_OTHER_PARTS
from weightkin.policy.secret import Sampling
from weightkin.policy.tainted import all_tainted
from weightkin.policy.together import Weighed, hidden_together
from weightkin.policy.unread import open_finding, unread, unreadable_model
from weightkin.policy.walk import FoundSource
from weightkin.records import Because, Skipped, because, left_out
from weightkin.records.checking import NEED_REGISTRY, RULES, Check, Checked
from weightkin.records.registry import Registered
from weightkin.registry import Registry
from weightkin.registry.store import default_file
from weightkin.text import shown

OF_REGISTRY = ("undeclared-parent", "contradicted-parent", "unverified-parent", "unknown-origin",
               "looser-licence", "unknown-licence")  # fmt: skip
Place = str | Path
How = Callable[[Model], Sampling]


def check(
    model: Checkable | Sequence[Checkable],
    policy: Policy | Place | None = None,
    *,
    registry: Registry | Place | None = None,
    expect: Sequence[Place] = (),
    deny: Sequence[Place] = (),
    seed: int | None = None,
) -> Check:
    """Hold models against a policy: forbidden ancestors, declarations, licences.

    Null hypothesis of every p-value: that of `compare`. Each model named by the policy gets its
    share of the policy's alpha, and the search of the registry one alpha, paid for all scanned.

    Parameters
    ----------
    model : str, Path, Model, state dict, or a sequence of them
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
    seed : int, optional
        Breaks ties, and draws samples where the policy names no secret, for runs that must come out
        again. Without it fresh bytes draw them, which the record has.

    Returns
    -------
    Check
        Findings of each model. What was named and could not be tested is a finding of its own,
        so that ``outcome`` is never "pass". Nothing that a model card names is opened.

    Raises
    ------
    UnreadableModel, NoRegistry
        There is one source, and nothing of it could be read; or no registry where one is named.
    UsageError
        An argument has a value that it cannot have, the policy is malformed, or nothing is asked.
    """
    started = time.perf_counter()
    is_one = isinstance(model, str | Path | Model | Mapping)
    sources = [as_source("model", model)] if is_one else as_sources("model", model)
    number = 0 if seed is None else check_seed(seed)
    rules = (
        policy
        if isinstance(policy, Policy)
        else read_policy(policy)
        if policy is not None
        else Policy()
    )
    secret = secret_of(rules)
    home = _home(registry)
    rules = _with_named(rules, check_paths("expect", expect), check_paths("deny", deny))
    _check_asked(rules, home)
    room = _open(home, rules, is_full=policy is not None or home is not None, seed=number)
    own = None if secret or seed is not None else bytes.fromhex(fresh().hex)
    checked = _check_all(sources, room, partial(Sampling, number, secret, fresh=own))
    return Check(
        models=checked,
        rules={rule: rules.level(rule) for rule in RULES},
        policy=rules.source,
        policy_digest=rules.digest,
        registry=str(home.path) if home else "",
        n_registered=len(room.models),
        secret=secret.commitment if secret else "",
        challenge=own.hex() if own else "",
        alpha=rules.alpha,
        parameters=rules.parameters,
        left_out=tuple(room.beside.left_out),
        seed=number,
        seconds=round(time.perf_counter() - started, 3),
        version=__version__,
    )


def _home(registry: Registry | Place | None) -> Registry | None:
    """The registry named, or the user's own if there is one."""
    if isinstance(registry, Registry):
        return registry
    if registry is None and not os.path.exists(default_file()):  # False where it may not be seen
        return None
    return Registry(registry)


def _with_named(policy: Policy, expect: Sequence[Place], deny: Sequence[Place]) -> Policy:
    """The policy with what the command line adds; a rule that is off cannot be asked of models."""
    added = replace(
        policy,
        forbidden_ancestors=_once(policy.forbidden_ancestors, deny),
        expected_parents=_once(policy.expected_parents, expect),
    )
    for rule, names in (
        ("forbidden-ancestor", added.forbidden_ancestors),
        ("forbidden-family", added.forbidden_families),
        ("missing-parent", added.expected_parents),
    ):
        if not all(name.strip() for name in names):
            raise UsageError("an empty name; give a source, a digest or a #number")
        if names and policy.level(rule) == "off":
            raise UsageError(f"{shown(names[0])} is named for {rule}, but this rule is off")
    if not LEAST_ALPHA <= added.alpha < 1:
        raise UsageError(f"alpha must be from {LEAST_ALPHA:g} to below 1, not {added.alpha}")
    return added


def _check_asked(policy: Policy, home: Registry | None) -> None:
    """Refuse a check that could not find anything."""
    if policy.forbidden_ancestors or policy.expected_parents or policy.forbidden_families:
        return
    if home is None and not any(rule in policy.stated for rule in NEED_REGISTRY):
        wanted = "--deny, --expect-parent, --registry or a --policy that names models"
        raise UsageError(f"nothing to check: no model is forbidden or expected; give {wanted}")
    if all(policy.level(rule) == "off" for rule in OF_REGISTRY):
        raise UsageError("nothing to check: no model is forbidden or expected, and every rule about"
                         " registered models is off")  # fmt: skip


def _once(stated: Sequence[str], more: Sequence[Place]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, (*stated, *more))))


def _open(home: Registry | None, policy: Policy, *, is_full: bool, seed: int) -> Room:
    problem: Because | None = None
    models: tuple[Registered, ...] = ()
    families: dict[str, set[int]] = {}
    if home is not None:
        try:
            models = home.list()
            heads = named(policy.forbidden_families, home, models, only_registered=True)
            families = {
                name: {
                    number
                    for model in head.models
                    for number in members_of(model, home, policy.alpha, seed)
                }
                for name, head in heads.items()
                if isinstance(head, Meant)
            }
        except NoRegistry:
            raise
        except UnusableRegistry as error:
            home, models, problem = None, (), because("registry-damaged", error=str(error))
    elif stated := [rule for rule in NEED_REGISTRY if rule in policy.stated]:
        problem = because("no-registry", rules=stated)
    heads = named(policy.forbidden_families, home, models, only_registered=True)
    listed = (*policy.forbidden_ancestors, *policy.expected_parents)
    found = named((*listed, *policy.commons), home, models)
    forbidden = {name: found[name] for name in policy.forbidden_ancestors}
    below = all_tainted(forbidden, home, alpha=policy.alpha, seed=seed)
    left = Beside(policy.leave_out)
    return Room(policy, home, models, heads | found, families, below, problem, is_full, left)


def _check_all(sources: Sequence[Source], room: Room, how: How) -> tuple[Checked, ...]:
    """All that the sources name or hold, in that order; raises where one source has nothing."""
    looked: list[Weighed] = []
    errors: list[WeightkinError] = []
    states: list[Skipped] = []
    n_beside = 0
    for source in sources:
        for found in candidates_of(source, room):
            one = _tried(found, room, how)
            told = one if isinstance(one, Weighed) else _lost(found, one)
            if n_bytes := held_by_trainer(found, told.checked):
                what = shown(found.source)
                states.append(left_out(what, "too-few-for-weights", n_bytes=n_bytes))
                n_beside += n_bytes
                continue
            looked.append(told)
            if isinstance(one, WeightkinError):
                errors.append(one)
    if not looked:
        raise UnreadableModel(f"{shown(states[0].what)}: no weights to check")
    checked = [x.checked for x in looked]
    if len(sources) == len(checked) == len(errors) == 1 and checked[0].source == str(sources[0]):
        raise errors[0]
    n_beside += DENSE * max(0, room.beside.n_bytes - FREE)
    forbidden = (*room.policy.forbidden_ancestors, *room.policy.forbidden_families)
    together = hidden_together(looked, forbidden, n_beside, is_searched=room.registry is not None)
    open_ = [open_finding("together", what, why) for what, why in together]
    first, *rest = checked
    findings = (*first.findings, *open_)
    return (replace(first, skipped=(*first.skipped, *states), findings=findings), *rest)


def _lost(found: FoundSource, why: WeightkinError) -> Weighed:
    return Weighed(unreadable_model(found.source, str(why)))


def _tried(found: FoundSource, room: Room, how: How) -> Weighed | WeightkinError:
    if isinstance(found.model, WeightkinError):
        return found.model
    return tried(found.source, partial(_check_one, found.model, room, how))


def _check_one(model: Model, room: Room, how: How) -> Weighed:
    policy, sampling = room.policy, how(model)
    tested = {name: x for name, x in room.named.items() if name not in policy.commons}
    look_at = partial(look, model, tested, alpha=policy.alpha, sampling=sampling)
    try:
        members = {number for family in room.families.values() for number in family}
        known = look_at(room.registry, also=members)
    except UnusableRegistry as error:  # damaged where it was not looked at before
        damaged = because("registry-damaged", error=str(error))
        room = replace(room, registry=None, families={}, tainted={}, problem=damaged)
        known = look_at(None)
    names, level = (
        (policy.forbidden_ancestors, policy.commons),
        policy.alpha / len(room.named or "1"),
    )
    known = without_commons(known, model, room.named, names, room.registry, (level, sampling))
    bench = RuleContext(policy, known, room.families, room.is_full, room.tainted)
    own, ledger = known.digest, known.candidate.ledger
    open_ = [open_finding(own, what, why) for what, why in unread(model, ledger, known.declared)]
    open_ += [open_finding(own, "registry", room.problem)] if room.problem else []
    against = [e.against for e in known.by_name.values() if isinstance(e, Evidence) and e.against]
    is_unnamed = room.registry is not None and not policy.forbidden_ancestors
    rows = [left_out(IN_OTHER_PARTS, "none-named")] if is_unnamed else []
    rows += known.unconfirmed
    is_mixed = room.registry is not None and sampling.secret is not None
    rows += [left_out("search of the registry", "rows-known")] if is_mixed else []
    checked = Checked(
        name=model.name,
        source=model.source,
        revision=model.revision or "",
        digest=own,
        binding=sampling.binding if any(x.drawn == "secret" for x in against) else "",
        card=card_of(model),
        declared_parents=known.declared.parents,
        declared_relation=known.declared.relation,
        licence=known.declared.licence,
        n_compared=known.n_compared,
        against=tuple(against),
        findings=(*open_, *bench.findings()),
        ledger=ledger,
        skipped=(*(left_out(x.what, "unread", error=x.why) for x in model.problems), *rows),
    )
    evidence = {name: e for name, e in known.by_name.items() if isinstance(e, Evidence)}
    reached = {name: e.reach for name, e in evidence.items() if e.reach}
    candidate = known.candidate
    return Weighed(checked, reached, candidate.n_outside, candidate.n_bytes)
