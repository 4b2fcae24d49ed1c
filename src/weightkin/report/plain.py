"""What a comparison found, as one sentence for somebody who never saw a p-value."""

from __future__ import annotations

from collections.abc import Mapping

from weightkin.records import Comparison
from weightkin.records.comparison import Summary
from weightkin.records.kinds import equal_kinds
from weightkin.report.sentences import parts_list

ALL_READ = ("all", "digest")  # ways to know that every value is equal
SHARED = "These two models share weights"
STARTED = f"{SHARED} or a random start"  # as far as a test goes: one seed, and nothing else, too
FOUND: Mapping[str, str] = {  # where nothing more can be said
    "aligned-only": "The units of these two models line up, but that alone does not show that they"
    " share weights.",
    "no-evidence": "No sign of shared weights was found.",
    "not-testable": "No test applies to these two models, so nothing can be said about them.",
}
NOT_SHOWN: Mapping[str, str] = {  # what a finding must not be taken for
    "no-evidence": "That does not show that the models are independent.",
}


def plain_words(record: Comparison) -> str:
    """The finding without figures, and what it does not show."""
    return " ".join(filter(None, (found_words(record), NOT_SHOWN.get(record.verdict, ""))))


def found_words(record: Comparison) -> str:
    """One sentence without figures.

    Parameters
    ----------
    record : Comparison
        What `compare` found.

    Returns
    -------
    str
        It claims no more than the verdict with its basis does.
    """
    x = record.summary
    if x.verdict != "dependent":
        return FOUND[x.verdict]
    if equal_kinds(x.kind):
        return _equal_words(x)
    shared = SHARED if x.basis == "equal" else STARTED
    if x.parts:
        return f"{shared} in {parts_list(x.parts)}. Nothing was found elsewhere."
    if x.basis == "exact-unconfirmed":
        return f"{shared}, or one of them was made to match the other."
    if x.basis == "calibrated":
        return f"{shared}, judged by pairs that are known to be unrelated; no exact test shows it."
    return f"{shared}{_made_words(record)}."


def _equal_words(x: Summary) -> str:
    """How equal, which is no more than was compared."""
    if x.equal_basis in ALL_READ and not x.incomplete:
        return "These two models are the same: all their values are equal."
    return "These two models are probably the same: all values that were compared are equal."


def _made_words(record: Comparison) -> str:
    """Which was made from which, where that is known."""
    parent = record.direction.parent
    if parent == "undetermined":
        return ""
    return f": model {'b' if parent == 'a' else 'a'} was probably made from model {parent}"
