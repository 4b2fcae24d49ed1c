"""Controls as a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightkin.evidence.controls import Control


def control_lines(controls: Sequence[Control]) -> list[str]:
    """What is counted, then a line a class and size: pairs, their median and their largest."""
    if not controls:
        return ["no controls"]
    lines = ["share of units on which the two models of a pair agree (statistic, 0 to 1):"]
    lines += [f"{'class':<26}{'units':>6}{'width':>7}{'pairs':>7}{'median':>9}{'largest':>9}"]
    groups = dict.fromkeys((c.model_class, c.n_units, c.width) for c in controls)
    for group in groups:
        values = [c.statistic for c in controls if (c.model_class, c.n_units, c.width) == group]
        name, n_units, width = group
        lines.append(
            f"{name:<26}{n_units:>6}{width:>7}{len(values):>7}"
            f"{median(values):>9.4f}{max(values):>9.4f}"
        )
    return lines
