"""Which of two models is the parent: named, signed log-odds, each with its own error rate.

The image of a lossy map is the child; so is a model whose untouched tensors lie on the parent's
coarser lattice. Decay of unused token rows orders two models in time and does not tell a child from
a younger sibling: most pairs of a family are siblings, so that from a pair alone it is shown with
no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from weightkin.derivation.clock import STILL, ClockReading
from weightkin.derivation.distances import PairRelation
from weightkin.derivation.lattice import is_narrower
from weightkin.derivation.lossy import Explained
from weightkin.derivation.noise import Noise
from weightkin.records import Direction
from weightkin.sketch.types import SketchedTensor

LOSSY_ERROR = 0.01
NOISE_ERROR = 0.02
LATTICE_ERROR = 0.12
CLOCK_ERROR = 0.25  # ancestors that look younger, all of them of merges; see docs/results.md
DECISIVE = 0.8
MIN_ENTRIES = 64
ASK = "use tree with its relatives"


@dataclass(frozen=True, slots=True)
class Clue:
    """One piece of evidence: positive log-odds say that a is the parent."""

    name: str
    log_odds: float
    error_rate: float
    sentence: str


def clues_of(
    relation: PairRelation,
    forward: Explained,
    backward: Explained,
    noise: Noise | None,
    reading: ClockReading | None,
) -> tuple[Clue, ...]:
    """Collect what speaks for a (``forward``: b is its image) or for b as the parent."""
    clues = []
    for explained, sign, child in ((forward, 1.0, "b"), (backward, -1.0, "a")):
        if explained.is_complete and explained.kinds:
            against = explained.structure.against
            kinds = " and ".join(explained.kinds)
            said = f"{child} is the image of the other ({kinds})"
            clues.append(_clue("lossy map", sign, LOSSY_ERROR, said))
            for what in against:
                said = f"but {child} has {what}"
                clues.append(_clue("shape", -sign, LOSSY_ERROR, said))
    clues += _noise_clues(relation, noise)
    if not clues:
        clues += _lattice_clues(relation)
    if reading is not None and abs(reading.c - 1) > STILL:
        older = "a" if reading.c < 1 else "b"
        said = f"{reading.n_rows} unused token rows shrank by {min(reading.c, 1 / reading.c):.6f}"
        said += f": {older} is older, a parent or an older sibling; not counted"
        clues.append(Clue("clock", 0.0, CLOCK_ERROR, said))
    return tuple(clues)


def direction_of(clues: Sequence[Clue]) -> Direction:
    """Sum the log-odds; under 0.8 the answer is undetermined."""
    total = sum(clue.log_odds for clue in clues)
    probability = 1 / (1 + exp(-abs(total)))
    sentences = tuple(
        f"{c.name}: {c.sentence} (log-odds {c.log_odds:+.1f}, error {c.error_rate:g})"
        for c in clues
    )
    if probability < DECISIVE:
        return Direction(
            parent="undetermined", probability=round(probability, 4), evidence=(*sentences, ASK)
        )
    return Direction(
        parent="a" if total > 0 else "b", probability=round(probability, 4), evidence=sentences
    )


def _clue(name: str, sign: float, error: float, sentence: str) -> Clue:
    return Clue(name, sign * log((1 - error) / error), error, sentence)


def _noise_clues(relation: PairRelation, noise: Noise | None) -> list[Clue]:
    """Noise is uncorrelated with the parent alone; two lattices could be two children."""
    if noise is None or not noise.child:
        return []
    if any(pair.a.lattice != pair.b.lattice for pair in relation.pairs if len(pair.a.shape) > 1):
        return []
    sign, z = (1.0, noise.z_b) if noise.child == "b" else (-1.0, noise.z_a)
    said = f"white noise, correlated with {noise.child} alone (z = {abs(z):.1f})"
    return [_clue("noise", sign, NOISE_ERROR, said)]


def _lattice_clues(relation: PairRelation) -> list[Clue]:
    """Equal tensors on a lattice that is coarser than that of the tensors one model touched."""
    matrices = [p for p in relation.pairs if len(p.a.shape) > 1 and p.both.values_a.size > 1]
    kept = [p for p, t in zip(relation.pairs, relation.tensors, strict=True) if t.is_equal]
    kept = [p for p in kept if len(p.a.shape) > 1 and p.both.values_a.size >= MIN_ENTRIES]
    touched = [p for p in matrices if p not in kept]
    if not kept or not touched:
        return []
    clues = []
    for own, other, sign, names in (("a", "b", 1.0, "b"), ("b", "a", -1.0, "a")):
        parents: list[SketchedTensor] = [getattr(p, own) for p in matrices]
        children: list[SketchedTensor] = [getattr(p, other) for p in touched]
        coarse = {t.lattice for t in parents}
        if len(coarse) == 1 and all(is_narrower(parents[0].lattice, t.lattice) for t in children):
            said = f"what {names} left alone lies on the {parents[0].lattice} lattice of all of"
            clues.append(_clue("lattice", sign, LATTICE_ERROR, f"{said} the other"))
    return clues
