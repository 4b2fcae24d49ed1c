"""The rules: from what the weights and the model card say to findings with their reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from weightkin.policy.known import Evidence, Known
from weightkin.policy.licences import classes_of, looser
from weightkin.policy.naming import Unknown, is_meant
from weightkin.policy.reading import Policy
from weightkin.policy.words import called, direction_words, sure_words, with_evidence
from weightkin.records.checking import NO_REGISTRY, RULES, Ancestor, Finding, Level, fingerprint
from weightkin.text import shown

STRICTNESS = ("off", "warning", "error")


@dataclass(frozen=True)
class RuleContext:
    """One model on the bench: the policy, what is known, and the families by name."""

    policy: Policy
    known: Known
    families: Mapping[str, Collection[int]]
    is_full: bool  # whether declarations and licences are looked at

    @cached_property
    def ancestors(self) -> tuple[Evidence, ...]:
        """Models that this one was made from, as far as the weights show it, nearest first."""
        trace, by_id = self.known.trace, self.known.by_id or {}
        steps = (*trace.search.parents, *trace.search.path) if trace else ()
        ids = [step.parent_id for step in steps if step.parent_id in by_id]
        above = [by_id[i] for i in dict.fromkeys(ids)]
        above += [e for e in by_id.values() if e.verdict == "dependent" and e.is_same]
        said = self.known.declared.parents
        rest = [e for e in by_id.values() if any(is_meant(name, e.other) for name in said)]
        rest += [e for name in self.policy.expected_parents if (e := self._evidence(name))]
        above += [e for e in rest if e.verdict == "dependent" and e.parent != "model"]
        first: dict[tuple[int, str, str], Evidence] = {}
        for e in above:
            if not e.is_own:  # equal digests are no proof of one model
                first.setdefault((e.other.id, e.other.source, e.other.name), e)
        return tuple(first.values())

    def findings(self) -> tuple[Finding, ...]:
        """All rules in their order, each finding once."""
        found = [*self.forbidden(), *self.missing(), *self.unverifiable()]
        if self.is_full:
            found += [*self.undeclared(), *self.stated(), *self.licences(), *self.origin()]
        first: dict[str, Finding] = {}
        for finding in sorted(found, key=lambda x: x.level):  # errors before warnings
            first.setdefault(finding.fingerprint, finding)
        return tuple(sorted(first.values(), key=lambda x: (x.level, list(RULES).index(x.rule))))

    def forbidden(self) -> Iterator[Finding]:
        """Forbidden models, and relatives in the family of one.

        Which of the two came first plays no part: evidence of that can be arranged.
        """
        for name in self.policy.forbidden_ancestors:
            e = self._evidence(name)
            if e is not None and e.verdict in ("dependent", "aligned-only"):
                yield from self._found("forbidden-ancestor", e, with_evidence("forbidden", e))
        for name, members in self.families.items():
            near = [e for i, e in (self.known.by_id or {}).items() if i in members]
            related = [e for e in near if e.verdict == "dependent"]
            if related:
                e = min(related, key=lambda x: x.log10_pvalue)
                said = with_evidence(f"of the forbidden family of {shown(name)},", e)
                yield from self._found("forbidden-family", e, said)

    def missing(self) -> Iterator[Finding]:
        """Expected parents that the weights do not show."""
        for name in self.policy.expected_parents:
            e = self._evidence(name)
            if e is None:
                continue
            head = f"expected parent {called(e.other)}"
            if e.verdict != "dependent":
                yield from self._found("missing-parent", e, f"{head}: {e.sentence}", caps=False)
            elif e.parent == "model":
                said = f"{head} was made from this model ({sure_words(e)}); {e.sentence}"
                yield from self._found("missing-parent", e, said)
            elif e.basis == "calibrated":
                said = f"{head}: only calibrated evidence; {e.sentence}"
                yield from self._found("missing-parent", e, said, "warning")

    def unverifiable(self) -> Iterator[Finding]:
        """What the policy names and nobody could test, or not well enough to let a model pass."""
        forbidden = {*self.policy.forbidden_ancestors, *self.policy.forbidden_families}
        for name, e in self.known.by_name.items():
            if isinstance(e, Unknown):
                finding = self._unverifiable(name, e.why, Ancestor(name=name), is_error=e.is_error)
                yield replace(finding, advice=NO_REGISTRY) if e.is_absent else finding
            elif e.missing or e.verdict == "not-testable":
                is_error = e.is_error and not e.missing
                why = e.missing or e.sentence
                yield self._unverifiable(name, why, e.other, is_error=is_error)
            elif e.lacking and name in forbidden:
                yield self._unverifiable(name, f"{e.sentence}, but {e.lacking}", e.other)
        for name, members in self.families.items():
            near = [e for i, e in (self.known.by_id or {}).items() if i in members]
            if open_ := [e for e in near if e.verdict == "not-testable"]:
                why = f"{len(open_)} of its family: {called(open_[0].other)}: {open_[0].sentence}"
                yield self._unverifiable(name, why, open_[0].other)
        trace = self.known.trace
        if trace and not trace.search.is_tested and not trace.search.relatives:
            yield self._made("unverifiable", trace.search.sentence, Ancestor(name="registry"))
        for skipped in trace.search.skipped if trace else ():
            text = f"registered model {shown(skipped.what)}: {skipped.sentence}"
            yield self._made("unverifiable", text, Ancestor(name=skipped.what))

    def _unverifiable(
        self, name: str, why: str, other: Ancestor, *, is_error: bool = False
    ) -> Finding:
        """A finding that names what is meant; an error does so by itself."""
        return self._made("unverifiable", why if is_error else f"{shown(name)}: {why}", other)

    def undeclared(self) -> Iterator[Finding]:
        """Parents and copies in the registry, and expected parents, that nothing declares."""
        said = self.known.declared.parents
        trace, by_id = self.known.trace, self.known.by_id or {}
        steps = trace.search.parents if trace else ()
        near = [by_id[s.parent_id] for s in steps if s.parent_id in by_id]
        expected = [e for name in self.policy.expected_parents if (e := self._evidence(name))]
        near += [e for e in expected if e.verdict == "dependent" and e.parent != "model"]
        for e in near:
            if not any(is_meant(name, e.other) for name in said):
                cap = "error" if e.parent == "other" else self.policy.undetermined_direction
                yield from self._found(
                    "undeclared-parent", e, with_evidence("not declared:", e), cap
                )
        for e in by_id.values():
            if any(is_meant(name, e.other) for name in said) or e.verdict != "dependent":
                continue
            if e.is_same and not e.is_own:
                text = with_evidence("not declared, of the same values:", e)
                yield from self._found("undeclared-parent", e, text)
        related = [e for e in by_id.values() if e.verdict == "dependent"]
        if trace and not near and not any(is_meant(x, e.other) for x in said for e in related):
            yield from self._of_unknown_parents()

    def _of_unknown_parents(self) -> Iterator[Finding]:
        """Relatives of a model none of whose parents is known: perhaps one of them is.

        A model that is not registered itself may have been arranged to look like their ancestor.
        """
        search = self.known.trace.search if self.known.trace else None
        by_id = self.known.by_id or {}
        related = [e for e in by_id.values() if e.verdict == "dependent" and not e.is_same]
        open_ = {s.child_id for s in (search.children if search else ())}
        if related and search and search.parents:
            e = min(related, key=lambda x: x.log10_pvalue)
            text = with_evidence("no parent declared, one that is not registered shared with", e)
            yield from self._found("undeclared-parent", e, text)
            return
        if related and search and search.registered is None:
            e = min(related, key=lambda x: x.log10_pvalue)
            said = (
                "no declared parent is among its relatives" if self.known.declared.parents else ""
            )
            text = with_evidence(f"{said or 'no parent declared'}, perhaps a child of", e)
            cap = self.policy.undetermined_direction
            yield from self._found("undeclared-parent", e, text, cap)
            return
        for e in related:
            if e.other.id in open_ and e.parent == "undetermined":
                text = with_evidence("no parent declared, perhaps a child of", e)
                yield from self._found("undeclared-parent", e, text, "warning")

    def stated(self) -> Iterator[Finding]:
        """Declared parents that the weights contradict, or that nobody could test."""
        named = [e for e in self.known.by_name.values() if not isinstance(e, Unknown)]
        states = {x.name: x for x in (self.known.trace.declared if self.known.trace else ())}
        by_id = self.known.by_id or {}
        for name in self.known.declared.parents:
            state = states.get(name)
            direct = next((e for e in named if is_meant(name, e.other)), None)
            if state is None or state.state == "unverifiable":
                if direct is None:
                    if self.known.trace or "unverified-parent" in self.policy.stated:
                        why = state.sentence if state else "there is no registry to look in"
                        yield from self._unverified(name, why)
                    continue
                is_shown = direct.verdict == "dependent" and direct.parent != "model"
                if direct.verdict != "not-testable" and not is_shown:
                    text = f"declares {shown(name)}: {direct.sentence}"
                    yield from self._found("contradicted-parent", direct, text, caps=False)
            elif state.state == "contradicted":
                e = next((e for e in by_id.values() if is_meant(name, e.other)), None)
                text = f"declares {shown(name)}: {state.sentence}"
                if e is not None:
                    yield from self._found("contradicted-parent", e, text, caps=False)

    def licences(self) -> Iterator[Finding]:
        """Licences that are looser than an ancestor's, or that no table knows.

        Of several, each of the model's counts, and of an ancestor's the one that permits least.
        """
        own, table = self.known.declared.licence, self.policy.licences
        stated = classes_of(own, table)
        if self.ancestors and "" in (stated.values() or ("",)):
            n = f"{len(self.ancestors)} ancestor{'s' * (len(self.ancestors) > 1)}"
            said = f"its licence, {shown(own)}, is in no table" if own else "no licence is declared"
            yield from self._plain("unknown-licence", f"{said}, while it has {n}")
        for e in self.ancestors:
            theirs = classes_of(e.other.licence, table)
            if "" in (theirs.values() or ("",)):
                said = f"declares {shown(e.other.licence)}, which is in no table" if theirs else ""
                text = f"{called(e.other)} {said or 'declares no licence'}; {e.sentence}"
                yield from self._found("unknown-licence", e, f"ancestor {text}")
            if found := looser(stated, theirs):
                (name, kind), (other, least) = found
                text = (
                    f"declares {shown(name)} ({kind}), while its ancestor {called(e.other)}"
                    f" declares {shown(other)} ({least}); {e.sentence}{direction_words(e)}"
                )
                cap = self.policy.undetermined_direction if e.parent == "undetermined" else "error"
                yield from self._found("looser-licence", e, text, cap)

    def origin(self) -> Iterator[Finding]:
        """Nothing registered is related, and nothing is declared."""
        trace = self.known.trace
        is_known = self.ancestors or self.known.declared.parents
        search = trace.search if trace is not None else None
        if search is not None and search.is_tested and not (search.relatives or is_known):
            n = search.n_scanned - len(search.untested) - (search.registered is not None)
            others = f"with {n} registered model{'s' * (n != 1)}"
            text = f"no evidence of shared weights {others}, no parent declared"
            yield from self._plain("unknown-origin", text)

    def _evidence(self, name: str) -> Evidence | None:
        found = self.known.by_name.get(name)
        if found is None or isinstance(found, Unknown) or found.verdict == "not-testable":
            return None
        return found

    def _found(
        self, rule: str, e: Evidence, reason: str, cap: str = "error", *, caps: bool = True
    ) -> Iterator[Finding]:
        """A finding at the lowest of the rule's level, ``cap`` and what its evidence allows."""
        limits = [self.policy.level(rule), cap]
        if caps and e.basis == "calibrated":
            limits.append(self.policy.calibrated)
        if caps and e.verdict == "aligned-only":
            limits.append(self.policy.aligned_only)
        lowest = min(limits, key=STRICTNESS.index)
        if lowest != "off":
            yield self._made(rule, reason, e.other, "error" if lowest == "error" else "warning", e)

    def _plain(self, rule: str, reason: str) -> Iterator[Finding]:
        """A finding about the model alone."""
        level = self.policy.level(rule)
        if level != "off":
            yield self._made(rule, reason, None, level)

    def _unverified(self, name: str, why: str) -> Iterator[Finding]:
        level = self.policy.level("unverified-parent")
        if level != "off":
            text = f"declares {shown(name)}: {why}"
            yield self._made("unverified-parent", text, Ancestor(name=name), level)

    def _made(
        self,
        rule: str,
        reason: str,
        other: Ancestor | None,
        level: Level = "error",
        e: Evidence | None = None,
    ) -> Finding:
        is_open = rule in ("unverifiable", "unverified-parent")
        key = (other.digest or other.name) if other else ""
        found = Finding(
            rule=rule,
            level=level,
            state="unverifiable" if is_open else "hit",
            reason=reason,
            advice=RULES[rule].help,
            fingerprint=fingerprint(rule, self.known.digest, key),
            ancestor=other,
        )
        if e is None:
            return found
        return replace(
            found,
            verdict=e.verdict,
            basis=e.basis,
            log10_pvalue=e.log10_pvalue,
            effect=e.effect,
            kind=e.kind,
            direction="undetermined" if e.parent == "undetermined" else "determined",
            direction_probability=e.probability,
        )
