"""How a notebook shows a record: the answer in words, what the command prints, and the report."""

from __future__ import annotations

from typing import Any

from markupsafe import escape

from weightkin.anatomy import read_anatomy
from weightkin.errors import WeightkinError
from weightkin.formats import Model, digest
from weightkin.formats.ledger import own_ledger, with_beside
from weightkin.notebooks import InNotebooks
from weightkin.report.html import notebook_html
from weightkin.report.model import model_record
from weightkin.report.rendering import PAGED, lines_of
from weightkin.report.sentences import one_line
from weightkin.report.terminal import printable
from weightkin.sketch import Sketch, as_model

WIDTH = 100  # columns of drawings and tables


def display(record: Any) -> str:
    """HTML for the output of a cell.

    It says all that matters without a frame and without scripts, as some viewers show neither.

    Parameters
    ----------
    record : object
        A record of any command, or a part of one; an open model, or a sketch.

    Returns
    -------
    str
        The sentence of the record, then the short text of its command; where there is an HTML
        report, folded, that one too.
    """
    if isinstance(record, Model | Sketch):
        return _of_model(record)
    said = printable(one_line(record))
    found = (
        lines_of(record, width=WIDTH, is_unicode=True) if isinstance(record, InNotebooks) else ()
    )
    lines = [str(line).rstrip() for line in found]
    rest = "\n".join(lines[1:] if lines and lines[0] == said else lines).strip("\n")
    text = f"<pre>{escape(rest)}</pre>" if rest else ""
    report = ""
    if isinstance(record, PAGED):
        report = f"<details><summary>Report</summary>{notebook_html(record)}</details>"
    return f"<p><strong>{escape(said)}</strong></p>{text}{report}"


def _of_model(value: Model | Sketch) -> str:
    """What `show` prints of a model; its line in a prompt where it cannot be read any more."""
    model = as_model(value) if isinstance(value, Sketch) else value
    try:
        ledger = with_beside(own_ledger(model), model)
        record = model_record(model, read_anatomy(model), digest(model), ledger)
    except WeightkinError as error:
        return f"<p><strong>{escape(repr(value))}</strong>: {escape(printable(str(error)))}</p>"
    lines = [str(x).rstrip() for x in lines_of(record, width=WIDTH, is_unicode=True)]
    return f"<p><strong>{escape(lines[0])}</strong></p><pre>{escape(chr(10).join(lines[1:]))}</pre>"
