"""Values from JSON: every field of a frozen value is checked by its annotation.

Nothing is converted: a number is no text, a truth value no number, and nothing is infinite.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

T = TypeVar("T")
MOST_DIGITS = 19  # of a whole number
MOST_VALUES = 3_000_000  # of a text: they may take a hundred times its bytes
DEEPEST = 64
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """Beside `str` in an annotation: the text is a name in a table."""

    what: str
    table: Mapping[str, Any]


def parsed(text: str) -> Any:
    """JSON without repeated names, numbers that are none, or nesting without end.

    Raises
    ------
    ValueError
        What is wrong with it.
    """
    n = text.count(",") + text.count("[") + text.count("{")
    if n > MOST_VALUES:
        raise ValueError(f"too many values (about {n:,}, at most {MOST_VALUES:,})")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_int=_whole,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    layer, depth = [value], 0
    while layer:  # level by level, so that nothing here nests
        layer = [y for x in layer if isinstance(x, dict | list)
                 for y in (x.values() if isinstance(x, dict) else x)]  # fmt: skip
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
    return value


def built(kind: type[T], data: Any, *, is_strict: bool = False) -> T:
    """A value of a dataclass.

    Parameters
    ----------
    kind : type
        The dataclass.
    data : object
        What JSON says.
    is_strict : bool
        Refuse fields that are not its own.

    Returns
    -------
    object
        Of that dataclass.

    Raises
    ------
    ValueError
        Which field is missing, unknown or no such value.
    """
    value: T = _made(kind, data, _Place("", None, is_strict))
    return value


class _Place(NamedTuple):
    """Where in the data, and whether unknown fields are refused there."""

    name: object
    outer: _Place | None
    is_strict: bool

    def at(self, name: object) -> _Place:
        """A place inside this one."""
        return _Place(name, self, self.is_strict)

    @property
    def path(self) -> str:
        """The names that lead here; put together only where something is wrong."""
        names, place = [], self
        while place.outer is not None:
            names.append(str(place.name)[:LONGEST_SHOWN])
            place = place.outer
        return ".".join(reversed(names))

    def wrong(self, data: Any, wanted: object) -> ValueError:
        """What is wrong here."""
        shown = repr(data)[:LONGEST_SHOWN]
        return ValueError(f"{self.path or 'the record'} is {shown}, not {wanted}")


def _made(hint: Any, data: Any, place: _Place) -> Any:
    if type(data) is hint and hint is not float:  # most values: nothing else is to be looked at
        return data
    origin, inner = get_origin(hint), get_args(hint)
    wanted: object
    if hint is Any:
        return data
    if origin in (Union, types.UnionType):
        return _either(inner, data, place)
    if origin in (tuple, dict):
        return _many(origin, inner, data, place)
    if is_dataclass(hint):
        return _value(hint, data, place)
    if origin is Literal:
        is_right = any(data is x or _equal(data, x) for x in inner)
        wanted = f"one of {', '.join(map(repr, inner))}"
    elif origin is Annotated:
        (names,) = hint.__metadata__
        is_right = isinstance(data, str) and data in names.table
        wanted = f"a {names.what} of this version"
    elif hint is float:
        is_number = isinstance(data, float | int) and not isinstance(data, bool)
        is_right, wanted = is_number and math.isfinite(data), "a number"
    else:
        is_right, wanted = type(data) is hint, f"of type {hint.__name__}"
    if not is_right:
        raise place.wrong(data, wanted)
    return data


def _many(kind: type, inner: tuple[Any, ...], data: Any, place: _Place) -> Any:
    """A tuple or a dictionary."""
    if kind is dict:
        if not isinstance(data, dict):
            raise place.wrong(data, "an object")
        return {key: _made(inner[1], x, place.at(key)) for key, x in data.items()}
    if not isinstance(data, list):
        raise place.wrong(data, "a list")
    hints = inner[:1] * len(data) if inner[1:] == (...,) else inner
    if len(data) != len(hints):
        raise place.wrong(data, "as many values")
    pairs = zip(hints, data, strict=True)
    return tuple(_made(hint, x, place.at(k)) for k, (hint, x) in enumerate(pairs))


def _either(kinds: tuple[Any, ...], data: Any, place: _Place) -> Any:
    """A value of the first kind that it can be of."""
    if data is None and type(None) in kinds:
        return None
    wrong = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _made(kind, data, place)
            except ValueError as error:
                wrong.append(error)
    raise wrong[0]


def _value(kind: Any, data: Any, place: _Place) -> Any:
    if not isinstance(data, dict):
        raise place.wrong(data, "an object")
    hints, names = _hints(kind)
    unknown = data.keys() - names.keys()
    if unknown and place.is_strict:
        raise ValueError(f"{place.at(min(unknown)).path} is unknown to this version")
    missing = [name for name, is_needed in names.items() if is_needed and name not in data]
    if missing:
        raise ValueError(f"{place.at(missing[0]).path} is missing")
    return kind(
        **{name: _made(hints[name], data[name], place.at(name)) for name in names if name in data}
    )


@cache
def _hints(kind: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    """Annotations of a dataclass, and whether each of its fields is needed."""
    needed = {
        f.name: f.default is MISSING and f.default_factory is MISSING
        for f in fields(kind)
        if f.init
    }
    hints = get_type_hints(kind, include_extras=True)
    for name, is_needed in needed.items():  # what is None is not written
        needed[name] = is_needed and type(None) not in get_args(hints[name])
    return hints, needed


def _equal(x: Any, y: Any) -> bool:
    return type(x) is type(y) and x == y


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is repeated in an object")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(text)


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError("a number is too large")
    return found
