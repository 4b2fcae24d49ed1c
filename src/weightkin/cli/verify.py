"""The command `verify`: can the evidence of a record be recomputed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightkin.errors import UnreadableModel, UsageError

EXIT_DIFFERS = 1
MOST_SHOWN = 10
MOST_BYTES = 1 << 28  # of a record


def verify(
    record: Annotated[
        str,
        typer.Argument(metavar="RECORD", help="What compare, locate or tree printed with --json."),
    ],
    a: Annotated[str | None, typer.Argument(metavar="A", help="Where model a is now.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="B", help="Where model b is now.")] = None,
) -> None:
    """Rerun a record with its own parameters: exit 0 if all is the same, 1 if anything differs."""
    from weightkin.api.verify import verify as run
    from weightkin.api.verify import what_agrees
    from weightkin.records.reading import read_record
    from weightkin.report.terminal import printable

    if (a is None) != (b is None):
        raise UsageError("verify takes both models or neither")
    try:
        with Path(record).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UnreadableModel(f"{record}: found more than {MOST_BYTES:,} bytes")
        text = data.decode()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UnreadableModel(f"{record}: cannot be read as a record ({error})") from None
    old = read_record(text, record)
    differences = run(old, a, b)
    for line in differences[:MOST_SHOWN]:
        print(printable(line))
    if len(differences) > MOST_SHOWN:
        print(f"and {len(differences) - MOST_SHOWN} more")
    print("different" if differences else f"same: {what_agrees(old)}")
    if differences:
        raise typer.Exit(EXIT_DIFFERS)
