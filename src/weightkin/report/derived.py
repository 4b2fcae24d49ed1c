"""How one model was derived from the other, and how alike sketches are, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weightkin.records import Comparison, Direction
from weightkin.records.form import probability_words
from weightkin.records.kinds import equal_kinds
from weightkin.report.clues import evidence_line
from weightkin.text import counted, percent

DETAIL_WORDS = {  # what is printed, in this order
    "dtype": "to {}",
    "bits": "{} bits",
    "group": "groups of {}",
    "scope": "per {}",
    "scheme": "{}",
    "pattern": "pattern {}",
    "rank": "rank {}",
    "modules": "in {}",
    "kept_layers": "blocks {} of the parent",
    "layers": "blocks {} of the parent",
    "inserted": "blocks {} write nothing",
    "n_units": "{} units",
    "n_rows_before": "{} token rows before",
    "n_rows": "{} token rows",
    "n_experts": "{} experts",
    "blocks": "blocks {} replaced",
    "reinitialised": "initialised anew: {}",
    "typical_distance": "median distance {}",
}
DETAIL_NAMES = {  # the distances are of all weights together, and of the matrices of blocks
    "relative_distance": "overall distance",
    "typical_distance": "median distance",
    "share_equal": "equal values",
    "roles": "roles that changed",
}
SHARES = {  # numbers between 0 and 1, as percentages
    "share_equal": "{} of values equal",
    "noise": "noise of {} of the standard deviation",
    "magnitude-pruned": "{} zeros",
}
DETAIL_KEYS = (*DETAIL_WORDS, "share", "share_equal")
MIXED = {  # kinds that look the same as a mixture with models that are not here
    "fine-tuned": "fine-tuned, or mixed with other models",
    "continued-pretraining": "trained further, or mixed with other models",
}
TWO_ALONE = "two models alone do not show which"
AMONG = ("among-equal", "among-below", "among-neither")  # clues that related models gave
MAX_LISTED = 8
LEAST_SHARE = 0.001  # of equal values that is worth a word
IDENTICAL = {
    "files": "same files",
    "digest": "same full digest",
    "all": "all values",
    "sample": "all sampled values",
    "readable": "all values that could be read",
}


def derivation_facts(record: Comparison) -> Iterator[tuple[str, str]]:
    """How one was made from the other and which came first; nothing where there is none."""
    details = record.kind_details
    if record.kind and "identical" not in record.kind:
        numbers = ", ".join(_numbers(details, record.kind))
        rest = "; ".join(x for x in (numbers, TWO_ALONE if _is_mixed(record) else "") if x)
        yield "how made", f"{' and '.join(kind_words(record))}{f' ({rest})' if rest else ''}"
    if isinstance(where := details.get("stacks"), Mapping):
        yield "in", f"{where.get('a')} of a and {where.get('b')} of b"
    if "identical" in details:
        yield "equal", identical_words(details)
    if not equal_kinds(record.kind) and (found := _direction(record.direction)):
        yield "came first", found


def kind_words(record: Comparison) -> list[str]:
    """The kinds, each with what looks the same where no relative tells the two apart."""
    is_open = _is_mixed(record)
    return [MIXED.get(x, x) if is_open else x for x in record.kind]


def _is_mixed(record: Comparison) -> bool:
    """Whether a change of all values may be training or mixing: no relative was asked."""
    is_told = any(x.code in AMONG for x in record.direction.evidence)
    return not is_told and any(x in MIXED for x in record.kind)


def _direction(direction: Direction) -> str:
    """Which of the two is the parent, or why that is open; nothing where nothing was asked."""
    if direction.parent != "undetermined":
        return f"{direction.parent} (probability {probability_words(direction.probability)})"
    reasons = [evidence_line(x) for x in direction.evidence if x.code == "ask-relatives"]
    return ": ".join(["undetermined", *reasons]) if direction.evidence else ""


def _numbers(details: Mapping[str, Any], kinds: Sequence[str]) -> Iterator[str]:
    """The main numbers of a kind."""
    for key, words in DETAIL_WORDS.items():
        if key in details:
            yield words.format(value_words(details[key]))
    for kind in kinds:
        if "share" in details and kind in SHARES:
            yield SHARES[kind].format(_percent(details["share"]))
    if details.get("share_equal", 0) >= LEAST_SHARE:
        yield SHARES["share_equal"].format(_percent(details["share_equal"]))


def _percent(share: float) -> str:
    """A share with a decimal where it has one."""
    return percent(share, 1).replace(".0 %", " %")


def identical_words(details: Mapping[str, Any]) -> str:
    """Which values of two models were compared and are equal; nothing where they differ."""
    words = IDENTICAL.get(str(details.get("identical")), "equal values")
    if "n_unread" not in details:
        return words
    n, first = details["n_unread"], details["first_unread"]
    return f"{words}; {counted(n, 'item')} not read, such as {first}"


def detail_words(key: str) -> str:
    """Name of a number of a kind, for people."""
    if key in DETAIL_NAMES:
        return DETAIL_NAMES[key]
    return (
        key.replace("_", " ").replace("n ", "number of ", 1)
        if key[:2] == "n_"
        else (key.replace("_", " "))
    )


def value_words(value: Any) -> str:
    """Its value, long lists cut."""
    if isinstance(value, dict):
        return "; ".join(f"{k} {value_words(v)}" for k, v in value.items() if k != "names")
    if isinstance(value, list | tuple):
        shown = " ".join(str(x) for x in value[:MAX_LISTED])
        return f"{shown} …" if len(value) > MAX_LISTED else shown
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def token_view_lines(record: Comparison) -> list[str]:
    """The share of units and heads that two matrices match alike, described by tokens."""
    found = record.token_views
    return [
        f"  {words} by tokens: two matrices match {percent(x.share, 1)} of {x.n} alike"
        f" (between blocks of different depth: {percent(x.control, 1)}), level {x.level:.2f}"
        for words, x in (("units", found and found.units), ("key heads", found and found.heads))
        if x
    ]
