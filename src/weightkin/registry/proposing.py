"""What a search proposes: registered contents that a vector or a name puts forward.

Whatever is damaged proposes nothing, and is said: a search that could not look at all of a registry
is not complete.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.arrays import Floats
from weightkin.errors import UnreadableModel
from weightkin.lineage.proposed import LEAST_COSINE
from weightkin.records import Skipped, left_out, unread
from weightkin.records.registry import Registered, Relative
from weightkin.registry.blocks import ALIGNED, INVARIANT
from weightkin.registry.noted import with_notes
from weightkin.registry.prepared import Prepared
from weightkin.registry.row_index import holders
from weightkin.registry.sealed import SealedStore
from weightkin.registry.sealing import Altered
from weightkin.registry.store import COLUMNS
from weightkin.sketch import Sketch
from weightkin.sketch.vectors import search_vector

LEAST_INVARIANT = 0.5  # cosine of two invariant vectors from which weights are compared
MOST_ROUNDED = 1e-3  # of one number of a vector, which is kept in half precision


@dataclass(frozen=True, slots=True)
class Candidate:
    """Registered contents that a vector proposes, with every model that holds them."""

    slot: int
    cosine: float
    invariant_cosine: float
    models: tuple[Registered, ...]
    sketch: Sketch

    @property
    def model(self) -> Registered:
        """The one registered first."""
        return self.models[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a search. ``own`` is no candidate; the models ``wanted`` are, in any case.

    With ``fresh`` nothing that was found before counts.
    """

    own: Registered | None
    wanted: Sequence[int]
    alpha: float
    seed: int
    most: int
    fresh: bool = False

    @property
    def number(self) -> int:
        """That of the model itself in the registry, 0 where it has none."""
        return self.own.id if self.own else 0


@dataclass
class Compared:
    """What became of the candidates."""

    request: Request
    n_scanned: int
    slot: int | None = None  # of these very contents, if they are registered
    relatives: list[Relative] = field(default_factory=list)
    others: list[Relative] = field(default_factory=list)
    candidates: dict[int, Candidate] = field(default_factory=dict)  # by the id of their model
    skipped: list[Skipped] = field(default_factory=list)
    bytes_read: int = 0
    is_incomplete: bool = False  # a candidate could not be read, or an entry is damaged

    def lose(self, what: Skipped) -> None:
        """Note what could not be looked at."""
        self.is_incomplete = True
        if what not in self.skipped:
            self.skipped.append(what)

    @property
    def paid_alpha(self) -> float:
        """The level of one comparison: all that were scanned share that of the search."""
        return self.request.alpha / max(1, self.n_scanned)


def candidates(
    store: SealedStore, connection: sqlite3.Connection, query: Prepared, found: Compared
) -> Iterator[Candidate]:
    """The nearest by either vector, those nearest by both first; then those asked for by name.

    What holds an equal matrix under any name is looked at whatever vectors say.

    Parameters
    ----------
    store, connection : SealedStore, sqlite3.Connection
        An open registry.
    query : Prepared
        The model that is searched for.
    found : Compared
        What is asked; what is damaged is noted there.

    Yields
    ------
    Candidate
    """
    wanted, most = found.request.wanted, found.request.most
    blocks = [
        (ALIGNED, query.aligned, LEAST_COSINE),
        (INVARIANT, query.invariant, LEAST_INVARIANT),
    ]
    near: set[int] = set()
    for block, vector, least in blocks:
        if most and vector.any():
            at, cosines = store.nearest(block, vector, most)
            near.update(at[cosines >= least].tolist())
    alike = set(holders(connection, query.sketch, most) if most else ())
    marks = ", ".join("?" * len(wanted))
    named = f"SELECT DISTINCT slot FROM models WHERE id IN ({marks})"  # noqa: S608
    named_slots = {row[0] for row in connection.execute(named, tuple(wanted))}
    if found.slot is not None:
        named_slots.add(found.slot)  # equal contents, whatever vectors can show of them
    named_slots |= alike
    slots = store.sound(sorted(near | named_slots))
    for slot in sorted(store.damaged):
        found.lose(left_out(_label(connection, slot), "registry-damaged"))
    near, named_slots = near.intersection(slots), named_slots.intersection(slots)
    scores = [np.asarray(store.rows(b, slots), np.float32) @ vector for b, vector, _ in blocks]
    both = {slot: (float(x), float(y)) for slot, x, y in zip(slots, *scores, strict=True)}
    order = sorted(near, key=lambda slot: (-sum(max(0.0, c) for c in both[slot]), slot))[:most]
    for slot in [*order, *sorted(named_slots - set(order))]:
        try:
            models = _models(connection, slot)
            sketch = _sketch(store, connection, slot)
            check_vector(store, slot, sketch)
        except UnreadableModel as error:
            found.lose(unread(_label(connection, slot), error))
            continue
        except Altered:
            found.lose(left_out(_label(connection, slot), "registry-damaged"))
            continue
        first = models[0]
        sketch = replace(sketch, name=first.name, source=first.source, digest=first.digest)
        aligned, invariant = both[slot]
        yield Candidate(slot, aligned, invariant, models, sketch)


def slot_of(connection: sqlite3.Connection, query: Prepared) -> int | None:
    """Where these contents are registered, if they are."""
    row = connection.execute(
        "SELECT slot FROM contents WHERE contents = ?", (query.contents,)
    ).fetchone()
    return None if row is None else int(row[0])


def invariant_at(store: SealedStore, slot: int) -> Floats:
    """The invariant vector of registered contents."""
    return np.asarray(store.rows(INVARIANT, [slot])[0], dtype=np.float32)


def check_vector(store: SealedStore, slot: int, sketch: Sketch) -> None:
    """Refuse a vector that is not that of its sketch, sealed or not.

    Parameters
    ----------
    store, slot : SealedStore, int
        Where the vector is.
    sketch : Sketch
        That of the same contents.

    Raises
    ------
    Altered
        A number of the aligned vector differs by more than its rounding.
    """
    stated = np.asarray(store.rows(ALIGNED, [slot])[0], dtype=np.float32)
    if np.abs(stated - np.nan_to_num(search_vector(sketch))).max() > MOST_ROUNDED:
        raise Altered(f"the aligned vector {slot} is not that of its sketch")


def _models(connection: sqlite3.Connection, slot: int) -> tuple[Registered, ...]:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM models WHERE slot = ? ORDER BY id",  # noqa: S608
        (slot,),
    ).fetchall()
    if not rows:
        raise Altered("models were removed by something other than weightkin")
    return tuple(with_notes(connection, row) for row in rows)


def _sketch(store: SealedStore, connection: sqlite3.Connection, slot: int) -> Sketch:
    name = connection.execute("SELECT sketch FROM contents WHERE slot = ?", (slot,)).fetchone()[0]
    return store.sketch(slot, name)


def _label(connection: sqlite3.Connection, slot: int) -> str:
    """A name for an entry that may be damaged."""
    row = connection.execute("SELECT id FROM models WHERE slot = ? ORDER BY id", (slot,)).fetchone()
    return f"slot {slot}" if row is None else f"#{row[0]}"
