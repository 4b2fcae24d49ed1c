"""Evidence as a grid of cells in SVG, legible without colour: numbers, or squares that grow."""

from __future__ import annotations

from collections.abc import Sequence

from weightkin.report.heatmap import STEPS
from weightkin.report.html.build import Html, h, short
from weightkin.report.html.words import log10_words

MOST_NUMBERS = 14  # columns up to which cells hold numbers
WIDE, TALL, SMALL = 54, 24, 13  # of a cell with a number, and of one without
MAX_CELLS = 96  # rows and columns of small cells; longer sides are grouped
MAX_HEAT_ROWS = 200

HeatValues = Sequence[Sequence[float | None]]


def numbered_map(
    rows: Sequence[str], columns: Sequence[str], values: HeatValues, title: str
) -> Html:
    """One number a cell, log10 p; an empty cell was not tested.

    Parameters
    ----------
    rows, columns : sequence of str
        Their names.
    values : (n_rows, n_columns) sequences
        log10 p, None where not tested.
    title : str
        Title of the drawing.

    Returns
    -------
    Html
        A figure; of many rows the first 200.
    """
    shown = rows[:MAX_HEAT_ROWS]
    wide = max(WIDE, *(7 * min(len(x), 16) + 8 for x in columns)) if columns else WIDE
    left = 8 + max((min(len(short(x, 34)), 34) for x in shown), default=0) * 7
    cells: list[Html | None] = []
    for j, name in enumerate(columns):
        x = left + j * wide + wide / 2
        cells.append(h("text", short(name, 16), x=x, y=14, text_anchor="middle", class_="label"))
    for i, name in enumerate(shown):
        y = 22 + i * TALL
        cells.append(h("text", short(name, 34), x=0, y=y + 16, class_="label"))
        for j, value in enumerate(values[i]):
            cells.append(_number(value, left + j * wide, y, wide))
    width, height = left + len(columns) * wide, 22 + len(shown) * TALL
    grid = _svg(title, width, height, cells)
    if len(rows) > len(shown):
        words = f"the first {len(shown)} of {len(rows)} rows"
        return h("figure", grid, h("figcaption", words))
    return h("figure", grid, h("figcaption", legend()))


def pair_map(rows: Sequence[str], columns: Sequence[str], values: HeatValues, title: str) -> Html:
    """Blocks of one model against those of another: numbers if they fit, growing squares if not.

    Parameters
    ----------
    rows, columns : sequence of str
        Names of the blocks of a and of b.
    values : (n_rows, n_columns) sequences
        log10 p, None where not tested.
    title : str
        Title of the drawing.

    Returns
    -------
    Html
        A figure; squares stand for several pairs where sides are long.
    """
    if len(columns) <= MOST_NUMBERS:
        return numbered_map(rows, columns, values, title)
    step_a, step_b = -(-len(rows) // MAX_CELLS), -(-len(columns) // MAX_CELLS)
    cells: list[Html | None] = []
    n_rows, n_columns = -(-len(rows) // step_a), -(-len(columns) // step_b)
    for i in range(n_rows):
        if i % 5 == 0:
            y = 22 + i * SMALL
            cells.append(h("text", i * step_a, x=26, y=y + 10, text_anchor="end", class_="label"))
        for j in range(n_columns):
            group = [v for row in values[i * step_a : (i + 1) * step_a]
                     for v in row[j * step_b : (j + 1) * step_b] if v is not None]  # fmt: skip
            words = f"{rows[i * step_a]} and {columns[j * step_b]}"
            cells.append(_square(min(group, default=None), 32 + j * SMALL, 22 + i * SMALL, words))
    for j in range(0, n_columns, 5):
        cells.append(h("text", j * step_b, x=32 + j * SMALL + 6, y=14, text_anchor="middle",
                       class_="label"))  # fmt: skip
    grouped = f" Each square is {step_a} by {step_b} pairs." if max(step_a, step_b) > 1 else ""
    words = f"Rows are blocks of a, columns blocks of b.{grouped} {legend()}"
    grid = _svg(title, 32 + n_columns * SMALL, 24 + n_rows * SMALL, cells)
    return h("figure", grid, h("figcaption", words))


def legend() -> str:
    """What the steps mean."""
    steps = ", ".join(f"1e{int(s)}".replace("-", "−") for s in STEPS)
    numbers = "Numbers are log10 p: −6 is one in a million."
    return f"{numbers} Shades begin at p ≤ {steps}; empty: not tested."


def _number(value: float | None, x: float, y: float, wide: float) -> Html | None:
    if value is None:
        return None
    step = sum(value <= s for s in STEPS)
    box = h("rect", x=x + 1, y=y + 1, width=wide - 2, height=TALL - 2, rx=2, class_=f"cell-{step}")
    words = log10_words(value) if value > -100 else f"−{-value:,.0f}"
    text = h("text", words, x=x + wide / 2, y=y + 16, text_anchor="middle", class_=f"on-{step}")
    return Html(box + text)


def _square(value: float | None, x: int, y: int, words: str) -> Html | None:
    if value is None:
        return None
    ground = h("rect", x=x, y=y, width=SMALL - 1, height=SMALL - 1, class_="ground")
    step = sum(value <= s for s in STEPS)
    if not step:
        return ground
    side = (0, 4, 7, 10, 12)[step]
    shift = (SMALL - 1 - side) / 2
    title = h("title", f"{words}: log10 p {log10_words(value)}")
    return Html(ground + h("rect", title, x=x + shift, y=y + shift, width=side, height=side,
                           class_="dot"))  # fmt: skip


def _svg(title: str, width: float, height: float, cells: Sequence[Html | None]) -> Html:
    view = f"0 0 {width:g} {height:g}"
    return h("svg", h("title", title), cells, viewBox=view, width=f"{width:g}",
             height=f"{height:g}", role="img")  # fmt: skip
