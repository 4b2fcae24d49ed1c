"""What was made before, kept in the repository, so that a few classes can be made anew alone.

``made.json`` has a line for each class: why it was left out, or the number of its entry in the
store, which several classes may share. With it and the store, ``__main__`` writes both again from
the classes made now and those that were not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weightkin.catalogue.store import Store
from weightkin.catalogue.traced import TracedEntry, entry_facts, entry_of

NOTES = Path(__file__).with_name("made.json")
SAID = ("why", "shares", "opaque")


def kept_facts(store: Store, notes: Path = NOTES) -> dict[str, dict[str, Any]]:
    """Facts of the classes of the store and of those left out, as ``work.made_facts`` gives them.

    Parameters
    ----------
    store : Store
        Their entries.
    notes : Path, optional
        What is said of them.

    Returns
    -------
    dict of str to dict
        By ``library.model type.class``, in the order of the notes.
    """
    facts: dict[str, dict[str, Any]] = json.loads(notes.read_text(encoding="utf-8"))
    for name, line in facts.items():
        number = line["entry"]
        if number is not None:
            line["entry"] = entry_facts(_own(name, store.entry(number)))
    return facts


def _own(name: str, entry: TracedEntry) -> TracedEntry:
    """An entry that several classes share, as one of them made it."""
    library, _, rest = name.partition(".")
    kind, _, owner = rest.rpartition(".")
    if library == "transformers":
        return replace(entry, classes=(f"{library}.{owner}",), model_types=(kind,))
    return replace(entry, classes=(f"{library}.{kind}",), model_types=())


def merged(facts: Mapping[str, Mapping[str, Any]]) -> tuple[list[TracedEntry], dict[str, int]]:
    """Return the entries of all classes, and the number of each class's own.

    Parameters
    ----------
    facts : mapping of str to mapping
        Facts of every class.

    Returns
    -------
    list of TracedEntry
        Alike ones as one; ordered by what they hold, so that they compress.
    dict of str to int
        Where the entry of each class stands among them.
    """
    kept = {name: entry_of(line["entry"]) for name, line in facts.items() if line["entry"]}
    alike: dict[str, list[str]] = {}
    for name, entry in kept.items():
        plain = entry_facts(entry)
        key = json.dumps([plain["components"], plain["rows"], plain.get("ignored")])
        alike.setdefault(key, []).append(name)
    found = [(_joined(kept[name] for name in names), names) for names in alike.values()]
    found.sort(key=lambda x: (sorted(row.pattern for row in x[0].rows), x[0].classes))
    numbers = {name: i for i, (_, names) in enumerate(found) for name in names}
    return [entry for entry, _ in found], numbers


def _joined(alike: Iterable[TracedEntry]) -> TracedEntry:
    entries = list(alike)
    if len(entries) == 1:
        return entries[0]
    classes = {name for entry in entries for name in entry.classes}
    kinds = {name for entry in entries for name in entry.model_types}
    return replace(entries[0], classes=tuple(sorted(classes)), model_types=tuple(sorted(kinds)))


def write_notes(
    facts: Mapping[str, Mapping[str, Any]], numbers: Mapping[str, int], notes: Path = NOTES
) -> None:
    """Write a line for each class."""
    lines = [
        f"{json.dumps(name)}: "
        + json.dumps({**{key: facts[name][key] for key in SAID}, "entry": numbers.get(name)})
        for name in sorted(facts)
    ]
    notes.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
