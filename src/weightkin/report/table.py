"""Rows in columns: numbers to the right, words to the left, as wide as what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    spare: Sequence[int] = (),
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
        Columns of the terminal: the longest cells are cut so that lines fit, but never two that
        differ to the same text.
    indent : str
        Begins every line.
    spare : sequence of int
        Columns that are left out, the first one first, where lines are still too long.

    Returns
    -------
    list of str
        None where there are no rows.
    """
    columns = [k for k in range(len(head)) if any(row[k] for row in rows)]
    widths = _fitting(columns, (head, *rows), right, width - len(indent))
    for k in spare:
        if _total(widths) <= width - len(indent):
            break
        columns = [c for c in columns if c != k]
        widths = _fitting(columns, (head, *rows), right, width - len(indent))
    lines = []
    for row in (head, *rows) if rows else ():
        cells = (_cell(row[k], widths[k], is_right=k in right) for k in columns)
        lines.append(f"{indent}{GAP.join(cells)}".rstrip())
    return lines


def _fitting(
    columns: Sequence[int], rows: Sequence[Sequence[str]], right: Sequence[int], room: int
) -> dict[int, int]:
    """The width of each column: the longest are made narrower as long as their cells differ."""
    widths = {k: max(len(row[k]) for row in rows) for k in columns}
    open_ = {k for k in columns if k not in right}
    while _total(widths) > room and open_:
        longest = max(sorted(open_), key=lambda k: widths[k])
        less = widths[longest] - 1
        texts = {row[longest] for row in rows}
        if less < NARROWEST or len({_cell(x, less, is_right=False) for x in texts}) < len(texts):
            open_.remove(longest)
        else:
            widths[longest] = less
    return widths


def _total(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)


def _cell(text: str, width: int, *, is_right: bool) -> str:
    if len(text) > width:  # in the middle: names often differ at their end
        kept = width - len(CUT)
        text = text[: kept // 2] + CUT + text[len(text) - (kept - kept // 2) :]
    return f"{text:>{width}}" if is_right else f"{text:<{width}}"
