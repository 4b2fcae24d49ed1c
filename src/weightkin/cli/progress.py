"""The line that shows how far a long run has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightkin.cli.answers import Answer

CLEAR = "\r\x1b[K"
MOST_NAMED = 30  # characters of a name on a line that is written over


@contextmanager
def progress_line(answer: Answer) -> Iterator[Callable[[str, int, int, int], None] | None]:
    """What is being done, how far it is, bytes read, time left: a line that is written over.

    Where standard error is no terminal, nothing, or with ``-v`` a line each. With ``-q`` nothing.

    The time left is that of a phase, which begins where nothing is done.
    """
    from weightkin.report.terminal import file_size, printable

    started = time.monotonic()
    is_terminal = sys.stderr.isatty()

    def show(what: str, n_done: int, n_total: int, n_bytes: int) -> None:
        nonlocal started
        now = time.monotonic()
        started = started if n_done else now
        spent = now - started
        left = f", {time_left(spent / n_done * (n_total - n_done))} left" if n_done else ""
        line = f"{printable(what)[:MOST_NAMED]} {n_done}/{n_total}, read {file_size(n_bytes)}{left}"
        if is_terminal:
            print(f"{CLEAR}{line}", end="", file=sys.stderr, flush=True)
        else:
            print(f"weightkin: {line}", file=sys.stderr, flush=True)

    if answer.is_quiet or not (is_terminal or answer.is_verbose):
        yield None
        return
    try:
        yield show
    finally:
        if is_terminal:
            print(CLEAR, end="", file=sys.stderr, flush=True)


def time_left(seconds: float) -> str:
    """Seconds, or minutes, or hours: as exact as is known."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
