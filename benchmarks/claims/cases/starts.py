"""Starts, fits and losses that make unrelated models resemble each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.claims.cases import Answer, Case
from benchmarks.lib.formula_starts import (
    convolutions,
    cosines,
    gpt,
    identity,
    llama,
    noisy,
    walsh,
    waves,
)
from benchmarks.lib.null_models import Arrays
from weightkin.api.compare import compare
from weightkin.evidence.calibrated import Alike
from weightkin.evidence.controls import load_controls
from weightkin.evidence.controls import rank as rank_pair
from weightkin.formats import Model, model_from_arrays
from weightkin.records import Comparison

TITLE = "Starts by formula, fits to known rows, copied residual widths"
INNOCENT = ("no-evidence", "not-testable")
UNITS, WIDTH, BLOCKS, READ = 1536, 96, 2, 1024
MANY_UNITS = 2560  # of which what was fitted is less than half
Make = Callable[[np.random.Generator], Model]


def _said(record: Comparison) -> str:
    return f"{record.verdict}, log10 p {record.log10_pvalue:.0f}"


def _pair(make: Make, *, allowed: tuple[str, ...] = INNOCENT) -> Callable[[Path], Answer]:
    """Two models from one maker share no random number."""

    def run(_: Path) -> Answer:
        records = [
            compare(*(make(np.random.default_rng([seed, i])) for i in range(2))) for seed in (1, 2)
        ]
        is_right = all(r.verdict in allowed for r in records)
        return Answer(is_right, "; ".join(map(_said, records)))

    return run


def _bank(rng: np.random.Generator) -> Model:
    """A fixed bank of 25 cosine kernels as first layer, everything else random."""
    basis = cosines(5, 5)
    kernels = np.einsum("ia,jb->ijab", basis, basis).reshape(25, 1, 5, 5)
    return model_from_arrays(
        {
            "conv1.weight": np.repeat(kernels, 3, axis=1),
            "conv2.weight": rng.standard_normal((32, 25, 3, 3), dtype=np.float32) / 15,
            "conv3.weight": rng.standard_normal((10, 32, 3, 3), dtype=np.float32) / 17,
        }
    )


def _reordered(n: int, d: int) -> npt.NDArray[np.float32]:
    """The identity, its rows in an order that a rule gives."""
    return identity(n, d)[(7 * np.arange(n) + 3) % n]


def _faint(rng: np.random.Generator) -> Model:
    """A start that shows plainly in one model of a pair and faintly in the other."""
    share = 0.95 if rng.random() < 0.5 else 0.12
    return llama(rng, mlp=lambda n, d: noisy(rng, cosines(n, d), share))


def _wide(seed: int, units: int = UNITS) -> Arrays:
    """Blocks with more units than the sample of a block holds."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> npt.NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    arrays: Arrays = {"model.embed_tokens.weight": drawn(64, WIDTH),
                      "lm_head.weight": drawn(64, WIDTH)}  # fmt: skip
    for i in range(BLOCKS):
        layer = f"model.layers.{i}."
        arrays |= {f"{layer}self_attn.{n}_proj.weight": drawn(WIDTH, WIDTH) for n in "qkvo"}
        arrays |= {f"{layer}mlp.{n}_proj.weight": drawn(units, WIDTH) for n in ("gate", "up")}
        arrays[f"{layer}mlp.down_proj.weight"] = drawn(WIDTH, units)
    return arrays


CONFIG = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": WIDTH // 4}


def _model(arrays: Mapping[str, npt.NDArray[np.float32]]) -> Model:
    return model_from_arrays(arrays, config=CONFIG)


def _planted(_: Path) -> Answer:
    """An unrelated model into which only the rows that 0.1.0 is known to read were mixed."""
    victim, other = _wide(1, MANY_UNITS), _wide(2, MANY_UNITS)
    for name in other:
        if "mlp.gate" in name or "mlp.up" in name:
            other[name][:READ] += 2 * victim[name][:READ]
    record = compare(_model(victim), _model(other))
    return Answer(record.verdict in ("aligned-only", "no-evidence"), _said(record))


def _fitted(_: Path) -> Answer:
    """One view of every block fitted to the victim's, the other left alone."""
    victim, other = _wide(1), _wide(2)
    for name in other:
        if "mlp.gate" in name:
            other[name] += 2 * victim[name]
    record = compare(_model(victim), _model(other))
    return Answer(record.verdict == "aligned-only", _said(record))


