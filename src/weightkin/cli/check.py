"""The command `check`: a gate for models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.formats import CheckFormat, CheckFormatOption
from weightkin.cli.options import OF_SEED, AsJson, RegistryFile, exclusive
from weightkin.cli.reports import Reports

EXIT_CODES = {"pass": 0, "hit": 1, "incomplete": 2}


def check(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Models, folders (searched recursively), or registered names or #numbers.",
        ),
    ],
    *,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Policy file (default: every rule at its built-in level).",
        ),
    ] = None,
    registry: RegistryFile = None,
    expect_parent: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE|#ID",
            help="A required parent: reported if no weights shared with the checked model are"
            " found, or it was derived from that (repeatable).",
        ),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE|#ID",
            help="A forbidden model: no weights may be shared with it (repeatable).",
        ),
    ] = None,
    form: CheckFormatOption = CheckFormat.TEXT,
    as_json: AsJson = False,
    seed: Annotated[int | None, OF_SEED] = None,
    page: Reports,
    answer: Answer,
) -> None:
    """Check models against a policy.

    Exit codes: 0 passed, 1 rule broken, 2 incomplete, 3 no result, 4 wrong command line.
    """
    from weightkin.formats.write_guard import models_among
    from weightkin.policy import check as run
    from weightkin.report.checking import check_lines
    from weightkin.report.rendering import written

    exclusive(json=as_json, format=form is not CheckFormat.TEXT)
    page.check(models_among(sources))
    record = run(
        sources,
        policy,
        registry=registry,
        expect=expect_parent or (),
        deny=deny or (),
        seed=seed,
    )
    with page.beside(record, answer.note):
        if as_json:
            answer.text(record.to_json())
        elif form is CheckFormat.TEXT:
            answer.lines(check_lines(record, is_full=answer.is_verbose))
        else:
            answer.data(written(record, form.value))
    if EXIT_CODES[record.outcome]:
        raise typer.Exit(EXIT_CODES[record.outcome])
