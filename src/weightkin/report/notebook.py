"""How a notebook shows a record: the answer in words, what the command prints, and the report."""

from __future__ import annotations

from typing import Any

from markupsafe import escape

from weightkin.report.html import notebook_html
from weightkin.report.rendering import PAGED, lines_of
from weightkin.report.sentences import one_line
from weightkin.report.terminal import printable

WIDTH = 100  # columns of drawings and tables


def display(record: Any) -> str:
    """HTML for the output of a cell.

    It says all that matters without a frame and without scripts, as some viewers show neither.

    Parameters
    ----------
    record : object
        A record of any command.

    Returns
    -------
    str
        The sentence of the record, then the short text of its command; where there is an HTML
        report, folded, that one too.
    """
    said = printable(one_line(record))
    lines = [str(line).rstrip() for line in lines_of(record, width=WIDTH, is_unicode=True)]
    rest = "\n".join(lines[1:] if lines and lines[0] == said else lines).strip("\n")
    text = f"<pre>{escape(rest)}</pre>" if rest else ""
    report = ""
    if isinstance(record, PAGED):
        report = f"<details><summary>Report</summary>{notebook_html(record)}</details>"
    return f"<p><strong>{escape(said)}</strong></p>{text}{report}"
