"""The commands `controls list` and `controls add`: pairs to rank calibrated evidence among."""

from __future__ import annotations

from typing import Annotated

import typer

from weightkin.cli.answers import Answer, shared
from weightkin.cli.options import A, AsJson, B, Controls

controls = typer.Typer(
    help="Pairs of models known to be unrelated. Calibrated evidence is ranked among them.",
    no_args_is_help=True,
)


@controls.command("list")
@shared
def list_controls(*, own: Controls = None, as_json: AsJson = False, answer: Answer) -> None:
    """List how many controls there are of each class, and how alike they are."""
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
        str | None, typer.Option("--class", help="Refuse a pair of another class.")
    ] = None,
    documented: Annotated[
        str, typer.Option(help="How their independence is known.")
    ] = "by the user",
    own: Controls = None,
    as_json: AsJson = False,
    answer: Answer,
) -> None:
    """Measure a pair of models known to be unrelated, and keep its numbers as a control."""
    from weightkin.api.controls import add_control
    from weightkin.evidence.controls import controls_text
    from weightkin.report.lists import control_lines

    control = add_control(a, b, model_class=model_class, documented=documented, own=own)
    if as_json:
        answer.text(controls_text([control]))
    else:
        answer.lines(control_lines([control]), None)
