"""Who is related to whom: a cheap screen of all pairs, then exact tests of the pairs that matter.

The screen is one inner product per pair, over all tensors of equal name and shape: it proposes. A
pair is related when `run_stages` rejects independence at a level paid for all n(n-1)/2 pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.arrays import Doubles
from weightkin.derivation.disguise import Disguise, find_disguise
from weightkin.derivation.distances import MIN_RELATED_COSINE, PairRelation, relate
from weightkin.derivation.heads_looked import Settled
from weightkin.derivation.kinds import Derivation, KnownPair, kind_of
from weightkin.derivation.lattice import KnownLevels
from weightkin.derivation.networks import SharedPart, contained_part, n_networks, shared_part
from weightkin.derivation.screen import may_be_made
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import StagesRun, is_settled, run_quick, total_log10
from weightkin.evidence.sample import make_plan
from weightkin.formats import Model
from weightkin.lineage.candidates import Framed
from weightkin.lineage.groups import Groups
from weightkin.lineage.on_weights import AtHand, climb, is_known, on_fresh_rows, with_sides
from weightkin.lineage.proposed import LikenessMatrix, pairs_above
from weightkin.records import Comparison, Skipped
from weightkin.records.kinds import disguises
from weightkin.sketch import Sketch, take_sketch
from weightkin.sketch.layout import in_one_layout
from weightkin.sketch.stand_in import stand_in

OnProgress = Callable[[int, int], None]  # how many are done, of how many
THOROUGH = 256  # models up to which every block of a pair is tested
COPY = 1e-5  # relative distance up to which a model brought back is the one that it was made from
MIN_LIKENESS = 6.0  # standard deviations of an an unrelated pair's inner product that propose one


@dataclass
class Relatives:
    """Tests pairs of sketches once each; levels are paid for all pairs.

    Of many models, a pair is tested block by block up to the first proof. Disguises that keep the
    order of units are named between few models that are held whole. What rests on rows that anybody
    may know must show in the weights too, where they are at hand.
    """

    sketches: Sequence[Sketch]
    alpha: float
    seed: int
    equal: set[tuple[int, int]] = field(default_factory=set)  # one holds all values of the other
    by_tests: Sequence[Sequence[int]] = ()  # families before equal values joined some of them
    framed: dict[int, Framed] = field(default_factory=dict)  # disguised members, brought back
    parts: dict[tuple[int, int], SharedPart] = field(default_factory=dict)  # all that two share
    settled: dict[tuple[int, int], frozenset[Settled]] = field(default_factory=dict)  # heads
    weights: AtHand | None = None  # None: sketches alone are asked
    unconfirmed: dict[tuple[int, int], Skipped] = field(default_factory=dict)  # no weights at hand
    _sides: dict[tuple[int, bool], Side] = field(default_factory=dict)
    _tested: dict[tuple[int, int], tuple[float, bool]] = field(default_factory=dict)
    _undone: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    _cuts: dict[int, Sketch] = field(default_factory=dict)
    known: KnownLevels = field(default_factory=KnownLevels)

    @property
    def paid_alpha(self) -> float:
        """Level of one pair."""
        n = len(self.sketches)
        return self.alpha / max(1, n * (n - 1) // 2)

    def test(self, i: int, j: int) -> tuple[float, bool]:
        """Log10 p-value of one pair on its sketches, and whether it counts as related.

        Null hypothesis: that of `compare`; aligned tests only. The p-value is that of the pair; the
        level it is held against is paid. Where one of the two was disguised and brought back and
        the aligned tests show nothing, it is that of the comparison by which its group was found.
        """
        record = self.shown_by(i, j)
        return self._aligned(i, j) if record is None else (record.log10_pvalue, True)

    def shown_by(self, i: int, j: int) -> Comparison | None:
        """The comparison that shows two models related where the aligned tests do not."""
        records = [x.record for x in self._between(i, j) if x.record is not None]
        if not records or self._aligned(i, j)[1]:
            return None
        return max(records, key=lambda record: record.log10_pvalue)

    def _aligned(self, i: int, j: int) -> tuple[float, bool]:
        pair = (min(i, j), max(i, j))
        if pair not in self._tested:
            is_cut = not all(self.sketches[k].scheme.is_whole for k in pair)
            a, b = (self._side(k, is_cut=is_cut) for k in pair)
            plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
            draw = Draw(a, b, plan, self.seed)
            is_quick = len(self.sketches) > THOROUGH
            alpha = self.paid_alpha / (2 if is_quick else 1)  # two tries are paid for
            ran = StagesRun((), {})
            if is_quick:
                ran = run_quick(draw, alpha)
            if not is_settled(ran.stages, alpha):
                ran = climb(with_sides(draw), a, b, alpha)
            log10_pvalue, is_related = total_log10(ran.stages), is_settled(ran.stages, alpha)
            if is_related and is_known(a, b, plan):
                again, is_related = self._on_weights(*pair)
                log10_pvalue = log10_pvalue if is_related else again
            is_related = is_related or pair in self.equal
            if is_related and (part := self._part(*pair)) is not None:
                self.parts[pair], is_related = part, False
            self._tested[pair] = log10_pvalue, is_related
            if is_related and not is_quick and not is_cut:
                self._undone[pair] = find_disguise(draw, ran, alpha).kinds
        return self._tested[pair]

    def _between(self, i: int, j: int) -> list[Framed]:
        """What was brought back of two models that did not stand in one frame."""
        found = [self.framed[k] for k in (i, j) if k in self.framed]
        return [] if len(found) == 2 and found[0].group == found[1].group else found

    def sketch(self, i: int) -> Sketch:
        """The sketch of a model in the frame of its family: to be measured, never tested."""
        return self.framed[i].sketch if i in self.framed else self.sketches[i]

    def _on_weights(self, i: int, j: int) -> tuple[float, bool]:
        """What two models that known rows show to be related show on fresh ones, if they can."""
        if self.weights is None:
            return 0.0, True
        a, b = self.weights(i), self.weights(j)
        if isinstance(a, Model) and isinstance(b, Model):
            return on_fresh_rows(a, b, self.paid_alpha)
        self.unconfirmed[i, j] = next(x for x in (a, b) if isinstance(x, Skipped))
        return 0.0, True

    def _part(self, i: int, j: int) -> SharedPart | None:
        """What two models share, if that is one network of several and nothing else."""
        if (i, j) in self.equal:
            return None
        a, b = self.pair(i, j)
        if n_networks(b if b.n_parameters > a.n_parameters else a) < 2:
            return None  # the larger one has no parts
        relation = relate(a, b)
        near = [t for t in relation.tensors if t.is_equal or t.cosine >= MIN_RELATED_COSINE]
        held = ({t.name_a for t in near}, {t.name_b for t in near})
        return shared_part(a, b, relation) or contained_part(a, b, held)

    def undone(self, i: int, j: int) -> tuple[str, ...]:
        """Disguises seen through between two related models: permuted, rescaled, sign-flipped."""
        self.test(i, j)
        found = [kind for x in self._between(i, j) for kind in x.kinds]
        return tuple(disguises(found)) or self._undone.get((min(i, j), max(i, j)), ())

    def related(self) -> list[tuple[int, int, tuple[str, ...]]]:
        """Pairs that were tested and count as related, with the disguises seen through."""
        return [
            (i, j, self._undone.get((i, j), ()))
            for (i, j), (_, is_related) in self._tested.items()
            if is_related
        ]

    def orders(self, family: Sequence[int]) -> Doubles:
        """Factor for each pair of a family, parent by child: ``(n, n)``; one within an order.

        Of two groups of unlike order the larger one mostly has the order that came first; so its
        members are seldom made from the smaller one.
        """
        groups = np.array(self._orders(family))
        sizes = np.array([(groups == x).sum() for x in groups], dtype=np.float64)
        rarer = np.minimum(1.0, (sizes[:, None] / sizes[None, :]) ** 2)
        return np.where(groups[:, None] == groups[None, :], 1.0, rarer)

    def copies(self, family: Sequence[int]) -> dict[int, int]:
        """Members that are nothing but another member in disguise, and which."""
        own = set(family)
        found: dict[int, int] = {}
        for i, x in self.framed.items():
            if i in own and x.kinds and x.distance <= COPY and self._is_alike(i, x.reference):
                found[i] = x.reference
        for i, first in found.items():
            seen = {i}
            while first in found and first not in seen:
                seen.add(first)
                first = found[first]
            found[i] = first
        return {i: u for i, u in found.items() if u not in self.framed}

    def _is_alike(self, i: int, j: int) -> bool:
        """Whether two models have the same roles and shapes."""
        a, b = ({(x.name, x.shape) for x in self.sketch(k).tensors.values()} for k in (i, j))
        return a == b

    def one_order(self, i: int, j: int) -> bool:
        """Whether the units of two members stand in one order, that is not the family's."""
        return (
            i in self.framed and j in self.framed and self._orders([i])[0] == self._orders([j])[0]
        )

    def in_orders(self, family: Sequence[int]) -> list[list[int]]:
        """The members of a family, those whose units stand in one order together."""
        groups: dict[int, list[int]] = {}
        for i, order in zip(family, self._orders(family), strict=True):
            groups.setdefault(order, []).append(i)
        return list(groups.values())

    def _orders(self, family: Sequence[int]) -> list[int]:
        return [self.framed[i].group if i in self.framed else -1 for i in family]

    def derive(self, i: int, j: int, undone: Sequence[str] = ()) -> tuple[Derivation, PairRelation]:
        """How j was made from i (or i from j), and their distances."""
        a, b = self.pair(i, j)
        relation = relate(a, b)
        disguise = Disguise(tuple(undone), {}, {}, self.settled.get((i, j), frozenset()))
        known = KnownPair(disguise=disguise, relation=relation, levels=self.known)
        derived = kind_of(a, b, known, names=(a.name, b.name))
        return derived, relation

    def may_be_made(self, i: int, j: int) -> bool:
        """Whether one may be a lossy copy of the other; False is certain."""
        return may_be_made(*self.pair(i, j), self.known)

    def in_one_scheme(self, among: Sequence[int]) -> list[Sketch]:
        """Sketches of some models, cut to the default scheme where any of them is."""
        own = [self.sketch(i) for i in among]
        are_whole = all(x.scheme.is_whole for x in own)
        return own if are_whole else in_one_layout([self._cut(i) for i in among])

    def pair(self, i: int, j: int) -> tuple[Sketch, Sketch]:
        """Two sketches of one scheme."""
        a, b = self.sketch(i), self.sketch(j)
        if a.scheme != b.scheme:
            a, b = in_one_layout([self._cut(i), self._cut(j)])
        return a, b

    def _cut(self, i: int) -> Sketch:
        if i not in self._cuts:
            self._cuts[i] = cut(self.sketch(i))
        return self._cuts[i]

    def _side(self, i: int, *, is_cut: bool) -> Side:
        """A sketch to be tested; cut to the default scheme where the other one is."""
        if (i, is_cut) not in self._sides:
            model = stand_in(cut(self.sketches[i]) if is_cut else self.sketches[i])
            self._sides[i, is_cut] = Side(model, read_anatomy(model))
        return self._sides[i, is_cut]


