"""Who is related to whom: a cheap screen of all pairs, then exact tests of the pairs that matter.

The screen is one inner product per pair, over all tensors of equal name and shape: it proposes. A
pair counts as related when `climb` rejects independence at a level paid for all n(n-1)/2 pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.derivation.distances import relate
from weightkin.derivation.kinds import Derivation, kind_of
from weightkin.derivation.shared import Doubles, common_values
from weightkin.evidence.ladder import climb, passes, total_log10
from weightkin.evidence.sample import make_plan
from weightkin.evidence.stage import Side
from weightkin.evidence.undone import undo
from weightkin.sketch import Sketch, stand_in, take_sketch

ALIKE = 6.0  # standard deviations of an inner product between strangers that propose a pair


@dataclass
class Relatives:
    """Tests pairs of sketches once each; levels are paid for all pairs."""

    sketches: Sequence[Sketch]
    alpha: float
    seed: int
    _sides: dict[tuple[int, bool], Side] = field(default_factory=dict)
    _tested: dict[tuple[int, int], tuple[float, bool]] = field(default_factory=dict)
    _undone: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)

    @property
    def paid_alpha(self) -> float:
        """Level of one pair."""
        n = len(self.sketches)
        return self.alpha / max(1, n * (n - 1) // 2)

    def test(self, i: int, j: int) -> tuple[float, bool]:
        """Log10 p-value of one pair on its sketches, and whether it counts as related.

        Null hypothesis: that of `compare`; aligned tests only. The p-value is that of the pair; the
        level it is held against is paid.
        """
        pair = (min(i, j), max(i, j))
        if pair not in self._tested:
            is_cut = not all(self.sketches[k].scheme.is_whole for k in pair)
            a, b = (self._side(k, is_cut=is_cut) for k in pair)
            plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
            climbed = climb(
                a, b, plan, self.seed, self.paid_alpha, thorough=False, with_blind=False
            )
            is_related = any(passes(stage, self.paid_alpha) for stage in climbed.stages)
            self._tested[pair] = total_log10(climbed.stages), is_related
            if is_related:
                self._undone[pair] = undo(a, b, climbed, plan, self.paid_alpha).kinds
        return self._tested[pair]

    def undone(self, i: int, j: int) -> tuple[str, ...]:
        """Disguises seen through between two related models: permuted, rescaled, sign-flipped."""
        self.test(i, j)
        return self._undone.get((min(i, j), max(i, j)), ())

    def _side(self, i: int, *, is_cut: bool) -> Side:
        """A sketch to be tested; cut to the default scheme where the other one is."""
        if (i, is_cut) not in self._sides:
            sketch = self.sketches[i]
            model = stand_in(cut(sketch) if is_cut else sketch)
            self._sides[i, is_cut] = Side(model, read_anatomy(model))
        return self._sides[i, is_cut]


def derive(a: Sketch, b: Sketch, undone: Sequence[str] = ()) -> tuple[Derivation, float]:
    """How b was made from a (or a from b), and their relative distance."""
    if a.scheme != b.scheme:
        a, b = cut(a), cut(b)
    relation = relate(a, b)
    return kind_of(a, b, undone=undone, relation=relation), relation.relative_distance


def cut(sketch: Sketch) -> Sketch:
    """A sketch of the default scheme, from one that holds everything."""
    if not sketch.scheme.is_whole:
        return sketch
    whole = replace(stand_in(sketch), sketched=None)
    return replace(take_sketch(whole), digest=sketch.digest, config=sketch.config)


def likeness(sketches: Sequence[Sketch]) -> Doubles:
    """Inner products of all pairs in standard deviations of strangers: ``(n, n)``.

    Over tensors inside blocks of equal name and shape, which strangers share only by chance. Where
    two models have none in common it is 0. Cost: one matrix product for each tensor.
    """
    n = len(sketches)
    total, variance = np.zeros((n, n)), np.zeros((n, n))
    holders: dict[tuple[str, tuple[int, int]], list[int]] = defaultdict(list)
    for i, sketch in enumerate(sketches):
        for name, tensor in sketch.tensors.items():
            if tensor.block >= 0 and len(tensor.shape) >= 2:
                holders[name, tensor.matrix_shape].append(i)
    for (name, _), those in sorted(holders.items()):
        if len(those) < 2:
            continue
        values = common_values([sketches[i].tensors[name] for i in those])
        flat = values.reshape(len(those), -1)
        flat = np.where(np.isfinite(flat), flat, np.float32(0))
        products = (flat @ flat.T).astype(np.float64)
        norms = np.diag(products)
        at = np.ix_(those, those)
        total[at] += products
        variance[at] += np.outer(norms, norms) / flat.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        z: Doubles = np.where(variance > 0, total / np.sqrt(variance), 0.0)
    np.fill_diagonal(z, 0.0)
    return z


def components(relatives: Relatives, z: Doubles, among: Sequence[int]) -> list[list[int]]:
    """Families among some models: joined by a proposed pair only where the test rejects.

    Pairs are tried from the most alike on, and only where they would join two families: about one
    test for each model.
    """
    home = {i: i for i in among}
    index = np.array(sorted(among), dtype=np.int64)
    part = z[np.ix_(index, index)]
    rows, columns = np.nonzero(np.triu(part, 1) > ALIKE)
    for k in np.argsort(-part[rows, columns], kind="stable"):
        i, j = int(index[rows[k]]), int(index[columns[k]])
        if home[i] != home[j] and relatives.test(i, j)[1]:
            old, new = home[j], home[i]
            home = {x: new if h == old else h for x, h in home.items()}
    families = defaultdict(list)
    for i in sorted(home):
        families[home[i]].append(i)
    return sorted(families.values())
