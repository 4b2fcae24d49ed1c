"""Regular expressions of other people, matched in bounded time: a hostile one can take for ever.

The expression is parsed as Python does, and followed for all positions of a text at once, so that
nothing is tried twice. What takes more steps than a budget, or looks back at itself, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # the parser is the standard one
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_LENGTH = 4096  # characters of an expression, or of a text
MAX_STEPS = 2_000_000  # of all matches together
PLAIN = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)  # no expression that repeats anything
_OF_ONE = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)  # nodes that stand for one character
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    op.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    op.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}


class CannotMatch(ValueError):
    """An expression that is none, is not supported, or takes too long."""


@dataclass(slots=True)
class Matcher:
    """Answers as the functions of `re` do; ``steps`` of all answers together are bounded.

    Sets of positions in a text are bits of a number.
    """

    steps: int = 0
    places: dict[str, int] = field(default_factory=dict, init=False)  # of each character
    end: int = field(default=1, init=False)

    def fullmatch(self, pattern: str, text: str) -> bool:
        """Whether a whole text of one line fits an expression, or raise `CannotMatch`."""
        return bool(self._found(pattern, text) >> len(text) & 1)

    def match(self, pattern: str, text: str) -> bool:
        """Whether the beginning of a text of one line fits it, or raise `CannotMatch`."""
        return self._found(pattern, text) != 0

    def _found(self, pattern: str, text: str) -> int:
        if len(pattern) > MAX_LENGTH or len(text) > MAX_LENGTH:
            raise CannotMatch(f"more than {MAX_LENGTH} characters")
        try:
            self.places, self.end = {}, 1 << len(text)
            for i, c in enumerate(text):
                self.places[c] = self.places.get(c, 0) | 1 << i
            return self._ends(_parsed(pattern), 1)
        except RecursionError:
            raise CannotMatch("nested too deeply") from None

    def _ends(self, nodes: Any, starts: int) -> int:
        """Positions, as bits, at which a sequence can end that begins at one of some positions."""
        for kind, value in nodes:
            if not starts:
                return 0
            starts = self._after(kind, value, starts)
        return starts

    def _after(self, kind: Any, value: Any, starts: int) -> int:
        self._spend(1)
        if kind is op.LITERAL:
            return (starts & self.places.get(chr(value), 0)) << 1
        if kind in _OF_ONE:
            return (starts & self._fitting(kind, value)) << 1
        if kind is op.BRANCH:
            found = 0
            for branch in value[1]:
                found |= self._ends(branch, starts)
            return found
        if kind is op.SUBPATTERN:
            _, added, removed, inner = value
            if added or removed:
                raise CannotMatch("flags inside")
            return self._ends(inner, starts)
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            return self._repeated(value, starts)
        if kind is op.AT:
            return starts & self._at(value)
        raise CannotMatch(f"{str(kind).lower()} is not supported")

    def _fitting(self, kind: Any, value: Any) -> int:
        """Positions of the characters that a node stands for."""
        self._spend(len(self.places) * (len(value) if kind is op.IN else 1) // 8)
        return sum(places for c, places in self.places.items() if _is_in(kind, value, c))

    def _repeated(self, value: Any, starts: int) -> int:
        least, most, inner = value
        for _ in range(least):
            self._spend(1)
            starts = self._ends(inner, starts)
        if most is op.MAXREPEAT and len(inner) == 1 and inner[0][0] in _OF_ONE:
            return self._run(self._fitting(*inner[0]), starts)
        reached, new, n = starts, starts, least
        while new and (most is op.MAXREPEAT or n < most):
            self._spend(1)
            new = self._ends(inner, new) & ~reached
            reached |= new
            n += 1
        return reached

    def _run(self, fitting: int, starts: int) -> int:
        """Positions that are reached through characters that fit, each behind the one before."""
        self._spend(self.end.bit_length() // 8)
        while new := (starts & fitting) << 1 & ~starts:
            starts |= new
            fitting &= ~(new >> 1)
        return starts

    def _at(self, where: Any) -> int:
        if where in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return 1
        if where in (op.AT_END, op.AT_END_STRING):
            return self.end
        raise CannotMatch(f"{str(where).lower()} is not supported")

    def _spend(self, n: int) -> None:
        self.steps += n
        if self.steps > MAX_STEPS:
            raise CannotMatch("takes too long to match")


@lru_cache(maxsize=1024)
def _parsed(pattern: str) -> Any:
    try:
        parsed = parser.parse(pattern)
    except (re.error, OverflowError, ValueError) as error:
        raise CannotMatch(f"no regular expression ({error})") from None
    if parsed.state.flags & ~re.UNICODE.value:
        raise CannotMatch("flags inside")
    return parsed


def _is_in(kind: Any, value: Any, c: str) -> bool:
    """Whether a character is the one, or one of those, that a node stands for."""
    if kind is op.LITERAL:
        return bool(ord(c) == value)
    if kind is op.NOT_LITERAL:
        return bool(ord(c) != value)
    if kind is op.ANY:
        return c != "\n"
    if value and value[0][0] is op.NEGATE:
        return not _is_in(op.IN, value[1:], c)
    return any(
        ord(c) == x
        if item is op.LITERAL
        else x[0] <= ord(c) <= x[1]
        if item is op.RANGE
        else _CATEGORIES[x](c)
        for item, x in value
    )
