"""Which members of a family are images of others: casts, quantised, pruned, extended copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.arrays import Doubles
from weightkin.derivation.kinds import Derivation
from weightkin.lineage.pair_measures import PairMeasures
from weightkin.lineage.relatives import OnProgress, Relatives
from weightkin.records.kinds import KINDS

IMAGE = 0.8  # probability from which a member is an image, and no mixture is looked for


@dataclass(frozen=True, slots=True)
class Made:
    """How one of two members was made from the other, and how far they are apart."""

    derivation: Derivation
    distance: float  # relative


class Derivations:
    """What pairs of a family say by themselves, each looked at once."""

    def __init__(self, relatives: Relatives, family: Sequence[int]) -> None:
        self._relatives, self._family = relatives, family
        self._known: dict[tuple[int, int], Made] = {}

    def of(self, u: int, v: int) -> Made:
        """How v was made from u, or u from v; positions in the family. Disguises are named."""
        i, j = self._family[u], self._family[v]
        made = self._known.get((u, v))
        if made is not None and any(KINDS[kind].is_lossy for kind in made.derivation.kind):
            return made
        return self._made(i, j, self._relatives.undone(i, j))

    def equal(self) -> dict[int, int]:
        """Members that differ from another one in nothing but how it is stored, and from which."""
        found: dict[int, int] = {}
        for (u, v), made in sorted(self._known.items()):
            if any(KINDS[kind].is_equal for kind in made.derivation.kind):
                found.setdefault(v, found.get(u, u))
        return found

    def _made(self, i: int, j: int, undone: Sequence[str] = ()) -> Made:
        derivation, relation = self._relatives.derive(i, j, undone)
        return Made(derivation, relation.relative_distance)

    def images(self, pairs: PairMeasures, on_progress: OnProgress | None = None) -> Doubles:
        """Probability that the child of each pair is a lossy image of the parent: ``(m,)``."""
        found = np.zeros(len(pairs.parents))
        at = {
            (u, v): k
            for k, (u, v) in enumerate(
                zip(pairs.parents.tolist(), pairs.children.tolist(), strict=True)
            )
        }
        last = -1
        for u, v in at:
            if on_progress is not None and u != last:
                on_progress(u, len(self._family))
                last = u
            if u > v or not self._relatives.may_be_made(self._family[u], self._family[v]):
                continue
            self._known[u, v] = self._made(self._family[u], self._family[v])
            made = self._known[u, v].derivation
            if any(KINDS[kind].is_lossy for kind in made.kind):
                if made.parent == "a":
                    found[at[u, v]] = made.probability
                elif made.parent == "b":
                    found[at[v, u]] = made.probability
        return found
