"""How a command prints its result: how much of it, how wide, and where it goes.

`shared` gives a command the options ``--output``, ``-q``, ``-v`` and ``--color``, and hands it an
`Answer`.
Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import inspect
import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from weightkin.cli.reports import BY_PARAMETER, Reports
from weightkin.errors import UsageError, unwritable

NARROWEST = 40  # columns
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the result to a new file instead of standard output."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the answer, and errors.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print all details; log to standard error.")
]


class Color(StrEnum):
    """When text has colours."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


ColorOption = Annotated[
    Color, typer.Option("--color", help="Colours of text; auto: on a terminal, unless NO_COLOR.")
]


@dataclass(frozen=True, slots=True)
class Answer:
    """How one result is printed."""

    is_quiet: bool
    is_verbose: bool
    width: int  # columns
    is_coloured: bool

    def text(self, text: str) -> None:
        """Print what programs read, as it is."""
        print(text)

    def data(self, text: str) -> None:
        """Print what other tools read: always UTF-8, whatever the terminal."""
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()

    def lines(self, lines: Sequence[str], n_answer: int | None = 1) -> None:
        """Print lines for people within the width; if quiet, only the first ``n_answer``."""
        from weightkin.report.line import painted
        from weightkin.report.width import fitted

        for line in lines[:n_answer] if self.is_quiet else lines:
            pieces = fitted(line, self.width)
            print("\n".join(painted(line, pieces) if self.is_coloured else pieces))

    def note(self, line: str) -> None:
        """Print a remark on standard error, unless quiet."""
        if not self.is_quiet:
            self.error(line)

    def error(self, line: str) -> None:
        """Print a line on standard error, whatever is in it."""
        from weightkin.report.terminal import printable

        print(f"weightkin: {printable(line)}", file=sys.stderr)


def shared(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--output``, ``-q``, ``-v``, ``--color`` in place of its ``answer``.

    One that takes ``reports``, or a ``page`` alone, has the options that write them too.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name not in ("answer", *BY_PARAMETER)]
    takes = next((x for x in BY_PARAMETER if x in signature.parameters), "")
    written = BY_PARAMETER.get(takes, ())
    more = (
        *written,
        ("output", Output, None),
        ("quiet", Quiet, False),
        ("verbose", Verbose, False),
        ("color", ColorOption, Color.AUTO),
    )
    kind = inspect.Parameter.KEYWORD_ONLY

    @wraps(command)
    def run(**given: Any) -> None:
        files = {name: given.pop(name) for name, _, _ in written}
        output, is_quiet, is_verbose, color = (given.pop(x) for x, _, _ in more[len(written) :])
        if is_quiet and is_verbose:
            raise UsageError("-q and -v exclude each other")
        if is_verbose:
            _log()
        answer = Answer(
            is_quiet, is_verbose, terminal_width(), output is None and is_coloured(color)
        )
        with _written_to(output, list(_sources(given))):
            given |= {takes: Reports(**files)} if takes else {}
            command(**given, answer=answer)

    parameters = [
        *(p.replace(kind=kind) for p in own),
        *(inspect.Parameter(name, kind, default=x, annotation=hint) for name, hint, x in more),
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def terminal_width() -> int:
    """Columns of the terminal; what other programs read is never broken into lines."""
    from weightkin.report.width import WIDE

    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        return WIDE
    return max(NARROWEST, shutil.get_terminal_size((80, 24)).columns)


def is_coloured(color: Color) -> bool:
    """Whether standard output shows colours: https://no-color.org, and terminals that cannot."""
    if color is not Color.AUTO:
        return color is Color.ALWAYS
    is_refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not is_refused


@contextmanager
def _written_to(output: Path | None, sources: Sequence[str]) -> Iterator[None]:
    """Collect standard output for a new file, which is written where there is a result."""
    if output is None:
        yield
        return
    from weightkin.formats.write_guard import models_among, refuse_inside

    if output.exists() or output.is_symlink():
        raise UsageError(f"{output}: already exists and is not overwritten")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: its folder does not exist")
    refuse_inside(output, models_among(sources))
    held = io.BytesIO()
    ended: typer.Exit | None = None
    text = io.TextIOWrapper(held, encoding="utf-8", write_through=True)
    with redirect_stdout(text):
        try:
            yield
        except typer.Exit as error:  # with the result
            ended = error
    try:
        with output.open("xb") as file:
            file.write(held.getvalue())
    except OSError as error:
        raise unwritable(output, error) from None
    if ended is not None:
        raise ended


def _sources(given: Mapping[str, Any]) -> Iterator[str]:
    """Texts among the arguments that may name models."""
    for value in given.values():
        for x in value if isinstance(value, list) else [value]:
            if isinstance(x, str) and not isinstance(x, Enum):
                yield x


def _log() -> None:
    """Log to standard error, a line each."""
    logger = logging.getLogger("weightkin")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("weightkin: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
