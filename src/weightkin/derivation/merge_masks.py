"""Merges that mask entries: TIES, DARE and kin, found by the atoms of element-wise ratios.

Such a merge adds to a base ``B`` some entries of the task vectors ``P_i - B`` and drops the others.
Least squares sees noise there, but entry by entry nothing is noisy: where only parent i was kept,
``(M - B) / (P_i - B)`` is the same number up to rounding. A parent is a candidate whose ratios pile
up at one number, far above what lies beside it; no model that is merely related does that.

Limitations: the base must be at hand, and at least one entry in fifty of the child still its own.
Training after the merge wipes the atoms out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles
from weightkin.derivation.merge_parts import MIN_PRECISE_ENTRIES, PRECISE, find_atom, narrowest
from weightkin.derivation.merges import Merge, Method, NamedArrays
from weightkin.records import clue

Mask = npt.NDArray[np.bool_]

MAX_ENTRIES = 120_000
MAX_VALUES = 20_000_000  # of all candidates together
MIN_UNCHANGED = 0.02  # share of entries at the base
MIN_ATOM = 0.03  # share of the changed entries in one atom, above what lies beside it
MIN_MASKED = 0.9
MAX_MASKED_PARENTS = 4
N_BASES = 4
SCREENED = 4096  # entries that show whether any model may be a base
IS_ORDERED = 0.75  # probability that a kept entry is larger than a dropped one


@dataclass(frozen=True, slots=True)
class _Masked:
    """One reading of a child: base, parents, atoms, which parents each entry kept."""

    base: int
    parents: tuple[int, ...]  # positions among the candidates, like the base
    atoms: Doubles  # (n_parents,)
    weights: Doubles  # (n_parents,)
    kept: Mask  # (n_parents, n_entries)
    active: Mask  # (n_parents, n_entries): the parent differs from the base
    explained: float  # share of the changed entries
    is_ordered: bool  # entries were dropped by size, not at random
    is_mean: bool  # where several agree their weighted mean was taken, not their sum
    hub: float  # how orthogonal the task vectors are: mean |cosine|
    left: float  # RSS


def find_masked_merge(
    child: int, candidates: Sequence[int], models: Sequence[NamedArrays]
) -> Merge | None:
    """Find a base and parents whose masked task vectors make the child, entry by entry.

    Parameters
    ----------
    child, candidates : int
        Positions in ``models``.
    models : sequence of mappings
        Sampled values by tensor name; candidates that lack a tensor of the child are left out.

    Returns
    -------
    Merge or None
        None unless two parents or more have an atom each and explain nine tenths of what changed.
    """
    own = models[child]
    names = [name for name, x in own.items() if x.ndim > 1] or list(own)
    fits = [k for k in candidates if k != child and _has(models[k], own, names)]
    if len(fits) < 3:
        return None
    names = [n for n in names if not any(_are_equal(own[n], models[k][n]) for k in fits)]
    size = sum(own[name].size for name in names)
    if size < 2 * MIN_PRECISE_ENTRIES:
        return None  # every tensor is a copy: no masks, see `merge_parts`
    if not _may_have_base(own, [models[k] for k in fits], names, size // SCREENED | 1):
        return None
    step = -(-size // min(MAX_ENTRIES, MAX_VALUES // len(fits)))
    y = _entries(own, names, step)
    x = np.stack([_entries(models[k], names, step) for k in fits])
    unit = np.abs(y) * rounding(y) + 1e-30
    unchanged = np.mean(np.abs(x - y) <= unit, axis=1)  # (n_candidates,)
    bases = [int(k) for k in np.argsort(-unchanged, kind="stable")[:N_BASES]]
    readings = [_read(y, x, unit, base) for base in bases if unchanged[base] >= MIN_UNCHANGED]
    found = [r for r in readings if r is not None and r.explained >= MIN_MASKED]
    if not found:
        return None
    most = max(r.explained for r in found)
    near = [r for r in found if r.explained >= 0.98 * most]
    reading = min(near, key=lambda r: (len(r.parents), r.hub))
    single = float(((x - y) ** 2).sum(axis=1).min())
    return _merge(child, fits, reading, single)


def _are_equal(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether two tensors of a size have equal values; mostly the first entry says no."""
    return not a.size or (bool(a.flat[0] == b.flat[0]) and np.array_equal(a, b))


