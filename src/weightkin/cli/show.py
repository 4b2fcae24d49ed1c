"""The command `show`: what is in a model."""

from __future__ import annotations

from typing import Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.options import EXIT_INCOMPLETE, AsJson, OnlyEstimate, Source, print_estimate


def show(
    source: Source,
    *,
    files: Annotated[
        bool, typer.Option("--files", help="List every file, and where its bytes went.")
    ] = False,
    as_json: AsJson = False,
    estimate: OnlyEstimate = False,
    answer: Answer,
) -> None:
    """Show what is in a model. Prints architecture, blocks, axes, dtypes, digest and files."""
    from weightkin.anatomy import read_anatomy
    from weightkin.formats import digest
    from weightkin.formats.ledger import own_ledger, with_beside
    from weightkin.report.model import model_record
    from weightkin.report.showing import file_lines, model_lines
    from weightkin.sketch.source import open_model

    if estimate:
        from weightkin.api.estimate import estimate as run

        print_estimate(run(source), answer, as_json=as_json)
        return
    model = open_model(source)
    own = own_ledger(model)
    ledger = with_beside(own, model)
    record = model_record(model, read_anatomy(model), digest(model), ledger)
    if as_json:
        answer.text(record.to_json())
    else:
        lines = model_lines(record, is_full=answer.is_verbose)
        answer.lines([*lines, *(["", *file_lines(ledger)] if files else [])])
    if model.problems or not own.is_whole:  # an unreadable config is not all of the source either
        raise typer.Exit(EXIT_INCOMPLETE)
