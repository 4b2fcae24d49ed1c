"""Architectures that crashed a comparison, or whose disguised copies were missed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.claims.cases import Answer, Case
from benchmarks.lib.null_models import (
    CONFIG,
    WIDTH,
    Arrays,
    gaussian,
    noisy,
    null_arrays,
    null_model,
)
from weightkin import compare, evasions
from weightkin.anatomy import read_anatomy
from weightkin.formats import Model, model_from_arrays
from weightkin.records import Comparison

TITLE = "Architectures"
GEMMA = CONFIG | {"model_type": "gemma"}


def _said(record: Comparison) -> str:
    return f"{record.verdict} ({record.basis})"


def _stacked(_folder: Path) -> Answer:
    """Experts stacked in one tensor, stored (in, out), beside a shared one: Llama 4's layout."""
    rng = np.random.default_rng(1)
    arrays = {k: v for k, v in null_arrays(rng, hidden=64).items() if ".mlp." not in k}
    width = arrays["model.norm.weight"].shape[0]
    for block in range(4):
        here = f"model.layers.{block}.feed_forward."
        arrays[f"{here}experts.gate_up_proj"] = rng.standard_normal((4, width, 128))
        arrays[f"{here}experts.down_proj"] = rng.standard_normal((4, 64, width))
        arrays[f"{here}router.weight"] = rng.standard_normal((4, width))
        for name in ("gate", "up"):
            arrays[f"{here}shared_expert.{name}_proj.weight"] = rng.standard_normal((64, width))
        arrays[f"{here}shared_expert.down_proj.weight"] = rng.standard_normal((width, 64))
    arrays = {k: v.astype(np.float32) for k, v in arrays.items()}
    other = model_from_arrays(noisy(arrays, rng, share=0.05), config=CONFIG, name="noisy")
    record = compare(model_from_arrays(arrays, config=CONFIG, name="a"), other)
    return Answer(record.verdict == "dependent", _said(record))


def _longer(_folder: Path) -> Answer:
    """The embedding has rows that the unembedding lacks, in both models."""
    rng = np.random.default_rng(2)
    pair = []
    for name in ("a", "b"):
        arrays = null_arrays(rng, hidden=64)
        more = rng.standard_normal((2048, WIDTH)).astype(np.float32)
        table = "model.embed_tokens.weight"
        arrays[table] = np.concatenate([arrays[table], more])
        pair.append(model_from_arrays(arrays, config=CONFIG, name=name))
    record = compare(*pair)
    return Answer(record.verdict == "no-evidence", _said(record))


def _gemma(rng: np.random.Generator) -> tuple[Arrays, Model]:
    arrays = {
        k: rng.uniform(-0.6, 0.6, v.shape).astype(np.float32) if "norm" in k else v
        for k, v in null_arrays(rng, hidden=64).items()
    }
    return arrays, model_from_arrays(arrays, config=GEMMA, name="gemma")


def _rotated(rng: np.random.Generator, arrays: Arrays, model: Model) -> Arrays:
    return evasions.rotate_residual(arrays, read_anatomy(model), rng, gain_offset=1.0).arrays


def _rotated_gemma(_folder: Path) -> Answer:
    rng = np.random.default_rng(3)
    arrays, model = _gemma(rng)
    copy = model_from_arrays(_rotated(rng, arrays, model), config=GEMMA, name="rotated")
    record = compare(model, copy)
    return Answer(record.verdict == "dependent", _said(record))


def _unrelated_gemma(_folder: Path) -> Answer:
    rng = np.random.default_rng(4)
    _, model = _gemma(rng)
    arrays, other = _gemma(rng)
    copy = model_from_arrays(_rotated(rng, arrays, other), config=GEMMA, name="rotated")
    record = compare(model, copy)
    return Answer(record.verdict == "no-evidence", _said(record))


def _two_streams(_folder: Path) -> Answer:
    """Encoder and decoder share one table, stored twice: 16 labels, however often they are seen."""
    rng = np.random.default_rng(5)
    arrays = _encoder_decoder(rng)
    a = model_from_arrays(arrays, config={}, name="a")
    record = compare(a, model_from_arrays(noisy(arrays, rng, share=0.05), config={}, name="b"))
    found = next(x.log10_pvalue for x in record.axes if x.axis == "residual")
    return Answer(found >= -math.lgamma(WIDTH + 1) / math.log(10), f"p = 1e{found:.1f}")


def _encoder_decoder(rng: np.random.Generator) -> Arrays:
    model = null_model(gaussian, rng, hidden=16, blocks=1)
    arrays: Arrays = {}
    for name in model.tensors:
        for stack in ("encoder", "decoder") if name.startswith("model.") else ():
            arrays[f"{stack}.{name[6:]}"] = model.rows(name)
    return arrays


CHECKS: tuple[tuple[str, str, str, Callable[[Path], Answer]], ...] = (
    ("stacked experts beside a shared one, fine-tuned", "dependent", "a traceback", _stacked),
    ("embedding longer than the unembedding in both", "no evidence", "a traceback", _longer),
    ("rotated copy, gains stored less one (Gemma)", "dependent", "no evidence", _rotated_gemma),
    ("rotated unrelated model of that family", "no evidence", "no evidence", _unrelated_gemma),
    (
        "one table of 16 columns in two stacks",
        "p not below 1/16! = 1e-13.3",
        "BEFORE",
        _two_streams,
    ),
)
CASES = tuple(Case(name, expected, before, run) for name, expected, before, run in CHECKS)
