"""Which of two models is the parent: clues with signed log-odds, each with its own error rate.

The image of a lossy map is the child; so is a model whose untouched tensors lie on the parent's
coarser lattice. Decay of unused token rows orders two models in time and does not tell a child from
a younger sibling: most pairs of a family are siblings, so that from a pair alone it is shown with
no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log

from weightkin.derivation.clock import STILL, ClockReading
from weightkin.derivation.distances import PairRelation
from weightkin.derivation.lattice import is_narrower
from weightkin.derivation.lossy import Explained
from weightkin.derivation.noise import Noise
from weightkin.records import Clue, Direction, clue
from weightkin.sketch.types import SketchedTensor

LOSSY_ERROR = 0.01
NOISE_ERROR = 0.02
LATTICE_ERROR = 0.12
DECISIVE = 0.8
MIN_LATTICE_ENTRIES = 64


def clues_of(
    relation: PairRelation,
    forward: Explained,
    backward: Explained,
    noise: Noise | None,
    reading: ClockReading | None,
    names: tuple[str, str] = ("a", "b"),
) -> tuple[Clue, ...]:
    """Collect what speaks for a or for b as the parent. Positive log-odds say that a is.

    Parameters
    ----------
    relation : PairRelation
        Distances of all comparable tensors.
    forward, backward : Explained
        How far b is the image of a, and a that of b.
    noise : Noise or None
        White noise between the two, where there is any.
    reading : ClockReading or None
        What unused token rows show; without weight.
    names : (str, str)
        What the clues call the models.

    Returns
    -------
    tuple of Clue
        Log-odds are natural logarithms, from the error rate of each clue.
    """
    clues: list[Clue] = []
    a, b = names
    for explained, sign, parent, child in ((forward, 1.0, a, b), (backward, -1.0, b, a)):
        if explained.is_complete and explained.kinds and not explained.is_two_way:
            open_ = explained.structure.open
            if open_:  # of a common parent one may have lost this, or the other gained it
                clues.append(clue("grown-or-cut", child=child, parent=parent, kinds=list(open_)))
                continue
            if explained.is_noisy:
                clues.append(clue("noise-bits", child=child, parent=parent))
                continue
            kinds = list(explained.kinds)
            found = clue("image-of", child=child, parent=parent, kinds=kinds)
            clues.append(_weighed(found, sign, LOSSY_ERROR))
            for against in explained.structure.against:
                found = replace(against, data={"child": child, **against.data})
                clues.append(_weighed(found, -sign, LOSSY_ERROR))
    clues += _noise_clues(relation, noise, names)
    if not clues:
        clues += _lattice_clues(relation, names)
    if reading is not None and abs(reading.c - 1) > STILL:
        clues.append(clue("unused-rows", n_rows=reading.n_rows, c=reading.c, a=a, b=b))
    return tuple(clues)


def direction_of(clues: Sequence[Clue]) -> Direction:
    """Sum the log-odds; under 0.8 the answer is undetermined."""
    total = sum(x.data.get("log_odds", 0.0) for x in clues)
    probability = 1 / (1 + exp(-abs(total)))
    if probability < DECISIVE:
        evidence = (*clues, clue("ask-relatives"))
        return Direction(
            parent="undetermined", probability=round(probability, 4), evidence=evidence
        )
    return Direction(
        parent="a" if total > 0 else "b", probability=round(probability, 4), evidence=tuple(clues)
    )


def _weighed(found: Clue, sign: float, error: float) -> Clue:
    log_odds = round(sign * log((1 - error) / error), 4)
    return replace(found, data={**found.data, "log_odds": log_odds, "error": error})


def _noise_clues(relation: PairRelation, noise: Noise | None, names: tuple[str, str]) -> list[Clue]:
    """Noise is uncorrelated with the parent alone; two lattices could be two children."""
    if noise is None or not noise.child:
        return []
    if any(pair.a.lattice != pair.b.lattice for pair in relation.pairs if len(pair.a.shape) > 1):
        return []
    sign, z = (1.0, noise.z_b) if noise.child == "b" else (-1.0, noise.z_a)
    child = names[noise.child == "b"]
    return [_weighed(clue("noise-in", child=child, z=round(abs(z), 2)), sign, NOISE_ERROR)]


def _lattice_clues(relation: PairRelation, names: tuple[str, str]) -> list[Clue]:
    """Equal tensors on a lattice that is coarser than that of the tensors one model touched."""
    matrices = [p for p in relation.pairs if len(p.a.shape) > 1 and p.both.values_a.size > 1]
    kept = [p for p, t in zip(relation.pairs, relation.tensors, strict=True) if t.is_equal]
    kept = [p for p in kept if len(p.a.shape) > 1 and p.both.values_a.size >= MIN_LATTICE_ENTRIES]
    touched = [p for p in matrices if p not in kept]
    if not kept or not touched:
        return []
    clues: list[Clue] = []
    for own, other, sign in (("a", "b", 1.0), ("b", "a", -1.0)):
        parent, child = names[own == "b"], names[other == "b"]
        parents: list[SketchedTensor] = [getattr(p, own) for p in matrices]
        children: list[SketchedTensor] = [getattr(p, other) for p in touched]
        coarse = {t.lattice for t in parents}
        if len(coarse) == 1 and all(is_narrower(parents[0].lattice, t.lattice) for t in children):
            lattice = parents[0].lattice
            found = clue("coarse-lattice", child=child, parent=parent, lattice=lattice)
            clues.append(_weighed(found, sign, LATTICE_ERROR))
    return clues
