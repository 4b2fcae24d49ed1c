"""Sentences of findings: which model, what is shared, which came first."""

from __future__ import annotations

from weightkin.policy.known import Evidence
from weightkin.records.checking import Ancestor
from weightkin.records.form import probability_words, pvalue_words
from weightkin.text import shown


def called(other: Ancestor) -> str:
    """Name a model, with its number in the registry."""
    number = f" (#{other.id})" if other.id else ""
    return f"{shown(other.name)}{number}"


def with_evidence(role: str, e: Evidence) -> str:
    """Which model shares weights with this one, with p-value, basis, effect, kind, direction."""
    said = e.sentence
    if e.verdict == "dependent" and e.basis == "exact" and not e.is_same:
        said = f"shares weights ({pvalue_words(e.log10_pvalue)}, exact)"
    if e.effect is not None:
        said += f", matched units {e.effect.observed:.2f} alike, {e.effect.chance:.2f} by chance"
    if e.kind and not e.is_same:
        said += f", {' and '.join(e.kind)}"
    if e.parts:
        said += f", only in {' and '.join(e.parts)}"
    return f"{role} {called(e.other)}: {said}{direction_words(e)}"


def direction_words(e: Evidence) -> str:
    """Which of the two came first, as far as that is known."""
    if e.parent == "undetermined":
        return "; which came first is not determined" if e.verdict == "dependent" else ""
    if e.parent == "model":
        return f"; that one was made from this model ({sure_words(e)})"
    return f"; that one came first ({sure_words(e)})"


def sure_words(e: Evidence) -> str:
    """How sure the direction is."""
    return f"probability {probability_words(e.probability)}"
