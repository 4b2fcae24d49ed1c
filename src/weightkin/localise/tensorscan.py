"""All equally shaped tensors of two models on a few values: which are equal, which are close.

Descriptive, and blind to names but for the pairs of equal roles, which are always listed: it finds
parts taken over under other names, and hybrids.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.naming import is_buffer
from weightkin.anatomy.roles import role_keys
from weightkin.arrays import Floats
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Model, TensorInfo
from weightkin.records import Skipped, left_out
from weightkin.records.location import Likeness, TensorRelation

N_VALUES, N_RUNS = 4096, 4  # values read of one tensor, in so many runs spread evenly
MAX_GROUP = 2048  # tensors of one shape and model beyond which only equal roles are compared
MIN_COSINE = 0.2  # and five deviations of chance, and six of those seen between other tensors
Shape = tuple[int, ...]


def scan_tensors(a: Model, b: Model) -> tuple[tuple[TensorRelation, ...], tuple[Skipped, ...]]:
    """Compare tensors of equal shape on a fixed sample of values.

    Listed: every pair of equal role (also when only the first dimension differs: on the rows that
    both have), and every other pair of equal shape that is equal or close. Constant tensors and
    buffers (masks, rotary tables) are equal in unrelated models and left out.
    """
    skipped: list[Skipped] = []
    same = _of_one_role(a, b)
    groups_a, groups_b = _by_shape(a), _by_shape(b)
    found: list[TensorRelation] = []
    for shape in sorted(groups_a.keys() & groups_b.keys()):
        names_a, names_b = groups_a[shape], groups_b[shape]
        if max(len(names_a), len(names_b)) > MAX_GROUP or len(shape) < 2:
            if len(shape) >= 2:
                what = f"tensors of shape {'x'.join(map(str, shape))}"
                skipped.append(left_out(what, "large-group", n=MAX_GROUP))
            for name in (n for n in sorted(names_a) if same.get(n) in names_b):
                pair = _Pairs(a, b, [name], [same[name]], same)
                found += _compare(pair, math.prod(shape), skipped)
        else:
            found += _compare(_Pairs(a, b, names_a, names_b, same), math.prod(shape), skipped)
    for name, other in sorted(same.items()):
        n = _n_common(a.tensors[name], b.tensors[other])
        if n:
            found += _compare(_Pairs(a, b, [name], [other], same), n, skipped)
    order = {name: i for i, name in enumerate(b.tensors)}
    found.sort(key=lambda r: (order[r.name_b], same.get(r.name_a) != r.name_b, r.name_a))
    return tuple(found), tuple(dict.fromkeys(skipped))


def _of_one_role(a: Model, b: Model) -> dict[str, str]:
    """Tensors of a by the one of b that has their role."""
    there = {key: name for name, key in role_keys(b.tensors).items()}
    return {n: there[key] for n, key in role_keys(a.tensors).items() if key in there}


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Tensors of two models that are compared, and which of them have one role."""

    a: Model
    b: Model
    names_a: Sequence[str]
    names_b: Sequence[str]
    same: Mapping[str, str]


def _compare(pairs: _Pairs, n_elements: int, skipped: list[Skipped]) -> Iterator[TensorRelation]:
    """Relations of all pairs of two lists of tensors with ``n_elements`` in common."""
    a, b = pairs.a, pairs.b
    names_a, x = _samples(a, pairs.names_a, n_elements, "a", skipped)
    names_b, y = _samples(b, pairs.names_b, n_elements, "b", skipped)
    if not names_a or not names_b:
        return
    cosine = _centred_unit(x) @ _centred_unit(y).T  # (n_a, n_b)
    level = max(MIN_COSINE, 5 / math.sqrt(x.shape[1]), _spread_of_others(cosine))
    index_b = {name: j for j, name in enumerate(names_b)}
    wanted = {(i, j) for i, j in np.argwhere(cosine >= level).tolist()}
    partners = enumerate(pairs.same.get(name, "") for name in names_a)
    wanted |= {(i, index_b[name]) for i, name in partners if name in index_b}
    for i, j in sorted(wanted):
        equal_share = float((x[i] == y[j]).mean())
        relation: Likeness = "close" if cosine[i, j] >= level else "other"
        yield TensorRelation(
            name_a=names_a[i],
            name_b=names_b[j],
            shape_a=a.tensors[names_a[i]].shape,
            shape_b=b.tensors[names_b[j]].shape,
            equal_share=round(equal_share, 6),
            cosine=round(float(np.clip(cosine[i, j], -1.0, 1.0)), 6),
            relation="equal" if equal_share == 1.0 else relation,
        )


def _samples(
    model: Model, names: Sequence[str], n_elements: int, which: str, skipped: list[Skipped]
) -> tuple[list[str], Floats]:
    """Values of the tensors at fixed places of their first ``n_elements``, constants left out."""
    n = max(1, min(N_VALUES, n_elements) // N_RUNS)
    starts = np.linspace(0, n_elements - n, N_RUNS).astype(int)
    runs = [(0, n_elements)] if n_elements <= N_VALUES else [(s, s + n) for s in starts.tolist()]
    kept, rows = [], []
    for name in names:
        row = to_float32(model.storage.read_runs(name, runs))
        if not np.isfinite(row).all():
            skipped.append(left_out(f"{which}: {name}", "non-finite-sample"))
        elif row.size > 1 and (row != row[0]).any():
            kept.append(name)
            rows.append(row)
    return kept, np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)


def _centred_unit(x: Floats) -> Floats:
    x = x / np.maximum(np.abs(x).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    x = x - x.mean(axis=1, keepdims=True, dtype=np.float64)
    norm = np.sqrt((x**2).sum(axis=1, keepdims=True))
    return np.asarray(x / np.where(norm > 0, norm, 1.0), dtype=np.float32)


def _spread_of_others(cosine: Floats) -> float:
    """Six robust deviations of the cosines of a group: most pairs are of different tensors."""
    if cosine.size < 16:
        return 0.0
    return min(0.9, 6 * float(np.median(np.abs(cosine))) / 0.6745)


def _by_shape(model: Model) -> dict[Shape, list[str]]:
    groups: dict[Shape, list[str]] = defaultdict(list)
    for name, info in model.tensors.items():
        if math.prod(info.shape) > 1 and not is_buffer(info):
            groups[info.shape].append(name)
    return groups


def _n_common(a: TensorInfo, b: TensorInfo) -> int:
    """Elements of the rows two tensors have in common, if only their number differs, or 0."""
    if a.shape == b.shape or len(a.shape) < 2 or a.shape[1:] != b.shape[1:] or is_buffer(a):
        return 0
    n = min(a.shape[0], b.shape[0]) * math.prod(a.shape[1:])
    return n if n > 1 else 0
