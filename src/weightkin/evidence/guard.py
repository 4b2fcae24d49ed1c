"""The guard before any aligned test: is there a model whose unit order carries no meaning?

The tests need exchangeable labels in ONE of the two models. A model whose units were sorted,
nested or seeded periodically shows it in its own index; when both do, the axis is not tested. So do
residual dimensions that a table of sinusoidal positions tells apart, under whatever name it stands,
and axes that started from a formula of the index (`evidence.formulas`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import numpy as np

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats
from weightkin.evidence.formulas import Formulas, formula_behind
from weightkin.evidence.pairs import Views
from weightkin.formats.model import Model
from weightkin.records import Skipped, left_out
from weightkin.records.codes import Pattern
from weightkin.records.evidence import Trusts
from weightkin.stats.sinusoids import is_sinusoidal
from weightkin.stats.trend import Trend, is_structured, judge_likeness, judge_trends, measure_trend

MAX_POSITIONS = 512  # rows of a position table that are looked at


@dataclass(slots=True)
class Guard:
    """Index statistics of one model on one kind of axis, collected block by block."""

    trends: dict[str, list[Trend]] = field(default_factory=lambda: defaultdict(list))
    sinusoids: str = ""  # the position table that holds them
    formulas: Formulas = field(default_factory=Formulas)  # of this model, on all its axes
    copied_heads: Pattern | None = None  # which heads are copies of each other
    _judged: dict[str, tuple[int, Pattern | None]] = field(default_factory=dict)  # at a size

    def look(self, axis: Axis, views: Views) -> None:
        """Add the views of one block."""
        self.add(trends_of(axis, views))

    def add(self, found: Sequence[tuple[str, Trend]]) -> None:
        """Add what `trends_of` found of one block."""
        for role, trend in found:
            self.trends[role].append(trend)

    def look_at_positions(self, model: Model, axis: Axis) -> None:
        """Look at the values of the position tables of a residual axis: names do not tell."""
        for place in axis.places:
            shape = model.tensors[place.tensor].shape
            if place.role in ("position", "position_grid") and place.dim == len(shape) - 1:
                rows = model.rows(place.tensor, slice(0, MAX_POSITIONS)).reshape(-1, shape[-1])
                if is_sinusoidal(rows[:MAX_POSITIONS]):
                    self.sinusoids = place.tensor
                elif np.isfinite(rows).all():
                    columns = np.ascontiguousarray(rows[:MAX_POSITIONS].T)
                    table = {f"{place.role} table": columns}
                    self.formulas.look(model, axis, table, n_views=len(axis.places))

    @property
    def finding(self) -> Pattern | None:
        """What the index of the whole kind of axis gives away, None when nothing."""
        if self.sinusoids:
            return {"pattern": "sinusoids", "tensor": self.sinusoids}
        if self.copied_heads:
            return self.copied_heads
        return self._first("any", judge_trends)

    @property
    def is_sorted(self) -> bool:
        """Whether row norms follow the index, and nothing else that a sort would not bring."""
        return bool(self.finding) and not self.likeness and not self.sinusoids

    @property
    def likeness(self) -> Pattern | None:
        """Which units are alike by their index, whatever their norms; nothing where none are."""
        return self._first("likeness", judge_likeness)

    def _first(self, what: str, judge: Callable[[Sequence[Trend]], str | None]) -> Pattern | None:
        """The first view that a judgement finds something on; judged anew when more is known."""
        size = sum(map(len, self.trends.values()))
        if what not in self._judged or self._judged[what][0] != size:
            found = ((judge(trends), role) for role, trends in sorted(self.trends.items()))
            first = next(({"pattern": x, "role": role} for x, role in found if x), None)
            self._judged[what] = size, first
        return self._judged[what][1]


def trends_of(axis: Axis, views: Views) -> list[tuple[str, Trend]]:
    """Index statistics of the views of one block, each with its role."""
    every = ((role, piece) for role, view in views.items() for piece in _pieces(axis, view))
    return [(role, trend) for role, piece in every if (trend := measure_trend(piece))]


def tie(a: Guard, axis_a: Axis, b: Guard, axis_b: Axis) -> Skipped | None:
    """Why neither model's labels may be trusted on one pair of axes; nothing where one's may.

    Parameters
    ----------
    a, b : Guard
        Index statistics of each model.
    axis_a, axis_b : Axis
        The pair of axes.

    Returns
    -------
    Skipped or None
        The reason, or None where the pair can be tested.
    """
    in_a = a.finding or a.formulas.of_axis(axis_a)
    in_b = b.finding or b.formulas.of_axis(axis_b)
    if in_a and in_b:
        return _both(in_a, in_b)
    # Sorting explains a rule of the index too, and leaves the other model clean.
    if (in_a and a.is_sorted) or (in_b and b.is_sorted):
        return None
    return formula_behind(a.formulas, axis_a, b.formulas, axis_b)


class _Pair(Protocol):
    @property
    def a(self) -> Axis: ...
    @property
    def b(self) -> Axis: ...


P = TypeVar("P", bound=_Pair)


def untied(a: Guard, b: Guard, pairs: Sequence[P]) -> tuple[list[P], list[Skipped]]:
    """Pairs of axes on which one model's labels may be trusted; the others, with the reason.

    Parameters
    ----------
    a, b : Guard
        Index statistics of each model.
    pairs : sequence
        Pairs of axes, with axes ``a`` and ``b``.

    Returns
    -------
    tuple of list
        Pairs that can be tested; a reason for each of the others.
    """
    kept, tied = [], []
    for pair in pairs:
        why = tie(a, pair.a, b, pair.b)
        if why is not None:
            where = pair.a.stack if pair.a.block < 0 else f"{pair.a.stack}.{pair.a.block}"
            tied.append(replace(why, what=f"{where} {pair.a.name}"))
        else:
            kept.append(pair)
    return kept, tied


def whom_to_trust(a: Guard, b: Guard) -> tuple[Trusts | None, Skipped | None]:
    """Whose labels may be taken as uniform, or None with the reason when neither's may."""
    in_a, in_b = a.finding, b.finding
    if in_a and in_b:
        return None, _both(in_a, in_b)
    if in_a:
        return "b", None
    return ("a" if in_b else "either"), None


def _both(in_a: Pattern, in_b: Pattern) -> Skipped:
    return left_out("", "order-carries-meaning", a=in_a, b=in_b)


def drop_structured_views(axis: Axis, views_a: Views, views_b: Views) -> list[str]:
    """Remove, in place, column views whose rows group the units by index in BOTH models.

    Zeros two in four, or values quantised in groups along the unit axis, say where a unit stands.
    The views in which units are rows stay valid.

    Parameters
    ----------
    axis : Axis
        The axis of a.
    views_a, views_b : dict of str to ndarray
        Role to ``(n_units, n_features)``, changed.

    Returns
    -------
    list of str
        The roles removed.
    """
    columns = {p.role for p in axis.places if p.dim == 1 or (is_view(p) and p.dim > 0)}
    shared = columns & views_a.keys() & views_b.keys()
    dropped = [r for r in shared if is_structured(views_a[r].T) and is_structured(views_b[r].T)]
    for role in dropped:
        del views_a[role], views_b[role]
    return sorted(dropped)


def _pieces(axis: Axis, view: Floats) -> list[Floats]:
    """The runs inside which labels are exchangeable: whole axes, heads of V/O dimensions, cells."""
    if not axis.head_size or axis.kind not in ("vo", "units"):
        return [view]
    return np.split(view, np.arange(axis.head_size, len(view), axis.head_size))
