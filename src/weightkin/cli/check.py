"""The command `check`: a gate for models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from weightkin.errors import UsageError

EXIT_CODES = {"pass": 0, "hit": 1, "incomplete": 2}


def check(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Models; of a folder, all weights below; or registered names, #numbers.",
        ),
    ],
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A policy; default levels without it.")
    ] = None,
    registry: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Not the user's own registry.")
    ] = None,
    expect_parent: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE|#ID", help="A parent that the weights must show. Repeatable."),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE|#ID", help="No weights may be shared with it. Repeatable."),
    ] = None,
    sarif: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write SARIF 2.1.0 there; - for stdout.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly the record.")] = False,
    seed: Annotated[int, typer.Option(help="Breaks ties; recorded.")] = 0,
) -> None:
    """Hold models against a policy: exit 0 passed, 1 hit, 2 something could not be checked."""
    from weightkin.formats.write_guard import refuse_inside
    from weightkin.policy import check as run
    from weightkin.report.checking import check_lines
    from weightkin.report.sarif import sarif as written

    if seed < 0:
        raise UsageError("--seed must not be negative")
    if sarif == "-" and as_json:
        raise UsageError("--json and --sarif - exclude each other")
    if sarif is not None and sarif != "-":
        if not Path(sarif).parent.is_dir():
            raise UsageError(f"{sarif}: its folder does not exist")
        refuse_inside(Path(sarif), [x for x in sources if _is_model(x)])
    record = run(
        sources,
        policy,
        registry=registry,
        expect=expect_parent or (),
        deny=deny or (),
        seed=seed,
    )
    if sarif is not None and sarif != "-":
        _write(Path(sarif), written(record, Path.cwd()) + "\n")
    if as_json:
        print(record.to_json())
    else:
        print(written(record, Path.cwd()) if sarif == "-" else "\n".join(check_lines(record)))
    if EXIT_CODES[record.outcome]:
        raise typer.Exit(EXIT_CODES[record.outcome])


def _is_model(source: str) -> bool:
    """Whether a source is no mere folder of folders, into which results may be written."""
    from weightkin.policy.walk import is_weights

    try:
        return not Path(source).is_dir() or any(is_weights(x.name) for x in Path(source).iterdir())
    except (OSError, ValueError):
        return True


def _write(path: Path, text: str) -> None:
    from weightkin.report.terminal import printable

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        said = f"{printable(str(path))}: cannot be written ({error.strerror})"
        print(f"weightkin: {said}", file=sys.stderr)
        raise typer.Exit(EXIT_CODES["incomplete"]) from None
