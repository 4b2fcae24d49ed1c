"""The tiny value of one field of a config, by the name of the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.catalogue.sizes import (
    DEPTHS,
    HEADS,
    SCALES,
    Apart,
    Key,
    Sizes,
    owns,
    scaled,
    what_is,
)

Path = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How one instance is made small."""

    sizes: Sizes
    apart: Apart
    exceptions: Mapping[str, Mapping[str, Any]]  # by model type, by field

    @property
    def which(self) -> int:
        """0 or 1: which of the two instances."""
        return self.sizes.which


def small_value(
    path: Path,
    name: str,
    value: Any,
    own: Mapping[str, Any],
    depth: int,
    owners: dict[int, Path],
    plan: Plan,
) -> Any:
    """The tiny value of one field."""
    what = what_is(name)
    if isinstance(value, list | tuple):
        if value and all(isinstance(x, str) for x in value):
            return _kinds(name, value, own, depth)
        if len(value) > 4 and len(value) in _depths(own):
            kinds = list(dict.fromkeys(map(str, value)))
            first = {str(x): x for x in value}
            value = type(value)([first[kind] for kind in kinds * depth][:depth])
        elif what == "indices" or (what == "depth" and flat(value)):
            return type(value)(_positions(value, own, depth))
        return type(value)(small_value(path, name, x, own, depth, owners, plan) for x in value)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    key = key_of(path, name, value, owners, plan)
    if key in plan.sizes.given:
        return plan.sizes.given[key]
    which = plan.which
    if plan.apart in SCALES and what in ("width", "mlp", "head_dim"):
        return scaled(value, plan.apart, which)
    if plan.apart in SCALES and what in ("heads", "kv"):
        return value
    if what in ("depth",):
        return depth if value > 1 else value
    if what == "depths":
        return min(value, DEPTHS[which]) if value > 1 else value
    if what == "heads":
        return value if value <= 2 else HEADS[which]
    if what == "kv":
        return min(value, 2) if plan.apart == "all" else min(value, HEADS[which])
    if what == "experts":
        return min(value, (4, 6)[which])
    if what == "topk":
        return min(value, 2)
    if what == "few":
        return min(value, 1)
    if what == "rotary":
        return 8
    if what == "queries":
        return (10, 14)[which]
    if what == "period":
        return min(value, 2)
    if what == "groups":
        return min(value, 2)
    if what == "power":
        return min(value, (32, 64)[which])
    if what == "window":
        patch = own.get("patch_size")
        in_pixels = isinstance(patch, int) and value >= 4 * patch
        return 4 * min(patch, 8) if in_pixels else min(value, 8)  # type: ignore[type-var]
    if what == "patches":
        return (16, 36)[which] if value >= 16 else value
    if what == "sample":
        return min(value, 16)
    if what == "image":
        return (64, 96)[which] if value > 64 else value
    if what == "patch":
        return value if value <= 8 else (8 if value % 2 == 0 else value)
    return value


def _kinds(name: str, value: Any, own: Mapping[str, Any], depth: int) -> Any:
    """Kinds of blocks in their order, each at least once, as long as the tiny model is deep."""
    if "feature" in name or len(value) not in _depths(own) or len(value) <= depth:
        return value
    kinds = list(dict.fromkeys(value))
    return type(value)((kinds * depth)[:depth])


def _depths(own: Mapping[str, Any]) -> set[int]:
    """Numbers of blocks of the real model."""
    return {v for k, v in own.items() if what_is(k) == "depth" and isinstance(v, int)}


def _positions(value: Any, own: Mapping[str, Any], depth: int) -> list[int]:
    """Indices of blocks of the real model, moved into the tiny one."""
    real = max(_depths(own), default=0)
    every = flat(value)
    if not every or real <= depth or max(every) < depth:
        return list(value)
    count = min(len(every), depth)
    last = depth if max(every) == real else depth - 1
    return [last - (count - 1 - i) for i in range(count)]


def depth_of(own: Mapping[str, Any], plan: Plan) -> int:
    """Number of blocks: as many as it takes for each kind of block, and for each index."""
    depth = DEPTHS[plan.which]
    kinds = indices = 1
    is_periodic = False
    for name, value in own.items():
        if isinstance(value, list | tuple) and value:
            if all(isinstance(x, str) for x in value) and "feature" not in name:
                kinds = max(kinds, len(set(value)))
            if what_is(name) == "indices":
                indices = max(indices, min(4, len(value)))
        is_periodic |= what_is(name) == "period" and isinstance(value, int) and value > 1
    least = max(kinds, indices, 2) + plan.which
    return max(depth, least, 2 * (1 + plan.which) if is_periodic else 0)


def key_of(path: Path, name: str, value: int, owners: dict[int, Path], plan: Plan) -> Key | None:
    """What a size is given to; None where the field is not a width."""
    what = what_is(name)
    if what not in ("width", "mlp", "vocab", "head_dim", "length", "id") or value < 12:
        return None
    if what in ("id",):
        return ("id", value) if value >= 32 else None
    if what in ("vocab", "length"):
        return (what, value)
    if plan.apart in SCALES:
        return None
    if plan.apart == "nothing":
        return ("width", value)
    if what == "mlp":
        return ("mlp", path, name, value)
    if what == "head_dim":
        return ("head_dim", path, value)
    if owns(name):
        return ("width", path, value)
    return ("width", owners[value], value) if value in owners else ("width", path, value)


def flat(value: Any) -> list[int]:
    """Integers of a field."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, list | tuple):
        return [x for item in value for x in flat(item)]
    return []
