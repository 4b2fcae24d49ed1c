"""The geometry of a candidate pair and a relative: who lies between whom, who holds what.

For a relative r of a pair from u to v, ``at_u`` is the cosine between r and v as seen from u (zero
where u lies between the two or all three part at u), and ``held`` the share of the change from r to
u that v holds. Everything is measured twice: plainly, and after whitening (`whitening`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Bools, Doubles, Ints
from weightkin.lineage.member_measures import CORNER, REPLACED, Measured
from weightkin.lineage.missing import average, middle, most
from weightkin.lineage.pair_measures import PairMeasures

N_AROUND = 8  # relatives that a pair is looked at with: the nearest to either of the two
MOST_HELD = 3.0
SEEN = 10.0  # times what one entry moves between both: a smaller change does not show who holds it


@dataclass(frozen=True)
class Triples:
    """What every candidate pair and each of its relatives say: ``(m, k)`` each, NaN without one.

    ``held`` is of the change to u by v, ``held_back`` of the change to v by u; ``typical_u``,
    ``typical_v``: cosines in the median of the matrices.
    """

    at_u: Doubles
    at_v: Doubles
    held: Doubles
    held_back: Doubles
    typical_u: Doubles
    typical_v: Doubles


@dataclass(frozen=True)
class Around:
    """Candidate pairs, their relatives, and what these say, plainly and whitened.

    ``parents``, ``children``: ``(m,)``; ``relatives``: ``(m, k)``, -1 where there are fewer.
    """

    parents: Ints
    children: Ints
    relatives: Ints
    plain: Triples
    white: Triples


def look_around(
    measured: Measured, pairs: PairMeasures, far: Doubles, white: tuple[Doubles, Doubles]
) -> Around:
    """Candidate pairs, their nearest relatives, and the geometry of every triple of them.

    Parameters
    ----------
    measured, pairs : Measured, PairMeasures
        Of n members and m candidate pairs.
    far : (n, n) array
        Squared distances by which relatives are chosen.
    white : pair of (c, n, n) array
        Whitened squared distances, and the same over the sum of both squared norms.
    """
    u, v = pairs.parents, pairs.children
    near = np.minimum(far[:, u], far[:, v])  # (n, m)
    at = np.arange(len(u))
    near[u, at] = near[v, at] = np.inf
    k = max(1, min(N_AROUND, measured.n - 2))
    r = np.argsort(near, axis=0, kind="stable")[:k].T  # (m, k)
    is_one = np.isfinite(np.take_along_axis(near.T, r, axis=1))
    triples = (u[:, None], v[:, None], r)
    corners = np.full(len(white[0]), CORNER**2)
    plain, some = _triples(measured.squares, measured.apart, measured.sizes, triples, is_one)
    return Around(
        parents=u,
        children=v,
        relatives=np.where(some, r, -1),
        plain=plain,
        white=_triples(*white, corners, triples, is_one & some)[0],
    )


def _triples(
    squares: Doubles, apart: Doubles, sizes: Ints, triples: tuple[Ints, Ints, Ints], is_one: Bools
) -> tuple[Triples, Bools]:
    """The geometry over all matrices that none of the three replaced, and where there is one."""
    kept = np.where(apart > REPLACED, np.nan, squares)
    u, v, r = triples
    ur, vr, uv = kept[:, u, r], kept[:, v, r], kept[:, u, v]  # (t, m, k), the last (t, m, 1)
    is_told = np.isfinite(ur) & np.isfinite(vr) & np.isfinite(uv) & is_one
    ur, vr, uv = (np.where(is_told, x, 0.0) for x in (ur, vr, uv))
    a, b, c = (x.sum(axis=0) for x in (ur, vr, uv))
    some = np.asarray(is_told.any(axis=0))
    least = SEEN * c / np.maximum((is_told * sizes[:, None, None]).sum(axis=0), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = Triples(
            at_u=_limited((b - a - c) / 2 / np.sqrt(a * c), 1.0, some),
            at_v=_limited((a - b - c) / 2 / np.sqrt(b * c), 1.0, some),
            held=_limited((a + b - c) / 2 / a, MOST_HELD, some & (a >= least)),
            held_back=_limited((a + b - c) / 2 / b, MOST_HELD, some & (b >= least)),
            typical_u=_typical(ur, vr, uv, is_told),
            typical_v=_typical(vr, ur, uv, is_told),
        )
    return found, some


def _typical(ur: Doubles, vr: Doubles, uv: Doubles, is_told: Bools) -> Doubles:
    cosines = (vr - ur - uv) / 2 / np.sqrt(ur * uv)
    told = np.where(is_told & np.isfinite(cosines), cosines, np.nan)
    return _limited(middle(told), 1.0, is_told.any(axis=0))


def _limited(x: Doubles, at_most: float, is_told: npt.ArrayLike) -> Doubles:
    limited: Doubles = np.where(is_told & np.isfinite(x), np.clip(x, -at_most, at_most), np.nan)
    return limited


def triple_features(around: Around, triples: Triples, far: Doubles) -> dict[str, Doubles]:
    """What the relatives of every pair say together: ``(m,)`` each, NaN where nothing."""
    u, v = around.parents, around.children
    closer = np.fmin(np.abs(triples.at_u), np.abs(triples.at_v))
    is_both = np.isfinite(triples.at_u) & np.isfinite(triples.at_v)
    is_beside_u = np.abs(triples.at_u) < np.abs(triples.at_v)
    found: dict[str, Doubles] = {"between": most(closer)}
    for name, x in (("at_u", triples.typical_u), ("at_v", triples.typical_v)):
        found |= {
            f"{name}_least": -most(-x),
            f"{name}_typical": middle(x.T),
            f"{name}_most": most(x),
        }
    found["side_u"] = average(np.where(is_both, is_beside_u, np.nan).T)
    found["beside_v"] = (is_both & ~is_beside_u).sum(axis=1).astype(np.float64)
    found["held_most"], found["held_least"] = most(triples.held), -most(-triples.held)
    found["held_typical"] = middle(triples.held.T)
    for name, end in (("u", u), ("v", v)):
        there = around.relatives >= 0
        near = np.where(there, far[np.maximum(around.relatives, 0), end[:, None]], np.inf)
        first = np.argmin(near, axis=1)[:, None]
        of = {
            "held": triples.held,
            "held_back": triples.held_back,
            "at_u": triples.at_u,
            "at_v": triples.at_v,
        }
        found |= {
            f"{key}_near_{name}": np.take_along_axis(x, first, axis=1)[:, 0]
            for key, x in of.items()
        }
        nearest = np.take_along_axis(near, first, axis=1)[:, 0]
        found[f"nearer_than_{name}"] = np.where(
            np.isfinite(nearest),
            np.log(np.where(np.isfinite(nearest), nearest, 1.0) / far[u, v]),
            np.nan,
        )
    return found
