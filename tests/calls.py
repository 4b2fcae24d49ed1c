"""How much work something is, counted in calls, which no other load on the machine changes."""

import cProfile
import pstats
from collections.abc import Callable


def n_calls(work: Callable[[], object], file: str = "", function: str | None = None) -> int:
    """How often functions ran while some work was done: all, or one function of a file."""
    profile = cProfile.Profile()
    profile.runcall(work)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return sum(
        x[1] for at, x in stats.items() if at[0].endswith(file) and function in (None, at[2])
    )
