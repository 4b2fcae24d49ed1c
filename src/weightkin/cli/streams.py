"""The two streams a command writes to, so that their end is no error of the command.

A reader that goes away (``| head``) has seen enough: the rest is thrown away, and the exit code is
that of the run. A stream that cannot be written is remembered, for one line and exit code 2.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

FLUSHED = "standard output: cannot be written"


class Outlet(io.FileIO):
    """A file that throws away what it cannot write; ``problem`` says why, unless nobody reads."""

    problem = ""

    def write(self, data: object, /) -> int:
        """Write some bytes, or none and never again."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            pass
        except OSError as error:
            self.problem = f"{FLUSHED} ({error.strerror})"
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return memoryview(data).nbytes  # type: ignore[arg-type]


def guard_streams() -> Outlet | None:
    """Put outlets under both streams of this process; that of standard output.

    None where standard output is another's already, or closed. A closed stream of errors goes
    nowhere.
    """
    out, err = sys.__stdout__, sys.__stderr__
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open to the end)
    elif sys.stderr is err:
        sys.stderr = _text(Outlet(err.fileno(), "w", closefd=False), err, is_line=True)
    if out is None or sys.stdout is not out:
        return None
    outlet = Outlet(out.fileno(), "w", closefd=False)
    sys.stdout = _text(outlet, out, is_line=outlet.isatty())
    return outlet


def _text(outlet: Outlet, like: TextIO, *, is_line: bool) -> io.TextIOWrapper:
    """The stream as it was, over an outlet."""
    buffer = io.BufferedWriter(outlet)
    return io.TextIOWrapper(
        buffer, encoding=like.encoding, errors=like.errors, line_buffering=is_line
    )
