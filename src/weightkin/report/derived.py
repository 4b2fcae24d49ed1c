"""How one model was derived from the other, and how alike sketches are, as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weightkin.records import Comparison
from weightkin.records.form import probability_words
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
    "typical_distance": "median relative distance {}",
}
SHARES = {  # numbers between 0 and 1, as percentages
    "share_equal": "{} of values equal",
    "noise": "noise of {} of the standard deviation",
    "magnitude-pruned": "{} zeros",
}
DETAIL_KEYS = (*DETAIL_WORDS, "share", "share_equal")
MAX_LISTED = 8
IDENTICAL = {
    "files": "same files",
    "digest": "same full digest",
    "all": "all values",
    "sample": "all sampled values",
    "readable": "all values that could be read",
}


def derivation_lines(record: Comparison) -> list[str]:
    """Kind with its main numbers, then the direction in words; nothing where there is none."""
    lines = []
    details = record.kind_details
    if record.kind and "identical" not in record.kind:
        rest = ", ".join(_numbers(details, record.kind))
        lines.append(f"  kind: {' and '.join(record.kind)}{f' ({rest})' if rest else ''}")
    if isinstance(where := details.get("stacks"), Mapping):
        a, b = (str(where.get(x)) for x in "ab")
        lines.append(f"  in: {a} of a and {b} of b")
    if "identical" in details:
        lines.append(f"  equal: {identical_words(details)}")
    direction = record.direction
    if direction.parent != "undetermined":
        child = "b" if direction.parent == "a" else "a"
        sure = probability_words(direction.probability)
        lines.append(
            f"  direction: {direction.parent} is the parent of {child} (probability {sure})"
        )
    elif direction.evidence:
        lines.append("  direction: undetermined")
    lines += [f"    {evidence_line(x)}" for x in direction.evidence]
    return lines


def _numbers(details: Mapping[str, Any], kinds: Sequence[str]) -> Iterator[str]:
    """The main numbers of a kind."""
    for key, words in DETAIL_WORDS.items():
        if key in details:
            yield words.format(value_words(details[key]))
    for kind in kinds:
        if "share" in details and kind in SHARES:
            yield SHARES[kind].format(_percent(details["share"]))
    if "share_equal" in details:
        yield SHARES["share_equal"].format(_percent(details["share_equal"]))


def _percent(share: float) -> str:
    """A share as a percentage, rounded down: 100 % is all."""
    return f"{math.floor(1000 * share) / 10:g} %"


def identical_words(details: Mapping[str, Any]) -> str:
    """Which values of two models were compared and are equal; nothing where they differ."""
    words = IDENTICAL.get(str(details.get("identical")), "equal values")
    if "n_unread" not in details:
        return words
    n, first = details["n_unread"], details["first_unread"]
    return f"{words}; {counted(n, 'item')} not read, such as {first}"


def detail_words(key: str) -> str:
    """Name of a number of a kind, for people."""
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
