"""Options that several commands share, and what they mean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.errors import UsageError
from weightkin.report.reasons import why

if TYPE_CHECKING:
    from weightkin.records.estimating import Estimate

EXIT_INCOMPLETE = 2
OnlyEstimate = Annotated[
    bool, typer.Option("--estimate", help="Only say how many bytes would be read.")
]
Workers = Annotated[int, typer.Option(help="Processes that read models.")]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="A dask scheduler whose workers read them instead."),
]


def check_where(workers: int, cluster: str | None) -> None:
    """Refuse what says nothing about where to work, or two things."""
    if workers < 1:
        raise UsageError(f"--workers is {workers}, expected at least 1")
    if cluster is not None and workers > 1:
        raise UsageError("--workers and --cluster exclude each other")


def print_estimate(record: Estimate, *, as_json: bool) -> None:
    """Say what would be read; sources that cannot be are said on standard error."""
    from weightkin.report.estimating import estimate_lines
    from weightkin.report.terminal import printable

    print(record.to_json() if as_json else "\n".join(estimate_lines(record)))
    for skipped in record.skipped:
        print(f"weightkin: {printable(why(skipped))}", file=sys.stderr)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
