"""What is true about the zoo: who came from whom. Pure Python, no dependency.

Every model carries one or more *origins*: random initialisations that left something in its
weights. Two models are related exactly if they share an origin. A merge or hybrid of two bases
carries both origins and is related to both; the bases stay independent of each other. A student
distilled from outputs carries its own origin only.
"""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
TRUTH = ROOT / "truth.json"
KINDS = frozenset(
    {
        "base",
        "identical",
        "header-only",
        "cast",
        "quantised",
        "noise",
        "magnitude-pruned",
        "width-pruned",
        "depth-pruned",
        "fine-tuned",
        "lora",
        "continued-pretraining",
        "vocab-extended",
        "upcycled",
        "merged",
        "stacked",
        "hybrid",
        "permuted",
        "rotated",
        "rescaled",
        "sign-flipped",
        "siblings",
        "same-initialisation",
        "unknown",
    }
)

Entry = dict[str, Any]


def load() -> dict[str, Entry]:
    """Read all entries of `truth.json` by model name."""
    return json.loads(TRUTH.read_text(encoding="utf-8")) if TRUTH.exists() else {}


def pairs() -> Iterator[tuple[str, str, bool]]:
    """Yield every unordered pair of models, and whether it is related."""
    entries = load()
    for a, b in combinations(entries, 2):
        yield a, b, share_an_origin(entries[a], entries[b])


def related(a: str, b: str) -> bool:
    """Tell whether two models share weights, or the initialisation they began from."""
    entries = load()
    return share_an_origin(entries[a], entries[b])


def relation(a: str, b: str) -> str:
    """Name how `a` stands to `b`.

    One of `identical` (equal bytes), `ancestor` (`a` came first), `descendant`, `siblings`
    (a common ancestor, neither came from the other), `same-initialisation` (nothing else is
    shared) and `independent`.
    """
    entries = load()
    if entries[a]["digest"] == entries[b]["digest"]:
        return "identical"
    if not share_an_origin(entries[a], entries[b]):
        return "independent"
    line_a, line_b = lineage(a, entries), lineage(b, entries)
    if a in line_b:
        return "ancestor"
    if b in line_a:
        return "descendant"
    return "siblings" if line_a & line_b else "same-initialisation"


def lineage(name: str, entries: dict[str, Entry]) -> set[str]:
    """Return a model with all its ancestors."""
    found = {name}
    for parent in entries[name]["parents"]:
        found |= lineage(parent["name"], entries)
    return found


def share_an_origin(a: Entry, b: Entry) -> bool:
    """Tell whether two entries have an origin in common."""
    return not set(a["origins"]).isdisjoint(b["origins"])


def record(name: str, entry: Entry) -> None:
    """Add or replace one entry of `truth.json`."""
    entries = load() | {name: {"name": name} | entry}
    draft = TRUTH.with_suffix(".draft")
    draft.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    draft.replace(TRUTH)
