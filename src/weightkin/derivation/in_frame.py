"""A disguised model brought back: its values in the order, signs, scales and basis of a relative.

A measure, no evidence: the maps are fitted to both models, and only models that a test has shown to
be related are brought together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy

from weightkin.anatomy.roles import role_keys
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis, AxisKind
from weightkin.arrays import Floats, Ints
from weightkin.derivation.disguise import named
from weightkin.derivation.disguise_maps import Experts, maps_of
from weightkin.derivation.head_bases import axes_of_heads, look_at_heads, maps_of_bases
from weightkin.derivation.heads_looked import HeadsLooked, Settled, named_bases, of_values
from weightkin.derivation.matched_units import (
    AxisReading,
    MatchedUnits,
    match_axes,
    match_experts,
)
from weightkin.derivation.streams import Residual, residual_between
from weightkin.evasions import apply_maps, whole_anatomy
from weightkin.evidence.block_pairs import BlockMap, pair_axes
from weightkin.evidence.pairs import Views
from weightkin.evidence.unitmap import UnitMatch, match_units
from weightkin.formats import Model, model_from_arrays
from weightkin.stats.matching import centred, unit_rows

KINDS: tuple[AxisKind, ...] = ("units", "vo")
IN_ORDER = 0.8  # of the best sum of cosines, from which units have kept their order
MAX_ASSIGNED = 1024  # units of an axis above which clear pairs alone are matched
EXACT = frozenset({"permuted", "sign-flipped"})  # undone without rounding


@dataclass(frozen=True, slots=True)
class WayBack:
    """What a model was disguised by, and the maps that undo it."""

    kinds: tuple[str, ...]
    maps: Mapping[str, Ints | Floats]

    def __call__(self, model: Model) -> Model:
        """A model of the same shapes with all of it undone, in memory, under its own name.

        In its own dtypes where nothing but order and signs changes, else in float32.
        """
        stored = {
            name: model.storage.read(name, 0, int(np.prod(info.shape))).reshape(info.shape)
            for name, info in model.tensors.items()
        }
        arrays = {n: model.rows(n) if x.dtype.kind not in "iub" else x for n, x in stored.items()}
        restored = apply_maps(arrays, whole_anatomy(model), self.maps).arrays
        if EXACT.issuperset(self.kinds):
            restored = {name: x.astype(stored[name].dtype) for name, x in restored.items()}
        made = model_from_arrays(restored, name=model.name, config=model.config)
        return replace(made, source=model.source, revision=model.revision)


def way_back(a: Side, b: Side, *, is_aligned: bool) -> tuple[WayBack | None, frozenset[Settled]]:
    """Find what brings b, which is related to a, into the frame of a.

    Parameters
    ----------
    a, b : Side
        Two whole models.
    is_aligned : bool
        An aligned test has joined them, so that both residual streams have one basis.

    Returns
    -------
    WayBack or None
        None where nothing is disguised, or the streams of the two cannot be compared.
    frozenset of Settled
        Matrices of heads that were compared and are in no other basis; empty where none were.
    """
    residual = Residual() if is_aligned else residual_between(a, b, whole=True)
    if not residual.is_known:
        return None, frozenset()
    blocks = _blocks(a, b, residual)
    experts = _experts(a, b, residual, blocks)
    links: dict[Axis, MatchedUnits] = {}  # of every axis of b the best
    for kind in KINDS:
        for y, x in pair_axes(b.axes(kind), a.axes(kind), blocks):
            pair = x, _same_expert(x, y, b, experts)
            found = match_axes(a, b, pair, residual, AxisReading(matcher=assign_units))
            before = links.get(pair[1])
            if found is not None and (before is None or _like(found) > _like(before)):
                links[pair[1]] = found
    looked = _heads(a, b, residual, blocks)
    in_bases, _ = named_bases(looked)
    rebased = of_values(looked) if in_bases else set()
    matched = [x for x in links.values() if (x.b.stack, x.b.block, x.b.name) not in rebased]
    kinds = (*named(matched, residual, experts)[0], *in_bases)
    if not kinds:
        return None, looked.settled
    maps = maps_of(matched, residual, experts, kinds)
    maps |= maps_of_bases(looked.bases, maps) if in_bases else {}
    if {"rotated", "rescaled"} & set(kinds):
        maps |= _norms(a, b, blocks)
    return WayBack(kinds, maps), looked.settled


def _heads(a: Side, b: Side, residual: Residual, blocks: BlockMap) -> HeadsLooked:
    """Heads of b in another basis."""
    pairs = pair_axes(axes_of_heads(b), axes_of_heads(a), blocks)
    return look_at_heads(a, b, [(x, y) for y, x in pairs], residual)


def _experts(a: Side, b: Side, residual: Residual, blocks: BlockMap) -> Experts:
    """Experts of every block of b that has some, with those of a that they are, by the routers."""
    found: dict[tuple[str, int], tuple[Ints, Ints, int]] = {}
    for stack, block in dict.fromkeys((x.stack, x.block) for x in b.axes("units")):
        in_a = blocks.get((stack, block), block)
        match = match_experts(a, b, (stack, in_a), block, residual, assign_units)
        if match is not None and len(match.units_a) > 1:
            found[stack, block] = match.units_a, match.units_b, block
    return found


def _blocks(a: Side, b: Side, residual: Residual) -> BlockMap:
    """Blocks of b to those of a that their units are most alike; where depths agree, all stay."""
    found: BlockMap = {}
    depths = dict(a.anatomy.stacks)
    for stack, depth in b.anatomy.stacks:
        if depths.get(stack, depth) == depth:
            continue
        for y in (x for x in b.axes("units") if x.stack == stack):
            there = [x for x in a.axes("units") if (x.stack, x.name) == (stack, y.name)]
            if (stack, y.block) not in found and there:
                best = max(there, key=lambda x: _likeness(a, b, (x, y), residual))
                found[stack, y.block] = best.block
    return found


def _likeness(a: Side, b: Side, axes: tuple[Axis, Axis], residual: Residual) -> float:
    match = match_axes(a, b, axes, residual, AxisReading(matcher=assign_units))
    return _like(match) if match else 0.0


def _like(match: MatchedUnits) -> float:
    return float(match.likeness.sum())


def assign_units(a: Views, b: Views, is_free: Callable[[str], bool]) -> UnitMatch:
    """The one-to-one assignment of the largest sum of cosines; the order where it is about as good.

    Parameters
    ----------
    a, b : dict of str to ndarray
        Views of the units of both: role to ``(n_units, n_features)``.
    is_free : callable
        Whether signs of a view, by its role, are ignored.

    Returns
    -------
    UnitMatch
        As many pairs as the smaller model has units, ascending in a.
    """
    n_a, n_b = (len(next(iter(views.values()))) for views in (a, b))
    if max(n_a, n_b) > MAX_ASSIGNED:
        return match_units(a, b, is_free)
    score = np.zeros((n_a, n_b))
    for role, x in a.items():
        together = centred(np.concatenate([unit_rows(x), unit_rows(b[role])]))
        cosine = unit_rows(together[: len(x)]) @ unit_rows(together[len(x) :]).T
        score += np.abs(cosine) if is_free(role) else cosine
    units_a, units_b = scipy.optimize.linear_sum_assignment(score, maximize=True)
    best = score[units_a, units_b].sum()
    if n_a == n_b and score.trace() >= IN_ORDER * best:
        units_a = units_b = np.arange(n_a)
    seen = score[units_a, units_b].astype(np.float32)
    return UnitMatch(units_a, units_b, seen, np.zeros_like(seen))


def _same_expert(x: Axis, y: Axis, b: Side, experts: Experts) -> Axis:
    """The expert of b that the routers say is that of a; where there are none, as it is."""
    match, number = experts.get((y.stack, y.block)), x.name.removeprefix("mlp.")
    if match is None or not number.isdigit() or int(number) not in match[0]:
        return y
    name = f"mlp.{match[1][match[0] == int(number)][0]}"
    wanted = (y.stack, y.block, name)
    return next((z for z in b.anatomy.axes if (z.stack, z.block, z.name) == wanted), y)


def _norms(a: Side, b: Side, blocks: BlockMap) -> dict[str, Ints | Floats]:
    """Gains and biases of a's norms by the names of b's: their readers make up for the change."""
    in_a = {key: name for name, key in role_keys(a.model.tensors).items()}
    keys, roles = role_keys(b.model.tensors), dict(b.anatomy.roles)
    found: dict[str, Ints | Floats] = {}
    for name, key in keys.items():
        other = in_a.get(replace(key, block=blocks.get((key.stack, key.block), key.block)))
        if roles.get(name) != "norm" or other is None:
            continue
        if a.model.tensors[other].shape == b.model.tensors[name].shape:
            found[f"norm.{name}"] = a.model.rows(other)
    return found
