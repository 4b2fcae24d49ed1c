"""The line that shows how far a long run has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLEAR = "\r\x1b[K"
MOST_NAMED = 30  # characters of a name on a line that is written over


@contextmanager
def progress_line() -> Iterator[Callable[[str, int, int, int], None] | None]:
    """One line that is written over, on a terminal: what, how far, bytes read, time left.

    The time left is that of a phase, which begins where nothing is done.
    """
    from weightkin.report.terminal import file_size, printable

    started = time.monotonic()

    def show(what: str, n_done: int, n_total: int, n_bytes: int) -> None:
        nonlocal started
        now = time.monotonic()
        started = started if n_done else now
        spent = now - started
        left = f", {time_left(spent / n_done * (n_total - n_done))} left" if n_done else ""
        line = f"{printable(what)[:MOST_NAMED]} {n_done}/{n_total}, read {file_size(n_bytes)}{left}"
        print(f"{CLEAR}{line}", end="", file=sys.stderr, flush=True)

    if not sys.stderr.isatty():
        yield None
        return
    try:
        yield show
    finally:
        print(CLEAR, end="", file=sys.stderr, flush=True)


def time_left(seconds: float) -> str:
    """Seconds, or minutes, or hours: as exact as is known."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
