"""Changes of JSON: one value, key or list of a parsed text, which is then written again."""

from __future__ import annotations

import json
import random
from typing import Any

from benchmarks.fuzz import values

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 0.5, 1e308, "", [], {}, [[]], {"": {}}, "x", [0] * 40),
    *(float("nan"), float("inf"), 10**400, 2**63, [None], {"a": 1, "b": [2]}, values.SURROGATE),
)
GROWN = (2, 10, 1000, 20_000)
DEEP = (5, 90, 150, 300)


def is_json(raw: bytes) -> bool:
    """Whether the bytes are one value."""
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def changed(raw: bytes, rng: random.Random) -> bytes:
    """The text with one value changed; seldom with a key twice, or what is no JSON at its end."""
    value = json.loads(raw)
    if rng.random() < 0.03 and isinstance(value, dict) and value:
        again = json.dumps(rng.choice(list(value.items())))[1:-1].replace(", ", ": ", 1)
        return written(value)[:-1] + b"," + again.encode() + b"}"
    if rng.random() < 0.03:
        return rng.choice((b"\xef\xbb\xbf" + raw, raw + b"x", raw + raw, b" " * 5000 + raw))
    return written(one_changed(value, rng))


def written(value: Any) -> bytes:
    """As text; half surrogate pairs stay escaped."""
    return json.dumps(value, separators=(",", ":")).encode()


def one_changed(value: Any, rng: random.Random) -> Any:
    """A copy with one value, anywhere inside, replaced."""
    slots: list[tuple[Any, Any]] = []
    _collect(value, slots)
    if not slots:
        return _other(value, rng, value)
    holder, key = rng.choice(slots)
    way = rng.randrange(8)
    if way == 0:
        del holder[key]
    elif way == 1:
        other, there = rng.choice(slots)
        holder[key] = json.loads(json.dumps(other[there]))
    elif way == 2 and isinstance(holder, list) and len(slots) < 1000:
        holder[key:key] = [holder[key]] * rng.choice(GROWN)
    elif way == 3 and isinstance(holder, dict):
        if len(json.dumps(holder[key])) < 200 and len(slots) < 1000:
            holder |= {f"{key}{i}": holder[key] for i in range(rng.choice(GROWN))}
        holder[rng.choice((values.SURROGATE, values.text(rng, key)))] = holder.pop(key)
    else:
        holder[key] = _other(holder[key], rng, value)
    return value


def _collect(value: Any, slots: list[tuple[Any, Any]]) -> None:
    """Where every value below this one stands."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = (
            holder if isinstance(holder, dict) else range(len(holder)) if _is_list(holder) else ()
        )
        for key in keys:
            slots.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _other(old: Any, rng: random.Random, whole: Any) -> Any:
    """Another value: mostly of the same type, and texts that are JSON changed inside."""
    if rng.random() < 0.3:
        return rng.choice(ODD)
    if isinstance(old, bool) or old is None:
        return rng.choice((not old, None, 1, "true"))
    if isinstance(old, int):
        return values.integer(rng, old)
    if isinstance(old, float):
        return rng.choice((-old, 0.0, old * 1e300, 10**30, float("nan"), float("-inf"), 1e-320))
    if isinstance(old, str):
        if old[:1] in ("{", "[") and is_json(old.encode("utf-8", "replace")) and rng.random() < 0.9:
            return json.dumps(one_changed(json.loads(old), rng))
        return rng.choice((values.text(rng, old), values.text(rng, old), values.SURROGATE))
    deep: Any = old
    for _ in range(rng.choice(DEEP) if rng.random() < 0.2 else 1):
        deep = [deep]
    return deep if len(json.dumps(whole)) < 50_000 else []
