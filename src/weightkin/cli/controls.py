"""The commands `controls list` and `controls add`: pairs to rank calibrated evidence among."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

controls = typer.Typer(
    help="Pairs of models known to be independent, which calibrated evidence is ranked among.",
    no_args_is_help=True,
)
Own = Annotated[
    Path | None, typer.Option("--controls", metavar="FILE", help="Instead of your own file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly what is stored.")]


@controls.command("list")
def list_controls(own: Own = None, as_json: AsJson = False) -> None:
    """Print how many controls there are of each class, and how alike they are."""
    from weightkin.evidence.controls import load_controls
    from weightkin.report.controls import control_lines

    found = load_controls(own)
    if as_json:
        print(json.dumps([asdict(c) for c in found], indent=2, allow_nan=False))
    else:
        print("\n".join(control_lines(found)))


@controls.command("add")
def add(
    a: Annotated[str, typer.Argument(metavar="A", help="A model folder or file.")],
    b: Annotated[str, typer.Argument(metavar="B", help="One of independent origin.")],
    model_class: Annotated[
        str | None, typer.Option("--class", help="Refuse a pair of another class.")
    ] = None,
    documented: Annotated[
        str, typer.Option(help="How their independence is known.")
    ] = "by the user",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Measure a pair known to be independent and keep its numbers as a control."""
    from weightkin.api.controls import add_control
    from weightkin.report.controls import control_lines

    control = add_control(a, b, model_class=model_class, documented=documented, own=own)
    if as_json:
        print(json.dumps(asdict(control), indent=2, allow_nan=False))
    else:
        print("\n".join(control_lines([control])))
