"""The commands `controls list`, `add` and `build`: pairs that calibrated evidence needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightkin.cli.answers import Answer, shared
from weightkin.cli.options import EXIT_INCOMPLETE, A, AsJson, B, Controls
from weightkin.cli.progress import progress_line
from weightkin.report.reasons import why

controls = typer.Typer(
    help="Manage known unrelated pairs (for calibrated evidence).",
    no_args_is_help=True,
)


@controls.command("list")
@shared
def list_controls(*, own: Controls = None, as_json: AsJson = False, answer: Answer) -> None:
    """List the controls by class. With their number and how alike they are."""
    from weightkin.evidence.controls import controls_text, load_controls
    from weightkin.report.lists import control_lines

    found = load_controls(own)
    if as_json:
        answer.text(controls_text(found))
    else:
        answer.lines(control_lines(found), None)


@controls.command("add")
@shared
def add(
    a: A,
    b: B,
    *,
    model_class: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Class that the pair must have.")
    ] = None,
    documented: Annotated[
        str, typer.Option(metavar="TEXT", help="How it is known that they are unrelated.")
    ] = "by the user",
    own: Controls = None,
    as_json: AsJson = False,
    answer: Answer,
) -> None:
    """Add a pair of unrelated models. Only numbers about the pair are stored."""
    from weightkin.api.controls import add_control
    from weightkin.evidence.controls import controls_text
    from weightkin.report.lists import control_lines

    control = add_control(a, b, model_class=model_class, documented=documented, own=own)
    if as_json:
        answer.text(controls_text([control]))
    else:
        answer.lines(control_lines([control]), None)


@controls.command("build")
@shared
def build(
    *,
    listed: Annotated[
        Path | None,
        typer.Option(
            "--list", metavar="FILE", help="Unrelated models, one a line (default: a shipped list)."
        ),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", metavar="MB", help="Leave out models that need more.")
    ] = 600,
    own: Controls = None,
    as_json: AsJson = False,
    answer: Answer,
) -> None:
    """Measure pairs of the models of a list, and add them. Continues where it was stopped."""
    from weightkin.api.controls_list import build_controls
    from weightkin.evidence.controls import controls_text
    from weightkin.report.lists import control_lines

    with progress_line(answer) as progress:
        made = build_controls(listed, own=own, most_bytes=most * 1_000_000, progress=progress)
    if as_json:
        answer.text(controls_text(made.controls, made.skipped))
    else:
        answer.lines(control_lines(made.controls), None)
    for skipped in made.skipped:
        (answer.note if skipped.code == "no-partner" else answer.error)(
            f"{skipped.what}: {why(skipped)}"
        )
    if made.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
