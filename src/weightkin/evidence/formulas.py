"""Starts given by a formula: which axes of one model follow rules of their index.

Every view is read for itself, and all views of a role together; both are paid for. One flagged
model is enough for an axis not to be tested: the other would have to be known to be clean, and a
trace of the formula that no search finds still makes units coincide (in simulated pairs, a plain
start against a faint one: p down to 1e-30).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import Axis, AxisKind, Place
from weightkin.arrays import Floats
from weightkin.evidence.kept import Kept
from weightkin.evidence.pairs import Views
from weightkin.formats.model import Model
from weightkin.records import Skipped, left_out
from weightkin.records.codes import Pattern
from weightkin.stats.copies import copied_runs
from weightkin.stats.formulas import Readings, read_rows

SAMPLED_ROWS, SAMPLED_FEATURES = 32, 128  # of a view that is compared with others of its role
MIN_COSINE_NEAR = 0.5  # of most rows, from which a view says again what another one said
LOG10_LEVEL = -2.0  # paid for rules, offsets, readings and views
Best = tuple[float, str]  # log10 p, and the reading behind it
_KNOWN = Kept(most=1 << 26)  # bytes of readings, by the rows that were read
Pool = tuple[AxisKind, str, tuple[int, ...], int]  # kind, role, features and taps, run of labels


@dataclass(slots=True)
class Formulas:
    """What the axes of one model show when each is looked at alone."""

    tied: dict[tuple[AxisKind, str], Pattern] = field(default_factory=dict)  # kind, labels
    of_heads: dict[tuple[str, int], Pattern] = field(default_factory=dict)  # stack, block
    seen: set[tuple[AxisKind, str, int, str, str]] = field(default_factory=set)  # views
    pooled: dict[Pool, Readings] = field(default_factory=dict)
    samples: dict[Pool, list[Floats]] = field(default_factory=dict)  # of the views in each pool
    known: dict[AxisKind, tuple[int, Pattern | None]] = field(
        default_factory=dict
    )  # `of_kind`, at a size

    def look(self, model: Model, axis: Axis, views: Views, n_views: int) -> None:
        """Read the views of one axis, out of ``n_views`` of its kind; each is read once."""
        kernels = {p.role: _taps(model, p) for p in axis.places}
        for role, view in views.items():
            name = axis.kind, axis.stack, axis.block, axis.name, role
            if name in self.seen:
                continue
            self.seen.add(name)
            for run, readings, best in _known_looks(axis, view, kernels.get(role, ())):
                if reason := _reason(role, best, 2 * n_views):
                    self.tied.setdefault((axis.kind, axis.labels), reason)
                    if axis.kind == "vo":  # heads are runs of these dimensions
                        self.of_heads.setdefault((axis.stack, axis.block), reason)
                    break
                pool = axis.kind, role, (view.shape[1], *kernels.get(role, ())), run
                others = self.pooled.setdefault(pool, Readings())
                sample, samples = _sample(view), self.samples.setdefault(pool, [])
                if not others.is_copy(readings) and not _is_near(sample, samples):
                    others.add(readings)
                    samples.append(sample)

    def of_kind(self, kind: AxisKind) -> Pattern | None:
        """What all views of a role show only together; or nothing."""
        if kind not in self.known or self.known[kind][0] != len(self.seen):
            pools = [(role, x) for (name, role, *_), x in self.pooled.items() if name == kind]
            found = [_reason(role, x.best(), 2 * len(pools)) for role, x in pools if x.n_views > 1]
            self.known[kind] = len(self.seen), next(filter(None, found), None)
        return self.known[kind][1]

    @property
    def has_units(self) -> bool:
        """Whether hidden units anywhere follow a formula."""
        return bool(self.of_kind("units")) or any(kind == "units" for kind, _ in self.tied)

    def of_axis(self, axis: Axis) -> Pattern | None:
        """Why the labels of one axis may follow a formula; or nothing."""
        found = self.tied.get((axis.kind, axis.labels)) or self.of_kind(axis.kind)
        if axis.kind == "heads" and not found:
            return self.of_heads.get((axis.stack, axis.block)) or self.of_kind("vo")
        return found


def formula_behind(a: Formulas, axis_a: Axis, b: Formulas, axis_b: Axis) -> Skipped | None:
    """Why the labels of both models may follow one formula on a pair of axes; or nothing.

    Parameters
    ----------
    a, b : Formulas
        What was found of each model.
    axis_a, axis_b : Axis
        The pair of axes.

    Returns
    -------
    Skipped or None
        The rule, its view and its model; that of a where both have one.
    """
    for name, found in (("a", a.of_axis(axis_a)), ("b", b.of_axis(axis_b))):
        if found:
            role, rule = found["role"], found["rule"]
            return left_out("", "formula-behind", role=role, rule=rule, model=name)
    return None


def _sample(view: Floats) -> Floats:
    """Some rows of a view at length one, without what all of them share."""
    x = view[:SAMPLED_ROWS, :SAMPLED_FEATURES].astype(np.float64)
    x -= x.mean(axis=0)
    rows: Floats = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)).astype("f4")
    return rows


def _is_near(sample: Floats, others: list[Floats]) -> bool:
    """Whether a view is one of those before it, trained on a little: layers that began as copies.

    What the two read alike is no formula. Where a formula itself makes them so much alike, each
    view shows it alone.
    """
    return any(
        x.shape == sample.shape and np.median(np.einsum("ij,ij->i", x, sample)) >= MIN_COSINE_NEAR
        for x in others
    )


def _known_looks(
    axis: Axis, view: Floats, taps: tuple[int, ...]
) -> list[tuple[int, Readings, Best]]:
    """`_looks` with the best of each; one model is compared with many on the same rows."""
    rows = np.ascontiguousarray(view)
    key = sha256(rows.data).digest(), rows.shape, rows.dtype.str, axis.kind, axis.head_size, taps
    return _KNOWN.once(key, lambda: [(run, x, x.best()) for run, x in _looks(axis, view, taps)])


def _looks(axis: Axis, view: Floats, taps: tuple[int, ...]) -> Iterator[tuple[int, Readings]]:
    """Readings of one view in its runs of labels; where these are cells, across them as well.

    A formula seldom minds cells, and in small ones it hardly shows. Units of a cell may be alike
    for another reason than their index, so that only hits count there.
    """
    if axis.kind in ("vo", "qk") and axis.head_size:
        rows = _distinct_heads(view, axis.head_size)
        yield axis.head_size, read_rows(rows, taps, axis.head_size)
        return
    is_cut = axis.kind == "units" and axis.head_size > 0
    whole = read_rows(view, taps)
    yield 0, whole.without_smoothness() if is_cut else whole
    if is_cut:
        yield axis.head_size, read_rows(view, taps, axis.head_size)


def _taps(model: Model, place: Place) -> tuple[int, ...]:
    """Shape of the kernels that end the features of a unit; () where there are none."""
    shape = model.tensors[place.tensor].shape
    if is_view(place) and place.index is None and place.dim < 2 and len(shape) > 3:
        return shape[-2:]
    return shape[2:] if place.dim == 0 and len(shape) == 4 else ()


def _distinct_heads(view: Floats, size: int) -> Floats:
    """Rows of heads of which none is a copy of another: copies say the same again."""
    heads = [view[at : at + size] for at in range(0, len(view) - size + 1, size)]
    kept = sorted(set(copied_runs([{"": head} for head in heads])))
    return view if len(kept) == len(heads) else np.concatenate([heads[i] for i in kept])


def _reason(role: str, best: Best, n_looks: int) -> Pattern | None:
    log10_p, name = best
    if log10_p + math.log10(max(1, n_looks)) > LOG10_LEVEL:
        return None
    return {"pattern": "formula", "role": role, "rule": name}
