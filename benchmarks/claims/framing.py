"""Claim: no arrangement makes an unrelated model pass for a relative, at any width that was tried.

    python -m benchmarks.claims.framing 128 256      these widths, instead of all
    python -m benchmarks.claims.framing 2048         an hour, so it is not among all of them

A model of random weights is lined up with another of the same shape, as far as its symmetries
allow: the stream turned and the units ordered by all rows, by those of one view or of one block, by
values and the basis of each head, or by gradient on the statistic that we judge by. Beside them
stand relatives of the same shape: children at several distances, and a half mixed with an unrelated
model. The bound that is judged was derived, not fitted; even and odd seeds are told apart all the
same.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from zoo import truth

from benchmarks.claims.hiding import STRANGERS
from benchmarks.lib.framed import (
    AIMS,
    HEAD_SIZE,
    RELATIVES,
    Shape,
    config_of,
    drawn,
    framed,
    relative,
)
from benchmarks.lib.gradient_framing import climbed
from benchmarks.lib.gradient_values import climbed_values
from benchmarks.lib.tables import markdown
from weightkin.api.compare import compare
from weightkin.formats import Model, model_from_arrays, open_model

SHAPES = (
    Shape(64, 16, 176),
    Shape(64, 12, 176, head=64),
    Shape(128, 3, 344),
    Shape(128, 12, 344, repeat=4),
    Shape(256, 4, 688, repeat=4),
    Shape(256, 4, 1024),
    Shape(512, 4, 1376),
    Shape(1024, 4, 2752),
)
WIDE = Shape(2048, 4, 5504)
SEEDS = {64: range(4), 128: range(4), 256: range(2), 512: range(2), 1024: range(2)}
CLIMBED = "gates, by gradient"
MIXED = {  # share of all rows of values that are aimed at
    "values, by gradient": 1.0,
    "half of the values, by gradient": 0.5,
    "a quarter of the values, by gradient": 0.25,
}
MOST_CLIMBED = 512  # width up to which a gradient takes minutes
MOST_MIXED = 128  # the same of values
FEW = (*list(AIMS)[:2], "gates of one block")  # what is tried where a pair takes minutes


@dataclass(frozen=True, slots=True)
class Compared:
    """One pair: what was said, and how far above arrangement it is."""

    shape: str
    made: str
    seed: int
    is_related: bool
    verdict: str
    basis: str
    units: float  # over_arrangement of hidden units, where they were tested
    values: float


def of_random_weights(job: tuple[Shape, str, int]) -> Compared:
    """One framed model or one relative of a shape."""
    shape, made, seed = job
    config = config_of(shape)
    reference = model_from_arrays(drawn(shape, seed), config=config)
    if made in RELATIVES:
        other = model_from_arrays(relative(shape, seed, made), config=config)
    elif made in MIXED:
        own = drawn(shape, seed + 1000)
        arrays = climbed_values(shape, own, drawn(shape, seed), MIXED[made])[0]
        other = model_from_arrays(arrays, config=config)
    elif made == CLIMBED:
        arrays = climbed(shape, drawn(shape, seed + 1000), drawn(shape, seed))[0]
        other = model_from_arrays(arrays, config=config)
    else:
        innocent = model_from_arrays(drawn(shape, seed + 1000), config=config)
        other = framed(innocent, reference, AIMS[made])
    heads = "" if shape.head == HEAD_SIZE else f", heads of {shape.head}"
    name = f"{shape.width} wide, {shape.n_blocks} blocks of {shape.n_units}{heads}"
    return _compared((name, made, seed), reference, other, is_related=made in RELATIVES)


def of_the_zoo(job: tuple[str, str, str]) -> Compared:
    """One trained model, unrelated, framed."""
    reference, innocent, made = job
    a, b = (open_model(truth.ROOT / truth.load()[x]["path"]) for x in (reference, innocent))
    other = framed(b, a, AIMS[made])
    return _compared((f"{innocent} as {reference}", made, 0), a, other, is_related=False)


def _compared(what: tuple[str, str, int], a: Model, b: Model, *, is_related: bool) -> Compared:
    found = compare(a, b, seed=what[2])
    over = {x.axis: x.over_arrangement or 0.0 for x in found.axes}
    return Compared(
        *what, is_related, found.verdict, found.basis, over.get("units", 0.0), over.get("vo", 0.0)
    )


def jobs(widths: Sequence[int] = ()) -> Iterator[tuple[Shape, str, int]]:
    """Every shape, way and seed."""
    for shape in (*SHAPES, WIDE) if widths else SHAPES:
        if not widths or shape.width in widths:
            aims = (*AIMS, CLIMBED) if shape.width <= MOST_CLIMBED else FEW
            aims = (*aims, *MIXED) if shape.width <= MOST_MIXED else aims
            for seed in SEEDS.get(shape.width, range(1)):
                yield from ((shape, made, seed) for made in (*aims, *RELATIVES))


def table(found: Sequence[Compared]) -> list[str]:
    """Framed models and relatives, by shape and way."""
    rows: dict[tuple[str, str], list[Compared]] = defaultdict(list)
    for x in found:
        rows[x.shape, x.made].append(x)
    lines = []
    for (shape, made), own in rows.items():
        said = [sum(x.verdict == v for x in own) for v in ("dependent", "aligned-only")]
        exact = sum(x.basis in ("exact", "calibrated") and x.verdict == "dependent" for x in own)
        ends = min if own[0].is_related else max
        over = (f"{ends(getattr(x, axis) for x in own):.2f}" for axis in ("units", "values"))
        lines.append((shape, made, len(own), said[0], exact, said[1], *over))
    header = ("models", "made", "pairs", "dependent", "by exact or calibrated evidence",
              "aligned-only", "units over arrangement", "values over arrangement")  # fmt: skip
    return markdown(header, lines)


def summary(found: Sequence[Compared]) -> str:
    """The largest of framed models and the least of relatives, on each half of the seeds."""
    said = []
    for half, name in enumerate(("chosen on", "judged on")):
        own = [x for x in found if x.seed % 2 == half]
        framed_, kin = ([x for x in own if x.is_related is r] for r in (False, True))
        most = max((x.units for x in framed_), default=0.0)
        least = min((x.units for x in kin), default=0.0)
        accused = sum(
            x.verdict == "dependent" and x.basis in ("exact", "calibrated") for x in framed_
        )
        said.append(
            f"{name}: framed up to {most:.2f} on units, {accused} of {len(framed_)} called"
            f" dependent by exact or calibrated evidence; relatives from {least:.2f},"
            f" {sum(x.verdict == 'dependent' for x in kin)} of {len(kin)} dependent"
        )
    return "; ".join(said) + "."


def run(widths: Sequence[int] = (), workers: int = 1) -> list[str]:
    """All of it; from 1 on it is no arrangement."""
    every = list(jobs(widths))
    trained = [
        (reference, innocent, made)
        for reference, names in STRANGERS.items()
        for innocent in names
        for made in AIMS
        if not widths and not (reference == "moe-a" and made.startswith("values"))
    ]
    with ProcessPoolExecutor(workers) as pool:
        found = list(pool.map(of_random_weights, every))
        zoo = list(pool.map(of_the_zoo, trained))
    return [
        "Unrelated models of random weights, framed, beside relatives of the same shape"
        " (largest of framed models, least of relatives; from 1 on it is no arrangement). Seeds"
        f" {summary(found)}",
        "",
        *table(found),
        "",
        "Trained models, unrelated, framed:",
        "",
        *table(zoo),
    ]


if __name__ == "__main__":
    print("\n".join(run([int(x) for x in sys.argv[1:]])))
