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
MIN_LATTICE_ENTRIES = 64
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
    names: tuple[str, str] = ("a", "b"),
) -> tuple[Clue, ...]:
    """Collect what speaks for a (``forward``: b is its image) or for b as the parent."""
    clues = []
    a, b = names
    for explained, sign, parent, child in ((forward, 1.0, a, b), (backward, -1.0, b, a)):
        if explained.is_complete and explained.kinds:
            against = explained.structure.against
            open_ = explained.structure.open
            if open_:  # of a common parent one may have lost this, or the other gained it
                said = f"what {child} or {parent} has more may be added or cut: {', '.join(open_)}"
                clues.append(Clue("shape", 0.0, LOSSY_ERROR, said))
                continue
            said = f"{child} is the image of {parent} ({' and '.join(explained.kinds)})"
            clues.append(_clue("lossy map", sign, LOSSY_ERROR, said))
            for what in against:
                said = f"but {child} has {what}"
                clues.append(_clue("shape", -sign, LOSSY_ERROR, said))
    clues += _noise_clues(relation, noise, names)
    if not clues:
        clues += _lattice_clues(relation, names)
    if reading is not None and abs(reading.c - 1) > STILL:
        said = f"{reading.n_rows} token rows that training never used are in {b} {reading.c:.6f}"
        said += f" times as large as in {a}: {a if reading.c < 1 else b} is older, which makes it"
        said += " a parent or an older sibling"
        clues.append(Clue("clock", 0.0, CLOCK_ERROR, said))
    return tuple(clues)


def direction_of(clues: Sequence[Clue]) -> Direction:
    """Sum the log-odds; under 0.8 the answer is undetermined."""
    total = sum(clue.log_odds for clue in clues)
    probability = 1 / (1 + exp(-abs(total)))
    sentences = tuple(f"{c.name}: {c.sentence} ({_counted(c)})" for c in clues)
    if probability < DECISIVE:
        return Direction(
            parent="undetermined", probability=round(probability, 4), evidence=(*sentences, ASK)
        )
    return Direction(
        parent="a" if total > 0 else "b", probability=round(probability, 4), evidence=sentences
    )


def _counted(clue: Clue) -> str:
    if clue.log_odds == 0:
        return "not counted: from a pair alone it gives no direction"
    return f"log-odds {clue.log_odds:+.1f}, error {clue.error_rate:g}"


def _clue(name: str, sign: float, error: float, sentence: str) -> Clue:
    return Clue(name, sign * log((1 - error) / error), error, sentence)


def _noise_clues(relation: PairRelation, noise: Noise | None, names: tuple[str, str]) -> list[Clue]:
    """Noise is uncorrelated with the parent alone; two lattices could be two children."""
    if noise is None or not noise.child:
        return []
    if any(pair.a.lattice != pair.b.lattice for pair in relation.pairs if len(pair.a.shape) > 1):
        return []
    sign, z = (1.0, noise.z_b) if noise.child == "b" else (-1.0, noise.z_a)
    child = names[noise.child == "b"]
    said = f"white noise, correlated with {child} alone (z = {abs(z):.1f})"
    return [_clue("noise", sign, NOISE_ERROR, said)]


def _lattice_clues(relation: PairRelation, names: tuple[str, str]) -> list[Clue]:
    """Equal tensors on a lattice that is coarser than that of the tensors one model touched."""
    matrices = [p for p in relation.pairs if len(p.a.shape) > 1 and p.both.values_a.size > 1]
    kept = [p for p, t in zip(relation.pairs, relation.tensors, strict=True) if t.is_equal]
    kept = [p for p in kept if len(p.a.shape) > 1 and p.both.values_a.size >= MIN_LATTICE_ENTRIES]
    touched = [p for p in matrices if p not in kept]
    if not kept or not touched:
        return []
    clues = []
    for own, other, sign in (("a", "b", 1.0), ("b", "a", -1.0)):
        parent, child = names[own == "b"], names[other == "b"]
        parents: list[SketchedTensor] = [getattr(p, own) for p in matrices]
        children: list[SketchedTensor] = [getattr(p, other) for p in touched]
        coarse = {t.lattice for t in parents}
        if len(coarse) == 1 and all(is_narrower(parents[0].lattice, t.lattice) for t in children):
            said = f"what {child} left alone lies on the {parents[0].lattice} lattice of {parent}"
            clues.append(_clue("lattice", sign, LATTICE_ERROR, said))
    return clues
