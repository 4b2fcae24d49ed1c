"""Records show themselves in notebooks and say themselves; how is registered, and unknown here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_DRAWINGS: list[Callable[[Any], str]] = []
_WORDS: list[Callable[[Any], str]] = []


class InOneLine:
    """Records that can be said in one line."""

    __slots__ = ()

    @property
    def sentence(self) -> str:
        """What was found, as one line that can be quoted."""
        return _WORDS[-1](self)


class InNotebooks(InOneLine):
    """Records that a notebook shows as their HTML report."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        return _DRAWINGS[-1](self) if _DRAWINGS else None


def draw_records_with(draw: Callable[[Any], str]) -> None:
    """Let notebooks draw records so from now on; the package does this when it is imported."""
    _DRAWINGS[:] = [draw]


def say_records_with(say: Callable[[Any], str]) -> None:
    """Let records be said so from now on; the package does this when it is imported."""
    _WORDS[:] = [say]
