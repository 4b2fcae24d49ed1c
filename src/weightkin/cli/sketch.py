"""The command `sketch`: files that can stand in for models from then on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from weightkin.cli.options import (
    EXIT_INCOMPLETE,
    Cluster,
    OnlyEstimate,
    Workers,
    check_where,
    print_estimate,
)
from weightkin.cli.progress import progress_line
from weightkin.report.reasons import why


def sketch(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Models.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the sketches go.")
    ] = Path(),
    whole: Annotated[bool, typer.Option("--whole", help="Keep everything.")] = False,
    full_digest: Annotated[
        bool, typer.Option("--full-digest", help="Also digest every byte.")
    ] = False,
    workers: Workers = 1,
    cluster: Cluster = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly the record.")] = False,
    estimate: OnlyEstimate = False,
) -> None:
    """Write a small sample of each model, accepted wherever a source is."""
    from weightkin.api.estimate import estimate_sketches
    from weightkin.api.sketch import sketch_files
    from weightkin.report.sketching import sketching_lines
    from weightkin.report.terminal import printable
    from weightkin.sketch.scheme import Scheme

    check_where(workers, cluster)
    scheme = Scheme.whole() if whole else Scheme()
    if estimate:
        print_estimate(estimate_sketches(sources, scheme=scheme), as_json=as_json)
        return
    with progress_line() as progress:
        record = sketch_files(
            sources,
            out,
            scheme=scheme,
            with_full_digest=full_digest,
            workers=workers,
            cluster=cluster,
            progress=progress,
        )
    print(record.to_json() if as_json else "\n".join(sketching_lines(record)))
    for skipped in record.skipped:
        print(f"weightkin: {printable(why(skipped))}", file=sys.stderr)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
