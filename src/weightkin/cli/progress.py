"""How far a long run has come: one line that is written over, or a line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightkin.cli.answers import Answer

CLEAR = "\r\x1b[K"
MOST_NAMED = 30  # characters of a name on a line that is written over
BETWEEN = 10.0  # seconds from one line to the next where standard error is no terminal
READING = ""  # the stage in which models are read, whose progress names each
ONLY_READING: Mapping[str, float] = {READING: 1.0}


def family_stages() -> Mapping[str, float]:
    """The stages of a family graph, with the share of the time that each usually takes."""
    from weightkin.compute import COPIES, PAIRS, PARENTS

    return {READING: 0.2, PAIRS: 0.3, COPIES: 0.3, PARENTS: 0.2}


@contextmanager
def progress_line(
    answer: Answer, stages: Mapping[str, float] = ONLY_READING
) -> Iterator[Callable[[str, int, int, int], None] | None]:
    """What is being done, how far it is, bytes read, and the time left over all stages.

    Where standard error is no terminal a line every ten seconds, with ``-v`` one for each step.
    With ``-q`` nothing.

    Parameters
    ----------
    answer : Answer
        How much is printed.
    stages : mapping of str to float
        What is done, in order, with the share of the whole time that it usually takes.

    Yields
    ------
    callable or None
        To be called with what is done, how much of how much, and the bytes read.
    """
    if answer.is_quiet:
        yield None
        return
    is_terminal = sys.stderr.isatty()
    clock = Clock(stages)
    said = time.monotonic()

    def show(what: str, n_done: int, n_total: int, n_bytes: int) -> None:
        nonlocal said
        now = time.monotonic()
        line = clock.line(what, n_done, n_total, n_bytes, now)
        if is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"{CLEAR}{line[:width]}", end="", file=sys.stderr, flush=True)
        elif answer.is_verbose or now - said >= BETWEEN:
            said = now
            print(f"weightkin: {line}", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if is_terminal:
            print(CLEAR, end="", file=sys.stderr, flush=True)


@dataclass
class Clock:
    """Where a run is among its stages, and how long it may take yet."""

    stages: Mapping[str, float]
    started: float = field(default_factory=time.monotonic)

    def line(self, what: str, n_done: int, n_total: int, n_bytes: int, now: float) -> str:
        """One line about a step, as short as it can be."""
        from weightkin.report.terminal import file_size, printable

        names = list(self.stages)
        stage = what if what in self.stages else READING
        share = sum(self.stages[x] for x in names[: names.index(stage)])
        share += self.stages[stage] * n_done / max(1, n_total)
        where = f"{names.index(stage) + 1} of {len(names)}: " if len(names) > 1 else ""
        said = f"{where}{printable(what)[:MOST_NAMED]} {n_done}/{n_total}"
        if n_bytes:
            said += f", read {file_size(n_bytes)}"
        if 0 < share < 1:
            said += f", about {time_left((now - self.started) * (1 - share) / share)} left"
        return said


def time_left(seconds: float) -> str:
    """Seconds, or minutes, or hours: as exact as is known."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
