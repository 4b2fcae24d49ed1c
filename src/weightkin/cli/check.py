"""The command `check`: a gate for models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.html import check_page, page_beside
from weightkin.cli.options import OF_SEED, AsJson, RegistryFile, ToHtml
from weightkin.errors import UsageError

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
            help="A required parent: reported if it shares no weights with the checked model, or"
            " was derived from it (repeatable).",
        ),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE|#ID",
            help="A forbidden model: no weights may be shared with it (repeatable).",
        ),
    ] = None,
    sarif: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write SARIF 2.1.0 to this file; - for standard output."),
    ] = None,
    html: ToHtml = None,
    as_json: AsJson = False,
    seed: Annotated[int | None, OF_SEED] = None,
    answer: Answer,
) -> None:
    """Check models against a policy.

    Exit codes: 0 passed, 1 rule broken, 2 incomplete, 3 no result, 4 wrong command line.
    """
    from weightkin.formats.write_guard import refuse_inside
    from weightkin.policy import check as run
    from weightkin.report.checking import check_lines
    from weightkin.report.sarif import sarif as written

    if sarif == "-" and as_json:
        raise UsageError("--json and --sarif - exclude each other")
    models = [x for x in sources if _is_model(x)]
    check_page(html, models)
    if sarif is not None and sarif != "-":
        if not Path(sarif).parent.is_dir():
            raise UsageError(f"{sarif}: its folder does not exist")
        refuse_inside(Path(sarif), models)
    record = run(
        sources,
        policy,
        registry=registry,
        expect=expect_parent or (),
        deny=deny or (),
        seed=seed,
    )
    if sarif is not None and sarif != "-":
        _write(Path(sarif), written(record, Path.cwd()) + "\n", answer)
    with page_beside(html, record, answer):
        if as_json:
            answer.text(record.to_json())
        elif sarif == "-":
            answer.text(written(record, Path.cwd()))
        else:
            answer.lines(check_lines(record, is_full=answer.is_verbose))
    if EXIT_CODES[record.outcome]:
        raise typer.Exit(EXIT_CODES[record.outcome])


def _is_model(source: str) -> bool:
    """Whether a source is no mere folder of folders, into which results may be written."""
    from weightkin.formats.finder import kind_of

    try:
        return not Path(source).is_dir() or any(kind_of(x.name) for x in Path(source).iterdir())
    except (OSError, ValueError):
        return True


def _write(path: Path, text: str, answer: Answer) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        answer.error(f"{path}: cannot be written ({error.strerror})")
        raise typer.Exit(EXIT_CODES["incomplete"]) from None
