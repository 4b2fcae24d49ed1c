"""The command `sketch`: files that can stand in for models from then on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from weightkin.records.estimating import Estimate

EXIT_INCOMPLETE = 2
OnlyEstimate = Annotated[
    bool, typer.Option("--estimate", help="Only say how many bytes would be read.")
]


def sketch(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Models.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the sketches go.")
    ] = Path(),
    whole: Annotated[bool, typer.Option("--whole", help="Keep everything.")] = False,
    full_digest: Annotated[
        bool, typer.Option("--full-digest", help="Also digest every byte.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly the record.")] = False,
    estimate: OnlyEstimate = False,
) -> None:
    """Write a small sample of each model, accepted wherever a source is."""
    from weightkin.report.sketching import sketching_lines
    from weightkin.report.terminal import printable
    from weightkin.sketch.scheme import Scheme
    from weightkin.verbs.estimate import estimate_sketches
    from weightkin.verbs.sketch import sketch_files

    scheme = Scheme.whole() if whole else Scheme()
    if estimate:
        print_estimate(estimate_sketches(sources, scheme=scheme), as_json=as_json)
        return
    record = sketch_files(sources, out, scheme=scheme, with_full_digest=full_digest)
    print(record.to_json() if as_json else "\n".join(sketching_lines(record)))
    for skipped in record.skipped:
        print(f"weightkin: {printable(skipped.why)}", file=sys.stderr)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def print_estimate(record: Estimate, *, as_json: bool) -> None:
    """Say what would be read; sources that cannot be are said on standard error."""
    from weightkin.report.estimating import estimate_lines
    from weightkin.report.terminal import printable

    print(record.to_json() if as_json else "\n".join(estimate_lines(record)))
    for skipped in record.skipped:
        print(f"weightkin: {printable(skipped.why)}", file=sys.stderr)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
