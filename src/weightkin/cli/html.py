"""The option `--html FILE`: the result as an HTML report, beside what is printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from weightkin.errors import OutOfReach, UsageError

if TYPE_CHECKING:
    from weightkin.cli.answers import Answer
    from weightkin.report.html import Record

SUFFIXES = (".html", ".htm")
ALONE = ("--json", "-q", "--quiet", "-v", "--verbose")


def check_page(target: Path | None, sources: Sequence[str]) -> None:
    """A page goes where it cannot hurt: a name of a page, in a folder that is no model."""
    from weightkin.formats.write_guard import refuse_inside

    if target is None:
        return
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--html {target}: the name must end in {' or '.join(SUFFIXES)}")
    if not target.parent.is_dir() or target.is_dir():
        raise UsageError(f"--html {target}: not a file in a folder that exists")
    refuse_inside(target, sources)


@contextmanager
def page_beside(
    target: Path | None, record: Record, answer: Answer, *, command: str | None = None
) -> Iterator[None]:
    """Write the report of a record before it is printed; ``command`` is this one by default.

    Raises
    ------
    OutOfReach
        After the printing: the disk is full, or the file cannot be written.
    """
    if command is None:
        command = shlex.join(["weightkin", *_asked(sys.argv[1:])])
    failed = "" if target is None else _write(target, record, command)
    yield
    if failed:
        raise OutOfReach(failed)
    if target is not None:
        answer.note(f"wrote {target}")


def _write(target: Path, record: Record, command: str) -> str:
    from weightkin.report.html import page

    try:
        target.write_text(page(record, command=command), encoding="utf-8")
    except OSError as error:
        return f"{target}: cannot be written ({error.strerror})"
    return ""


def _asked(words: Sequence[str]) -> Iterator[str]:
    """A command line without where its own output went, which is no part of what was asked."""
    left = iter(words)
    for word in left:
        if word == "--":
            yield word
            yield from left
        elif word in ("--html", "--output", "--format"):
            next(left, None)
        elif word not in ALONE and not word.startswith(("--html=", "--output=", "--format=")):
            yield word
