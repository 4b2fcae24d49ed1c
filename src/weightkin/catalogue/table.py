"""All entries: read once, when the first of them is needed; and what they say together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from weightkin.catalogue.entry import Entry, Norms, make_entry

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


@cache
def by_model_type() -> Mapping[str, Entry]:
    """The entry of every ``model_type`` of a config."""
    return {name: entry for entry in entries().values() for name in entry.model_types}


@cache
def by_gguf() -> Mapping[str, Entry]:
    """The entry of every architecture of GGUF files."""
    return {name: entry for entry in entries().values() for name in entry.gguf}


@cache
def norm_names() -> Norms:
    """How norms are called in any entry, in an order that every entry agrees with."""
    every = [entry.norms for entry in entries().values()]
    return Norms(
        attn=_merged(norms.attn for norms in every),
        mlp=_merged(norms.mlp for norms in every),
        last=_merged(norms.last for norms in every),
    )


def _merged(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    order: TopologicalSorter[str] = TopologicalSorter()
    for names in lists:
        for before, name in zip((None, *names), names, strict=False):
            order.add(name, *(() if before is None else (before,)))
    return tuple(order.static_order())
