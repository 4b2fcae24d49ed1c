"""The rules: from what the weights and the model card say to findings, each with its reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter

from weightkin.policy.known import Known
from weightkin.policy.named_models import Evidence
from weightkin.policy.naming import Unknown, is_meant
from weightkin.policy.reading import Policy, lowest
from weightkin.policy.relation import other_relations
from weightkin.policy.tainted import Tainted
from weightkin.policy.unread import why_unknown
from weightkin.records import Because, because
from weightkin.records.checking import RULES, Ancestor, Finding, Level, fingerprint
from weightkin.records.licences import classes_of, looser, other_unknown, own_unknown
from weightkin.records.registry import DeclaredParent, Search

SUREST = attrgetter("is_of_sketch", "found.log10_pvalue")  # what is confirmed comes first


@dataclass(frozen=True)
class RuleContext:
    """One model on the bench: the policy, what is known, and the families by name."""

    policy: Policy
    known: Known
    families: Mapping[str, Collection[int]]
    is_full: bool  # whether declarations and licences are looked at
    tainted: Mapping[str, Tainted] = field(default_factory=dict)  # by the name of the forbidden one

    @cached_property
    def ancestors(self) -> tuple[Evidence, ...]:
        """Models that this one was made from, as far as the weights show it, nearest first."""
        trace, by_id = self.known.trace, self._by_id
        steps = (*trace.search.parents, *trace.search.path) if trace else ()
        ids = [step.parent_id for step in steps if step.parent_id in by_id]
        above = [by_id[i] for i in dict.fromkeys(ids)]
        above += [e for e in by_id.values() if e.is_related and e.found.is_same]
        said = self.known.declared.parents
        rest = [e for e in by_id.values() if any(is_meant(name, e.other) for name in said)]
        rest += [e for name in self.policy.expected_parents if (e := self._evidence(name))]
        above += [e for e in rest if e.is_related and e.found.parent != "b"]
        first: dict[tuple[int, str, str], Evidence] = {}
        for e in above:
            if not e.is_own:  # equal digests are no proof of one model
                first.setdefault((e.other.id, e.other.source, e.other.name), e)
        return tuple(first.values())

    def findings(self) -> tuple[Finding, ...]:
        """All rules in their order, each finding once."""
        found = [*self.forbidden(), *self.missing(), *self.unverifiable()]
        if self.is_full:
            found += [*self.stated(), *self.licences()]
        if self.is_full and not self.known.declared.unread:  # else nobody knows what is missing
            found += [*self.undeclared(), *self.origin()]
        first: dict[str, Finding] = {}
        for finding in sorted(found, key=lambda x: x.level):  # errors before warnings
            first.setdefault(finding.fingerprint, finding)
        return tuple(sorted(first.values(), key=lambda x: (x.level, list(RULES).index(x.rule))))

    def forbidden(self) -> Iterator[Finding]:
        """Forbidden models, what descends from one, relatives in the family of one.

        Which came first plays no part: evidence of that can be arranged.
        """
        for name in self.policy.forbidden_ancestors:
            e = self._evidence(name)
            if e is not None and e.is_common:
                yield self._made("forbidden-ancestor", because("commons"), e.other, "warning", e)
            elif e is not None and e.found.verdict in ("dependent", "aligned-only"):
                why = because("forbidden-itself") if e.is_own else because("forbidden")
                yield from self._found("forbidden-ancestor", e, why)
            elif name in self.tainted and self.known.trace is not None:
                yield from self._through(self.tainted[name], self.known.trace.search)
        for name, members in self.families.items():
            if related := [e for i, e in self._by_id.items() if i in members and e.is_related]:
                why = because("in-forbidden-family", family=name)
                yield from self._found("forbidden-family", min(related, key=SUREST), why)

    def _through(self, tainted: Tainted, search: Search) -> Iterator[Finding]:
        """A forbidden model above others, with which nothing shared was found directly."""
        way = tainted.found(search)
        cap = self.policy.undetermined_direction if way.is_open else "error"
        if way.why is not None and (level := lowest(self.policy.level("forbidden-ancestor"), cap)):
            found = self._made("forbidden-ancestor", way.why, tainted.origin, level)
            yield replace(found, state="unverifiable") if way.is_unconfirmed else found

    def missing(self) -> Iterator[Finding]:
        """Expected parents that the weights do not show."""
        for name in self.policy.expected_parents:
            if (looked := self._evidence(name)) is None:
                continue
            e = looked.as_drawn()
            if not e.is_related:
                why = because("expected-not-shown")
                yield from self._found("missing-parent", e, why, caps=False)
            elif e.found.parent == "b":
                yield from self._found("missing-parent", e, because("expected-is-child"))
            elif e.found.basis == "calibrated":
                why = because("expected-calibrated")
                yield from self._found("missing-parent", e, why, "warning")

    def unverifiable(self) -> Iterator[Finding]:
        """What the policy names and nobody could test, or not well enough to let a model pass."""
        forbidden = {*self.policy.forbidden_ancestors, *self.policy.forbidden_families}
        for name, e in self.known.by_name.items():
            if isinstance(e, Unknown):
                yield self._open(why_unknown(name, e.why), Ancestor(name=name))
            elif lost := e.lost(is_needed=name in self.policy.expected_parents):
                why = because("named-unknown", name=name, reason=lost.nested)
                yield self._open(why, e.other, e)
            elif e.found.verdict == "not-testable":
                why = because("named-not-testable", name=name)
                if e.found.reason is not None and e.found.reason.code == "error":
                    why = why_unknown(name, e.found.reason)
                yield self._open(why, e.other, e)
            elif e.lacking is not None and name in forbidden:
                why = because("named-tested-little", name=name, reason=e.lacking.nested)
                yield self._open(why, e.other, e)
        for name, members in self.families.items():
            near = [e for i, e in self._by_id.items() if i in members]
            if open_ := [e for e in near if e.found.verdict == "not-testable"]:
                why = because("family-not-testable", family=name, n=len(open_))
                yield self._open(why, open_[0].other, open_[0])
            for e in near:
                if lost := e.lost():
                    why = because("named-unknown", name=e.other.name, reason=lost.nested)
                    yield self._open(why, e.other, e)
        search = self.known.trace.search if self.known.trace else None
        if search and not search.is_tested and not search.relatives:
            reason = search.not_testable or search.untested[0].summary.reason
            n = search.n_scanned - (search.registered is not None)
            why = because("search-not-testable", n=n, reason=reason.nested if reason else None)
            yield self._open(why, Ancestor(name="registry"))
        for skipped in search.skipped if search else ():
            why = because("registered-left-out", reason=skipped.nested)
            yield self._open(why, Ancestor(name=skipped.what))

    def undeclared(self) -> Iterator[Finding]:
        """Parents and copies in the registry, and expected parents, that nothing declares."""
        trace = self.known.trace
        steps = trace.search.parents if trace else ()
        near = [self._by_id[s.parent_id] for s in steps if s.parent_id in self._by_id]
        expected = [e for name in self.policy.expected_parents if (e := self._evidence(name))]
        near += [e for e in expected if e.is_related and e.found.parent != "b"]
        for e in near:
            if not self._is_declared(e):
                cap = "error" if e.found.parent == "a" else self.policy.undetermined_direction
                yield from self._found("undeclared-parent", e, because("not-declared"), cap)
        related = [e for e in self._by_id.values() if e.is_related]
        for e in related:
            if e.found.is_same and not e.is_own and not self._is_declared(e):
                yield from self._found("undeclared-parent", e, because("copy-not-declared"))
        if trace and not near and not any(map(self._is_declared, related)):
            yield from self._of_unknown_parents()

    def _of_unknown_parents(self) -> Iterator[Finding]:
        """Relatives of a model without a known parent: one may be it."""
        search = self.known.trace.search if self.known.trace else None
        related = [e for e in self._by_id.values() if e.is_related and not e.found.is_same]
        if not related or search is None:
            return
        if any(not s.parent_id and s.direction == "determined" for s in search.parents):
            surest = min(related, key=SUREST)
            yield from self._found("undeclared-parent", surest, because("hidden-parent"))
            return
        cap = self.policy.undetermined_direction
        if search.registered is None:
            is_declared = bool(self.known.declared.parents)
            why = because("perhaps-other-child" if is_declared else "perhaps-child")
            yield from self._found("undeclared-parent", min(related, key=SUREST), why, cap)
            return
        open_ = {s.child_id for s in search.children}
        for e in related:
            if e.other.id in open_ and e.found.parent == "undetermined":
                why = because("perhaps-child")
                yield from self._found("undeclared-parent", e, why, "warning")

    def stated(self) -> Iterator[Finding]:
        """Declared parents that the weights contradict, or that nobody could test."""
        named = [e for e in self.known.by_name.values() if not isinstance(e, Unknown)]
        states = {x.name: x for x in (self.known.trace.declared if self.known.trace else ())}
        for name in self.known.declared.parents:
            state = states.get(name)
            direct = next((e for e in named if is_meant(name, e.other)), None)
            if state is not None and state.state == "contradicted":
                e = next((e for e in self._by_id.values() if is_meant(name, e.other)), None)
                if e is not None:
                    why = because("contradicted", name=name, declared=state.nested)
                    yield from self._found("contradicted-parent", e, why, caps=False)
            elif state is None or state.state == "unverifiable":
                if direct is None:
                    yield from self._unverified(name, state)
                elif direct.found.verdict != "not-testable" and not (
                    direct.is_related and direct.found.parent != "b"
                ):
                    why = because("contradicted", name=name, declared={"code": "compared"})
                    yield from self._found("contradicted-parent", direct, why, caps=False)
        for e, why in other_relations(self.known):
            yield from self._found("contradicted-parent", e, why, "warning", caps=False)

    def _unverified(self, name: str, state: DeclaredParent | None) -> Iterator[Finding]:
        """A declared parent that nothing here was compared with."""
        level = self.policy.level("unverified-parent")
        is_asked = self.known.trace or "unverified-parent" in self.policy.stated
        if level == "off" or not is_asked:
            return
        why = because("unverified-no-registry", name=name)
        if state is not None:
            why = because("unverified", name=name, declared=state.nested)
        found = self._made("unverified-parent", why, Ancestor(name=name), level)
        yield replace(found, summary=state.summary if state else None)

    def licences(self) -> Iterator[Finding]:
        """Licences that are looser than an ancestor's, or that no table knows.

        Of several, each of the model's counts, and of an ancestor's the one that permits least.
        """
        own, table = self.known.declared.licence, self.policy.licences
        stated = classes_of(own, table)
        if self.ancestors and "" in (stated.values() or ("",)):
            known = [e for e in self.ancestors if e.found.parent == "a"]
            why = own_unknown(own, len(known), len(self.ancestors))
            yield from self._plain("unknown-licence", why)
        for e in self.ancestors:
            is_ancestor = e.found.parent == "a"
            theirs = classes_of(e.other.licence, table)
            if "" in (theirs.values() or ("",)):
                why = other_unknown(e.other.licence if theirs else "", is_ancestor=is_ancestor)
                yield from self._found("unknown-licence", e, why)
            if why_looser := looser(stated, theirs, is_ancestor=is_ancestor):
                cap = "error" if is_ancestor else self.policy.undetermined_direction
                yield from self._found("looser-licence", e, why_looser, cap)

    def origin(self) -> Iterator[Finding]:
        """Nothing registered is related, and nothing is declared."""
        is_known = self.ancestors or self.known.declared.parents
        search = self.known.trace.search if self.known.trace else None
        if search is not None and search.is_tested and not (search.relatives or is_known):
            n = search.n_scanned - len(search.untested) - (search.registered is not None)
            yield from self._plain("unknown-origin", because("no-relatives", n=n))

    @property
    def _by_id(self) -> Mapping[int, Evidence]:
        return self.known.by_id or {}

    def _is_declared(self, e: Evidence) -> bool:
        return any(is_meant(name, e.other) for name in self.known.declared.parents)

    def _evidence(self, name: str) -> Evidence | None:
        found = self.known.by_name.get(name)
        if found is None or isinstance(found, Unknown) or found.found.verdict == "not-testable":
            return None
        return found

    def _found(
        self, rule: str, e: Evidence, why: Because, cap: str = "error", *, caps: bool = True
    ) -> Iterator[Finding]:
        """A finding at the lowest of the rule's level, ``cap`` and what its evidence allows."""
        limits = [self.policy.level(rule), cap]
        if caps and e.found.basis == "calibrated":
            limits.append(self.policy.calibrated)
        if caps and e.found.verdict == "aligned-only":
            limits.append(self.policy.aligned_only)
        if level := lowest(*limits):
            yield self._made(rule, why, e.other, level, e)

    def _plain(self, rule: str, why: Because) -> Iterator[Finding]:
        """A finding about the model alone."""
        if (level := self.policy.level(rule)) != "off":
            yield self._made(rule, why, None, level)

    def _open(self, why: Because, other: Ancestor, e: Evidence | None = None) -> Finding:
        """What could not be verified."""
        return self._made("unverifiable", why, other, "error", e)

    def _made(
        self,
        rule: str,
        why: Because,
        other: Ancestor | None,
        level: Level,
        e: Evidence | None = None,
    ) -> Finding:
        is_open = rule in ("unverifiable", "unverified-parent") or bool(e and e.is_of_sketch)
        key = (other.digest or other.name) if other else ""
        return Finding(
            rule=rule,
            level=level,
            state="unverifiable" if is_open else "hit",
            code=why.code,
            data=why.data,
            fingerprint=fingerprint(rule, self.known.digest, key),
            ancestor=other,
            summary=e.found if e else None,
        )
