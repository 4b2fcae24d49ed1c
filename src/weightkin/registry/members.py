"""The whole family of registered contents: vectors propose, a test concludes, one after the other.

A family that a graph knows is taken as it is there. What is in no graph yet is looked at from both
sides: what is near it, and whom of a known family it is near.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from weightkin.arrays import Floats
from weightkin.errors import UnreadableModel
from weightkin.lineage.growing import are_related
from weightkin.lineage.proposed import LEAST_COSINE, N_NEAREST
from weightkin.registry.blocks import ALIGNED, INVARIANT, Halves, VectorBlock
from weightkin.registry.proposing import LEAST_INVARIANT
from weightkin.registry.sealed import SealedStore
from weightkin.registry.slots import Sketches, Slot
from weightkin.sketch import Sketch

MOST_AGAIN = 128  # members of a family that is computed for one question
Groups = Mapping[int, frozenset[int]]  # of each slot in a graph, the slots of its family there
Near = tuple[int, int, bool]  # a slot, a member that it is near, and whether only weights show it
LEAST = ((ALIGNED, LEAST_COSINE), (INVARIANT, LEAST_INVARIANT))


def family_of(
    store: SealedStore,
    held: Mapping[int, Slot],
    known: Groups,
    start: Iterable[int],
    alpha: float,
) -> frozenset[int] | None:
    """Slots of a whole family, from some of its members on; None where it is too large.

    Contents that only weights show to be related are taken in without a test.

    Parameters
    ----------
    store, held : SealedStore, mapping
        The vectors and sketches, and what every slot holds.
    known : mapping
        Families of a graph.
    start : iterable of int
        Slots to begin with.
    alpha : float
        Level of one test.

    Returns
    -------
    frozenset of int or None
        One family of the graph is never too large.
    """
    new = set(held) - known.keys()
    seen: set[int] = set()
    waiting: list[int] = []
    sketches = _Read(store, held)

    def take(slot: int) -> None:
        if slot not in seen:
            seen.update(known.get(slot, (slot,)))
            waiting.append(slot)

    for slot in start:
        take(slot)
    while waiting:
        slot = waiting.pop()
        group = known.get(slot, frozenset())
        if is_too_large(seen) and seen != group:
            return None
        near = _near_any(store, new - seen, group) if group else _near(store, held, slot)
        for other, member, is_hidden in near:
            if other not in seen and (is_hidden or sketches.related(member, other, alpha)):
                take(other)
    return frozenset(seen)


def is_too_large(family: Collection[int]) -> bool:
    """Whether a family is not computed for one question."""
    return len(family) > MOST_AGAIN


def may_hide(store: SealedStore, slots: Iterable[int]) -> set[int]:
    """Of some slots, those whose invariant vectors are alike and whose aligned ones are not."""
    among = store.sound(sorted(slots))
    rows = {b.name: store.rows(b, among) for b, _ in LEAST}
    found: set[int] = set()
    for start in range(0, len(among), 1024):
        some = slice(start, start + 1024)
        for first in range(0, len(among), 8192):
            other = slice(first, first + 8192)
            alike = _products(rows["invariant"], some, other) >= LEAST_INVARIANT
            if alike.any():
                alike &= _products(rows["aligned"], some, other) < LEAST_COSINE
                i, j = np.nonzero(alike)
                found.update(among[start + k] for k in i.tolist())
                found.update(among[first + k] for k in j.tolist())
    return found


class _Read(dict[int, Sketch]):
    """Sketches by slot, each read once."""

    def __init__(self, store: SealedStore, held: Mapping[int, Slot]) -> None:
        self._store, self._held = store, held

    def __missing__(self, slot: int) -> Sketch:
        self[slot] = Sketches(self._store, {"": self._held[slot]})[""]
        return self[slot]

    def related(self, slot: int, other: int, alpha: float) -> bool:
        """Whether a test shows it; not where a sketch cannot be read."""
        try:
            return are_related(self[slot], self[other], alpha)
        except UnreadableModel:
            return False


def _near(store: SealedStore, held: Mapping[int, Slot], slot: int) -> Iterator[Near]:
    """All that is near one slot, the nearest first; nothing where that slot is damaged."""
    close: set[int] = set()
    if not store.sound([slot]):
        return
    for block, least in LEAST:
        at, cosine = store.nearest(block, _row(store, block, slot), N_NEAREST + 1)
        for other, c in zip(at.tolist(), cosine, strict=True):
            if c >= least and other in held and other not in close:
                close.add(other)
                yield other, slot, block is INVARIANT


def _near_any(store: SealedStore, new: set[int], group: frozenset[int]) -> Iterator[Near]:
    """Those of some slots that are near a member of a family, beside the nearest members."""
    others, members = store.sound(sorted(new)), store.sound(sorted(group))
    if not others or not members:
        return
    aligned, invariant = (
        np.asarray(store.rows(b, others), np.float32)
        @ np.asarray(store.rows(b, members), np.float32).T
        for b, _ in LEAST
    )
    for k, other in enumerate(others):
        for m in np.argsort(-aligned[k], kind="stable").tolist():
            if aligned[k, m] < LEAST_COSINE:
                break
            yield other, members[m], False
        if aligned[k].max() < LEAST_COSINE and invariant[k].max() >= LEAST_INVARIANT:
            yield other, members[int(invariant[k].argmax())], True


def _row(store: SealedStore, block: VectorBlock, slot: int) -> Floats:
    return np.asarray(store.rows(block, [slot])[0], np.float32)


def _products(rows: Halves, some: slice, other: slice) -> Floats:
    x, y = (np.asarray(rows[k], dtype=np.float32) for k in (some, other))
    return x @ y.T
