"""Mixtures: is a model a weighted sum of two or more others? Asked of Gram matrices alone.

A mixture ``M = sum w_i P_i`` with weights that sum to one lies in the hull of its parents, so every
question is one of distances, and one Gram matrix per tensor answers all of them: pairs in closed
form, more parents by forward selection.

Lying in the hull is not enough. A common ancestor lies between its children, the middle of a chain
between its ends, and both are explained by a mixture far better than by any single model. What
tells them apart is the **closure**

    closure = |sum w_i (P_i - M)|^2 / sum w_i^2 |P_i - M|^2

which is 0 where the differences cancel (a mixture), 1 where they are orthogonal (an ancestor, a
chain) and more where they share a drift (siblings trained alike). An affine relation has no
direction of its own: the child is taken to be the model in the middle. Masked merges (TIES, DARE)
need `merge_masks`, merges that change depth `merge_parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles
from weightkin.derivation.merge_fits import Fit, fit_of, fits_of, segments
from weightkin.records import Clue

NamedArrays = Mapping[str, npt.NDArray[Any]]  # what a tensor does, to sampled values
Method = Literal[
    "linear",
    "layer-wise",
    "slerp",
    "task-arithmetic",
    "ties",
    "dare",
    "dare-ties",
    "trimmed",
    "hybrid",
    "stacked",
    "mixture",  # approximate
]

MAX_CLOSURE = 0.5  # decoys of the zoo: 0.96 and more
MIN_GAIN = 0.3
MIN_GAIN_ARITHMETIC = 0.95  # outside the hull only a fit that leaves next to nothing
MIN_WEIGHT = 0.02
MAX_PARENTS = 6
MAX_WEIGHT = 1.001  # in an affine relation the child has the largest coefficient
SHRINK = 0.7  # what one parent more must at least make of the residual
EXACT = 1e-12  # of the squared norm: below what float32 rounding leaves
N_STARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What a model is mixed from; models are positions in the list that was asked about."""

    child: int
    parents: tuple[int, ...]  # heaviest first
    weights: tuple[float, ...]  # of the parents, sum 1
    base: int | None  # of task vectors, where the method has one
    method: Method
    gain: float  # 1 - RSS(mixture) / RSS(best single model)
    residual: float  # share of the distance to the best single model that the method leaves
    closure: float  # 0 a mixture, 1 an ancestor of its "parents"
    direction: float  # probability that the child is the child, not calibrated
    curve: tuple[tuple[str, tuple[float, ...]], ...] = ()  # tensor to weights in order of parents
    evidence: tuple[Clue, ...] = ()


def gram_matrices(models: Sequence[NamedArrays]) -> tuple[tuple[str, ...], Doubles]:
    """Names of all tensors, and their inner products, ``(n_tensors, n_models, n_models)``.

    A model without the tensor, or with another shape than most, gets NaN there.
    """
    names = list(dict.fromkeys(name for model in models for name in model))
    grams = np.full((len(names), len(models), len(models)), np.nan)
    for index, name in enumerate(names):
        shapes = [model[name].shape for model in models if name in model]
        usual = max(sorted(set(shapes)), key=shapes.count)
        held = [k for k, model in enumerate(models) if name in model and model[name].shape == usual]
        rows = np.stack([np.ravel(models[k][name]) for k in held]).astype(np.float64)
        grams[index][np.ix_(held, held)] = rows @ rows.T
    return tuple(names), grams


