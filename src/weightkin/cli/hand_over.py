"""``--format`` of `compare` and `trace`: what other tools read."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.errors import UsageError

if TYPE_CHECKING:
    from weightkin.report.parentage import Parentage


class Form(StrEnum):
    """Formats of other tools."""

    CYCLONEDX = "cyclonedx"
    IN_TOTO = "in-toto"
    MODEL_CARD = "model-card"


AsForm = Annotated[Form | None, typer.Option("--format", help="Print what other tools read.")]


def check_form(form: Form | None, *others: bool) -> None:
    """One form of output at a time."""
    if form is not None and any(others):
        raise UsageError("--format excludes --json and --estimate")


def print_form(parentage: Parentage, form: Form) -> None:
    """Always UTF-8, whatever the terminal: other tools read it."""
    from weightkin.report.cyclonedx import cyclonedx
    from weightkin.report.in_toto import in_toto
    from weightkin.report.model_card import model_card

    written = {Form.CYCLONEDX: cyclonedx, Form.IN_TOTO: in_toto, Form.MODEL_CARD: model_card}
    sys.stdout.buffer.write(written[form](parentage).rstrip("\n").encode() + b"\n")
    sys.stdout.buffer.flush()
