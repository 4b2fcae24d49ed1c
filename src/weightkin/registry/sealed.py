"""A store of which nothing is used but what the registry wrote there, slot by slot."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from weightkin.arrays import Floats, Ints
from weightkin.errors import UnreadableModel
from weightkin.formats.model import SKETCH_SUFFIX
from weightkin.lineage.collection import contents_of
from weightkin.registry.blocks import ALIGNED, INVARIANT, Check, Halves, VectorBlock
from weightkin.registry.sealing import SLOTS_AT_ONCE, WORD, Altered, checked_name, mark_of, seal
from weightkin.scan import Bits, bits_of, rescored, scored
from weightkin.sketch import Sketch
from weightkin.sketch.file import sketch_bytes

MOST_ASKED = 500  # slots in one question to the database
SEAL_COLUMNS = {ALIGNED: "aligned_seal", INVARIANT: "invariant_seal"}


class Store(Protocol):
    """What the registry asks of a place. ``file`` names the contents, and is never used twice."""

    def write(
        self, slot: int, file: str, sketch: Sketch, aligned: Floats, invariant: Floats
    ) -> None:
        """Keep what belongs to a slot, over what was there; on disk when this returns."""
        ...

    def vectors(self, block: VectorBlock, n: int) -> tuple[Bits, Halves]:
        """The first ``n`` vectors and their signs, mapped from disk; anything at unknown slots.

        Raises `UnusableRegistry` where some are missing or damaged.
        """
        ...

    def sketch(self, slot: int, file: str, check: Check | None = None) -> Sketch:
        """One sketch that ``check`` lets pass; raises `UnreadableModel` where there is none.

        Raises `UnusableRegistry` where the place itself cannot be read.
        """
        ...

    def sketch_bytes(self, slot: int, file: str) -> bytes:
        """The file of one sketch as it is; raises what `sketch` does, but for the check."""
        ...

    def forget(self, slot: int, file: str) -> None:
        """Remove a sketch that nobody knows any more; nothing happens where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Seals:
    """Of one slot: as `contents` keeps them, and what it adds to the mark of all."""

    sketch: str
    aligned: str
    invariant: str
    mark: int


