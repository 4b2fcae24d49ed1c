"""Markdown tables, and how far a share of rejections may stray by chance."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import binom


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a table; numbers are written as given."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def most_by_chance(n: int, alpha: float, confidence: float = 0.999) -> int:
    """Largest number of rejections among ``n`` that a valid test of level ``alpha`` may show."""
    return int(binom.ppf(confidence, n, alpha))
