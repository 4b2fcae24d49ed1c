"""Results show themselves in notebooks; how they are drawn is registered, and not known here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_DRAWINGS: list[Callable[[Any], str]] = []


class InNotebooks:
    """Records that a notebook shows as their HTML report."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        return _DRAWINGS[-1](self) if _DRAWINGS else None


def draw_records_with(draw: Callable[[Any], str]) -> None:
    """Let notebooks draw records so from now on; the package does this when it is imported."""
    _DRAWINGS[:] = [draw]
