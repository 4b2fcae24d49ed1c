"""Models assembled from whole tensors of others: hybrids of one depth, stacks of more layers.

Every tensor of the child is looked up by its contents among the tensors of the candidates that do
the same in any layer; then as few candidates as possible are chosen to hold them all. Contents are
compared after rounding to the child's own format, so a cast after the assembly changes nothing.

Two children of one parent that left different tensors alone rebuild their parent together. Where
the parts have tensors in common with each other, an assembly and such an ancestor look alike, and
the direction is undetermined.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles
from weightkin.derivation.merges import MAX_PARENTS, Merge, NamedArrays
from weightkin.records import clue

MIN_COVERED = 0.95  # of the entries
MIN_PART_SHARE = 0.02
MIN_SIZE = 16  # entries: smaller tensors may agree by accident
LAYER = re.compile(r"(?<=\.)\d+(?=[.:])")  # the first number between dots counts layers

PartKey = tuple[str, bytes]  # name without its layer, digest
Contents = dict[tuple[int, str], dict[PartKey, str]]  # of a model, rounded to a format


def find_parts(
    child: int,
    candidates: Sequence[int],
    models: Sequence[NamedArrays],
    known: Contents | None = None,
) -> Merge | None:
    """Find the fewest candidates that hold every tensor of a model between them.

    Parameters
    ----------
    child, candidates : int
        Positions in ``models``.
    models : sequence of mappings
        Sampled values by tensor name, sampled alike in all.
    known : dict, optional
        What is known of the contents of these models; what is looked up is added to it.

    Returns
    -------
    Merge or None
        Weights are shares of layers. None where one candidate holds all, or all hold too little.
    """
    own = {n: x for n, x in models[child].items() if x.size >= MIN_SIZE and np.ptp(x) > 0}
    if not own:
        return None
    format_ = narrowest(np.concatenate([np.ravel(x) for x in own.values()]))
    keys = {name: _key(name, x, format_) for name, x in own.items()}
    wanted = set(keys.values())
    known = {} if known is None else known
    held = {}
    for k in candidates:
        if k != child:
            every = _contents(k, models, format_, known)
            held[k] = {key: name for key, name in every.items() if key in wanted}
    size = {name: own[name].size for name in own}
    parents = _cover(keys, size, held)
    covered = [name for name in keys if any(keys[name] in held[k] for k in parents)]
    share = sum(size[n] for n in covered) / sum(size.values())
    if len(parents) < 2 or share < MIN_COVERED:
        return None
    source = {n: next(k for k in parents if keys[n] in held[k]) for n in covered}
    weights = _shares(source, size, parents)
    if min(weights) < MIN_PART_SHARE:
        return None
    common = [n for n in covered if all(keys[n] in held[k] for k in parents)]
    is_moved = any(name not in models[k] or held[k][keys[name]] != name
                   for name, k in source.items())  # fmt: skip
    depth = _depth(models[child])
    is_deeper = depth > max(_depth(models[k]) for k in parents)
    order = sorted(range(len(parents)), key=lambda i: -weights[i])
    n_all, n_parents = len(keys), len(parents)
    evidence = [clue("tensors-copied", n=len(covered), n_tensors=n_all, n_parents=n_parents)]
    evidence += [clue("more-layers", n=depth)] if is_deeper else []
    evidence += [clue("same-in-all", n=len(common))] if common else []
    return Merge(
        child=child,
        parents=tuple(parents[i] for i in order),
        weights=tuple(round(weights[i], 6) for i in order),
        base=None,
        method="stacked" if is_moved else "hybrid",
        gain=share,
        residual=1 - share,
        closure=0.0,
        direction=0.99 if is_deeper else 0.5 if common else 0.97,
        curve=tuple(
            (name, tuple(float(source[name] == parents[i]) for i in order)) for name in covered
        ),
        evidence=tuple(evidence),
    )


def layer_of(name: str) -> int | None:
    """Layer a tensor belongs to, by its name."""
    match = LAYER.search(name)
    return int(match[0]) if match else None


def narrowest(values: npt.NDArray[Any]) -> np.dtype[Any]:
    """The narrowest of bfloat16, float16 and float32 that holds all values."""
    x = values.astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        for format_ in (np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16)):
            if np.array_equal(x, x.astype(format_).astype(np.float32)):
                return format_
    return np.dtype(np.float32)


def _contents(
    k: int, models: Sequence[NamedArrays], format_: np.dtype[Any], known: Contents
) -> dict[PartKey, str]:
    at = (k, format_.name)
    if at not in known:
        large = ((n, x) for n, x in models[k].items() if x.size >= MIN_SIZE)
        known[at] = {_key(n, x, format_): n for n, x in large}
    return known[at]


def _key(name: str, x: npt.NDArray[Any], format_: np.dtype[Any]) -> PartKey:
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.ascontiguousarray(x.astype(np.float32).astype(format_))
    digest = hashlib.blake2b(str(x.shape).encode() + rounded.tobytes(), digest_size=16).digest()
    return LAYER.sub("*", name, count=1), digest


def _cover(
    keys: Mapping[str, PartKey], size: Mapping[str, int], held: Mapping[int, Mapping[PartKey, str]]
) -> list[int]:
    """Greedy cover; among equals the candidate that has most in common with all the others."""
    count = Counter(key for own in held.values() for key in own)
    common = {k: sum(count[key] for key in own) for k, own in held.items()}
    open_, chosen = set(keys), list[int]()
    while open_ and len(chosen) < MAX_PARENTS:
        gains = {k: sum(size[n] for n in open_ if keys[n] in own) for k, own in held.items()}
        best = max(gains, key=lambda k: (gains[k], common[k], -k), default=-1)
        if best < 0 or not gains[best]:
            break
        chosen.append(best)
        open_ = {n for n in open_ if keys[n] not in held[best]}
    return chosen


def _shares(
    source: Mapping[str, int], size: Mapping[str, int], parents: Sequence[int]
) -> list[float]:
    """Share of each parent among the entries of layers; of everything where there are no layers."""
    names = [n for n in source if layer_of(n) is not None] or list(source)
    total = sum(size[n] for n in names)
    return [sum(size[n] for n in names if source[n] == k) / total for k in parents]


def _depth(model: NamedArrays) -> int:
    return len({layer for name in model if (layer := layer_of(name)) is not None})


MIN_PRECISE_ENTRIES = 200  # precise enough to have a ratio
PRECISE = 50  # rounding units that a difference must have
MAX_RATIO = 8.0


def find_atom(change: Doubles, delta: Doubles, unit: Doubles) -> tuple[float, float]:
    """The share of entries whose ratios pile up at one number, and that number.

    Parameters
    ----------
    change : array, ``(n,)``
        Child minus base.
    delta : array, ``(n,)``
        Parent minus base, of the same entries.
    unit : array, ``(n,)``
        Rounding unit of each entry.

    Returns
    -------
    tuple of float
        Share of the entries beyond the local level, and the ratio ``change / delta``; zeros where
        too few entries are precise.
    """
    precise = np.abs(delta) > PRECISE * unit
    if precise.sum() < MIN_PRECISE_ENTRIES:
        return 0.0, 0.0
    error = unit[precise] / np.abs(delta[precise])
    ratio = change[precise] / delta[precise]
    width = max(1e-3, 2 * float(np.quantile(error, 0.25)))
    good = (error <= width / 2) & (ratio > 2 * width) & (ratio < MAX_RATIO)
    if good.sum() < MIN_PRECISE_ENTRIES // 2:
        return 0.0, 0.0
    counts = np.bincount((ratio[good] / width).astype(np.int64), minlength=64)
    double = counts[1:] + counts[:-1]  # an atom may fall on the border of two bins
    top = int(double.argmax())
    beside = np.delete(double[max(top - 20, 0) : top + 21], min(top, 20))
    excess = double[top] - np.median(beside) - 4 * np.sqrt(np.median(beside) + 1)
    near = good & (np.abs(ratio - (top + 1) * width) <= 1.5 * width)
    share = float(excess) / float((error <= width / 2).sum())
    return share, _sharpened(_mode(ratio[near]), ratio, error)


def _mode(values: Doubles) -> float:
    """Half-sample mode: the shortest half, of that the shortest half, until few are left."""
    left = np.sort(values)
    while len(left) > 8:
        half = -(-len(left) // 2)
        start = int(np.argmin(left[half - 1 :] - left[: len(left) - half + 1]))
        left = left[start : start + half]
    return float(np.median(left))


def _sharpened(atom: float, ratio: Doubles, error: Doubles) -> float:
    """Precision-weighted mean of the ratios that agree with an atom, to the last digits."""
    for _ in range(4):
        agree = np.abs(ratio - atom) <= 2 * error
        if not agree.any():
            break
        atom = float(np.average(ratio[agree], weights=error[agree] ** -2.0))
    return atom
