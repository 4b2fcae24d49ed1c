"""The tiny config of a class, from its default config: every field by its name, nested ones too."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PretrainedConfig

from benchmarks.catalogue.parts import join_parts, placeholders
from benchmarks.catalogue.sizes import (
    DEPTHS,
    HEADS,
    LABELS,
    SCALES,
    Apart,
    Key,
    Sizes,
    multiple_of,
    owns,
    scaled,
    what_is,
)

_BASE = {f.name for f in dataclasses.fields(PretrainedConfig)}
Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How one instance is made small."""

    sizes: Sizes
    apart: Apart
    exceptions: Mapping[str, Mapping[str, Any]]  # by model type, by field

    @property
    def which(self) -> int:
        """0 or 1: which of the two instances."""
        return self.sizes.which


def tiny_config(
    default: PretrainedConfig,
    which: int,
    *,
    apart: Apart,
    exceptions: Mapping[str, Mapping[str, Any]],
) -> PretrainedConfig:
    """Make the config of a tiny instance.

    Parameters
    ----------
    default : PretrainedConfig
        Config at real size.
    which : int
        0 or 1: the two differ in depth and in all widths.
    apart : str
        What gets sizes of its own where it has one default, but not one meaning.
    exceptions : mapping of str to mapping
        Values of fields by model type: one value, or a pair for the two instances.

    Returns
    -------
    PretrainedConfig
        Of the same class as ``default``.
    """
    plan = Plan(Sizes(which), apart, exceptions)
    owners = _give(list(_leaves(default, ())), plan)
    return _rebuilt(default, (), owners, plan)


def tiny_values(default: Mapping[str, Any], which: int, *, apart: Apart) -> dict[str, Any]:
    """Tiny values of arguments that stand in no config class, as ``tiny_config``."""
    plan = Plan(Sizes(which), apart, {})
    owners = _give([((), k, v) for k, v in default.items() if _flat(v)], plan)
    depth = _depth(default, plan)
    return {k: _small((), k, v, default, depth, owners, plan) for k, v in default.items()}


def _give(leaves: list[tuple[Path, str, Any]], plan: Plan) -> dict[int, Path]:
    """Give out all sizes; return which part owns each width."""
    owners: dict[int, Path] = {}
    for path, name, value in leaves:
        if what_is(name) == "width" and owns(name):
            for x in _flat(value):
                owners.setdefault(x, path)
    wanted = []
    for path, name, value in leaves:
        for x in _flat(value):
            key = _key(path, name, x, owners, plan)
            if key:
                wanted.append((key, x, _multiple(name, x, plan)))
    least: dict[Key, tuple[int, int]] = {}
    for key, x, multiple in wanted:
        least[key] = (min(x, least.get(key, (x, 0))[0]), max(multiple, least.get(key, (0, 0))[1]))
    _reserve(plan)
    plan.sizes.give_all([(key, x, multiple) for key, (x, multiple) in least.items()])
    return owners


def values_of(config: PretrainedConfig) -> dict[str, Any]:
    """Fields of a config and their values; some are stored under another name."""
    stored, names = vars(config), type(config).attribute_map
    fields = [f.name for f in dataclasses.fields(config)]
    fields = [f for f in fields if f not in _BASE or f == "vocab_size"] + ["_out_indices"]
    found = {f: stored[names.get(f, f)] for f in fields if names.get(f, f) in stored}
    found.pop("_out_features", None)  # the indices say the same
    return found


def _leaves(config: PretrainedConfig, path: Path) -> Iterator[tuple[Path, str, Any]]:
    """Fields that hold integers, or lists of them, with the path of their config."""
    for name, value in values_of(config).items():
        if isinstance(value, PretrainedConfig):
            yield from _leaves(value, (*path, name))
        elif _flat(value):
            yield path, name, value


