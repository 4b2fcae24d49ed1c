"""The command `show`: what is in a model."""

from __future__ import annotations

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.options import EXIT_INCOMPLETE, AsJson, OnlyEstimate, Source, print_estimate


def show(
    source: Source,
    *,
    as_json: AsJson = False,
    estimate: OnlyEstimate = False,
    answer: Answer,
) -> None:
    """Show what is in a model. Prints architecture, blocks, axes, dtypes and digest."""
    from weightkin.anatomy import read_anatomy
    from weightkin.formats import digest
    from weightkin.report.model import model_lines, model_record
    from weightkin.sketch.source import open_model

    if estimate:
        from weightkin.api.estimate import estimate as run

        print_estimate(run(source), answer, as_json=as_json)
        return
    model = open_model(source)
    record = model_record(model, read_anatomy(model), digest(model))
    if as_json:
        answer.text(record.to_json())
    else:
        answer.lines(model_lines(record))
    if model.is_partial:
        raise typer.Exit(EXIT_INCOMPLETE)
