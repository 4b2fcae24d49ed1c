"""How one model was made from another: the kind with its numbers, and the direction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from weightkin.derivation.clock import clock
from weightkin.derivation.direction import clues_of, direction_of
from weightkin.derivation.disguise import Disguise
from weightkin.derivation.distances import ROUNDING, PairRelation, relate
from weightkin.derivation.equality import Equality
from weightkin.derivation.extra_bits import with_noise
from weightkin.derivation.heads_looked import Settled
from weightkin.derivation.in_common import InCommon, in_common
from weightkin.derivation.lattice import KnownLevels
from weightkin.derivation.lossy import NUMPY_FORMATS, Explained, clues_of_kind, explain
from weightkin.derivation.networks import shared_part
from weightkin.derivation.noise import Noise, white_noise
from weightkin.derivation.pairing import TensorPair
from weightkin.derivation.rank import rank_of_difference
from weightkin.derivation.replaced import numbers_of, replaced
from weightkin.derivation.structure import unrelated_blocks
from weightkin.derivation.unchanged import NamedKind, kind_of_equal, may_be_equal, without_partner
from weightkin.records import Clue, Direction, clue
from weightkin.records.kinds import KINDS
from weightkin.sketch.types import Sketch

LONG_WAY = 0.42  # typical relative distance past which training was no fine-tune
SAME_WEIGHTS = 0.6  # typical cosine under which only an initialisation may be shared
REST_ALIKE = 0.8  # median cosine of the matrices that were not replaced
MIN_KEPT = 0.2  # share of matrices that must be related before the others count as replaced
MAX_RANK_SHARE = 0.5  # of the smaller side of a sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """What two models alone say about how one was made from the other."""

    kind: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)
    parent: Literal["a", "b", "undetermined"]
    probability: float
    evidence: tuple[Clue, ...]
    equality: Equality | None = field(default=None, repr=False)

    @property
    def direction(self) -> Direction:
        """The direction as records hold it."""
        return Direction(parent=self.parent, probability=self.probability, evidence=self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPair:
    """What was found about two models before their kind is named."""

    disguise: Disguise = Disguise((), {}, {})  # hides the entries from everything here
    is_other_file: bool = False  # headers, metadata or configs differ, whatever the values
    relation: PairRelation | None = None  # of the two, in their order
    levels: KnownLevels | None = None  # of single tensors, where many pairs are asked about
    common: InCommon | None = None  # what the two hold that is equal


NOTHING_KNOWN = KnownPair()


def kind_of(
    a: Sketch,
    b: Sketch,
    known: KnownPair = NOTHING_KNOWN,
    names: tuple[str, str] = ("a", "b"),
) -> Derivation:
    """Name the derivation between two related models.

    Nothing here is evidence that they are related: a test must have said so.

    Parameters
    ----------
    a, b : Sketch
        Of one scheme. The answer is symmetric up to the names.
    known : Known
        What was found about the two before.
    names : tuple of str
        What the evidence calls the two.

    Returns
    -------
    Derivation
        Kinds of the closed set, their numbers, and the parent where it can be told.
    """
    relation = known.relation or relate(a, b)
    levels = known.levels or KnownLevels()
    forward = explain(relation, a, b, known=levels)
    backward = explain(relation, b, a, is_turned=True, known=levels)
    forward = with_noise(forward, relation, levels, is_turned=False)
    backward = with_noise(backward, relation, levels, is_turned=True)
    noise = white_noise(relation)
    direction = direction_of(clues_of(relation, forward, backward, noise, clock(a, b), names))
    common = known.common or (in_common(a, b) if may_be_equal(relation, a, b) else None)
    better = _better(forward, backward, names)
    found = None
    if not (better[0] and better[0].is_complete) and not known.disguise.kinds:
        found = _of_values(a, b, common, is_other_file=known.is_other_file)
        found = found or _of_part(a, b, relation, common)
    kind, details, said = found or _named(
        relation,
        better,
        noise,
        known.disguise,
        _not_finite(relation, a, b),
    )
    if kind == ("part",) or not all(KINDS[x].has_direction for x in kind):
        direction = Direction(evidence=(clue("equal-has-no-direction"),))
    return Derivation(
        kind=kind,
        details=details,
        parent=direction.parent,
        probability=direction.probability,
        evidence=(*said, *direction.evidence),
        equality=None if common is None else common.found,
    )


def _of_values(
    a: Sketch, b: Sketch, common: InCommon | None, *, is_other_file: bool
) -> NamedKind | None:
    """What equal values make of two models, as they are or rounded."""
    if common is None:
        return None
    found = kind_of_equal(common.found, a, b, is_other_file=is_other_file)
    rounded = common.rounded
    if found is None and rounded is not None and rounded.found.is_part:
        dtype = NUMPY_FORMATS[rounded.format]
        kinds = ("cast",) if rounded.found.is_whole else ("cast", "part")
        return kinds, {"dtype": dtype}, (clue("equal-after-rounding", dtype=dtype),)
    return found


def _of_part(
    a: Sketch, b: Sketch, relation: PairRelation, common: InCommon | None
) -> NamedKind | None:
    """Networks that the two share, where they are unlike in others."""
    part = None if common is None else common.part
    part = part or shared_part(a, b, relation, None if common is None else common.found)
    if part is None:
        return None
    return ("shared-part",), part.details, (clue("shared-networks", parts=list(part.shared)),)


def _named(
    relation: PairRelation,
    better: tuple[Explained | None, str],
    noise: Noise | None,
    disguise: Disguise,
    not_finite: set[str],
) -> NamedKind:
    if not relation.tensors:
        return disguise.kinds or ("unknown",), dict(disguise.details), (clue("nothing-comparable"),)
    explained, child = better
    if explained is not None and explained.is_complete:
        return explained.kinds, explained.details, clues_of_kind(explained, child)
    if disguise.kinds:
        return disguise.kinds, disguise.details | numbers_of(relation), ()
    if noise is not None:
        return ("noise",), {"share": round(noise.share, 5)}, (clue("white-difference"),)
    if explained is None and relation.share_equal == 1.0 and not_finite:
        found = clue("equal-but-not-finite", n=len(not_finite))
        return ("unknown",), numbers_of(relation), (found,)
    if explained is not None and explained.is_map:  # of all that both hold
        lines = clues_of_kind(explained, child)
        return (*explained.kinds, "part"), explained.details | without_partner(relation), lines
    kind, details, trained = _trained(relation, disguise.settled)
    if explained is None and any(p.a.code != p.b.code for p in relation.pairs):
        kind = (*kind, "quantised")  # on the way from one to the other, whatever else was done
    if explained is not None:  # a map of shape, and training after it
        lines = clues_of_kind(explained, child)
        rest = () if "quantised" in explained.kinds else kind
        return explained.kinds + rest, details | explained.details, (*lines, *trained)
    return kind, details, trained


def _is_rounding(relation: PairRelation) -> bool:
    """Whether no tensor differs by more than sums of float32 in another order do."""
    is_wide = all("fp32" in (p.a.lattice, p.b.lattice) for p in _unequal(relation))
    return is_wide and all(t.relative_distance <= ROUNDING for t in relation.tensors)


def _unequal(relation: PairRelation) -> list[TensorPair]:
    both = zip(relation.pairs, relation.tensors, strict=True)
    return [pair for pair, t in both if not t.is_equal]


def _not_finite(relation: PairRelation, a: Sketch, b: Sketch) -> set[str]:
    """Tensors that could not be compared since some of their values are not finite."""
    without = {*relation.only_a, *relation.only_b}
    held = (t for x in (a, b) for t in x.tensors.values() if t.name in without)
    return {t.name for t in held if t.n_finite < t.stored.size}


def _better(
    forward: Explained, backward: Explained, names: tuple[str, str]
) -> tuple[Explained | None, str]:
    """The complete explanation without contradiction, else the one that names anything."""
    found = [(x, child) for x, child in ((forward, names[1]), (backward, names[0])) if x.kinds]
    found.sort(key=lambda f: (f[0].is_complete, not f[0].structure.against), reverse=True)
    return found[0] if found else (None, names[1])


def _trained(relation: PairRelation, settled: frozenset[Settled]) -> NamedKind:
    """Kinds of training: parts replaced, low-rank, tuned, trained on, or not to be told."""
    numbers = numbers_of(relation)
    unpaired = without_partner(relation)
    if relation.share_equal == 1.0 and unpaired:
        return ("part",), numbers | unpaired, (clue("equal-names-equal"),)
    if relation.share_equal == 1.0 or _is_rounding(relation):
        return ("rounding",), numbers, (clue("equal-up-to-rounding"),)
    lost, whole, partly = unrelated_blocks(relation)
    n = len(relation.matrices)
    rest = [t.cosine for t in relation.matrices if t not in lost]
    if lost and len(rest) >= MIN_KEPT * n and np.median(rest) >= REST_ALIKE:
        return replaced(relation, whole, partly, settled)
    lora = _low_rank(relation)
    if lora is not None:
        return lora
    typical, cosine = relation.typical_distance, relation.typical_cosine
    figures = {"distance": round(typical, 4), "cosine": round(cosine, 4)}
    if cosine < SAME_WEIGHTS:
        return ("unknown",), numbers, (clue("distance", **figures), clue("far-apart"))
    if typical > LONG_WAY and not relation.share_equal_tensors:
        return ("continued-pretraining",), numbers, (clue("moved-far", **figures),)
    changed = sorted({t.role for t in relation.tensors if not t.is_equal})
    return ("fine-tuned",), numbers | {"roles": changed}, (clue("distance", **figures),)


def _low_rank(relation: PairRelation) -> NamedKind | None:
    """Every changed tensor is a matrix that changed by low rank, and others did not change."""
    ranks: list[int] = []
    modules: Counter[str] = Counter()
    for pair, t in zip(relation.pairs, relation.tensors, strict=True):
        if t.is_equal:
            continue
        rank = _rank(pair) if len(pair.a.shape) == 2 and pair.is_same_shape else None
        if rank is None or rank > MAX_RANK_SHARE * min(pair.both.values_a.shape):
            return None
        ranks.append(rank)
        modules[_module(pair.b.stored_name)] += 1
    if not ranks or len(ranks) == len(relation.tensors):
        return None
    rank = Counter(ranks).most_common(1)[0][0]
    if not rank:  # most changes are as small as rounding, which says nothing of how they came
        return None
    details = {"rank": rank, "modules": sorted(modules)} | numbers_of(relation)
    n_equal = len(relation.tensors) - len(ranks)
    return ("lora",), details, (clue("low-rank", n=len(ranks), rank=rank, n_equal=n_equal),)


def _rank(pair: TensorPair) -> int | None:
    both = pair.both
    return rank_of_difference(both.values_a, both.values_b, pair.a.lattice, pair.b.lattice).rank


def _module(name: str) -> str:
    parts = [part for part in name.split("[")[0].split(".") if part not in ("weight", "bias")]
    return parts[-1] if parts else name
