"""Changed bases of heads: O V and Q'K are as they were, and the rows that they consist of are not.

Descriptive: nothing here is evidence that two models are related. It is read once that is settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from weightkin.anatomy.gains import gain_before
from weightkin.anatomy.head_rows import head_rows
from weightkin.anatomy.positions import entries_of
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Floats, Ints
from weightkin.derivation.heads_looked import FACTORS, HeadBases, HeadsLooked, Part, Settled
from weightkin.derivation.streams import Residual
from weightkin.errors import UsageError
from weightkin.evasions.keys import Basis, key_bases, plane_matrices
from weightkin.evasions.whole import whole_anatomy

SAME_HEAD = 0.5  # cosine of two products from which they are those of one head
MIN_LEFT = 0.3  # share of the energy of rows that what has another name must leave unexplained
MAX_OF_LEFT = 0.5  # ... and how much of it the product may leave at most
MOST_CONDITION = 1e6  # of a basis that can be undone
NORMED = ("attn.q_norm", "attn.k_norm")  # behind them products of rows are no function
Doubles = npt.NDArray[np.float64]
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Heads:
    """Both factors of every key-value head, (n_heads, size, features): V and O, or K and Q."""

    rows: Doubles
    partners: Doubles

    def is_like(self, other: Heads) -> bool:
        """Whether products of both can be compared."""
        shapes = [(x.rows.shape, x.partners.shape) for x in (self, other)]
        return shapes[0] == shapes[1]


def look_at_heads(
    a: Side, b: Side, axes: Sequence[tuple[Axis, Axis]], residual: Residual
) -> HeadsLooked:
    """Find heads of b whose products are those of a's heads while their rows are not.

    Heads are paired by their products, O V or Q'K, over all query heads of a group. A head is
    rebased where scales of its dimensions (of values, order and signs too) leave at least 0.3 of
    the energy of either factor unexplained, and the product leaves at most half of that. Where no
    basis changed, the product leaves about what both factors do together: at least twice the less.

    Parameters
    ----------
    a, b : Side
        The two models. Four matrices of every block are read whole.
    axes : sequence of (Axis, Axis)
        Pairs of heads, of `axes_of_heads`.
    residual : Residual
        How the stream of b stands to that of a.

    Returns
    -------
    HeadsLooked
        With a part of heads for each attention in which some head is rebased, and the matrices of
        those that were compared and in which none is.
    """
    parts = _parts_shown(a.anatomy, b.anatomy) if axes else ()
    planes = _planes(b) if "keys" in parts else {}
    found: list[HeadBases] = []
    settled: set[Settled] = set()
    for pair in axes:
        for part in parts:
            places = [_factors(side, axis, part) for side, axis in zip((a, b), pair, strict=True)]
            x, y = _read(a, pair[0], places[0], Residual()), _read(b, pair[1], places[1], residual)
            if x is None or y is None or not x.is_like(y):
                continue
            of = planes.get((pair[1].stack, pair[1].block, pair[1].name))
            if (bases := _compared(part, pair[1], of, x, y)) is not None:
                found.append(bases)
            else:
                settled |= {
                    Settled(p.tensor, q.tensor, p.role) for p, q in zip(*places, strict=True)
                }
    return HeadsLooked(tuple(found), len(axes), frozenset(settled))


def _parts_shown(*anatomies: Anatomy) -> tuple[Part, ...]:
    """Parts of heads that products of rows show: not keys where they pass a norm."""
    has_norms = any(role in NORMED for anatomy in anatomies for _, role in anatomy.roles)
    return ("values",) if has_norms else tuple(FACTORS)


def axes_of_heads(side: Side) -> list[Axis]:
    """Heads of every attention of which queries, keys, values and what reads them are known.

    Parameters
    ----------
    side : Side
        A model. A sketch has no such heads.

    Returns
    -------
    list of Axis
        Of kind ``heads``, with the places of all four; empty where sizes of heads are not certain,
        as of queries, keys and values in one matrix without a config that says how many there are.
    """
    roles = {role for both in FACTORS.values() for role in both}
    axes = [rows.axis for rows in head_rows(side.model, side.anatomy)]
    return [axis for axis in axes if roles <= {place.role for place in axis.places}]


def bytes_of_heads(side: Side, heads: Axis) -> int:
    """Bytes of the matrices that are read of one attention."""
    tensors = {place.tensor for place in heads.places}
    return sum(side.model.tensors[name].n_bytes for name in tensors)


def maps_of_bases(
    bases: Sequence[HeadBases], before: Mapping[str, Ints | Floats]
) -> dict[str, Ints | Floats]:
    """Matrices by a's heads, for `weightkin.evasions.apply_maps`, and which heads belong together.

    Parameters
    ----------
    bases : sequence of HeadBases
        Values of a block before its keys: those settle which heads belong together.
    before : mapping
        Maps made so far, which settle it where no values were rebased; else keys do.

    Returns
    -------
    dict
        Arrays by name.
    """
    maps: dict[str, Ints | Floats] = {}
    for x in bases:
        block = f"{x.b.stack}.{x.b.block}"
        heads, basis = (f"{block}.{word}{x.suffix}" for word in ("heads", x.part))
        if x.part == "values" or f"{heads}.a" not in {**before, **maps}:
            maps |= {f"{heads}.a": x.heads_a, f"{heads}.b": x.heads_b}
        known = {**before, **maps}
        if x.matrices is None:
            continue
        in_b = dict(zip(known[f"{heads}.a"], known[f"{heads}.b"], strict=True))
        matrices = np.tile(np.eye(x.matrices.shape[1], dtype=np.float32), (x.n_heads, 1, 1))
        for head_a, head_b, matrix in zip(x.heads_a, x.heads_b, x.matrices, strict=True):
            if in_b.get(head_a) == head_b:
                matrices[head_a] = matrix
        maps[f"{basis}.basis"] = matrices
    return maps


def product_cosines(x: Heads, y: Heads) -> Doubles:
    """Cosines of the products of all heads of two models, without making the products.

    The product of a head is O V, or Q'K, one matrix for each query head that reads it; their inner
    products follow from those of the rows. Cost ``O(n_heads² size² features)``.

    Parameters
    ----------
    x, y : Heads
        Of equal shapes.

    Returns
    -------
    ndarray
        ``(heads of x, heads of y)``.
    """

    def inner(p: Heads, q: Heads) -> Doubles:
        rows, partners = (
            np.einsum("hif,kjf->hkij", u, v, optimize=True)
            for u, v in ((p.rows, q.rows), (p.partners, q.partners))
        )
        return np.asarray(np.einsum("hkij,hkij->hk", rows, partners))

    size_x, size_y = (np.sqrt(np.diag(inner(z, z)).clip(0)) for z in (x, y))
    sizes = np.maximum(np.outer(size_x, size_y), TINY)
    return np.asarray(inner(x, y) / sizes)


def _compared(part: Part, of: Axis, basis: Basis | None, x: Heads, y: Heads) -> HeadBases | None:
    cosine = product_cosines(x, y)
    heads_a, heads_b = scipy.optimize.linear_sum_assignment(cosine, maximize=True)
    is_same = cosine[heads_a, heads_b] >= SAME_HEAD
    heads_a, heads_b = heads_a[is_same], heads_b[is_same]
    matrices, n_rebased = [], 0
    for i, k in zip(heads_a, heads_b, strict=True):
        both = ((x.rows[i], y.rows[k]), (x.partners[i], y.partners[k]))
        left = min(_left(*rows, in_place=part == "keys") for rows in both)
        n_rebased += left >= MIN_LEFT and 1 - cosine[i, k] ** 2 <= MAX_OF_LEFT * left
        matrices.append(_basis(*both[0], basis if part == "keys" else None))
    if not n_rebased:
        return None
    found = np.stack(matrices).astype(np.float32)
    is_clear = part == "values" or basis is not None
    can_undo = is_clear and bool((np.linalg.cond(found) < MOST_CONDITION).all())
    n = len(x.rows)
    return HeadBases(part, of, n, int(n_rebased), heads_a, heads_b, found if can_undo else None)


def _left(x: Doubles, y: Doubles, *, in_place: bool) -> float:
    """Share of the energy of the rows of y that scales of x's leave.

    Rows of values may also change order and sign, which has names of its own.
    """
    total = float((y**2).sum())
    sizes = np.maximum((x**2).sum(axis=1), TINY)
    product = y @ x.T  # (rows of y, rows of x)
    explained = (product.clip(0) if in_place else product) ** 2 / sizes
    best = (
        np.diag(explained)
        if in_place
        else explained[scipy.optimize.linear_sum_assignment(explained, maximize=True)]
    )
    return 1.0 - float(best.sum()) / max(total, TINY)


def _basis(x: Doubles, y: Doubles, of: Basis | None) -> Doubles:
    """The matrix by which y is nearest to x; of rotary planes one that turns and scales them."""
    free = np.arange(len(x)) if of is None else of.free
    mixed = np.linalg.lstsq(x[free].T, y[free].T, rcond=None)[0].T
    if of is None:
        return np.asarray(mixed)
    before, after = (rows[of.planes[0]] + 1j * rows[of.planes[1]] for rows in (x, y))
    size = np.maximum((np.abs(before) ** 2).sum(axis=1), TINY)
    turn = (after * before.conj()).sum(axis=1) / size
    matrix = plane_matrices(turn.real[None], turn.imag[None], len(x), of.planes)[0]
    matrix[free[:, None], free] = mixed
    return np.asarray(matrix)


def _factors(side: Side, heads: Axis, part: Part) -> list[Place]:
    """Where both factors of an attention stand; less than two where one does not fit its heads."""
    found = (
        next((p for p in heads.places if p.role == role and _is_matrix(side, p)), None)
        for role in FACTORS[part]
    )
    return [p for p in found if p is not None and not p.size % (heads.n_units * p.repeat)]


def _read(side: Side, heads: Axis, places: Sequence[Place], residual: Residual) -> Heads | None:
    """Both factors of an attention in one residual basis, the gains of its norm folded in."""
    if len(places) < 2:
        return None
    read = []
    for place in places:
        role = place.role
        x = np.moveaxis(side.model.rows(place.tensor), place.dim, 0)
        x = x[entries_of(place)].reshape(place.size, -1)
        if role != "attn.o":
            gain = gain_before(side.model, heads.stack, place)
            x = x * gain if len(gain) == x.shape[1] else x
        if residual.kind:
            x = residual.in_a({role: x}, x.shape[1])[role]
        grouped = x.reshape(heads.n_units, place.repeat, -1, x.shape[1]).swapaxes(1, 2)
        read.append(grouped.reshape(heads.n_units, grouped.shape[1], -1).astype(np.float64))
    rows, partners = read
    is_fit = rows.shape[1] == partners.shape[1]
    return Heads(rows, partners) if is_fit and all(np.isfinite(x).all() for x in read) else None


def _is_matrix(side: Side, place: Place) -> bool:
    return place.index is None and len(side.model.tensors[place.tensor].shape) == 2


def _planes(b: Side) -> dict[tuple[str, int, str], Basis]:
    """How positions act on the keys of every attention; empty where it is not known."""
    try:
        found = key_bases(whole_anatomy(b.model, b.anatomy))
    except UsageError:
        return {}
    return {(x.axis.stack, x.axis.block, x.axis.name): x for x in found}
