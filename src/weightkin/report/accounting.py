"""Where the parameters of the smaller model of a pair went, in words."""

from __future__ import annotations

from weightkin.records.accounting import Accounting, Equal, Parameters
from weightkin.records.codes import REASONS
from weightkin.report.reasons import REASON_WORDS
from weightkin.text import percent

STATE_WORDS = {
    "tested": "tested",
    "compared": "compared without a test",
    "incomparable": "could not be compared",
    "unread": "not read",
}


def accounting_facts(x: Accounting) -> list[tuple[str, str, str]]:
    """Each state that holds anything, its share, and the reasons in brackets."""
    n = sum(getattr(x, state).n for state in STATE_WORDS)
    found = []
    for state, words in STATE_WORDS.items():
        own: Parameters = getattr(x, state)
        if own.n or own.codes or state == "tested":
            found.append((words, share_words(own.n, n), _reasons(own)))
    return found


def accounting_lines(x: Accounting | None) -> list[str]:
    """One line for a terminal; none for a record without that."""
    if x is None:
        return []
    said = ", ".join(f"{share} {words}{whys}" for words, share, whys in accounting_facts(x))
    return [f"  parameters of the smaller model: {said}"]


def table_lines(x: Equal | None) -> list[str]:
    """How much is equal that a formula makes, where that is not all there is."""
    if x is None or not x.tables or x.same_name + x.other_name >= x.n_parameters:
        return []
    said = "tables that a formula makes, which unrelated models share; they do not count"
    return [f"  of the equal values, {x.tables:,} are {said}"]


def share_words(n: int, n_all: int) -> str:
    """A share of parameters as a percentage."""
    return percent(n / max(1, n_all))


def _reasons(own: Parameters) -> str:
    words = [
        w for code in own.codes if isinstance(w := REASON_WORDS[code], str) and not REASONS[code]
    ]
    return f" ({'; '.join(words)})" if words else ""