def find_merge(
    child: int,
    candidates: Sequence[int],
    grams: npt.ArrayLike,
    *,
    names: Sequence[str] | None = None,
    max_closure: float = MAX_CLOSURE,
    min_gain: float = MIN_GAIN,
) -> Merge | None:
    """Find the mixture of candidates that explains a model much better than any one of them.

    Parameters
    ----------
    child, candidates : int
        Positions in the Gram matrices, copies of the child left out; of twins the first counts.
    grams : (n_tensors, n, n) array
        Inner products of the same entries of all models, NaN where a model lacks a tensor.
    names : sequence of str, optional
        Names of the tensors, for the curve.
    max_closure, min_gain : float
        What a mixture may leave and must gain.

    Returns
    -------
    Merge or None
        None where one model alone is as good, where the candidates look like children of a common
        ancestor, and where a parent that matters is missing.
    """
    inner = np.asarray(grams, dtype=np.float64)
    labels = names if names is not None else [str(k) for k in range(len(inner))]
    kept, used = _comparable(child, candidates, inner)
    if len(kept) < 2:
        return None
    to_child, between, norm = _distances(child, kept, inner[used])
    floor = EXACT * norm
    twins = np.tril(between.sum(axis=0) <= floor, -1).any(axis=1)  # alike where compared: the first
    kept = [k for k, is_twin in zip(kept, twins, strict=True) if not is_twin]
    to_child, between = to_child[:, ~twins], between[:, ~twins][:, :, ~twins]
    best_single = float(to_child.sum(axis=0).min())
    everyone = fit_of(tuple(range(to_child.shape[1])), to_child, between)
    least = 0.98 * everyone.rss / max(best_single, 1e-300)  # any weights of some leave more
    if best_single <= floor or least > 1 - min(min_gain, MIN_GAIN_ARITHMETIC):
        return None  # a copy, or no weights gain enough
    method: Method = "mixture"
    fit = min(_grown(to_child, between, floor), key=lambda f: _score(f, floor), default=None)
    if fit is None or fit.rss > floor:
        is_near = least <= 1 - MIN_GAIN_ARITHMETIC
        beyond = _arithmetic(to_child, between, floor, best_single) if is_near else None
        if beyond and (fit is None or beyond.rss < (1 - MIN_GAIN_ARITHMETIC) * fit.rss):
            fit, method = beyond, "task-arithmetic"
        elif fit and (fit.closure > max_closure or 1 - fit.rss / best_single < min_gain):
            fit = None
    if fit is None:
        return None
    negative = np.flatnonzero(fit.weights < 0)
    order = [int(k) for k in np.argsort(-fit.weights, kind="stable") if k not in negative]
    scale = float(fit.weights[order].sum())
    residual = max(fit.rss, 0.0) / best_single
    closure = fit.closure if fit.rss > floor else 0.0
    tie = float(np.max(np.abs(fit.weights))) > 0.999  # the relation reads alike from both sides
    tensors = [labels[int(k)] for k in np.flatnonzero(used)]
    return Merge(
        child=child,
        parents=tuple(kept[fit.parents[k]] for k in order),
        weights=tuple(round(float(fit.weights[k]) / scale, 6) for k in order),
        base=kept[fit.parents[negative[0]]] if len(negative) else None,
        method=method,
        gain=1 - residual,
        residual=residual,
        closure=closure,
        direction=0.5 if tie else round(0.99 - 0.49 * min(closure, 1.0), 4),
        curve=tuple(
            (name, tuple(round(float(w), 6) for w in row[order]))
            for name, row in zip(tensors, fit.by_tensor, strict=True)
        ),
    )


def _comparable(
    child: int, candidates: Sequence[int], grams: Doubles
) -> tuple[list[int], npt.NDArray[np.bool_]]:
    """Candidates that hold nine tenths of what the fullest one shares, and their common tensors."""
    norms = np.diagonal(grams, axis1=1, axis2=2)[:, child]
    shared = np.isfinite(grams[:, child, :])  # (n_tensors, n)
    counts = {k: int(shared[:, k].sum()) for k in dict.fromkeys(candidates) if k != child}
    most = max(counts.values(), default=0)
    kept = [k for k, count in counts.items() if count and count >= 0.9 * most]
    return kept, shared[:, kept].all(axis=1) & (norms > 0)


