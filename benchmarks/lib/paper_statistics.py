"""The first paper's statistics and ours, side by side, of two models of the zoo's language."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from zoo import truth

from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.papers.activations import phi_h, phi_jsd, phi_match
from weightkin.papers.forward import Activations, record_activations
from weightkin.papers.published import published_tests
from weightkin.papers.random_inputs import Inputs, uniform_tokens
from weightkin.records import Test
from weightkin.sketch.source import open_side
from weightkin.stats.published import fisher

N_DRAWS = 99  # T of PERMTEST, so that its floor is 0.01
LEVEL = -2.0  # log10 of the level at which detections are counted
N_SEQUENCES, LENGTH = 16, 64
N_ROWS = 480  # of the zoo's tokenizer; the rows after them are never used
STATISTICS = (
    ("phi_l2", "PERMTEST, phi_l2, T = 99"),
    ("u", "phi_U, Fisher of Student-t tails"),
    ("u_drawn", "phi_U, Fisher of Monte-Carlo p"),
    ("h", "phi_H, Fisher of Student-t tails"),
    ("h_drawn", "phi_H, Fisher of Monte-Carlo p"),
    ("match", "phi_MATCH, Fisher (no null of its own)"),
    ("ours", "`compare`, log10 p"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One model: its weights, and what its MLPs did on uniform tokens and on text."""

    side: Side
    uniform: Activations
    text: Activations


@dataclass(frozen=True, slots=True)
class Beside:
    """All statistics of one pair; those of `STATISTICS` are log10 p-values."""

    log10: Mapping[str, float]
    agreement: float  # of gates and ups, mean over blocks
    jsd: float
    ratio: float  # effect of our strongest axis
    verdict: str

    def finds(self, name: str) -> bool:
        """Whether a statistic rejects at the level; ours also needs its effect."""
        if name == "ours" and self.verdict == "aligned-only":
            return False
        return self.log10[name] <= LEVEL + 1e-9


def can_run() -> bool:
    """Whether the extra that runs models is installed."""
    return all(find_spec(name) is not None for name in ("torch", "transformers"))


def folder_of(name: str) -> Path:
    """Where a model of the zoo is kept."""
    return Path(truth.ROOT / truth.load()[name]["path"])


def zoo_script(name: str) -> Any:
    """One of the zoo's scripts, which are no package, as a module."""
    if str(truth.ROOT) not in sys.path:
        sys.path.append(str(truth.ROOT))
    return import_module(name)


@cache
def held_out_text() -> Inputs:
    """Windows of text that no model of the zoo was trained on."""
    families = zoo_script("families")
    parts = [families.tokens(domain)[1] for domain in ("prose", "code")]
    windows = [part[: len(part) // LENGTH * LENGTH].reshape(-1, LENGTH) for part in parts]
    half = N_SEQUENCES // 2
    return Inputs("text", np.concatenate([part[:half] for part in windows]).astype(np.int64))


def see(folder: Path) -> Seen:
    """Open a model and run it over both sets of inputs."""
    uniform = uniform_tokens(N_ROWS, N_SEQUENCES, LENGTH, seed=0)
    return Seen(
        open_side(folder),
        record_activations(folder, uniform, device="cpu"),
        record_activations(folder, held_out_text(), device="cpu"),
    )


def beside(a: Seen, b: Seen, *, seed: int = 0) -> Beside:
    """Every statistic of one pair of equal shapes."""
    weights, _ = published_tests(a.side, b.side, n_draws=N_DRAWS, seed=seed)
    hidden = phi_h(a.uniform, b.uniform, seed=seed)
    matched = phi_match(a.text, b.text, seed=seed)
    jsd = phi_jsd(a.text, b.text)
    record = compare(a.side.model, b.side.model)
    found = [axis for axis in record.axes if axis.passes] or list(record.axes)
    best = min(found, key=lambda axis: axis.log10_pvalue, default=None)
    return Beside(
        log10={
            "phi_l2": named(weights, "phi_l2")[0].log10_pvalue,
            "u": named(weights, "phi_U_fisher")[0].log10_pvalue,
            "u_drawn": fisher([t.log10_pvalue for t in named(weights, "phi_U_monte_carlo")]),
            "h": named(hidden, "phi_H_fisher")[0].log10_pvalue,
            "h_drawn": fisher([t.log10_pvalue for t in named(hidden, "phi_H_monte_carlo")]),
            "match": named(matched, "phi_MATCH_fisher")[0].log10_pvalue,
            "ours": record.log10_pvalue,
        },
        agreement=float(np.mean([t.statistic for t in named(matched, "phi_MATCH_agreement")])),
        jsd=jsd.statistic if jsd else float("nan"),
        ratio=best.effect.ratio if best and best.effect else 0.0,
        verdict=record.verdict,
    )


def named(tests: Sequence[Test], name: str) -> list[Test]:
    """Tests of one name."""
    return [test for test in tests if test.name == name]


def span(values: Sequence[float], digits: int = 1) -> str:
    """Smallest to largest."""
    if not values:
        return "-"
    low, high = (f"{x + 0.0:.{digits}f}" for x in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
