"""The command `verify`: recompute a saved result."""

from __future__ import annotations

from typing import Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.options import EXIT_DIFFERS
from weightkin.cli.records import read_file
from weightkin.errors import UsageError

MOST_SHOWN = 10


def verify(
    record: Annotated[
        str,
        typer.Argument(
            metavar="RECORD", help="A file that compare, locate or tree wrote with --json."
        ),
    ],
    a: Annotated[str | None, typer.Argument(metavar="A", help="Where model a is now.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="B", help="Where model b is now.")] = None,
    *,
    answer: Answer,
) -> None:
    """Recompute a saved result and compare. Exit code 0: same; 1: different."""
    from weightkin.api.verify import verify as run
    from weightkin.api.verify import what_agrees
    from weightkin.records.reading import read_record
    from weightkin.report.terminal import printable

    if (a is None) != (b is None):
        raise UsageError("verify takes both models or none")
    old = read_record(read_file(record), record)
    differences = run(old, a, b)
    most = len(differences) if answer.is_verbose else MOST_SHOWN
    lines = [printable(line) for line in differences[:most]]
    lines += [f"and {len(differences) - most} more"] if len(differences) > most else []
    outcome = "different" if differences else f"same: {what_agrees(old)}"
    answer.lines([outcome] if answer.is_quiet else [*lines, outcome], None)
    if differences:
        raise typer.Exit(EXIT_DIFFERS)
