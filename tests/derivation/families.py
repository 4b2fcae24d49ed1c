"""The zoo as sketches, and its truth, for tests of pairs."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from weightkin import open_model
from weightkin.sketch import Scheme, take_sketch

ZOO = Path(__file__).parents[2] / "zoo"
TRUTH = json.loads((ZOO / "truth.json").read_text(encoding="utf-8"))
NEEDS_UNDOING = ("permuted", "rotated", "rescaled", "sign-flipped")  # named by `evidence.undone`
COPIES = {"llama-a-copy": "llama-a", "llama-a-header": "llama-a"}  # equal values: one node


@lru_cache(None)
def sketch(name, scheme=None):
    return take_sketch(open_model(ZOO / TRUTH[name]["path"]), scheme or Scheme.whole())


def edges():
    """Direct edges whose kind two models alone can show: (parent, child, kind)."""
    for name, entry in TRUTH.items():
        if entry["kind"] in ("merged", *NEEDS_UNDOING):
            continue
        for parent in entry["parents"]:
            yield parent["name"], name, entry["kind"]


def ancestors(name):
    found = set()
    for parent in TRUTH[name]["parents"]:
        found |= {parent["name"]} | ancestors(parent["name"])
    return found


def true_parent(a, b):
    """Which one is the ancestor: a, b or neither."""
    return "a" if a in ancestors(b) else "b" if b in ancestors(a) else "neither"