def _distances(child: int, kept: Sequence[int], grams: Doubles) -> tuple[Doubles, Doubles, float]:
    """Squared distances to the child (n_tensors, n) and among candidates (n_tensors, n, n)."""
    norms = np.diagonal(grams, axis1=1, axis2=2)
    own = norms[:, [child]]
    others = norms[:, kept]
    to_child = others + own - 2 * grams[:, child, :][:, kept]
    between = others[:, :, None] + others[:, None, :] - 2 * grams[:, kept][:, :, kept]
    dust = 1e-14 * own  # of cancellation
    to_child[to_child < dust] = 0.0
    between[between < dust[:, :, None]] = 0.0
    return to_child, between, float(own.sum())


def _grown(to_child: Doubles, between: Doubles, floor: float) -> Iterator[Fit]:
    """The best pairs inside the hull, each grown while another parent pays."""
    n = to_child.shape[1]
    rss, share = segments(to_child, between)
    rows, columns = np.triu_indices(n, 1)
    inside = np.minimum(share, 1 - share)[rows, columns] >= MIN_WEIGHT
    order = np.argsort(np.where(inside, rss[rows, columns], np.inf), kind="stable")
    for k in order[: min(N_STARTS, int(inside.sum()))]:
        yield _grow((int(rows[k]), int(columns[k])), to_child, between, floor, lowest=MIN_WEIGHT)


def _grow(
    start: tuple[int, ...], to_child: Doubles, between: Doubles, floor: float, *, lowest: float
) -> Fit:
    """Add parents while the residual shrinks enough; then drop those that are not missed."""
    fit = fit_of(start, to_child, between)
    while len(fit.parents) < MAX_PARENTS and fit.rss > floor:
        rest = [k for k in range(to_child.shape[1]) if k not in fit.parents]
        more = fits_of([(*fit.parents, k) for k in rest], to_child, between)
        more = [f for f in more if f.weights.min() >= lowest and f.weights.max() <= MAX_WEIGHT]
        best = min(more, key=lambda f: f.rss, default=None)
        if best is None or best.rss > SHRINK * fit.rss:
            break
        fit = best
    while len(fit.parents) > 2:
        others = [tuple(p for p in fit.parents if p != k) for k in fit.parents]
        fewer = [f for f in fits_of(others, to_child, between) if f.weights.min() >= lowest]
        best = min(fewer, key=lambda f: f.rss, default=None)
        if best is None or SHRINK * max(best.rss, floor) > max(fit.rss, floor):
            break
        fit = best
    return fit


def _score(fit: Fit, floor: float) -> float:
    """Log residual with a price for every parent."""
    return float(np.log(max(fit.rss, floor)) - len(fit.parents) * np.log(SHRINK))


def _arithmetic(to_child: Doubles, between: Doubles, floor: float, single: float) -> Fit | None:
    """A sum of task vectors beyond the hull: one base with a negative weight, next to no residual.

    Weights here are one for all tensors. Sums that give another model a larger coefficient than the
    child's are that model's story.
    """
    pooled, apart = to_child.sum(axis=0)[None], between.sum(axis=0)[None]
    n = pooled.shape[1]
    rss, _ = segments(pooled, apart)
    rows, columns = np.triu_indices(n, 1)
    order = np.argsort(rss[rows, columns], kind="stable")[: 2 * N_STARTS]
    fits = []
    for k in order:
        fit = _grow((int(rows[k]), int(columns[k])), pooled, apart, floor, lowest=-1.0)
        plausible = np.abs(fit.weights).max() <= MAX_WEIGHT and (fit.weights < 0).sum() == 1
        if plausible and len(fit.parents) > 2 and fit.rss <= (1 - MIN_GAIN_ARITHMETIC) * single:
            fits.append(fit)
    best = min(fits, key=lambda f: _score(f, floor), default=None)
    return best and fit_of(best.parents, to_child, between)
