"""What a hider did, read off the matches that the blind tests found: permuted or rotated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weightkin.evidence.blind import SignMatch
from weightkin.evidence.ladder import EFFECT_CUT, Climb, passes
from weightkin.evidence.sample import Plan, centred, n_embedding_rows, read_views
from weightkin.evidence.stage import Side, block_name
from weightkin.stats.matching import Floats, Ints, unit_rows
from weightkin.stats.signs import mutual_matches

MOST = 0.9  # share of residual dimensions that must find a partner for a permutation


@dataclass(frozen=True, slots=True)
class Undone:
    """Names of the evasions seen through, their numbers, and the maps that undo them."""

    kinds: tuple[str, ...]
    details: dict[str, float]
    maps: dict[str, Ints | Floats]


def undo(a: Side, b: Side, climbed: Climb, alpha: float) -> Undone:
    """Name what was undone to find the relation; nothing where the aligned tests sufficed.

    `permuted`: matched units stand elsewhere. The residual stream counts as permuted when its
    dimensions match one to one on the embeddings, as `rotated` when only tokens tie the models; the
    rotation is the orthogonal map between the embeddings and is not evidence by itself.
    """
    passing = {stage.name for stage in climbed.stages if passes(stage, alpha)}
    if not passing & {"signs", "token units", "token signs"}:
        return Undone((), {}, {})
    kinds: list[str] = []
    details: dict[str, float] = {}
    maps: dict[str, Ints | Floats] = {}
    decided = {s.decided_by for s in climbed.stages if s.name in passing and s.decided_by}
    matches = [match for match in climbed.matches if match.a.kind in decided]
    if matches:
        moved = _moved_share(matches)
        if moved > 0.5:
            kinds.append("permuted")
        details["share_of_units_moved"] = round(moved, 4)
        for match in matches:
            maps[f"{block_name(match.a)}.{match.a.name}.a"] = match.units_a
            maps[f"{block_name(match.b)}.{match.b.name}.b"] = match.units_b
    if passing & {"token units", "token signs"} and not passing & {"signs", "units", "residual"}:
        kind, found = _residual_map(a, b)
        maps |= found
        if kind and kind not in kinds:
            kinds.append(kind)
    return Undone(tuple(kinds), details, maps)


def _moved_share(matches: Sequence[SignMatch]) -> float:
    return float(np.concatenate([m.units_a != m.units_b for m in matches]).mean())


def _residual_map(a: Side, b: Side) -> tuple[str, dict[str, Ints | Floats]]:
    """Match residual dimensions on the embeddings; if they do not match, fit a rotation."""
    tables = [_embedding(side) for side in (a, b)]
    if tables[0] is None or tables[1] is None or tables[0].shape[1] != tables[1].shape[1]:
        return "rotated", {}
    x, y = tables[0], tables[1]  # (width, n_tokens)
    cosine = unit_rows(centred(x)) @ unit_rows(centred(y)).T
    rows, columns = mutual_matches(np.abs(cosine), np.random.default_rng(0))
    values = np.abs(cosine)
    seen = values[rows, columns].copy()
    values[rows, columns] = -1.0
    others = values[rows].max(axis=1, initial=-1.0)
    is_clear = seen > EFFECT_CUT * np.maximum(others, 0.01)
    if len(rows) and is_clear.sum() >= MOST * min(len(x), len(y)):
        return "permuted", {"residual.a": rows[is_clear], "residual.b": columns[is_clear]}
    if len(x) != len(y):
        return "rotated", {}
    left, _, right = np.linalg.svd(x @ y.T)
    return "rotated", {"residual.rotation": np.asarray(left @ right, dtype=np.float32)}


def _embedding(side: Side) -> Floats | None:
    """Embedding columns over the first tokens: residual dimensions as rows."""
    for axis in side.axes("residual"):
        views, _ = read_views(
            side.model, axis, Plan(n_units=1024), n_embedding_rows(side.model, axis)
        )
        if "embed" in views:
            return views["embed"]
    return None
