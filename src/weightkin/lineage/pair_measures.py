"""What the matrices of a family say about every two members that may be parent and child.

Distances are taken of all pairs at once (`member_measures`); what costs more is measured for the
pairs alone of which one is among the nearest of the other. Everything later reads these arrays and
no sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles, Ints
from weightkin.lineage.family_frame import in_family_frame
from weightkin.lineage.member_measures import (
    Measured,
    Role,
    distances,
    evenly,
    measure_members,
    roles,
)
from weightkin.sketch import Sketch

N_RANKED = 8  # matrices of which the rank of differences is read
CORNER = 64  # rows and columns of a sample that are compared entry by entry
SAME_ROW = 1e-5  # squared distance of a row to a multiple of another one, over its squared norm
N_CANDIDATES = 12  # nearest members of each that may be its parent or child
MANY = 1024  # pairs measured at a time


@dataclass(frozen=True)
class PairMeasures:
    """Measures of m ordered pairs, which come in both orders; NaN where nothing can be told.

    ``equal``, ``zeros_both``: shares of entries, ``rank``: effective rank of the difference over
    the largest possible one, all ``(t, m)``. ``multiples``: share of the token rows of the child
    that are multiples of the parent's, ``shrunk``: by which factor, less one (in the median).
    ``shares``: share of the parameters of the parent that the child has in equal shapes.
    ``images``: probability that the child is a lossy image of the parent, as far as that was asked.
    """

    parents: Ints
    children: Ints
    equal: Doubles
    zeros_both: Doubles
    rank: Doubles
    multiples: Doubles
    shrunk: Doubles
    shares: Doubles
    images: Doubles


def measure(sketches: Sequence[Sketch]) -> tuple[Measured, PairMeasures]:
    """Measure the members of a family, and the pairs of them that may be parent and child.

    Parameters
    ----------
    sketches : sequence of Sketch
        Of the members, in one scheme.

    Returns
    -------
    Measured, PairMeasures
        No image is known yet.
    """
    matrices, vectors = roles(in_family_frame(sketches))
    measured = measure_members(sketches, matrices, vectors)
    return measured, _of_pairs(matrices, *candidate_pairs(distances(measured)), sketches)


def of_part(measured: Measured, pairs: PairMeasures, index: Ints) -> tuple[Measured, PairMeasures]:
    """The measures of some members alone, as if there were no others."""
    taken = {}
    for field in fields(measured):
        x = getattr(measured, field.name)
        if field.name in ("squares", "apart"):
            x = x[:, index[:, None], index[None, :]]
        elif field.name == "corners":
            x = x[:, index]
        elif field.name != "sizes":
            x = x[..., index]
        taken[field.name] = x
    position = np.full(measured.n, -1)
    position[index] = np.arange(len(index))
    u, v = position[pairs.parents], position[pairs.children]
    some = (u >= 0) & (v >= 0)
    own = {f.name: getattr(pairs, f.name)[..., some] for f in fields(pairs)}
    return Measured(**taken), PairMeasures(**{**own, "parents": u[some], "children": v[some]})


def with_images(pairs: PairMeasures, images: Doubles) -> PairMeasures:
    """The same with what was found of lossy images, ``(m,)``."""
    return replace(pairs, images=images)


def candidate_pairs(far: Doubles) -> tuple[Ints, Ints]:
    """Ordered pairs of which one is among the nearest of the other."""
    n = len(far)
    is_near = np.zeros((n, n), dtype=bool)
    order = np.argsort(far, axis=0, kind="stable")[: min(N_CANDIDATES, n - 1)]
    np.put_along_axis(is_near, order, True, axis=0)
    is_near |= is_near.T
    np.fill_diagonal(is_near, False)
    parents, children = np.nonzero(is_near)
    return parents, children


def _of_pairs(
    matrices: Sequence[Role], parents: Ints, children: Ints, sketches: Sequence[Sketch]
) -> PairMeasures:
    m = len(parents)
    equal, both, rank = (np.full((len(matrices), m), np.nan) for _ in range(3))
    multiples, shrunk = np.full(m, np.nan), np.full(m, np.nan)
    ranked = evenly(len(matrices), N_RANKED)
    for k, one in enumerate(matrices):
        place = np.full(len(sketches), -1)
        place[one.who] = np.arange(len(one.who))
        at = np.flatnonzero((place[parents] >= 0) & (place[children] >= 0))
        corner = one.values[:, :CORNER, :CORNER]
        for some in (at[start : start + MANY] for start in range(0, len(at), MANY)):
            i, j = place[parents[some]], place[children[some]]
            p, c = corner[i], corner[j]
            equal[k, some] = (p == c).mean(axis=(1, 2))
            both[k, some] = ((p == 0) & (c == 0)).mean(axis=(1, 2))
            if k in ranked:
                rank[k, some] = _rank(c.astype(np.float64) - p)
            if one.is_table:
                found, factor = _multiples(one.values[i], one.values[j])
                better = some[~(multiples[some] >= found)]
                multiples[better] = found[np.isin(some, better)]
                shrunk[better] = factor[np.isin(some, better)]
    shares = _shares(sketches, parents, children)
    nothing = np.zeros(m)
    return PairMeasures(parents, children, equal, both, rank, multiples, shrunk, shares, nothing)


def _rank(change: Doubles) -> Doubles:
    """Effective rank of each change over the largest possible one."""
    rows, columns = change.shape[1:]
    turned = change.transpose(0, 2, 1) if rows > columns else change
    square = turned @ turned.transpose(0, 2, 1)
    total = np.trace(square, axis1=1, axis2=2) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Doubles = total / (square**2).sum(axis=(1, 2)) / min(rows, columns)
    return ratio


def _multiples(p: npt.NDArray[np.float32], c: npt.NDArray[np.float32]) -> tuple[Doubles, Doubles]:
    """Share of the rows of each child that are multiples of the parent's, the factor less one."""
    own = np.einsum("mrc,mrc->mr", p, p, dtype=np.float64)
    inner = np.einsum("mrc,mrc->mr", p, c, dtype=np.float64)
    squares = np.einsum("mrc,mrc->mr", c, c, dtype=np.float64)
    is_told = own > 0
    safe = np.where(is_told, own, 1.0)
    is_multiple = is_told & (np.maximum(squares - inner**2 / safe, 0.0) / safe < SAME_ROW)
    n_told = is_told.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n_told > 0, is_multiple.sum(axis=1) / n_told, np.nan)
    factor = np.full(len(p), np.nan)
    for k in np.flatnonzero(is_multiple.any(axis=1)):
        factor[k] = np.median((inner[k] / safe[k])[is_multiple[k]]) - 1.0
    return share, factor


def _shares(sketches: Sequence[Sketch], parents: Ints, children: Ints) -> Doubles:
    shapes = [{name: x.shape for name, x in s.tensors.items()} for s in sketches]
    sizes = [{key: float(np.prod(shape)) for key, shape in own.items()} for own in shapes]
    totals = [max(1.0, sum(own.values())) for own in sizes]
    return np.array(
        [
            sum(sizes[i][key] for key, shape in shapes[i].items() if shapes[j].get(key) == shape)
            / totals[i]
            for i, j in zip(parents.tolist(), children.tolist(), strict=True)
        ]
    )