def _may_have_base(
    own: NamedArrays, others: Sequence[NamedArrays], names: Sequence[str], step: int
) -> bool:
    """Whether any model keeps one entry of a sample: a base keeps one in fifty of all.

    An odd step meets all columns of matrices whose width is a power of two.
    """
    y = _entries(own, names, step)
    unit = np.abs(y) * rounding(y) + 1e-30
    return any((np.abs(_entries(x, names, step) - y) <= unit).any() for x in others)


def rounding(values: Doubles) -> float:
    """Relative spacing of the narrowest common format that holds all values."""
    return {"bfloat16": 2.0**-8, "float16": 2.0**-11}.get(narrowest(values).name, 2.0**-22)


def _has(model: NamedArrays, own: NamedArrays, names: Sequence[str]) -> bool:
    return all(name in model and model[name].shape == own[name].shape for name in names)


def _entries(model: NamedArrays, names: Sequence[str], step: int) -> Doubles:
    flat = np.concatenate([np.ravel(model[name]) for name in names])
    return flat[:: max(step, 1)].astype(np.float64)


def _read(y: Doubles, x: Doubles, unit: Doubles, base: int) -> _Masked | None:
    """Collect parents by their atoms on what is still unexplained, then weigh combinations."""
    change = y - x[base]
    deltas = x - x[base]
    is_changed = np.abs(change) > unit
    is_open = is_changed.copy()
    parents: list[int] = []
    atoms: list[float] = []
    while len(parents) < MAX_MASKED_PARENTS:
        rest = [k for k in range(len(x)) if k != base and k not in parents]
        tried = [(*find_atom(change[is_open], deltas[k][is_open], unit[is_open]), k) for k in rest]
        share, atom, k = max(tried, default=(0.0, 0.0, -1))
        if share * is_open.sum() < MIN_ATOM * is_changed.sum():
            break
        parents.append(k)
        atoms.append(atom)
        is_open &= np.abs(change - atom * deltas[k]) > 2 * unit
    if len(parents) < 2:
        return None
    return _weigh(change, deltas[parents], unit, base, tuple(parents), np.array(atoms))


def _weigh(
    change: Doubles,
    deltas: Doubles,
    unit: Doubles,
    base: int,
    parents: tuple[int, ...],
    atoms: Doubles,
) -> _Masked | None:
    """Explain entries by sums, and by weighted means, of kept task vectors; keep the better."""
    n = len(parents)
    even = np.full(n, 1.0 / n)
    shares = [None, even]
    if n == 2:
        shares.append(_shares_of_two(change, deltas, unit, atoms))
    options = [_assign(change, deltas, unit, atoms, share) for share in shares]
    # entries where rounding cannot imitate a combination
    is_telling = (np.abs(change) > unit) & (np.abs(deltas).max(axis=0) > PRECISE * unit)
    if is_telling.sum() < MIN_PRECISE_ENTRIES:
        return None
    # the even mean must be beaten clearly by a fitted one, and a sum clearly by a mean
    scores = [
        float((np.abs(change - model) <= 2 * unit)[is_telling].mean()) - 0.001 * k
        for k, (model, _) in enumerate(options)
    ]
    best = int(np.argmax(scores))
    model, kept = options[best]
    chosen = shares[best]
    active = np.abs(deltas) > 4 * unit
    rate = (kept & active).sum(axis=1) / np.maximum(active.sum(axis=1), 1)
    is_ordered = [
        _order(d, k, a) >= IS_ORDERED for d, k, a in zip(deltas, kept, active, strict=True)
    ]
    weights = chosen if chosen is not None else np.where(is_ordered, atoms, atoms * rate)
    lengths = np.sqrt((deltas**2).sum(axis=1))
    cosines = np.abs(deltas @ deltas.T / np.outer(lengths, lengths))[np.triu_indices(n, 1)]
    return _Masked(
        base=base,
        parents=parents,
        atoms=atoms,
        weights=weights,
        kept=kept,
        active=active,
        explained=scores[best] + 0.001 * best,
        is_ordered=float(np.mean(is_ordered)) > 0.5,
        is_mean=chosen is not None,
        hub=float(cosines.mean()),
        left=float(((change - model) ** 2).sum()),
    )


