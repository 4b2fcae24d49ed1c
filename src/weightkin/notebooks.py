"""Records show themselves in notebooks and say themselves; how is registered, and unknown here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

LONGEST = 150  # characters of a record in a prompt
LONGEST_VALUE = 28  # of one text in it

_DRAWINGS: list[Callable[[Any], str]] = []
_WORDS: list[Callable[[Any], str]] = []


class InShort:
    """Dataclasses that a prompt shows in one line: the fields that say something, cut short.

    Of a list there is its length, of a record inside its name, or its first field.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        this: Any = self
        return one_line_of(self, ", ".join(filter(None, (_field(this, x) for x in fields(this)))))


class Drawn:
    """What a notebook shows as the answer in words, and as its command prints it."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        return _DRAWINGS[-1](self) if _DRAWINGS else None


class InOneLine(Drawn, InShort):
    """Records that can be said in one line, which a notebook shows."""

    __slots__ = ()

    @property
    def sentence(self) -> str:
        """What was found, as one line that can be quoted."""
        return _WORDS[-1](self)


class InNotebooks(InOneLine):
    """Records of a command, of which a notebook shows the report as well where there is one."""

    __slots__ = ()


def draw_records_with(draw: Callable[[Any], str]) -> None:
    """Let notebooks draw records so from now on; the package does this when it is imported."""
    _DRAWINGS[:] = [draw]


def say_records_with(say: Callable[[Any], str]) -> None:
    """Let records be said so from now on; the package does this when it is imported."""
    _WORDS[:] = [say]


def one_line_of(value: object, words: str) -> str:
    """What a prompt shows of a value: its type with some words, cut where they are too many."""
    cut = words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
    return f"<{type(value).__name__} {cut}>" if cut else f"<{type(value).__name__}>"


def short(text: str) -> str:
    """Return ``repr`` of a text, the middle of a long one left out."""
    half = LONGEST_VALUE // 2
    said = repr(text if len(text) <= LONGEST else text[:half] + text[-half:])
    return said if len(said) <= LONGEST_VALUE else f"{said[: half - 1]}…{said[-half:]}"


def name_of(source: str) -> str:
    """The last part of a source, as a prompt shows it."""
    return short(source.rstrip("/").rpartition("/")[2] or source)


def _field(record: Any, field: Field[Any]) -> str:
    """One field with its value; empty where it is the default, or nothing short can be said."""
    value = getattr(record, field.name)
    make = field.default_factory
    usual = field.default if make is MISSING else make()
    is_usual = type(value) is type(usual) and value == usual
    if not field.repr or value in (None, "") or is_usual:
        return ""
    match value:
        case str():
            return f"{field.name}={short(value)}"
        case float():
            return f"{field.name}={value:.5g}"
        case bool() | int():
            return f"{field.name}={value}"
        case tuple() if value and all(isinstance(x, str) for x in value) and len(value) == 1:
            return f"{field.name}={short(value[0])}"
        case tuple() | frozenset() | Mapping():
            return f"{field.name}: {len(value)}"
        case InShort():
            inside: Any = value
            name = getattr(value, "name", None) or getattr(value, fields(inside)[0].name)
            return f"{field.name}={short(str(name))}"
    return ""
