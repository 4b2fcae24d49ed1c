"""The options that write a report or a picture of a result beside what is printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weightkin.errors import OutOfReach, UsageError

if TYPE_CHECKING:
    from weightkin.cli.answers import Answer
    from weightkin.report.facts import ModelFacts
    from weightkin.report.html import Record

SUFFIXES = {"html": (".html", ".htm")}
ALONE = ("--json", "-q", "--quiet", "-v", "--verbose")
WRITTEN = ("--html", "--title", "--reference", "--author", "--output", "--format")


def _file(option: str, what: str) -> Any:
    return Annotated[Path | None, typer.Option(option, metavar="FILE", help=f"Also write {what}.")]


def _text(option: str, what: str) -> Any:
    return Annotated[str, typer.Option(option, metavar="TEXT", help=f"{what} of the HTML report.")]


OPTIONS: tuple[tuple[str, Any, Any], ...] = (
    ("html", _file("--html", "an HTML report"), None),
    ("title", _text("--title", "Title"), ""),
    ("reference", _text("--reference", "Case reference"), ""),
    ("author", _text("--author", "Author"), ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Which files to write beside the result, and what to print on them. Nothing is stored."""

    html: Path | None = None
    title: str = ""
    reference: str = ""
    author: str = ""

    def check(self, sources: Sequence[str]) -> None:
        """A report goes where it cannot hurt: a name of its kind, in a folder that is no model."""
        from weightkin.formats.write_guard import refuse_inside

        for name in ("title", "reference", "author"):
            if getattr(self, name) and self.html is None:
                raise UsageError(f"--{name} stands on an HTML report: give --html FILE too")
        for kind, suffixes in SUFFIXES.items():
            target: Path | None = getattr(self, kind)
            if target is None:
                continue
            if target.suffix.lower() not in suffixes:
                raise UsageError(f"--{kind} {target}: the name must end in {' or '.join(suffixes)}")
            if not target.parent.is_dir() or target.is_dir():
                raise UsageError(f"--{kind} {target}: not a file in a folder that exists")
            refuse_inside(target, sources)

    @contextmanager
    def beside(self, record: Record, answer: Answer, *, is_saved: bool = False) -> Iterator[None]:
        """Write the reports of a record before it is printed; ``is_saved``: of a saved record.

        Raises
        ------
        OutOfReach
            After the printing: the disk is full, or a file cannot be written.
        """
        failed = "" if self.html is None else _write(self.html, self._page(record, is_saved))
        yield
        if failed:
            raise OutOfReach(failed)
        if self.html is not None:
            answer.note(f"wrote {self.html}")

    def _page(self, record: Record, is_saved: bool) -> bytes:
        from weightkin.report.html import Exhibit, page

        exhibit = Exhibit(title=self.title, reference=self.reference, author=self.author)
        command = "" if is_saved else shlex.join(["weightkin", *_asked(sys.argv[1:])])
        facts = _facts(record, is_saved)
        return page(record, command=command, exhibit=exhibit, facts=facts).encode()


def _facts(record: Record, is_saved: bool) -> tuple[ModelFacts | None, ModelFacts | None]:
    """What the two models of a comparison or a location are, as far as they can be read."""
    from weightkin.records import Comparison
    from weightkin.records.location import Location
    from weightkin.report.facts import facts_at_hand, facts_of

    if not isinstance(record, Comparison | Location):
        return None, None
    read = facts_at_hand if is_saved else facts_of
    return read(record.a), read(record.b)


def _write(target: Path, data: bytes) -> str:
    """Write a file; why that failed, if it did."""
    try:
        target.write_bytes(data)
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
        elif word in WRITTEN:
            next(left, None)
        elif word not in ALONE and not word.startswith(tuple(f"{x}=" for x in WRITTEN)):
            yield word
