"""How kinds look where a family is drawn: a few groups, each with a shape and a colour.

The shape alone tells a group, so that nothing is lost without colour. Colours are in the style
sheet, under the group's name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from weightkin.records.kinds import KINDS

Point = tuple[float, float]
GROUPS: Mapping[str, str] = {  # in the order of the legend
    "tuned": "trained further, or with an adapter",
    "converted": "converted or cut: quantised, cast, pruned …",
    "merged": "merged or put together from several",
    "copy": "same contents",
    "rewritten": "rewritten: computes the same",
    "other": "another kind",
}
TRAINED = ("finetune", "adapter")  # what a hub calls such a kind


def group_of(kind: str) -> str:
    """The group of a kind; "" for an edge that was only declared."""
    facts = KINDS.get(kind)
    if facts is None:
        return ""
    if facts.is_equal:
        return "copy"
    if facts.disguise:
        return "rewritten"
    if facts.hub == "merge":
        return "merged"
    if facts.hub in TRAINED:
        return "tuned"
    return "converted" if facts.is_lossy else "other"


def legend(kinds: Iterable[str]) -> list[tuple[str, str]]:
    """The groups of some kinds with their words."""
    seen = set(map(group_of, kinds))
    return [(name, words) for name, words in GROUPS.items() if name in seen]


def glyph_path(group: str, x: float, y: float) -> str:
    """The shape of a group about a point, as an SVG path of straight lines."""
    points = [(round(x + dx, 1), round(y + dy, 1)) for dx, dy in GLYPHS[group]]
    (x0, y0), *rest = points
    steps = zip([(x0, y0), *rest], rest, strict=False)
    lines = "".join(f"l{b[0] - a[0]:.4g} {b[1] - a[1]:.4g}" for a, b in steps)
    return f"M{x0:g} {y0:g}{lines}z"


def _regular(n_corners: int, radius: float, turn: float = 0.0) -> tuple[Point, ...]:
    angles = [2 * math.pi * (i + turn) / n_corners - math.pi / 2 for i in range(n_corners)]
    return tuple((round(radius * math.cos(a), 2), round(radius * math.sin(a), 2)) for a in angles)


def _bars() -> tuple[Point, ...]:
    """Two bars, one above the other, joined by a line without width."""
    upper = [(-5.0, -4.0), (5.0, -4.0), (5.0, -1.5), (-5.0, -1.5)]
    lower = [(-5.0, 1.5), (5.0, 1.5), (5.0, 4.0), (-5.0, 4.0)]
    return (*upper, *lower, (-5.0, 1.5), (-5.0, -1.5))


GLYPHS: Mapping[str, tuple[Point, ...]] = {
    "tuned": _regular(20, 5.0),
    "converted": ((-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)),
    "merged": _regular(4, 6.2),
    "copy": _bars(),
    "rewritten": _regular(3, 6.2),
    "other": tuple(
        (5.5 * a / 5, 5.5 * b / 5)
        for a, b in ((-5, -1.5), (-1.5, -1.5), (-1.5, -5), (1.5, -5), (1.5, -1.5), (5, -1.5),
                     (5, 1.5), (1.5, 1.5), (1.5, 5), (-1.5, 5), (-1.5, 1.5), (-5, 1.5))
    ),
}  # fmt: skip
