"""How the residual stream of one model stands to that of another, as their tokens show it.

Descriptive: nothing here is evidence that two models are related.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.arrays import Floats, Ints
from weightkin.evasions.recovered import completed
from weightkin.evidence.ladder import EFFECT_CUT
from weightkin.evidence.pairs import Views
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import n_shared_rows, read_views
from weightkin.stats.matching import centred, unit_rows
from weightkin.stats.signs import mutual_matches

MIN_PERMUTED_SHARE = 0.9  # share of residual dimensions that must find a partner for a permutation
HELD = 0.5  # median cosine of tokens that a rotation was not fitted to
TOKENS_PER_DIMENSION = 4  # embedding rows that a rotation is fitted to


@dataclass(frozen=True, slots=True)
class Residual:
    """How the residual stream of b stands to that of a, as far as embeddings show it."""

    kind: str = ""  # "" the same, "permuted", "rotated"
    units_a: Ints | None = None
    units_b: Ints | None = None
    rotation: Floats | None = None  # stream of a @ rotation = stream of b
    is_known: bool = True  # False where the widths differ or no embedding is there

    def in_a(self, views: Views, width: int) -> Views:
        """Whole rows of b over its residual dimensions, in the basis of a."""
        return {role: self._turned(x.reshape(len(x), width, -1)) for role, x in views.items()}

    def _turned(self, x: Floats) -> Floats:
        if self.units_a is not None and self.units_b is not None:
            x = x[:, completed(self.units_a, self.units_b, x.shape[1])]
        elif self.rotation is not None:
            x = np.einsum("ij,njr->nir", self.rotation, x, dtype=np.float32, optimize=True)
        return np.ascontiguousarray(x.reshape(len(x), -1))


def residual_between(a: Side, b: Side, *, whole: bool = False) -> Residual:
    """Match residual dimensions on the embeddings; if they do not match, fit a rotation.

    Parameters
    ----------
    a, b : Side
        The two models.
    whole : bool
        Read enough tokens to fit a rotation of the whole width.

    Returns
    -------
    Residual
        Same, permuted or rotated; ``is_known`` is False where embeddings do not show it.
    """
    tables = _embeddings(a, b, whole=whole)
    if tables is None:
        return Residual("rotated", is_known=False)
    x, y = tables
    values = np.abs(unit_rows(centred(x)) @ unit_rows(centred(y)).T)
    rows, columns = mutual_matches(values, np.random.default_rng(0))
    seen = values[rows, columns].copy()
    values[rows, columns] = -1.0
    others = values[rows].max(axis=1, initial=-1.0)
    is_clear = seen > EFFECT_CUT * np.maximum(others, 0.01)
    if len(rows) and is_clear.sum() >= MIN_PERMUTED_SHARE * min(len(x), len(y)):
        rows, columns = rows[is_clear], columns[is_clear]
        if len(x) == len(y) and (rows == columns).all():
            return Residual()
        return Residual("permuted", rows, columns, is_known=len(x) == len(y))
    if len(x) != len(y) or x.shape[1] < len(x):
        return Residual("rotated", is_known=False)  # fewer tokens than dimensions: not one rotation
    if len(x) < max(axis.n_units for axis in a.axes("residual")):
        return Residual(is_known=False)  # the sample shows too few dimensions to tell
    return Residual("rotated", rotation=_procrustes(x, y))


def is_rotation(a: Side, b: Side) -> bool:
    """Whether a rotation fitted to every other token brings the rest together too."""
    tables = _embeddings(a, b, whole=True)
    if tables is None or len(tables[0]) != len(tables[1]):
        return False
    x, y = tables
    turned = _procrustes(x[:, ::2], y[:, ::2]).T @ x[:, 1::2]
    return float(np.median((unit_rows(turned.T) * unit_rows(y[:, 1::2].T)).sum(axis=1))) > HELD


def _procrustes(x: Floats, y: Floats) -> Floats:
    with np.errstate(all="ignore"):
        product = x @ y.T
    if not np.isfinite(product).all():  # numbers so large that nothing can be fitted
        return np.eye(len(product), dtype=np.float32)
    left, _, right = np.linalg.svd(product)
    return np.asarray(left @ right, dtype=np.float32)


def _embeddings(a: Side, b: Side, *, whole: bool) -> tuple[Floats, Floats] | None:
    """Residual dimensions of both over the same tokens: ``(width, n_tokens)`` each."""
    n_rows = n_shared_rows((a.model, a.anatomy), (b.model, b.anatomy))
    x, y = (_embedding(side, n_rows, whole=whole) for side in (a, b))
    return None if x is None or y is None or x.shape[1] != y.shape[1] else (x, y)


def _embedding(side: Side, n_rows: int, *, whole: bool) -> Floats | None:
    for axis in side.axes("residual"):
        n = max(1024, TOKENS_PER_DIMENSION * axis.n_units // 2 if whole else 0)
        views, _ = read_views(side.model, axis, Plan(n), n_rows)
        if "embed" not in views:
            continue
        is_vision = any(p.role == "embed" and p.dim == 0 for p in axis.places)
        names = [r for r in ("embed", "position", "position_grid") if r in views]
        seen = [unit_rows(views[r].T).T for r in names] if is_vision else [views["embed"]]
        return np.ascontiguousarray(np.concatenate(seen, axis=1))
    return None
