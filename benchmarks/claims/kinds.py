"""Kinds and directions of pairs against the truth of the zoo, and how reliable a direction is."""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.lib.tables import markdown
from weightkin import open_model
from weightkin.derivation.kinds import Derivation, KnownPair, kind_of
from weightkin.sketch import Scheme, Sketch, take_sketch

ZOO = Path(__file__).parents[2] / "zoo"
COPIES = ("llama-a-copy", "llama-a-header")  # equal values: no direction exists
UNDONE = ("permuted", "rotated", "rescaled", "sign-flipped")  # named by the blind tests


def run() -> list[str]:
    """Kinds of direct edges, then directions of all related pairs."""
    truth = json.loads((ZOO / "truth.json").read_text(encoding="utf-8"))
    return [*_kinds(truth), "", *_directions(truth)]


@lru_cache(None)
def _sketch(path: str, scheme: Scheme) -> Sketch:
    return take_sketch(open_model(ZOO / path), scheme)


def _derive(truth: dict[str, Any], a: str, b: str, scheme: Scheme) -> Derivation:
    x, y = (_sketch(truth[name]["path"], scheme) for name in (a, b))
    return kind_of(x, y, KnownPair(is_other_file="llama-a-header" in (a, b)))


def _kinds(truth: dict[str, Any]) -> list[str]:
    """Count what two sketches alone say about every direct edge, by its true kind."""
    table: dict[str, list[Counter[str]]] = {}
    for name, entry in truth.items():
        if entry["kind"] in (*UNDONE, "base", "same-initialisation"):
            continue
        for parent in entry["parents"]:
            counts = table.setdefault(entry["kind"], [Counter(), Counter()])
            for count, scheme in zip(counts, (Scheme.whole(), Scheme()), strict=True):
                derived = _derive(truth, parent["name"], name, scheme)
                count[" and ".join(derived.kind)] += 1
    rows = [
        (kind, *(", ".join(f"{k} {n}" for k, n in sorted(c.items())) for c in counts))
        for kind, counts in sorted(table.items())
    ]
    head = [
        "What two sketches say about the direct edges of the zoo (a merge has several parents",
        "",
    ]
    head[0] += " and needs more than a pair; disguises are named by `compare`):"
    return [*head, *markdown(("true kind", "whole models", "default sample"), rows)]


def _directions(truth: dict[str, Any]) -> list[str]:
    """Stated probability against observed share, over all related pairs, siblings included."""
    lines = {name: _ancestors(truth, name) for name in truth}
    chosen = [name for name in truth if name not in COPIES]
    counts: Counter[tuple[str, str]] = Counter()
    clocks: Counter[str] = Counter()
    for a, b in combinations(chosen, 2):
        if not set(truth[a]["origins"]) & set(truth[b]["origins"]):
            continue
        derived = _derive(truth, a, b, Scheme())
        true = "a" if a in lines[b] else "b" if b in lines[a] else "siblings"
        is_stated = derived.parent != "undetermined"
        level = f"{derived.probability:.3f}" if is_stated else "undetermined"
        if is_stated:
            counts[level, "right" if derived.parent == true else "wrong"] += 1
        else:
            counts[level, "siblings" if true == "siblings" else "in line"] += 1
        clock = next((x for x in derived.evidence if x.code == "unused-rows"), None)
        if clock is not None:
            older = "a" if clock.data["c"] < 1 else "b"
            clocks["siblings" if true == "siblings" else "right" if true == older else "wrong"] += 1
    columns = ("right", "wrong", "in line", "siblings")
    levels = sorted({level for level, _ in counts})
    rows = [(level, *(counts[level, column] for column in columns)) for level in levels]
    head = (
        "Direction over all related pairs (default sample); undetermined ones are split by truth:"
    )
    said = (
        f"The clock runs in {sum(clocks.values())} of them: {clocks['right']} where the older one"
    )
    said += f" is an ancestor, {clocks['wrong']} where it is the descendant, {clocks['siblings']}"
    return [head, "", *markdown(("stated", *columns), rows), "", f"{said} siblings."]


def _ancestors(truth: dict[str, Any], name: str) -> set[str]:
    found: set[str] = set()
    for parent in truth[name]["parents"]:
        found |= {parent["name"]} | _ancestors(truth, parent["name"])
    return found
