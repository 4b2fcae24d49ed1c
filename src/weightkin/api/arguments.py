"""Arguments of the public verbs, checked at the door: one line says what is wrong with one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

from weightkin.errors import UsageError
from weightkin.records.comparison import Effort

MOST_SEED = 1 << 63


def check_alpha(alpha: Any) -> float:
    """A level of significance: a number between 0 and 1."""
    is_number = isinstance(alpha, float | int) and not isinstance(alpha, bool)
    if not is_number or not math.isfinite(alpha) or not 0 < alpha < 1:
        raise UsageError(f"alpha must be a number between 0 and 1, not {_shown(alpha)}")
    return float(alpha)


def check_seed(seed: Any) -> int:
    """A seed: a whole number from 0 on."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < MOST_SEED:
        raise UsageError(f"seed must be a whole number from 0 on, not {_shown(seed)}")
    return seed


def check_effort(effort: Any) -> Effort:
    """How much is looked at."""
    if effort not in get_args(Effort):
        known = ", ".join(map(repr, get_args(Effort)))
        raise UsageError(f"effort must be one of {known}, not {_shown(effort)}")
    return effort  # type: ignore[no-any-return]


def check_count(name: str, value: Any, most: int | None = None) -> int:
    """A number of things: whole, from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{name} must be a whole number from 0 on, not {_shown(value)}")
    if most is not None and value > most:
        raise UsageError(f"{name} must be at most {most}, not {_shown(value)}")
    return value


def check_new_file(path: Path) -> Path:
    """A file to be written, which must not be there yet."""
    if path.exists():
        raise UsageError(f"{path}: exists already, and is not overwritten")
    return path


def _shown(value: Any) -> str:
    return repr(value)[:80]
