"""One frame for all members of a family: disguised ones are brought back to the order of the rest.

Members stand in one frame where an aligned test joins them and nothing was disguised between them.
A smaller group is brought into the frame of a larger one through one pair of models that a test has
shown to be related: what was done to that one was done to all of its group. What was brought over
is measured there, and stays only where it has come near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.derivation.distances import relate
from weightkin.derivation.heads_looked import Settled
from weightkin.derivation.in_frame import WayBack, way_back
from weightkin.errors import UsageError
from weightkin.formats import Model
from weightkin.lineage.candidates import Framed, Member
from weightkin.lineage.framed_sketches import distance, low_distance, sketch_of
from weightkin.lineage.groups import Groups
from weightkin.lineage.looks import Look, look_for_relatives
from weightkin.lineage.relatives import THOROUGH, OnProgress, Relatives
from weightkin.sketch import Sketch

MAX_FRAMED_BYTES = 64 << 20  # of a model that is held in memory to be brought back
AS_NEAR = 1e-5  # difference of two distances that rounding makes
MAX_STEPS = 2  # from one pair of models to a nearer one
N_TRIED = 2  # other models that a part of the matrices names
MAX_NEAREST = 64  # models of a family among which the nearest one is looked for
NEAR = 0.9  # mean relative distance of matrices from which two models are not near each other
FALLEN = 0.9  # of the distance before: what was undone must have brought two models closer


@dataclass(frozen=True, slots=True)
class OneFrame:
    """Families after disguised members have come in."""

    families: list[list[int]]
    framed: dict[int, Framed]
    apart: list[Look]  # related, and not to be brought into one frame
    unseen: list[int]  # models that not all proposed pairs of were looked at


@dataclass(frozen=True, slots=True)
class _Entry:
    """A pair of models through which a group comes into a frame."""

    link: Look
    back: WayBack | None
    sketch: Sketch  # of ``link.b``, brought back
    distance: float  # of the two


@dataclass
class _Frames:
    """Members in the frame of their family, while it grows."""

    members: Sequence[Member]
    framed: dict[int, Framed] = field(default_factory=dict)
    settled: dict[tuple[int, int], frozenset[Settled]] = field(default_factory=dict)  # by pair
    _models: dict[int, Model] = field(default_factory=dict)  # brought back

    def split(
        self, relatives: Relatives, families: Sequence[Sequence[int]]
    ) -> tuple[dict[int, list[int]], list[Look]]:
        """Of each model those in one frame with it; related pairs between which there is more."""
        groups = Groups(i for family in families for i in family)
        links = []
        for i, j, kinds in relatives.related():
            if kinds or self._is_hidden(i, j):
                links.append(Look(i, j, None))
            else:
                groups.join(i, j)
        return {i: group for group in groups.all() for i in group}, links

    def _is_hidden(self, i: int, j: int) -> bool:
        """Whether matrices that share nothing do so once a disguise is undone."""
        a, b = self.members[i], self.members[j]
        if len(self.members) > THOROUGH or not relate(a.sketch, b.sketch).unrelated:
            return False
        try:
            back = self._way_back(i, j, is_aligned=True)
            after = None if back is None else sketch_of(back(self._side(j).model), b)
        except UsageError:
            return False
        before = distance(a.sketch, b.sketch)
        return after is not None and distance(a.sketch, after) < FALLEN * before

    def bring(self, group: Sequence[int], link: Look, there: Sequence[int]) -> bool:
        """Bring a group over through one of its models, ``link.b``; whether it has come near."""
        few = [i for i in there if self.members[i].model is not None][:MAX_NEAREST]
        try:
            entry = self._nearest(link, group[:MAX_NEAREST], few)
        except UsageError:
            return False
        if entry.distance >= NEAR or (entry.back is not None and not self._has_fallen(entry, few)):
            return False
        kinds = () if entry.back is None else entry.back.kinds
        nearest = self._nearest_to(entry.sketch, few)
        self.framed[entry.link.b] = Framed(
            sketch=entry.sketch,
            kinds=kinds,
            reference=nearest,
            distance=distance(self._sketch(nearest), entry.sketch),
            record=link.record,
            group=entry.link.b,
        )
        if entry.back is not None:
            self._models[entry.link.b] = entry.back(self._side(entry.link.b).model)
            for i in group:
                if i != entry.link.b:
                    self._follow(i, entry, few)
        return True

    def _has_fallen(self, entry: _Entry, few: Sequence[int]) -> bool:
        """Whether those near it afterwards were farther before; a hybrid joins others too."""
        both = (self.members[entry.link.b].sketch, entry.sketch)
        before, after = (np.array(self._far(few, x)) for x in both)
        is_near = after < NEAR
        return bool(is_near.any() and after[is_near].mean() < FALLEN * before[is_near].mean())

    def _way_back(self, i: int, j: int, *, is_aligned: bool) -> WayBack | None:
        """What brings a model into the frame of another; which heads it settles is kept."""
        back, settled = way_back(self._side(i), self._side(j), is_aligned=is_aligned)
        self.settled[i, j] = settled
        self.settled[j, i] = frozenset(Settled(x.b, x.a, x.role) for x in settled)
        return back

    def _side(self, i: int) -> Side:
        """A model as it stands in the frame; refused where it cannot be held in memory."""
        model = self._models.get(i, self.members[i].model)
        if model is None or not _is_held(model):
            raise UsageError(f"{self.members[i].id}: its weights cannot be held in memory")
        return Side(model, read_anatomy(model))

    def _sketch(self, i: int) -> Sketch:
        return self.framed[i].sketch if i in self.framed else self.members[i].sketch

    def _far(self, those: Sequence[int], sketch: Sketch) -> list[float]:
        """How far models that stand in the frame are."""
        return [distance(self._sketch(i), sketch) for i in those]

    def _nearest_to(self, sketch: Sketch, few: Sequence[int]) -> int:
        """The nearest model; of those as near the one that has most of the same tensors."""
        far = self._far(few, sketch)
        own = {(x.name, x.shape) for x in sketch.tensors.values()}
        best = [i for i, d in zip(few, far, strict=True) if d <= min(far) + AS_NEAR]
        alike = [
            sum((x.name, x.shape) in own for x in self._sketch(i).tensors.values()) for i in best
        ]
        return best[int(np.argmax(alike))]

    def _nearest(self, link: Look, group: Sequence[int], few: Sequence[int]) -> _Entry:
        """The pair of models through which the two groups come nearest, found step by step."""
        entry = self._entry(link)
        alike = [i for i in few if self._is_alike(i, link.b)]  # others show a part of the maps
        if alike and link.a not in alike:
            first = alike[int(np.argmin(self._far(alike, self._sketch(link.a))))]
            entry = self._entry(Look(first, link.b, link.record))
        pool = alike or few
        for first in self._partly_nearest(pool, entry):
            other = self._entry(Look(first, link.b, link.record))
            entry = min(entry, other, key=lambda x: x.distance)
        for _ in range(MAX_STEPS):
            nearest = pool[int(np.argmin(self._far(pool, entry.sketch)))]
            far = {entry.link.b: distance(self._sketch(nearest), entry.sketch)}
            back = entry.back
            for i in group:
                if back is not None and i != entry.link.b and self._is_alike(i, entry.link.b):
                    made = sketch_of(back(self._side(i).model), self.members[i])
                    far[i] = distance(self._sketch(nearest), made)
            step = Look(nearest, min(far, key=lambda i: far[i]), link.record)
            if step == entry.link:
                break
            other = self._entry(step)
            if other.distance >= entry.distance:
                break
            entry = other
        return entry

    def _partly_nearest(self, pool: Sequence[int], entry: _Entry) -> list[int]:
        """Models as near in a quarter of their matrices: one that lost the others orders them."""
        if entry.back is None or entry.distance <= AS_NEAR:
            return []
        far = [low_distance(self._sketch(i), entry.sketch) for i in pool]
        order = np.argsort(far, kind="stable").tolist()
        return [pool[k] for k in order if pool[k] != entry.link.a][:N_TRIED]

    def _entry(self, link: Look) -> _Entry:
        own, side = self.members[link.b], self._side(link.b)
        back = self._way_back(link.a, link.b, is_aligned=link.record is None)
        sketch = own.sketch if back is None else sketch_of(back(side.model), own)
        return _Entry(link, back, sketch, distance(self._sketch(link.a), sketch))

    def _is_alike(self, i: int, j: int) -> bool:
        """Whether two models have the same names and shapes."""
        a, b = (self._side(k).model.tensors for k in (i, j))
        return {n: x.shape for n, x in a.items()} == {n: x.shape for n, x in b.items()}

    def _follow(self, i: int, entry: _Entry, few: Sequence[int]) -> None:
        """Bring a model over as another of its group was: by the same maps, if they fit."""
        own, first = self.members[i], self.members[entry.link.b]
        try:
            side = self._side(i)
            back = entry.back
            if not self._is_alike(i, entry.link.b):
                is_aligned = entry.link.record is None
                back = self._way_back(entry.link.b, i, is_aligned=is_aligned)
            made = side.model if back is None else back(side.model)
        except UsageError:
            return
        sketch = sketch_of(made, own)
        before = distance(first.sketch, own.sketch)
        if distance(entry.sketch, sketch) > before / FALLEN + 1 - FALLEN:
            return
        nearest = self._nearest_to(sketch, few)
        far = distance(self._sketch(nearest), sketch)
        found = self.framed[entry.link.b]
        self._models[i] = made
        self.framed[i] = replace(found, sketch=sketch, reference=nearest, distance=far)


def in_one_frame(
    members: Sequence[Member],
    relatives: Relatives,
    families: Sequence[Sequence[int]],
    on_progress: OnProgress | None = None,
) -> OneFrame:
    """Find disguised relatives, and bring them and disguised members into the family's frame.

    Whether two models are related rests on the p-values of `compare` and of the aligned tests,
    at the level that is paid for all pairs; distances after a disguise is undone are a measure.

    Parameters
    ----------
    members : sequence of Member
        All models.
    relatives : Relatives
        The tests that joined families.
    families : sequence of sequence of int
        Positions of members, family by family.
    on_progress : callable, optional
        Called with the number of pairs that are looked at, and of all.

    Returns
    -------
    OneFrame
        The families, larger than before where disguised relatives were found.
    """
    alpha = relatives.paid_alpha
    looked = look_for_relatives(members, families, alpha, relatives.seed, on_progress)
    found, unseen, parts = looked
    relatives.parts |= parts
    frames = _Frames(members)
    group_of, links = frames.split(relatives, families)
    joined = Groups(range(len(members)))
    for family in families:
        for i in family[1:]:
            joined.join(family[0], i)
    waiting = [*links, *found]
    failed: list[Look] = []
    done: set[int] = set()
    for start in sorted(group_of.values(), key=lambda group: (-len(group), group)):
        there = [] if done.issuperset(start) else list(start)
        while (link := _next(waiting, there)) is not None:
            waiting = [x for x in waiting if {x.a, x.b} != {link.a, link.b}]
            group = group_of[link.b]
            if frames.bring(group, link, there):
                there += group
                joined.join(link.a, link.b)
            else:
                failed.append(link)
        done.update(there)
    apart = [x for x in failed if not joined.are_one(x.a, x.b)]
    relatives.settled |= frames.settled
    return OneFrame(sorted(map(sorted, joined.all())), frames.framed, apart, unseen)


def _is_held(model: Model | None) -> bool:
    return model is not None and model.n_bytes <= MAX_FRAMED_BYTES


def _next(waiting: Sequence[Look], there: Sequence[int]) -> Look | None:
    """The first pair of which one model stands in the frame; that one comes first."""
    for link in waiting:
        if (link.a in there) != (link.b in there):
            return link if link.a in there else Look(link.b, link.a, link.record)
    return None
