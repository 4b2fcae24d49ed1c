"""Tables and lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weightkin.report.html.build import Html, h, join

MAX_TABLE_ROWS = 2000


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: str = ""
) -> Html:
    """A table that scrolls sideways by itself where it is too wide.

    Longer tables than 2,000 rows are cut, and say so.

    Parameters
    ----------
    caption : str
        Stands above the table.
    head : sequence of str
        Names of the columns.
    rows : sequence of sequence
        Cells, one for each column.
    numbers : str
        A character for each column: ``n`` is set to the right.

    Returns
    -------
    Html
        The caption and the table.
    """
    classes = [("num" if kind == "n" else None) for kind in numbers.ljust(len(head))]
    top = h("tr", [h("th", x, scope="col", class_=c) for x, c in zip(head, classes, strict=True)])
    shown = [_row(x, classes) for x in rows[:MAX_TABLE_ROWS]]
    rest = f" The first {MAX_TABLE_ROWS:,} of {len(rows):,}; the record has all." * (
        len(rows) > MAX_TABLE_ROWS
    )
    inner = h("table", h("thead", top), h("tbody", shown), aria_label=caption)
    frame = h("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return join((h("p", caption, rest, class_="note caption"), frame))


def facts(pairs: Iterable[tuple[str, object]], class_: str = "facts") -> Html:
    """Words with what is to be said about each; pairs without a value are left out."""
    shown = [
        h("div", h("dt", word), h("dd", value)) for word, value in pairs if value not in (None, "")
    ]
    return h("dl", shown, class_=class_)


def more(lines: Sequence[str]) -> Html:
    """Lines that open on demand; a single one stands there at once."""
    if len(lines) < 2:
        return join(lines)
    listed = h("ul", [h("li", x) for x in lines])
    return h("details", h("summary", f"{len(lines)} lines"), listed)


def _row(cells: Sequence[object], classes: Sequence[str | None]) -> Html:
    return h("tr", [h("td", x, class_=c) for x, c in zip(cells, classes, strict=True)])
