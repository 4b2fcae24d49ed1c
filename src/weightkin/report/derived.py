"""How one model was made from the other, as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightkin.records import Comparison
from weightkin.records.form import probability_words
from weightkin.report.clues import evidence_line

DETAIL_KEYS = (  # what is worth a word, in this order
    *("dtype", "bits", "group", "scope", "scheme", "pattern", "share", "rank", "modules"),
    *("kept_layers", "layers", "n_units", "n_rows_before", "n_rows", "n_experts", "blocks"),
    *("reinitialised", "typical_distance", "share_equal"),
)
MAX_LISTED = 8
IDENTICAL = {
    "files": "same files",
    "digest": "same full digest",
    "all": "all values",
    "sample": "a sample; --full-digest reads everything",
    "readable": "what could be read",
}


def derivation_lines(record: Comparison) -> list[str]:
    """Kind with its main numbers, then the direction in words; nothing where there is none."""
    lines = []
    details = record.kind_details
    if record.kind and "identical" not in record.kind:
        numbers = [
            f"{detail_words(key)} {value_words(details[key])}"
            for key in DETAIL_KEYS
            if key in details
        ]
        rest = f" ({', '.join(numbers)})" if numbers else ""
        lines.append(f"  kind: {' and '.join(record.kind)}{rest}")
    if "identical" in details:
        lines.append(f"  equal: {identical_words(details)}")
    direction = record.direction
    if direction.parent != "undetermined":
        child = "b" if direction.parent == "a" else "a"
        said = f"{direction.parent} is the parent, {child} the child"
        sure = probability_words(direction.probability)
        lines.append(f"  direction: {said} (probability {sure})")
    elif direction.evidence:
        lines.append("  direction: undetermined")
    lines += [f"    {evidence_line(x)}" for x in direction.evidence]
    return lines


def identical_words(details: Mapping[str, Any]) -> str:
    """What of two models was looked at and is equal; nothing where they differ."""
    words = IDENTICAL.get(str(details.get("identical")), "equal values")
    if "n_unread" not in details:
        return words
    return f"{words}; {details['n_unread']} not read, first {details['first_unread']}"


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
