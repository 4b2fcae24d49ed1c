"""Claim: no arrangement makes an unrelated model pass for a relative, at any width that was tried.

    python -m benchmarks.claims.framing 128 256      these widths, instead of all

A model of random weights is lined up with another of the same shape, as far as its symmetries
allow: the stream turned and the units ordered by all rows, by those of one view or of one block, or
by values and the basis of each head. Beside them stand relatives of the same shape: children at
several distances, a half mixed with a stranger. Cuts are chosen on even seeds, judged on odd ones.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from zoo import truth

from benchmarks.claims.hiding import STRANGERS
from benchmarks.lib.tables import markdown
from weightkin.anatomy import read_anatomy
from weightkin.api.compare import compare
from weightkin.evasions import frame
from weightkin.formats import Model, model_from_arrays, open_model

Arrays = dict[str, npt.NDArray[np.float32]]
ROUNDS = 6
HEAD_SIZE = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a Llama-like model of random weights."""

    width: int
    n_blocks: int
    n_units: int
    repeat: int = 1  # query heads for each key head


@dataclass(frozen=True, slots=True)
class Aim:
    """What a model is fitted at: roles of matrices, and blocks; all of them where none are said."""

    views: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()


SHAPES = (
    Shape(128, 3, 344),
    Shape(128, 12, 344, repeat=4),
    Shape(256, 4, 688, repeat=4),
    Shape(256, 4, 1024),
    Shape(512, 4, 1376),
    Shape(1024, 4, 2752, repeat=4),
)
SEEDS = {128: range(4), 256: range(2), 512: range(2), 1024: range(1)}
AIMS = {
    "everything": Aim(),
    "gates": Aim(("mlp.gate",)),
    "gates and ups": Aim(("mlp.gate", "mlp.up")),
    "gates of one block": Aim(("mlp.gate",), (0,)),
    "values": Aim(("attn.v",)),
    "values and outputs": Aim(("attn.v", "attn.o")),
    "values of one block": Aim(("attn.v",), (0,)),
}
RELATIVES = {"cosine 0.9": 0.9, "cosine 0.7": 0.7, "half of a stranger": None}


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


def drawn(shape: Shape, seed: int) -> Arrays:
    """A model of random weights."""
    rng = np.random.default_rng([seed, shape.width, shape.n_blocks])

    def normal(n: int, d: int) -> npt.NDArray[np.float32]:
        return (0.02 * rng.standard_normal((n, d), dtype=np.float32)).astype(np.float32)

    d, h = shape.width, shape.n_units
    ones = np.ones(d, np.float32)
    arrays = {
        "model.embed_tokens.weight": normal(512, d),
        "lm_head.weight": normal(512, d),
        "model.norm.weight": ones,
    }
    for i in range(shape.n_blocks):
        at = f"model.layers.{i}."
        arrays |= {at + f"{x}_layernorm.weight": ones for x in ("input", "post_attention")}
        for name, n in (("q", d), ("k", d // shape.repeat), ("v", d // shape.repeat)):
            arrays[at + f"self_attn.{name}_proj.weight"] = normal(n, d)
        arrays[at + "self_attn.o_proj.weight"] = normal(d, d)
        arrays |= {at + f"mlp.{x}_proj.weight": normal(h, d) for x in ("gate", "up")}
        arrays[at + "mlp.down_proj.weight"] = normal(d, h)
    return arrays


def config_of(shape: Shape) -> dict[str, Any]:
    """What its config.json would say."""
    heads = shape.width // HEAD_SIZE
    return {
        "model_type": "llama",
        "hidden_size": shape.width,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // shape.repeat,
        "head_dim": HEAD_SIZE,
        "tie_word_embeddings": False,
    }


def relative(shape: Shape, seed: int, made: str) -> Arrays:
    """A child of the model of a seed."""
    parent, stranger = drawn(shape, seed), drawn(shape, seed + 1000)
    cosine = RELATIVES[made]
    own, other = (1.0, 1.0) if cosine is None else (cosine, float(np.sqrt(1 - cosine**2)))
    return {
        name: x if x.ndim == 1 else (own * x + other * stranger[name]).astype(np.float32)
        for name, x in parent.items()
    }


def framed(innocent: Model, reference: Model, aim: Aim) -> Model:
    """A model lined up with another one."""
    arrays = [{n: m.rows(n) for n in m.tensors} for m in (innocent, reference)]
    changed = frame(
        arrays[0],
        read_anatomy(innocent),
        arrays[1],
        rounds=ROUNDS,
        views=aim.views,
        blocks=aim.blocks or None,
    )
    return model_from_arrays(changed.arrays, config={**innocent.config, **changed.config_changes})


def of_random_weights(job: tuple[Shape, str, int]) -> Compared:
    """One framed model or one relative of a shape."""
    shape, made, seed = job
    config = config_of(shape)
    reference = model_from_arrays(drawn(shape, seed), config=config)
    if made in RELATIVES:
        other = model_from_arrays(relative(shape, seed, made), config=config)
    else:
        innocent = model_from_arrays(drawn(shape, seed + 1000), config=config)
        other = framed(innocent, reference, AIMS[made])
    name = f"{shape.width} wide, {shape.n_blocks} blocks of {shape.n_units}"
    return _compared((name, made, seed), reference, other, is_related=made in RELATIVES)


def of_the_zoo(job: tuple[str, str, str]) -> Compared:
    """One trained stranger framed."""
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
    for shape in SHAPES:
        if not widths or shape.width in widths:
            for seed in SEEDS[shape.width]:
                yield from ((shape, made, seed) for made in (*AIMS, *RELATIVES))


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
    """All of it; the cut is 1.15."""
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
        f" (largest of framed models, least of relatives; the cut is 1.15). Seeds {summary(found)}",
        "",
        *table(found),
        "",
        "Trained strangers, framed:",
        "",
        *table(zoo),
    ]


if __name__ == "__main__":
    print("\n".join(run([int(x) for x in sys.argv[1:]])))