def cut(sketch: Sketch) -> Sketch:
    """A sketch of the default scheme, from one that holds everything."""
    if not sketch.scheme.is_whole:
        return sketch
    whole = replace(stand_in(sketch), sketched=None)
    return replace(take_sketch(whole), digest=sketch.digest, config=sketch.config)


def components(
    relatives: Relatives,
    z: LikenessMatrix,
    among: Sequence[int],
    on_progress: OnProgress | None = None,
) -> list[list[int]]:
    """Families among some models: joined by a proposed pair only where the test rejects.

    Pairs are tried from the most alike on, and only where they would join two families: about one
    test for each model.

    Parameters
    ----------
    relatives : Relatives
        All models and the tests of their pairs.
    z : (n, n) array
        Likeness of all pairs, dense or sparse.
    among : sequence of int
        Positions of the models looked at.
    on_progress : callable, optional
        Called before each test.

    Returns
    -------
    list of list of int
        Positions, sorted; a model without relatives is a family of its own.
    """
    groups = Groups(among)
    index = sorted(among)
    rows, columns, alike = pairs_above(z, index, MIN_LIKENESS)
    for n_settled, k in enumerate(np.argsort(-alike, kind="stable")):
        i, j = index[rows[k]], index[columns[k]]
        if groups.are_one(i, j):
            continue
        if on_progress is not None:
            on_progress(n_settled, len(alike))
        if relatives.test(i, j)[1]:
            groups.join(i, j)
    return sorted(sorted(members) for members in groups.all())
