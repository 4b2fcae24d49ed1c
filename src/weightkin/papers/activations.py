"""Tests on activations: phi_H, phi_MATCH and phi_JSD on real forward passes of two models.

phi_H keeps the unit order and is valid against the identity; phi_MATCH compares two matchings of
one pair of blocks with each other and so survives any relabelling, at a price: independent models
share features, so its p-value has no null of its own. It counts only against controls. phi_JSD is
a plain number. None of them drives a verdict. Zhu et al. (ICML 2025), section 3 and algorithm 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats, Ints
from weightkin.errors import WeightkinError
from weightkin.evidence.effects import effect_of
from weightkin.papers.forward import Activations, BlockActivations, record_activations
from weightkin.papers.inputs import shared_inputs
from weightkin.records import Effect, Skipped, Test, left_out
from weightkin.records.evidence import Null, Trusts
from weightkin.stats.matching import Matching, match_rows
from weightkin.stats.published import fisher, match, spearman, spearman_monte_carlo

N_POSITIONS = 1024
POSITIONS_AT_ONCE = 1024  # positions of the output distributions held in double precision at a time


def activation_tests(
    source_a: str | Path,
    source_b: str | Path,
    *,
    seed: int = 0,
    n_tokens: int = N_POSITIONS,
    inputs: Literal["uniform", "text", "gaussian"] = "uniform",
    device: str | None = None,
) -> tuple[tuple[Test, ...], tuple[Skipped, ...]]:
    """phi_H, phi_MATCH and phi_JSD of two local models, each run once over the same inputs.

    Parameters
    ----------
    source_a, source_b : str or Path
        Folders that transformers can load. Models of images get random images.
    seed : int
        Draws inputs, breaks ties, draws Monte-Carlo permutations.
    n_tokens : int
        About so many positions; memory is ``12 n_tokens`` bytes for each unit of both models.
    inputs : str
        ``uniform`` tokens, ``text`` (models with equal tokenizers), or ``gaussian`` vectors given
        to every MLP by itself (models of equal residual width).
    device : str, optional
        By default a GPU when there is one.

    Returns
    -------
    tuple
        Tests, and what was skipped and why: nothing is raised for a model that cannot be run.
    """
    try:
        given = shared_inputs(source_a, source_b, inputs, n_tokens, seed)
        a = record_activations(source_a, given, device=device)
        b = record_activations(source_b, given, device=device)
    except WeightkinError as error:
        return (), (left_out("activation tests", "cannot-run", error=str(error)),)
    tests = [*phi_h(a, b, seed=seed), *phi_match(a, b, seed=seed)]
    jsd = phi_jsd(a, b)
    tests += [jsd] if jsd else []
    return tuple(tests), tuple(_left_out(a, b, has_jsd=jsd is not None))


def phi_h(a: Activations, b: Activations, *, seed: int = 0, n_draws: int = 99) -> list[Test]:
    """phi_H: do the hidden units of a, matched by what they do, keep their places in b?

    Null hypothesis: the labels of a's hidden units are uniform given b. MATCH (cosine, linear
    assignment) on the hidden activations of each pair of equal blocks of equal width, SPEARMAN
    against the identity: the Student-t tail (asymptotic, too small) and its Monte-Carlo twin
    (floor ``1 / (n_draws + 1)``), FISHER over blocks. Blocks of different widths are left out.
    Cost ``O(n^2 n_tokens + n^3)`` for each block of n units.

    Parameters
    ----------
    a, b : Activations
        Of the same inputs.
    seed : int
        Breaks ties, draws permutations.
    n_draws : int
        Monte-Carlo permutations of each block.

    Returns
    -------
    list of Test
        Two for each pair of blocks, and one over all; empty where no widths are equal.
    """
    rng = np.random.default_rng([seed, 2])
    tests, logs = [], []
    for x, y in _straight(a, b):
        n = len(x.hidden)
        if n != len(y.hidden):
            continue
        matched = match(x.hidden, y.hidden, rng)
        r, log10_p = spearman(matched, np.arange(n))
        logs.append(log10_p)
        own = float(np.mean(matched == np.arange(n)))
        effect = _effect(match_rows(x.hidden, y.hidden, rng).cosine, matched, own)
        where = _Where(x.name, y.name, n, a.inputs, "a")
        tests.append(_test("phi_H", where, r, log10_p, "asymptotic", effect))
        exact = spearman_monte_carlo(r, n, n_draws=n_draws, rng=rng)
        tests.append(_test("phi_H_monte_carlo", where, r, exact, "monte-carlo"))
    if logs:
        tests.append(_over_blocks("phi_H_fisher", logs, a.inputs, "a"))
    return tests


def phi_match(
    a: Activations,
    b: Activations,
    pairs: Sequence[tuple[int, int]] | None = None,
    *,
    seed: int = 0,
) -> list[Test]:
    """phi_MATCH: do gates and ups, each matched by what they do, choose the same partners?

    Null hypothesis: none of its own. Independent models share features, so gate and up agree more
    often than two uniform permutations would. The values are for calibration on controls.

    Parameters
    ----------
    a, b : Activations
        Of gated models on the same inputs; blocks without gate and up are left out.
    pairs : sequence of (int, int), optional
        Positions in ``a.blocks`` and ``b.blocks``; by default blocks of equal names. Unequal widths
        are padded with zero rows.
    seed : int
        Breaks ties, so that no label is favoured.

    Returns
    -------
    list of Test
        For each pair ``phi_MATCH`` (Spearman correlation of the two matchings, asymptotic p),
        ``phi_MATCH_agreement`` (share of the units of the narrower block that both matchings give
        the same partner) and ``phi_MATCH_nearest`` (share that both views have as mutual nearest
        neighbours); then FISHER, if no block is used twice. Cost: twice that of `phi_h`.
    """
    rng = np.random.default_rng([seed, 3])
    chosen = (
        list(_straight(a, b)) if pairs is None else [(a.blocks[i], b.blocks[j]) for i, j in pairs]
    )
    gated = [(x, y) for x, y in chosen if x.up is not None and y.up is not None]
    tests, logs = [], []
    for x, y in gated:
        found = list(_match_pair(x, y, a.inputs, rng))
        logs.append(found[0].log10_pvalue)
        tests += found
    if logs and all(len({p[side].name for p in gated}) == len(gated) for side in (0, 1)):
        tests.append(_over_blocks("phi_MATCH_fisher", logs, a.inputs, "either"))
    return tests


def phi_jsd(a: Activations, b: Activations) -> Test | None:
    """phi_JSD: mean Jensen-Shannon divergence of the two models' output distributions, in nats.

    A raw value between 0 and log 2, with no p-value: every relabelling leaves it as it is. None if
    a model has no output distributions or the two have different vocabularies. Cost
    ``O(n_positions n_outputs)``.
    """
    p, q = a.log_outputs, b.log_outputs
    if p is None or q is None or p.shape != q.shape:
        return None
    total = 0.0
    for start in range(0, len(p), POSITIONS_AT_ONCE):
        x = p[start : start + POSITIONS_AT_ONCE].astype(np.float64)
        y = q[start : start + POSITIONS_AT_ONCE].astype(np.float64)
        middle = np.logaddexp(x, y) - math.log(2.0)
        total += 0.5 * float((np.exp(x) * (x - middle)).sum() + (np.exp(y) * (y - middle)).sum())
    where = _Where("all", "all", len(p), a.inputs, "either")
    return _test("phi_JSD", where, max(0.0, total / len(p)), 0.0, "calibrated")


def _match_pair(
    x: BlockActivations, y: BlockActivations, view: str, rng: np.random.Generator
) -> Iterator[Test]:
    """The three statistics of one pair of gated blocks."""
    n_x, n_y = len(x.gate), len(y.gate)
    n = max(n_x, n_y)
    gate_x, up_x, gate_y, up_y = (_padded(t, n) for t in (x.gate, x.up, y.gate, y.up))
    by_gate, by_up = match(gate_x, gate_y, rng), match(up_x, up_y, rng)
    r, log10_p = spearman(by_gate, by_up)
    agree = (by_gate == by_up)[:n_x] & (by_gate[:n_x] < n_y)  # partners that are no padding
    share = float(agree.sum()) / min(n_x, n_y)
    near_gate, near_up = match_rows(gate_x, gate_y, rng), match_rows(up_x, up_y, rng)
    both = _mutual(near_gate) & _mutual(near_up) & (near_gate.forward == near_up.forward)
    nearest = float(both.sum()) / min(n_x, n_y)
    effect = _effect(near_up.cosine[:n_x, :n_y], by_gate[:n_x], share)  # matched on gates alone
    where = _Where(x.name, y.name, min(n_x, n_y), view, "either")
    yield _test("phi_MATCH", where, r, log10_p, "asymptotic", effect)
    yield _test("phi_MATCH_agreement", where, share, 0.0, "calibrated", effect)
    yield _test("phi_MATCH_nearest", where, nearest, 0.0, "calibrated", effect)


def _left_out(a: Activations, b: Activations, *, has_jsd: bool) -> Iterator[Skipped]:
    """What of two recorded models could not be compared."""
    for name, side in (("a", a), ("b", b)):
        yield from (replace(s, what=f"{name}: {s.what}") for s in side.skipped)
    in_b = {block.name for block in b.blocks}
    unpaired = [x.name for x in a.blocks if x.name not in in_b]
    if unpaired or len(in_b) > len(a.blocks):
        what = "phi_H, phi_MATCH of the other blocks"
        yield left_out(what, "blocks-unpaired", n_a=len(a.blocks), n_b=len(in_b))
    pairs = list(_straight(a, b))
    if any(len(x.hidden) != len(y.hidden) for x, y in pairs):
        yield left_out("phi_H", "widths-differ")
    if any(x.up is None or y.up is None for x, y in pairs):
        yield left_out("phi_MATCH", "plain-mlps")
    if not has_jsd:
        is_alone = a.inputs == "gaussian"
        yield left_out("phi_JSD", "mlps-alone" if is_alone else "no-common-outputs")


def _straight(
    a: Activations, b: Activations
) -> Iterator[tuple[BlockActivations, BlockActivations]]:
    """Blocks of equal names."""
    in_b = {block.name: block for block in b.blocks}
    return ((block, in_b[block.name]) for block in a.blocks if block.name in in_b)


def _padded(x: Floats | None, n: int) -> Floats:
    """Zero rows after the last unit, up to n."""
    rows = np.zeros((0, 0), np.float32) if x is None else x
    return np.pad(rows, ((0, n - len(rows)), (0, 0)))


def _mutual(matching: Matching) -> npt.NDArray[np.bool_]:
    """Rows whose nearest row has them as its own nearest."""
    back = matching.backward[matching.forward]
    return np.asarray((matching.forward >= 0) & (back == np.arange(len(back))))


def _effect(cosine: Floats, matched: Ints, agreement: float) -> Effect:
    """Cosine of matched units, and that of their best other match; padding takes no part."""
    rows = np.flatnonzero(matched < cosine.shape[1])
    seen = cosine[rows, matched[rows]]
    others = cosine[rows].copy()
    others[np.arange(len(rows)), matched[rows]] = -np.inf
    best = others.max(axis=1, initial=-np.inf)
    fine = np.isfinite(seen) & np.isfinite(best)
    return effect_of(seen[fine], best[fine], np.array([agreement], np.float32))


def _over_blocks(name: str, logs: Sequence[float], view: str, trusts: Trusts) -> Test:
    where = _Where("all", "all", len(logs), view, trusts)
    statistic = -2 * math.log(10.0) * sum(logs)
    return _test(name, where, statistic, fisher(logs), "asymptotic")


@dataclass(frozen=True, slots=True)
class _Where:
    """What a test was run on."""

    block_a: str
    block_b: str
    n_units: int
    view: str
    trusts: Trusts


def _test(
    name: str,
    where: _Where,
    statistic: float,
    log10_p: float,
    null: Null,
    effect: Effect | None = None,
) -> Test:
    return Test(
        name=name,
        axis="units",
        trusts=where.trusts,
        block_a=where.block_a,
        block_b=where.block_b,
        n_units=where.n_units,
        statistic=float(statistic),
        log10_pvalue=float(log10_p),
        null=null,
        effect=effect,
        view=where.view,
    )