class SealedStore:
    """A store and the database that knows its seals; one for each connection."""

    def __init__(self, store: Store, connection: sqlite3.Connection) -> None:
        self._store = store
        self._connection = connection
        self._seen: dict[VectorBlock, set[int]] = {ALIGNED: set(), INVARIANT: set()}
        self._is_marked = False
        self.damaged: set[int] = set()  # slots of which a vector is not as written, as far as seen

    def write(
        self, slot: int, contents: str, file: str, sketch: Sketch, vectors: tuple[Floats, Floats]
    ) -> Seals:
        """Keep what belongs to a slot, and seal it."""
        self._store.write(slot, file, sketch, *vectors)
        rows = [x[None].astype(np.float16) for x in vectors]
        aligned, invariant = (seal(slot, contents, x.tobytes()) for x in rows)
        mark = mark_of(np.array([slot]), *map(bits_of, rows), first=slot)
        return Seals(seal(contents, file, sketch_bytes(sketch)), aligned, invariant, mark)

    def nearest(self, block: VectorBlock, query: Floats, k: int) -> tuple[Ints, Floats]:
        """The ``k`` slots nearest to a vector, and their cosines, nearest first."""
        bits, rows = self._vectors(block)
        slots = self._known(rescored(bits, query))
        slots = slots[np.isin(slots, self.sound(slots.tolist(), [block]))]
        return scored(rows, slots, query, k)

    def rows(self, block: VectorBlock, slots: Sequence[int]) -> Halves:
        """Vectors of some slots, in their order; raises `Altered` where one is damaged."""
        _, rows = self._vectors(block)
        if len(self.sound(slots, [block])) < len(slots):
            bad = min(self.damaged.intersection(slots))
            what = f"the {block.name} vector {bad}"
            raise Altered(f"{what} was changed by something other than weightkin")
        return rows[np.asarray(slots, dtype=np.int64)]

    def sound(
        self, slots: Sequence[int], blocks: Sequence[VectorBlock] = (ALIGNED, INVARIANT)
    ) -> list[int]:
        """Those of some slots whose vectors are as they were written; others count as damaged."""
        for block in blocks:
            rows = self._vectors(block)[1]
            self._check(block, rows, [x for x in slots if x not in self.damaged])
        return [x for x in slots if x not in self.damaged]

    def sketch(self, slot: int, file: str) -> Sketch:
        """One sketch, as it was written; raises `UnreadableModel` for any other."""
        check = partial(self._check_sketch, slot, file)
        sketch = self._store.sketch(slot, checked_name(file), check)
        contents = contents_of(sketch)
        if self._contents(slot)[0] != contents or file_of(contents, sketch.scheme.name) != file:
            raise _changed(file)
        return sketch

    def sketch_bytes(self, slot: int, file: str) -> bytes:
        """The file of one sketch as it was written."""
        data = self._store.sketch_bytes(slot, checked_name(file))
        self._check_sketch(slot, file, data)
        return data

    def forget(self, slot: int, file: str) -> None:
        """Remove a sketch that nobody knows any more."""
        self._store.forget(slot, checked_name(file))

    def mark_without(self, slots: Sequence[int]) -> str:
        """The mark of all but some slots; others that are damaged stay seen as such."""
        blocks = [self._vectors(block)[0] for block in (ALIGNED, INVARIANT)]
        if self.damaged:
            known = self._known(None)
            left = known[~np.isin(known, [*slots, *self.damaged])]
            return f"{mark_of(left, *blocks):016x}"
        (mark,) = self._connection.execute("SELECT mark FROM totals").fetchone()
        return with_mark(mark, -mark_of(np.asarray(slots, dtype=np.int64), *blocks))

    def _vectors(self, block: VectorBlock) -> tuple[Bits, Halves]:
        """All vectors, after the signs of all were held against their mark."""
        n, mark = self._connection.execute("SELECT next_slot, mark FROM totals").fetchone()
        if not self._is_marked:
            bits = [self._store.vectors(b, n)[0] for b in (ALIGNED, INVARIANT)]
            known = self._known(None)
            if len(known) and known[-1] >= n:
                raise Altered("totals was changed by something other than weightkin")
            self._is_marked = True
            if f"{mark_of(known, *bits):016x}" != mark:
                self._look_at_all(known.tolist())
        return self._store.vectors(block, n)

    def _known(self, among: Ints | None) -> Ints:
        """Slots that hold something, of those named or of all, ascending."""
        n, n_known = self._connection.execute("SELECT next_slot, n_contents FROM totals").fetchone()
        if n == n_known:
            return np.arange(n) if among is None else among
        found = self._connection.execute("SELECT slot FROM contents ORDER BY slot")
        known = np.fromiter((row[0] for row in found), np.int64)
        return known if among is None else among[np.isin(among, known)]

    def _look_at_all(self, known: list[int]) -> None:
        """Find what is damaged, slot by slot; all of it is in doubt where that is nothing."""
        for block in (ALIGNED, INVARIANT):
            bits, rows = self._vectors(block)
            self._check(block, rows, known)
            for start in range(0, len(known), SLOTS_AT_ONCE):
                some = known[start : start + SLOTS_AT_ONCE]
                is_other = (bits[some] != bits_of(rows[some])).any(axis=1)
                self.damaged.update(x for x, other in zip(some, is_other, strict=True) if other)
        if not self.damaged:
            raise Altered("search vectors were changed by something other than weightkin")

    def _check(self, block: VectorBlock, rows: Halves, slots: Sequence[int]) -> None:
        """Note which vectors are not as they were written."""
        new = [slot for slot in slots if slot not in self._seen[block]]
        for start in range(0, len(new), MOST_ASKED):
            some = new[start : start + MOST_ASKED]
            marks = ", ".join("?" * len(some))
            question = f"SELECT slot, contents, {SEAL_COLUMNS[block]} FROM contents"  # noqa: S608
            found = self._connection.execute(f"{question} WHERE slot IN ({marks})", some).fetchall()
            for slot, contents, given in found:
                if given != seal(slot, contents, rows[slot].tobytes()):
                    self.damaged.add(slot)
            if len(found) != len(set(some)):
                raise Altered("models were removed by something other than weightkin")
        self._seen[block].update(new)

    def _check_sketch(self, slot: int, file: str, data: bytes) -> None:
        contents, given = self._contents(slot)
        if seal(contents, file, data) != given:
            raise _changed(file)

    def _contents(self, slot: int) -> tuple[str, str]:
        """Name of the contents of a slot, and the seal of their sketch."""
        found: tuple[str, str] = self._connection.execute(
            "SELECT contents, sketch_seal FROM contents WHERE slot = ?", (slot,)
        ).fetchone()
        return found


def file_of(contents: str, scheme: str) -> str:
    """Name of the file of a sketch."""
    return f"{hashlib.sha256(f'{contents} {scheme}'.encode()).hexdigest()}{SKETCH_SUFFIX}"


def _changed(file: str) -> UnreadableModel:
    said = "the sketch was changed by something other than weightkin"
    return UnreadableModel(f"{file[:16]}…: {said}")


def with_mark(total: str, more: int) -> str:
    """A mark of all with one more slot, or with one less for a negative number."""
    return f"{(int(total, 16) + more) & WORD:016x}"
