"""The commands `controls list` and `controls add`: pairs that calibrated evidence needs."""

from __future__ import annotations

from typing import Annotated

import typer

from weightkin.cli.answers import Answer, shared
from weightkin.cli.options import A, AsJson, B, Controls

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
