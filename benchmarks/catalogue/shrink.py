"""The tiny config of a class, from its default config: every field by its name, nested ones too."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PretrainedConfig

from benchmarks.catalogue.parts import join_parts, placeholders
from benchmarks.catalogue.sizes import LABELS, Apart, Key, Sizes, multiple_of, owns, what_is
from benchmarks.catalogue.small_values import Path, Plan, depth_of, flat, key_of, small_value

_BASE = {f.name for f in dataclasses.fields(PretrainedConfig)}


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
    owners = _give([((), k, v) for k, v in default.items() if flat(v)], plan)
    depth = depth_of(default, plan)
    return {k: small_value((), k, v, default, depth, owners, plan) for k, v in default.items()}


def _give(leaves: list[tuple[Path, str, Any]], plan: Plan) -> dict[int, Path]:
    """Give out all sizes; return which part owns each width."""
    owners: dict[int, Path] = {}
    for path, name, value in leaves:
        if what_is(name) == "width" and owns(name):
            for x in flat(value):
                owners.setdefault(x, path)
    wanted = []
    for path, name, value in leaves:
        for x in flat(value):
            key = key_of(path, name, x, owners, plan)
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
        elif flat(value):
            yield path, name, value


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
    depth = depth_of(own, plan)
    values: dict[str, Any] = {}
    for name, value in own.items():
        if isinstance(value, PretrainedConfig):
            values[name] = _rebuilt(value, (*path, name), owners, plan)
            continue
        new = small_value(path, name, value, own, depth, owners, plan)
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
