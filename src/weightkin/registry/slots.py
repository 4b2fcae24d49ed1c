"""What a registry holds: every slot with its models, and its sketches as the nodes of a graph."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from weightkin.records.registry import Registered
from weightkin.registry.sealed import SealedStore
from weightkin.registry.sealing import Altered
from weightkin.registry.store import COLUMNS, model_of_row
from weightkin.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot: the models that hold these contents, the first one first, and their sketch file."""

    slot: int
    models: tuple[Registered, ...]
    file: str

    @property
    def ids(self) -> tuple[int, ...]:
        """Numbers of the models."""
        return tuple(m.id for m in self.models)


class Sketches(Mapping[str, Sketch]):
    """Sketches of nodes by their id, read from the store when they are asked for."""

    def __init__(self, store: SealedStore, held: Mapping[str, Slot]) -> None:
        self.held = held
        self._store = store

    def __getitem__(self, node: str) -> Sketch:
        own = self.held[node]
        first = own.models[0]
        sketch = self._store.sketch(own.slot, own.file)
        return replace(sketch, name=first.name, source=first.source, digest=first.digest)

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


def slots_of(
    connection: sqlite3.Connection, lost: Callable[[str], None] | None = None
) -> dict[int, Slot]:
    """What every slot holds, in order.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    lost : callable, optional
        Given the number of every model whose entry is damaged.

    Returns
    -------
    dict
        Slots that hold something, by number.

    Raises
    ------
    Altered
        An entry is damaged, without ``lost``.
    """
    columns = ", ".join(f"models.{c}" for c in COLUMNS.split(", "))
    models: dict[int, list[Registered]] = defaultdict(list)
    files: dict[int, str] = {}
    for slot, file, *row in connection.execute(
        f"SELECT models.slot, contents.sketch, {columns} FROM models"  # noqa: S608
        " JOIN contents ON contents.slot = models.slot ORDER BY models.slot, models.id"
    ):
        try:
            models[slot].append(model_of_row(tuple(row)))
        except Altered:
            if lost is None:
                raise
            lost(f"#{row[0]}")
            continue
        files[slot] = file
    return {slot: Slot(slot, tuple(x), files[slot]) for slot, x in models.items() if x}


def unused(name: str, taken: Iterable[str]) -> str:
    """A name for a node that no other has."""
    there = set(taken)
    found, n = name, 1
    while found in there:
        n += 1
        found = f"{name}~{n}"
    return found
