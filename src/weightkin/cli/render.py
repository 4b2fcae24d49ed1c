"""The command `render`: a saved result in another format, without computing anything."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.formats import AnyFormatOption
from weightkin.cli.html import check_page, page_beside
from weightkin.cli.locate import can_print
from weightkin.cli.options import ToHtml, exclusive
from weightkin.cli.records import read_file
from weightkin.errors import UsageError


def render(
    record: Annotated[
        str, typer.Argument(metavar="RECORD", help="A file that a command wrote with --json.")
    ],
    *,
    html: ToHtml = None,
    form: AnyFormatOption = None,
    answer: Answer,
) -> None:
    """Convert a saved result to text or another format. Nothing is recomputed."""
    from weightkin.cli.tree import DRAWING
    from weightkin.report.rendering import ITEMISED, lines_of, read_any, written

    exclusive(html=html, format=form)
    check_page(html, ())
    found = read_any(read_file(record), record)
    if form is not None:
        answer.data(written(found, form.value))
        return
    if html is not None:
        from weightkin.report.html import Record

        if not isinstance(found, get_args(Record)):
            raise UsageError(f"--html: a {type(found).__name__} has no HTML report")
    is_unicode = can_print(DRAWING)
    lines = lines_of(found, width=answer.width, is_unicode=is_unicode, is_full=answer.is_verbose)
    with page_beside(html, found, answer, command=""):
        answer.lines(lines, None if isinstance(found, ITEMISED) else 1)