def _flat(value: Any) -> list[int]:
    """Integers of a field."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, list | tuple):
        return [x for item in value for x in _flat(item)]
    return []


def _key(path: Path, name: str, value: int, owners: dict[int, Path], plan: Plan) -> Key | None:
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


def _multiple(name: str, value: int, plan: Plan) -> int:
    what = what_is(name)
    if what in ("vocab", "id"):
        return 1
    if what == "length":
        return 2
    if what == "head_dim" or (what == "mlp" and plan.apart != "nothing"):
        return 8
    return multiple_of(value, plan.which)


def _reserve(plan: Plan) -> None:
    """Numbers that stand for something else."""
    plan.sizes.taken |= {*range(12), LABELS[plan.which]}


def _rebuilt(
    default: PretrainedConfig, path: Path, owners: dict[int, Path], plan: Plan
) -> PretrainedConfig:
    """Build the same config again with tiny sizes, from inside out."""
    cls = type(default)
    plain = _plain(cls)
    own = values_of(default)
    known = values_of(plain) if plain is not None else {}
    depth = _depth(own, plan)
    values: dict[str, Any] = {}
    for name, value in own.items():
        if isinstance(value, PretrainedConfig):
            values[name] = _rebuilt(value, (*path, name), owners, plan)
            continue
        new = _small(path, name, value, own, depth, owners, plan)
        if known.get(name, value) != value or (new != value and name != "_out_indices"):
            values[name] = new
    values |= _flags(default, plain)
    if plan.apart != "all":
        values |= _plain_heads(own, values)
    if "_out_indices" in values:
        values["out_indices"] = list(values.pop("_out_indices") or ())
    by_hand = {
        name: value
        for kind in (cls.model_type, cls.__name__)
        for name, value in plan.exceptions.get(kind, {}).items()
    }
    for name, value in by_hand.items():
        new = value[plan.which] if isinstance(value, tuple) else value
        values[name] = new({**own, **values}) if callable(new) else new
    values |= placeholders({**own, **values})
    join_parts(values)
    if "rope_parameters" not in by_hand and ({**own, **values}).get("rope_parameters"):
        values["rope_parameters"] = _rope(
            values.get("rope_parameters", own["rope_parameters"]), {**own, **values}
        )
    return cls(**values)


def _plain_heads(own: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, int]:
    """The size of a head where all heads together are as wide as the stream by default."""
    head, width, n = (own.get(x) for x in ("head_dim", "hidden_size", "num_attention_heads"))
    if not (isinstance(head, int) and isinstance(width, int) and isinstance(n, int)):
        return {}
    tiny = {**own, **values}
    is_same = head * n == width
    return {"head_dim": tiny["hidden_size"] // tiny["num_attention_heads"]} if is_same else {}


def _flags(default: PretrainedConfig, plain: PretrainedConfig | None) -> dict[str, Any]:
    """Settings that are no fields of their config: a larger one has given them."""
    if plain is None:
        return {}
    return {
        name: value
        for name, value in vars(default).items()
        if name not in vars(plain) and isinstance(value, bool)
    }


def _plain(cls: type[PretrainedConfig]) -> PretrainedConfig | None:
    try:
        return cls()
    except Exception:
        return None


def _depth(own: Mapping[str, Any], plan: Plan) -> int:
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


def _small(
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
        elif what == "indices" or (what == "depth" and _flat(value)):
            return type(value)(_positions(value, own, depth))
        return type(value)(_small(path, name, x, own, depth, owners, plan) for x in value)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    key = _key(path, name, value, owners, plan)
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
    flat = _flat(value)
    if not flat or real <= depth or max(flat) < depth:
        return list(value)
    count = min(len(flat), depth)
    last = depth if max(flat) == real else depth - 1
    return [last - (count - 1 - i) for i in range(count)]


def _rope(rope: Any, values: Mapping[str, Any]) -> Any:
    """Rotary parameters whose lists are as long as half a tiny head."""
    if not isinstance(rope, dict):
        return rope
    if any(isinstance(v, dict) for v in rope.values()):
        return {k: _rope(v, values) for k, v in rope.items()}
    head = values.get("head_dim") or values.get("hidden_size", 0) // max(
        1, values.get("num_attention_heads", 1) or 1
    )
    half = int(head * (rope.get("partial_rotary_factor") or 1.0)) // 2
    new = dict(rope)
    if isinstance(section := rope.get("mrope_section"), list | tuple) and sum(section):
        part = half // len(section)
        new["mrope_section"] = [half - part * (len(section) - 1), *[part] * (len(section) - 1)]
    for name in ("long_factor", "short_factor"):
        if isinstance(rope.get(name), list | tuple):
            new[name] = [1.0] * half
    return new
