"""How other publishers call the modules of a library's class: one file of ``names/`` each.

Fields: ``about``; ``names_of`` (the class whose names they become); ``when`` (modules that must be
there); ``modules`` (pattern: name; ``#`` is a number, ``$1`` the first of them; applied in the
order of the file, to whole words anywhere in a name, behind ``^`` where it begins); ``levels`` (one
running number that becomes the number of a level and a rank in it: a level ends with the module
``ends``, the first number is ``first``; or ``is_turned``: counted from the end); ``split`` (a
module that holds several, one after the other: two or three of one size, or those before the last
as wide as what is read); ``first`` (of a split module: the one that reads what its first part
computes); ``swapped`` (its two halves stand in the other order); ``flat`` (a convolution of 1 x 1
is a matrix).

Two fields are about rows in another order than the library has (`formats.row_order`): ``pairs``
(in each head, rows that rotary positions turn together are neighbours, where the library has two
halves; which heads of a config these are, or ``joined`` where queries, keys and values stand one
behind the other) and ``groups`` (queries, keys and values of each group of
heads, then those of the next; what the module is called when all queries come first, then all keys,
then all values).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "names"
COMPONENTS = "components"  # the file that says what the parts of a diffusion model are called


@dataclass(frozen=True, slots=True)
class Level:
    """A list of modules that is numbered otherwise."""

    begin: re.Pattern[str]  # up to its number
    renamed: str
    first: int
    end: re.Pattern[str] | None  # of the name behind the number
    is_turned: bool


@dataclass(frozen=True, slots=True, eq=False)
class NamesTable:
    """The names of one publisher."""

    names_of: str
    when: tuple[re.Pattern[str], ...]
    levels: tuple[Level, ...]
    modules: tuple[tuple[re.Pattern[str], str], ...]
    split: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    first: tuple[tuple[re.Pattern[str], str], ...]
    swapped: tuple[re.Pattern[str], ...]
    flat: tuple[re.Pattern[str], ...]
    pairs: tuple[tuple[re.Pattern[str], str], ...]
    groups: tuple[tuple[re.Pattern[str], str], ...]


@cache
def names_tables() -> tuple[NamesTable, ...]:
    """Every table, in the order of their files."""
    paths = sorted(path for path in FOLDER.glob("*.json") if path.stem != COMPONENTS)
    return tuple(_table(json.loads(path.read_bytes())) for path in paths)


@cache
def components_table() -> Mapping[str, Any]:
    """What the parts of a diffusion model are called in one file, and their folders."""
    facts: Mapping[str, Any] = json.loads((FOLDER / f"{COMPONENTS}.json").read_bytes())
    return facts


def _table(facts: Mapping[str, Any]) -> NamesTable:
    return NamesTable(
        names_of=facts["names_of"],
        when=tuple(map(_pattern, facts["when"])),
        levels=tuple(_level(name, level) for name, level in facts.get("levels", {}).items()),
        modules=tuple((_pattern(x), _target(y)) for x, y in facts["modules"].items()),
        split=tuple((_pattern(x), tuple(y)) for x, y in facts.get("split", {}).items()),
        first=tuple((_pattern(x), y) for x, y in facts.get("first", {}).items()),
        swapped=tuple(map(_pattern, facts.get("swapped", ()))),
        flat=tuple(map(_pattern, facts.get("flat", ()))),
        pairs=tuple((_pattern(x), y) for x, y in facts.get("pairs", {}).items()),
        groups=tuple((_pattern(x), y) for x, y in facts.get("groups", {}).items()),
    )


def _level(name: str, facts: Mapping[str, Any]) -> Level:
    begin = re.compile(rf"(?<![^.]){re.escape(name)}\.([0-9]{{1,6}})(?=\.)")
    end = _pattern(facts["ends"]) if "ends" in facts else None
    return Level(begin, facts["as"], facts.get("first", 0), end, facts.get("is_turned", False))


def _pattern(text: str) -> re.Pattern[str]:
    """Whole words of a name."""
    words = re.escape(text.removeprefix("^")).replace(r"\#", "([0-9]{1,6})")
    begin = "^" if text.startswith("^") else "(?<![^.])"
    return re.compile(rf"{begin}{words}(?![^.])")


def _target(text: str) -> str:
    return re.sub(r"\$([0-9])", r"\\g<\1>", text)
