"""Make the catalogue of library classes, or compare a sample of it with what is stored.

    python -m benchmarks.catalogue [NAME ...] [--seconds N] [--workers N] [--again]
    python -m benchmarks.catalogue --check N

Every class is made in a process of a pool, within a limit of time; what is made lies in
``build/catalogue``, so that a run that was stopped goes on. The store is written from all of that,
and keeps what it has of classes that were not made now.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

from benchmarks.catalogue import kept
from benchmarks.catalogue.made_table import table
from benchmarks.catalogue.work import LIMIT, known_classes, library_versions, made_facts
from benchmarks.lib.bounded import each
from weightkin.catalogue import store
from weightkin.catalogue.traced import entry_of

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "catalogue"
STORE = ROOT / "src" / "weightkin" / "catalogue" / store.FILE
REPORT = Path(__file__).with_name("made.md")
SLACK = 20  # wall-clock seconds for one of computing: others may use the cores
GIGABYTES = 12.0  # of address space for one class


def main() -> int:
    """Make what is asked for and write the store, or check a sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="classes or model types (default: all)")
    parser.add_argument("--seconds", type=int, default=1 << 30, help="start no class after this")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="also what was made before")
    parser.add_argument(
        "--check", type=int, default=0, help="compare so many classes, evenly spread"
    )
    asked = parser.parse_args()
    if asked.check:
        return _check(asked.check)
    wanted = [x for x in known_classes() if not asked.names or set(asked.names) & set(x.split(":"))]
    todo = [x for x in wanted if asked.again or not _is_made(x)]
    print(f"{len(todo)} of {len(wanted)} classes to make", flush=True)
    _make(todo, asked.workers, asked.seconds)
    write_store()
    return 0


def write_store() -> None:
    """Write the store, its notes and the table from all that is made now or was before."""
    made = {path.stem: json.loads(path.read_text()) for path in sorted(BUILT.glob("*.json"))}
    fresh = {name: x for name, x in made.items() if x["generator"] == store.GENERATOR}
    facts = {**kept.kept_facts(store.unpacked(STORE.read_bytes())), **fresh}
    entries, numbers = kept.merged(facts)
    data = store.packed(entries, library_versions())
    STORE.write_bytes(data)
    kept.write_notes(facts, numbers)
    REPORT.write_text(table(facts), encoding="utf-8")
    print(f"{STORE.name}: {len(data)} bytes, {len(entries)} entries")


def _path(name: str) -> Path:
    return BUILT / f"{name.replace(':', '.')}.json"


def _is_made(name: str) -> bool:
    if not _path(name).is_file():
        return False
    return bool(json.loads(_path(name).read_text())["generator"] == store.GENERATOR)


def _make(names: Sequence[str], workers: int, seconds: int) -> None:
    """Make classes, each in a process that may end without harm to the others."""
    end = time.monotonic() + seconds
    BUILT.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda i: _make_share(names[i::workers], end), range(workers)))


def _make_share(names: Sequence[str], end: float) -> None:
    todo = takewhile(lambda _: time.monotonic() < end, names)
    for name, found, why in each(made_facts, todo, seconds=SLACK * LIMIT, gigabytes=GIGABYTES):
        facts = found or {"entry": None, "why": why, "shares": [], "opaque": [], "seconds": 0.0}
        _path(name).write_text(json.dumps({**facts, "generator": store.GENERATOR}))
        said = facts["why"] or "kept"
        print(f"{name}: {said} {facts['shares']} {facts['seconds']} s", flush=True)


def _check(n: int) -> int:
    """Make some classes again; the store must have what comes out."""
    stored = store.unpacked(STORE.read_bytes())
    names = known_classes()
    differs = []
    for name in names[:: max(1, len(names) // n)][:n]:
        facts = made_facts(name)
        before = [(x.components, x.rows) for x in stored if facts["class"] in x.classes]
        now = entry_of(facts["entry"]) if facts["entry"] else None
        is_same = (now.components, now.rows) in before if now else not before
        if not is_same:
            differs.append(name)
        print(f"{name}: {'as stored' if is_same else 'DIFFERS'}", flush=True)
    return len(differs)


if __name__ == "__main__":
    sys.exit(main())
