"""The command `sketch`: small files that most commands accept in place of models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.options import (
    EXIT_INCOMPLETE,
    AsJson,
    Cluster,
    FullDigest,
    Models,
    OnlyEstimate,
    Recursive,
    Workers,
    execution_of,
    print_estimate,
)
from weightkin.cli.progress import progress_line
from weightkin.cli.sources import named
from weightkin.report.reasons import why


def sketch(
    sources: Annotated[list[str], Models],
    *,
    recursive: Recursive = False,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Output folder.")] = Path(),
    whole: Annotated[
        bool, typer.Option("--whole", help="Store all values instead of a sample.")
    ] = False,
    full_digest: FullDigest = False,
    as_json: AsJson = False,
    workers: Workers = 1,
    cluster: Cluster = None,
    estimate: OnlyEstimate = False,
    answer: Answer,
) -> None:
    """Write a small sample of each model.

    `compare`, `tree`, `add`, `search` and `trace` accept it in place of the model; some tests are
    left out then.
    """
    from weightkin.api.estimate import estimate_sketches
    from weightkin.api.sketch import sketch_files
    from weightkin.report.lists import sketching_lines
    from weightkin.sketch.scheme import Scheme

    scheme = Scheme.whole() if whole else Scheme()
    models = named(sources, is_recursive=recursive, note=answer.note)
    if estimate:
        print_estimate(estimate_sketches(models, scheme=scheme), answer, as_json=as_json)
        return
    with progress_line(answer) as progress:
        record = sketch_files(
            models,
            out,
            scheme=scheme,
            with_full_digest=full_digest,
            execution=execution_of(workers, cluster, progress),
        )
    if as_json:
        answer.text(record.to_json())
    else:
        answer.lines(sketching_lines(record, is_full=answer.is_verbose))
    for skipped in record.skipped:
        answer.error(why(skipped))
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
