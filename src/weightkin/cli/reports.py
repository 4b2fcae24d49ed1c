"""The options that write a report or a picture of a result beside what is printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weightkin.errors import OutOfReach, UsageError

if TYPE_CHECKING:
    from weightkin.report.facts import ModelFacts
    from weightkin.report.html import Record

SUFFIXES = {"html": (".html", ".htm"), "svg": (".svg",), "png": (".png",)}
ALONE = ("--json", "-q", "--quiet", "-v", "--verbose")
WRITTEN = ("--html", "--svg", "--png", "--title", "--reference", "--author", "--output", "--format")


def _file(option: str, what: str) -> Any:
    return Annotated[Path | None, typer.Option(option, metavar="FILE", help=f"Also write {what}.")]


def _text(option: str, what: str) -> Any:
    return Annotated[str, typer.Option(option, metavar="TEXT", help=f"{what} of the HTML report.")]


Options = tuple[tuple[str, Any, Any], ...]
Note = Callable[[str], None]  # prints a remark
PAGE_OPTIONS: Options = (
    ("html", _file("--html", "an HTML report"), None),
    ("title", _text("--title", "Title"), ""),
    ("reference", _text("--reference", "Case reference"), ""),
    ("author", _text("--author", "Author"), ""),
)


OPTIONS: Options = (
    *PAGE_OPTIONS,
    ("svg", _file("--svg", "a picture of the result"), None),
    ("png", _file("--png", "a picture of the result (extra [png])"), None),
)
BY_PARAMETER = {"reports": OPTIONS, "page": PAGE_OPTIONS}  # of a command that takes `Reports`


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Which files to write beside the result, and what to print on them. Nothing is stored."""

    html: Path | None = None
    title: str = ""
    reference: str = ""
    author: str = ""
    svg: Path | None = None
    png: Path | None = None

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
        if self.png is not None and find_spec("PIL") is None:
            raise UsageError("--png needs Pillow: pip install 'weightkin[png]', or use --svg")

    @contextmanager
    def beside(self, record: Record, note: Note, *, is_saved: bool = False) -> Iterator[None]:
        """Write the reports of a record before it is printed; ``is_saved``: of a saved record.

        Raises
        ------
        OutOfReach
            After the printing: the disk is full, or a file cannot be written.
        """
        written, failed = [], []
        for target, data in self._files(record, is_saved):
            why = _write(target, data) if data else f"{target}: nothing to be drawn was found"
            written += [] if why else [target]
            failed += [why] if why else []
        yield
        for target in written:
            note(f"wrote {target}")
        if failed:
            raise OutOfReach("; ".join(failed))

    def _files(self, record: Record, is_saved: bool) -> Iterator[tuple[Path, bytes]]:
        """Each file that is wanted with its contents, empty where there is no picture."""
        if self.html is not None:
            yield self.html, self._page(record, is_saved)
        if self.svg is None and self.png is None:
            return
        from weightkin.report.pictures import picture_of, png, svg

        picture = picture_of(record)
        if self.svg is not None:
            yield self.svg, svg(picture).encode() if picture else b""
        if self.png is not None:
            yield self.png, png(picture) if picture else b""

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
