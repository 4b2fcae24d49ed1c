"""Rows in columns: numbers to the right, words to the left, as wide as what is in them."""

from __future__ import annotations

from collections.abc import Sequence

GAP = "  "


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> list[str]:
    """Lines of a table, the head first.

    Parameters
    ----------
    head : sequence of str
        What the columns are called.
    rows : sequence of sequence of str
        Cells that can be printed. A column without any cell is left out.
    right : sequence of int
        Columns of numbers.

    Returns
    -------
    list of str
        None where there are no rows.
    """
    if not rows:
        return []
    columns = [k for k in range(len(head)) if any(row[k] for row in rows)]
    widths = {k: max(len(row[k]) for row in (head, *rows)) for k in columns}
    return [
        GAP.join(
            f"{row[k]:>{widths[k]}}" if k in right else f"{row[k]:<{widths[k]}}" for k in columns
        ).rstrip()
        for row in (head, *rows)
    ]