def _assign(
    change: Doubles, deltas: Doubles, unit: Doubles, atoms: Doubles, shares: Doubles | None
) -> tuple[Doubles, Mask]:
    """Nearest combination of kept task vectors to every entry, and who was kept; fewest first."""
    n = len(deltas)
    model = np.zeros_like(change)
    kept = np.zeros(deltas.shape, dtype=bool)
    miss = np.abs(change)
    for size in range(1, n + 1):
        for chosen in combinations(range(n), size):
            index = list(chosen)
            by = atoms[index]
            if shares is not None:
                by = by * shares[index] / shares[index].sum()
            tried = by @ deltas[index]
            better = np.abs(change - tried) < miss - unit
            model[better], miss[better] = tried[better], np.abs(change - tried)[better]
            kept[:, better] = False
            kept[np.array(index)[:, None], np.flatnonzero(better)] = True
    return model, kept


def _shares_of_two(change: Doubles, deltas: Doubles, unit: Doubles, atoms: Doubles) -> Doubles:
    """Weights of two parents where both were kept: least squares, trimmed to what fits."""
    alone = [np.abs(change - s * d) <= 2 * unit for s, d in zip(atoms, deltas, strict=True)]
    both = (deltas[0] * deltas[1] > 0) & ~alone[0] & ~alone[1] & (np.abs(change) > unit)
    if both.sum() < MIN_PRECISE_ENTRIES:
        return np.full(2, 0.5)
    # u = (change/atom - d1) / (d0 - d1), robust: the median
    scaled = change[both] / atoms.mean()
    u = (scaled - deltas[1][both]) / np.where(
        deltas[0][both] == deltas[1][both], np.inf, deltas[0][both] - deltas[1][both]
    )
    share = float(np.clip(np.median(u), 0.01, 0.99))
    return np.array([share, 1 - share])


def _order(delta: Doubles, kept: Mask, active: Mask) -> float:
    """Probability that a kept entry of a task vector is larger than a dropped one."""
    size = np.abs(delta[active])
    is_kept = kept[active]
    n_kept, n_dropped = int(is_kept.sum()), int((~is_kept).sum())
    if not n_kept or not n_dropped:
        return 0.5
    ranks = np.empty(len(size))
    ranks[np.argsort(size, kind="stable")] = np.arange(1, len(size) + 1)
    return float((ranks[is_kept].sum() - n_kept * (n_kept + 1) / 2) / (n_kept * n_dropped))


def _merge(child: int, fits: Sequence[int], reading: _Masked, single: float) -> Merge:
    total = float(reading.weights.sum())
    weights = reading.weights / total
    order = [int(k) for k in np.argsort(-weights, kind="stable")]
    rates = (reading.kept & reading.active).sum(axis=1) / np.maximum(reading.active.sum(axis=1), 1)
    residual = reading.left / single
    return Merge(
        child=child,
        parents=tuple(fits[reading.parents[k]] for k in order),
        weights=tuple(round(float(weights[k]), 6) for k in order),
        base=fits[reading.base],
        method=_method(reading),
        gain=1 - residual,
        residual=residual,
        closure=0.0,
        direction=0.99,  # the atoms stand at the child alone
        evidence=(
            clue("masked-vectors", share=round(float(reading.explained), 5), n=len(order)),
            clue("masked-kept", shares=[round(float(rates[k]), 4) for k in order]),
            clue("masked-factors", factors=[round(float(reading.atoms[k]), 6) for k in order]),
        ),
    )


def _method(reading: _Masked) -> Method:
    if reading.is_ordered:
        return "ties" if reading.is_mean else "trimmed"
    return "dare-ties" if reading.is_mean else "dare"
