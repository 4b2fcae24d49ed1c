"""Rows in columns: numbers to the right, words to the left, as wide as what is in them."""

from __future__ import annotations

from collections.abc import Sequence

from weightkin.report.width import WIDE

GAP = "  "
CUT = "..."
NARROWEST = 10  # columns that a cell has in any case


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    width: int = WIDE,
    indent: str = GAP,
) -> list[str]:
    """Lines of a table, the head first.

    Parameters
    ----------
    head : sequence of str
        What the columns are called.
    rows : sequence of sequence of str
        Cells that can be printed. A column without any cell is left out.
    right : sequence of int
        Columns of numbers, which are never cut.
    width : int
        Columns of the terminal: the longest cells are cut so that lines fit.
    indent : str
        Begins every line.

    Returns
    -------
    list of str
        None where there are no rows.
    """
    columns = [k for k in range(len(head)) if any(row[k] for row in rows)]
    widths = {k: max(len(row[k]) for row in (head, *rows)) for k in columns}
    gaps = len(indent) + len(GAP) * (len(columns) - 1)
    while gaps + sum(widths.values()) > width:
        longest = max((k for k in columns if k not in right), key=lambda k: widths[k], default=None)
        if longest is None or widths[longest] <= NARROWEST:
            break
        widths[longest] -= 1
    lines = []
    for row in (head, *rows) if rows else ():
        cells = (_cell(row[k], widths[k], is_right=k in right) for k in columns)
        lines.append(f"{indent}{GAP.join(cells)}".rstrip())
    return lines


def _cell(text: str, width: int, *, is_right: bool) -> str:
    if len(text) > width:  # in the middle: names often differ at their end
        kept = width - len(CUT)
        text = text[: kept // 2] + CUT + text[len(text) - (kept - kept // 2) :]
    return f"{text:>{width}}" if is_right else f"{text:<{width}}"
