"""Quarter turns of rotary planes: exact, and blind to everything done to the rest of a model.

A plane of a key head and of the queries that read it may be turned by a quarter: the model is the
same, the turn is a signed exchange of two rows, and usual starts and optimisers do not tell it. So,
under the null, the quarter by which a plane of one model stands turned against the plane of equal
frequency of the other is uniform on four, given everything that does not change under such turns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy  # type: ignore[import-untyped,unused-ignore]

from weightkin.anatomy.queries import QueryKeys
from weightkin.arrays import Bools, Floats, Ints
from weightkin.evidence.planes import Planes
from weightkin.stats.copies import LEVEL, Groups, groups_of, trace_z
from weightkin.stats.signs import agreements_log10_sf, log_evalues

ROUNDING = 1e-5  # products of planes of length one that are no larger are dropped
MIN_COPY = 0.5  # mean product of the planes of two heads from which they share their coins


@dataclass(frozen=True, slots=True)
class TurnMatch:
    """Key heads of two attentions that find each other, and the coins that their planes show."""

    a: QueryKeys
    b: QueryKeys
    heads_a: Ints
    heads_b: Ints
    products: Planes  # (n_heads, n_planes), mean over keys and queries
    chance: Floats  # (n_heads, n_planes), size of the best product with another head, or plane

    @property
    def odds(self) -> float:
        """Chance of a hit: a quarter, or a half where only half turns change nothing."""
        return 0.25 if {self.a.coin, self.b.coin} == {"quarter"} else 0.5

    @property
    def is_coin(self) -> Bools:
        """Planes whose turn can be told; a turn does not change which."""
        along, across = np.abs(self.products.real), np.abs(self.products.imag)
        decided = np.abs(along - across) if self.odds == 0.25 else along
        return np.asarray(decided > ROUNDING)

    @property
    def n(self) -> int:
        """Coins."""
        return int(self.is_coin.sum())

    @property
    def n_hits(self) -> int:
        """Planes that stand alike in both models: Re z > |Im z|, or Re z > 0 of half turns."""
        least = np.abs(self.products.imag) if self.odds == 0.25 else 0.0
        return int(((self.products.real > least) & self.is_coin).sum())

    @property
    def log_evalues(self) -> npt.NDArray[np.float64]:
        """Log e-value for each bet of `stats.signs.LAMBDAS`."""
        return log_evalues(self.n_hits, self.n, self.odds)

    @property
    def log10_pvalue(self) -> float:
        """Exact: tail of a binomial law."""
        return agreements_log10_sf(self.n_hits, self.n, self.odds)

    def kept(self, heads: Bools) -> TurnMatch:
        """Only some of the matched heads."""
        return replace(
            self,
            heads_a=self.heads_a[heads],
            heads_b=self.heads_b[heads],
            products=self.products[heads],
            chance=self.chance[heads],
        )


def match_planes(a: QueryKeys, b: QueryKeys, planes_a: Planes, planes_b: Planes) -> TurnMatch:
    """Match key heads by sums of |z|, which turns do not change, and keep the products z.

    Null hypothesis: see the module. Heads that stand in the same group are matched one to one, as
    are their queries, so every plane of either model is used at most once. Exact.

    Parameters
    ----------
    a, b : QueryKeys
        An attention of each.
    planes_a, planes_b : ndarray
        ``(n_heads, n_roles, n_planes, n_features)``, complex, each plane at length one, keys first.

    Returns
    -------
    TurnMatch
        Cost ``O(n_heads ** 2 n_roles ** 2 n_planes n_features)``.
    """
    n_planes = planes_a.shape[2]
    products = np.einsum("aft,bft->abf", planes_a[:, 0].conj(), planes_b[:, 0], optimize=True)
    n_roles = min(planes_a.shape[1], planes_b.shape[1])
    order = np.zeros((*products.shape[:2], n_roles), dtype=np.int64)  # whom the roles of a meet
    if n_roles > 1:
        x, y = planes_a[:, 1:].conj(), planes_b[:, 1:]
        queries = np.einsum("arft,bsft->abrsf", x, y, optimize=True)
        size = np.abs(queries).sum(axis=-1)
        for i, j in np.ndindex(products.shape[:2]):
            rows, columns = scipy.optimize.linear_sum_assignment(-size[i, j])
            products[i, j] += queries[i, j, rows, columns].sum(axis=0)
            order[i, j, 1:] = 1 + columns
    products = np.asarray(products / n_roles, dtype=np.complex64)
    size = np.abs(products)  # (n_heads of a, of b, n_planes)
    heads_a, heads_b = scipy.optimize.linear_sum_assignment(-size.sum(axis=-1))
    others = size[heads_a].copy()
    others[np.arange(len(heads_a)), heads_b] = 0.0
    if size.shape[1] == 1:  # there is no other head: planes of other numbers
        others = _other_planes(planes_a[heads_a[0]], planes_b[0][order[heads_a[0], 0]])[None]
    return TurnMatch(
        a=a,
        b=b,
        heads_a=np.asarray(heads_a, dtype=np.int64),
        heads_b=np.asarray(heads_b, dtype=np.int64),
        products=products[heads_a, heads_b],
        chance=others.max(axis=1, initial=0.0).reshape(-1, n_planes),
    )


def _other_planes(planes_a: Planes, planes_b: Planes) -> Floats:
    """Size of all products of planes of unlike number: ``(n_planes of b, n_planes of a)``."""
    n_roles = min(len(planes_a), len(planes_b))
    x, y = planes_a[:n_roles].conj(), planes_b[:n_roles]
    table = np.abs(np.einsum("rft,rgt->gf", x, y, optimize=True)) / n_roles
    np.fill_diagonal(table, 0.0)
    return np.asarray(table, dtype=np.float32)


def copied_key_heads(planes: Planes) -> Groups:
    """Which key heads of one model are copies of each other, blind to turns: they share coins.

    Two heads are copies where planes of equal number are more alike than the others (the trace of
    their table of |z| passes the level that is left to it), or alike beyond what heads of trained
    models that are none reach (0.46 in the mean; copies 0.5).

    Parameters
    ----------
    planes : ndarray
        ``(n_heads, n_planes, n_features)``, of all attentions, each plane at length one.

    Returns
    -------
    tuple of int
        The number of the first copy of each head.
    """
    n = len(planes)
    n_pairs = n * (n - 1) // 2
    if not n_pairs:
        return tuple(range(n))
    cut = float(-scipy.special.ndtri(LEVEL / n_pairs))
    edges = []
    for i in range(1, n):
        table = np.abs(np.einsum("ft,bgt->bfg", planes[i].conj(), planes[:i], optimize=True))
        own = np.diagonal(table, axis1=1, axis2=2).mean(axis=1)
        is_copy = (own >= MIN_COPY) | (trace_z(table) >= cut)
        edges += [(i, int(j)) for j in np.flatnonzero(is_copy)]
    return groups_of(n, edges)
