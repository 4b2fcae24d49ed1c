"""All entries: read once, when the first of them is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from weightkin.catalogue.entry import Entry, make_entry

FOLDER = Path(__file__).parent / "entries"


@cache
def entries() -> Mapping[str, Entry]:
    """Every entry by name, in the order of their names."""
    facts = {path.stem: json.loads(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))}
    made: dict[str, Entry] = {}
    for name in facts:
        _make(name, facts, made)
    return {name: made[name] for name in facts}


def _make(name: str, facts: Mapping[str, Mapping[str, Any]], made: dict[str, Entry]) -> Entry:
    if name not in made:
        like = facts[name].get("like")
        made[name] = make_entry(name, facts[name], _make(like, facts, made) if like else None)
    return made[name]


@cache
def layouts() -> tuple[Entry, ...]:
    """Entries with tensors of their own: one of them explains the names of a stack best."""
    known = entries()
    return tuple(x for x in known.values() if not x.like or x.parts != known[x.like].parts)
