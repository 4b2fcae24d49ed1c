"""Pairs of axes of one kind, read and tested, with what the guard needs to know of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin.anatomy.side import Side, tested_as
from weightkin.anatomy.types import Axis
from weightkin.arrays import Ints
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.clones import without_rows
from weightkin.evidence.guard import Guard, drop_structured_views, trends_of, untied
from weightkin.evidence.labels import Copies, copied_heads, few_rows, key_of
from weightkin.evidence.pairs import PairEvidence, Views, pair_evidence
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import read_views, run_of
from weightkin.evidence.silent import silent_units
from weightkin.evidence.spread import read_spread
from weightkin.evidence.views import TokenRows, token_views
from weightkin.records import Skipped, left_out
from weightkin.stats.matching import centred
from weightkin.stats.trend import Trend


@dataclass(frozen=True, slots=True)
class Tested:
    """A pair of axes and what it showed."""

    a: Axis
    b: Axis
    evidence: PairEvidence


@dataclass(frozen=True, slots=True)
class _Weights:
    """What the weights of one axis show, whatever its units are seen through."""

    trends: list[tuple[str, Trend]]
    few: Views | None
    problems: list[Skipped]
    unused: Ints


Looked = dict[tuple[bool, Axis, int], _Weights]  # whether of a, the axis, tokens counted


@dataclass
class PairTester:
    """Reads and tests pairs of axes, and remembers what the guard needs. One per stage.

    With ``frames`` every unit is read through the tokens the models share, under another ``name``.
    Testers of the same two models, sample and formulas may share what they have ``looked`` at.
    """

    a: Side
    b: Side
    plan: Plan
    seed: int
    frames: tuple[TokenRows, TokenRows] | None = None
    name: str = ""
    guard_a: Guard = field(default_factory=Guard)
    guard_b: Guard = field(default_factory=Guard)
    copies_a: Copies = field(default_factory=Copies)
    copies_b: Copies = field(default_factory=Copies)
    skipped: dict[Skipped, Skipped] = field(default_factory=dict)
    looked: Looked = field(default_factory=dict)

    def read(self, axis: Axis, *, is_a: bool, n_vocabulary: int = 0) -> Views:
        """Views of one axis; what is left out is noted."""
        side, guard = (self.a, self.guard_a) if is_a else (self.b, self.guard_b)
        copies = self.copies_a if is_a else self.copies_b
        run = run_of(axis, self.plan)
        views: Views = {}
        key = is_a, axis, n_vocabulary if axis.kind == "residual" else 0  # nothing else rests on it
        known = self.looked.get(key) if self.frames is not None else None
        if known is None:
            views, known = self._weights(side, axis, guard, n_vocabulary)
            self.looked[key] = known
        guard.add(known.trends)
        copies.add(axis, known.few)
        self.note(known.problems, "a" if is_a else "b")
        if self.frames is not None:
            frame = self.frames[0 if is_a else 1]
            views = token_views(side.model, axis, frame, run.start + run.n, run.start)
            guard.look(axis, views)
        views = without_rows(views, known.unused)
        if axis.kind == "heads":
            guard.copied_heads = guard.copied_heads or copied_heads(
                side.model, axis, side.axes("vo"), self.plan
            )
        if axis.kind == "residual":
            guard.look_at_positions(side.model, axis)
            views = {role: centred(view) for role, view in views.items()}
        return views

    def _weights(
        self, side: Side, axis: Axis, guard: Guard, n_vocabulary: int
    ) -> tuple[Views, _Weights]:
        run = run_of(axis, self.plan)
        views, problems = read_views(side.model, axis, self.plan, n_vocabulary, run)
        trends = trends_of(axis, views | read_spread(side.model, axis, self.plan))
        guard.formulas.look(side.model, axis, views, n_views=4 * len(side.axes(tested_as(axis))))
        unused = silent_units(side.model, axis, views, run)
        return views, _Weights(trends, few_rows(axis, views), problems, unused)

    def test(self, axis_a: Axis, axis_b: Axis, views_a: Views, views_b: Views) -> Tested | None:
        """Evidence from one pair; None, noted, when no view can be compared."""
        name = f"{block_name(axis_a)} {axis_a.name}"
        for role in drop_structured_views(axis_a, views_a, views_b):
            self.note([left_out(f"{name} {role}", "grouped-along-axis", role=role)])
        evidence = pair_evidence(views_a, views_b, axis_a, axis_b, self.rng(axis_a))
        if evidence is None:
            why = "no-view-differs" if views_a and views_b else "no-view-read"
            self.note([left_out(name, why)])
            return None
        return Tested(axis_a, axis_b, evidence)

    def without_ties(self, tested: Sequence[Tested]) -> list[Tested]:
        """Drop, noted, the pairs on which neither model's labels may be trusted."""
        kept, tied = untied(self.guard_a, self.guard_b, tested)
        self.note(tied)
        return kept

    def rng(self, axis: Axis) -> np.random.Generator:
        """Ties are broken by a generator that depends on the axis, not on what was read before."""
        name = "/".join(map(str, key_of(axis))).encode()
        return np.random.default_rng([self.seed, zlib.crc32(name)])

    def note(self, skipped: Iterable[Skipped], model: str = "") -> None:
        """Remember what was left out, once."""
        for x in skipped:
            x = replace(x, what=f"{model}: {x.what}") if model else x
            self.skipped.setdefault(x, x)
