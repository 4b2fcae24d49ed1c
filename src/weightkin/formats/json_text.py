"""JSON from hostile files, bounded before it is parsed: a small text can stand for gigabytes."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from weightkin.text import quoted, shown, unreadable

MAX_BYTES = 100_000_000  # as the reference library allows the header of a safetensors file
MAX_ITEMS = 900_000  # commas, or lists and objects: a header has five and three for each tensor
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
MAX_DEPTH = 100  # lists in lists; far below where writing the text again would fail


def parse_object(
    raw: bytes,
    where: str | PurePath,
    what: str,
    *,
    is_hint: bool = False,
    most: int = MAX_ITEMS,
) -> dict[str, Any]:
    """Parse one JSON object, as `parse` does a value.

    Parameters
    ----------
    raw : bytes
        UTF-8 text.
    where, what : str
        The file and what the text is, for messages.
    is_hint : bool
        See `parse`.
    most : int
        Lists and objects, or commas, that the text may have.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    UnreadableModel
        It is no JSON, no object, or more than any file of a model needs.
    """
    value = parse(raw, where, what, is_hint=is_hint, most=most)
    if not isinstance(value, dict):
        raise unreadable(where, f"the {what} is {quoted(value)}, not a JSON object")
    return value


def parse(
    raw: bytes,
    where: str | PurePath,
    what: str,
    *,
    is_hint: bool = False,
    most: int = MAX_ITEMS,
) -> Any:
    """Parse JSON without repeated keys.

    Parameters
    ----------
    raw : bytes
        UTF-8 text.
    where, what : str
        The file and what the text is, for messages.
    is_hint : bool
        Nothing rests on it. Numbers that are not finite, or beyond 64 bits, become None, and
        half surrogate pairs, which no file or database takes, a question mark.
    most : int
        Lists and objects, or commas, that the text may have.

    Returns
    -------
    object
        The value: dicts, lists, texts, numbers, truth values and None.

    Raises
    ------
    UnreadableModel
        It is no JSON, nested too deeply or larger than any file of a model needs.
    """
    for found, limit, unit in (
        (len(raw), MAX_BYTES, "bytes"),
        (raw.count(b"{") + raw.count(b"["), most, "lists and objects"),
        (raw.count(b","), most, "commas"),
    ):
        if found > limit:
            raise unreadable(where, f"too many {unit} in the {what} ({found}, at most {limit})")

    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        once = dict(pairs)
        if len(once) != len(pairs):
            key = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise unreadable(where, f"key {quoted(key)} is repeated in the {what}")
        return once

    numbers: dict[str, Any] = {}
    if is_hint:
        numbers = {"parse_int": _integer, "parse_float": _float, "parse_constant": lambda _: None}
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=without_repeats, **numbers)
    except (ValueError, RecursionError) as error:
        raise unreadable(where, f"the {what} is not valid JSON ({shown(error)})") from None
    if any(depth > MAX_DEPTH for depth in _depths(value)):
        raise unreadable(where, f"the {what} is nested deeper than {MAX_DEPTH} levels")
    if is_hint and SURROGATE.search(raw):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _integer(text: str) -> int | None:
    return int(text) if len(text) < 20 and abs(int(text)) < 2**63 else None


def _float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _depths(value: object) -> Iterator[int]:
    """Depth of every list and object below a value."""
    level: list[object] = [value]
    depth = 0
    while level:
        yield depth
        inner: list[object] = []
        for x in level:
            held = x.values() if isinstance(x, dict) else x if isinstance(x, list) else ()
            inner += [y for y in held if isinstance(y, dict | list)]
        level, depth = inner, depth + 1
