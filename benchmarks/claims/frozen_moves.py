"""What moved between two sets of records, and which of it is meant: `tests/frozen/accepted.toml`.

Texts and truth values are equal or not, numbers are equal within `WITHIN`. A change that is meant
is listed with its reason, by a pattern that covers no more than it explains:

    [[change]]
    part = "zoo"             # zoo, tree, locate, search, formats; or "*"
    of = "llama-a-sorted"    # a pattern for the pair, or for one of its two models
    field = "verdict"        # as in `FIELDS`; a pattern
    item = "*"               # of a field that has items: a pattern; "*" where it is left out
    now = "aligned-only"     # the new value; or "any", "larger", "smaller"
    reason = "..."
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

ACCEPTED = Path(__file__).parents[2] / "tests" / "frozen" / "accepted.toml"
WITHIN = 1e-9
WITHIN_VECTORS = 2e-5  # cosines of float32 vectors, kept to five decimals
SHOWN = 12  # moves of one field that are printed in full
NOTHING = "(nothing)"  # stands for what is not there


@dataclass(frozen=True, slots=True)
class Move:
    """One value that is not what it was."""

    part: str
    key: str
    field: str
    item: str  # empty: the field has one value
    before: Any
    now: Any

    @property
    def line(self) -> str:
        """Return the move as one line."""
        where = f"{self.key}: {self.item}" if self.item else self.key
        return f"{where}: {_short(self.before)} -> {_short(self.now)}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change that is meant, and why."""

    part: str
    of: str
    field: str
    item: str
    now: Any
    reason: str

    def covers(self, move: Move) -> bool:
        """Whether it explains a move."""
        names = (move.key, *move.key.split(" | "))
        return (
            fnmatchcase(move.part, self.part)
            and any(fnmatchcase(name, self.of) for name in names)
            and fnmatchcase(move.field, self.field)
            and fnmatchcase(move.item, self.item)
            and self._allows(move)
        )

    def _allows(self, move: Move) -> bool:
        if self.now in ("larger", "smaller"):
            if not _is_number(move.before) or not _is_number(move.now):
                return False
            return bool((move.now > move.before) == (self.now == "larger"))
        return bool(self.now == "any" or _is_equal(move.now, self.now, WITHIN))


def moves(part: str, key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Move]:
    """Everything in which two records of one thing differ."""
    found = []
    for field in dict.fromkeys([*before, *now]):
        x, y = before.get(field, NOTHING), now.get(field, NOTHING)
        within = WITHIN_VECTORS if field == "vectors" else WITHIN
        for item, old, new in _items(x, y):
            if not _is_equal(old, new, within):
                found.append(Move(part, key, field, item, old, new))
    return found


def accepted(path: Path = ACCEPTED) -> list[Accepted]:
    """The changes that are meant."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        return [Accepted(**{"item": "*", **x}) for x in tomllib.load(file).get("change", [])]


def sort_out(
    found: Iterable[Move], known: Sequence[Accepted]
) -> tuple[list[Move], list[tuple[Accepted, list[Move]]]]:
    """Moves that nothing explains, and those of each change that is meant (none: it is stale)."""
    unexplained: list[Move] = []
    explained: list[tuple[Accepted, list[Move]]] = [(change, []) for change in known]
    for move in found:
        those = next((x for change, x in explained if change.covers(move)), unexplained)
        those.append(move)
    return unexplained, explained


def lines(found: Sequence[Move], most: int = SHOWN) -> list[str]:
    """Moves by part and field, the first of each in full."""
    groups: dict[tuple[str, str], list[Move]] = defaultdict(list)
    for move in found:
        groups[move.part, move.field].append(move)
    told = []
    for (part, field), those in groups.items():
        n_keys = len({x.key for x in those})
        told.append(f"{part}, {field}: {len(those)} in {n_keys} records")
        told += [f"  {x.line}" for x in those[:most]]
        told += [f"  ... and {len(those) - most} more"] if len(those) > most else []
    return told


def _items(x: Any, y: Any) -> Iterator[tuple[str, Any, Any]]:
    if not isinstance(x, dict) or not isinstance(y, dict):
        yield "", x, y
        return
    for item in dict.fromkeys([*x, *y]):
        yield item, x.get(item, NOTHING), y.get(item, NOTHING)


def _is_equal(x: Any, y: Any, within: float) -> bool:
    if _is_number(x) and _is_number(y):
        return bool(abs(x - y) <= within)
    if isinstance(x, list) and isinstance(y, list) and len(x) == len(y):
        return all(_is_equal(u, v, within) for u, v in zip(x, y, strict=True))
    return bool(x == y)


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return ", ".join(map(_short, value)) if isinstance(value, list) else str(value)