def _related(_: Path) -> Answer:
    """A fine-tune of a model with more units than are read."""
    parent, rng = _wide(1), np.random.default_rng(3)
    child = {k: x + np.float32(0.3) * rng.standard_normal(x.shape, dtype=np.float32)
             for k, x in parent.items()}  # fmt: skip
    record = compare(_model(parent), _model(child))
    units = next(axis for axis in record.axes if axis.axis == "units")
    is_right = record.verdict == "dependent" and units.confirmed == "second-run"
    return Answer(is_right, f"{_said(record)}, {units.confirmed or 'not confirmed'}")


def _embedding(change: float, part: str) -> Callable[[Path], Answer]:
    """Models that share nothing but an embedding, as it is or nearly."""

    def run(_: Path) -> Answer:
        a, b, rng = _wide(1), _wide(2), np.random.default_rng(3)
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            noise = rng.standard_normal(a[name].shape, dtype=np.float32)
            b[name] = a[name] + np.float32(change) * noise
        record = compare(_model(a), _model(b))
        of_part = next(p.verdict for p in record.parts if p.name == "decoder embedding")
        is_right = (record.verdict, of_part) == ("aligned-only", part)
        return Answer(is_right, f"{record.verdict}, embedding {of_part}")

    return run


def _few_tokens(_: Path) -> Answer:
    """A pair of 24 tokens whose units agree as often as those of unrelated small models do."""
    alike = Alike("gated language", 0.19, 0.19, 0.05, (), 48, 64, 24)
    found = rank_pair(alike, (), load_controls())
    return Answer(found.n_controls == 0, f"ranked among {found.n_controls} controls")


def _tiny(_: Path) -> Answer:
    """Two convolutions of five channels: all of them alike would not reach the level."""
    rng = np.random.default_rng(1)
    shapes = {"conv1": (5, 3, 3, 3), "conv2": (5, 5, 3, 3), "conv3": (4, 5, 3, 3)}
    pair = [
        model_from_arrays(
            {f"{k}.weight": rng.standard_normal(s, dtype=np.float32) for k, s in shapes.items()}
        )
        for _ in range(2)
    ]
    record = compare(*pair)
    return Answer(record.verdict == "not-testable", record.sentence)


CASES = (
    Case(
        "Dirac kernels",
        "not related",
        "dependent, log10 p -21",
        _pair(lambda r: convolutions(r, is_added=False)),
    ),
    Case(
        "kernels + identity",
        "not related",
        "dependent, log10 p -21",
        _pair(lambda r: convolutions(r, is_added=True)),
    ),
    Case("a bank of cosine kernels first", "not related", "dependent, log10 p -22", _pair(_bank)),
    Case(
        "MLPs from a cosine transform",
        "not related",
        "aligned only, log10 p -27",
        _pair(lambda r: llama(r, mlp=cosines)),
    ),
    Case(
        "the same, plain in one and faint in the other",
        "not related",
        "aligned only, log10 p -8",
        _pair(_faint),
    ),
    Case(
        "MLPs from the identity, tiled",
        "not related",
        "aligned only, log10 p -21",
        _pair(lambda r: llama(r, mlp=identity)),
    ),
    Case(
        "the same, its rows reordered",
        "not related",
        "aligned only, log10 p -20",
        _pair(lambda r: llama(r, mlp=_reordered)),
    ),
    Case(
        "values and outputs from the identity",
        "not related",
        "aligned only, log10 p -44",
        _pair(lambda r: llama(r, values=identity)),
    ),
    Case(
        "Hadamard rows everywhere",
        "not related",
        "aligned only, log10 p -39",
        _pair(lambda r: llama(r, mlp=walsh, values=walsh)),
    ),
    Case(
        "MLPs from sinusoids",
        "not related",
        "aligned only, log10 p -22",
        _pair(lambda r: llama(r, mlp=lambda n, d: waves(d, n, 50.0).T)),
    ),
    Case(
        "positions from sinusoids of another base",
        "not related",
        "aligned only, log10 p -9",
        _pair(gpt),
    ),
    Case(
        "only the rows that are read were fitted",
        "aligned only or no evidence",
        "dependent, log10 p -5274",
        _planted,
    ),
    Case("one view of every block was fitted", "aligned only", "dependent, log10 p -5274", _fitted),
    Case(
        "a fine-tune with more units than are read",
        "dependent, confirmed outside",
        "dependent, nothing outside the sample read",
        _related,
    ),
    Case(
        "only the embedding is shared, in every bit",
        "aligned only, embedding dependent",
        "dependent",
        _embedding(0.0, "dependent"),
    ),
    Case(
        "only the embedding is alike, as after distillation",
        "aligned only, embedding too",
        "dependent",
        _embedding(0.2, "aligned-only"),
    ),
    Case(
        "24 tokens against controls of 512", "no controls", "ranked among 19 controls", _few_tokens
    ),
    Case("five channels a layer", "not testable", "no evidence (p = 0.89)", _tiny),
)
