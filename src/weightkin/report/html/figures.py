"""Where the cells of evidence stand in a drawing, legible without colour, and the dots of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from weightkin.records import Comparison, Test
from weightkin.records.location import Matrix, UnitMap
from weightkin.report.heatmap import STEPS
from weightkin.report.html.environment import log10_words, short

MOST_NUMBERS = 14  # columns up to which cells hold numbers
WIDE, TALL, SMALL = 54, 24, 13  # of a cell with a number, and of one without
MAX_CELLS = 96  # rows and columns of small cells; longer sides are grouped
MAX_HEAT_ROWS = 200
MOST_POINTS = 160  # units of one plot
AXES = {"mlp": "hidden units", "vo": "V/O", "heads": "heads", "residual": "residual"}

HeatValues = Sequence[Sequence[float | None]]
Grid = dict[str, Any]  # width, height, title, caption; boxes and texts as the template draws them


def block_map(record: Comparison) -> Grid:
    """Smallest p-value of every pair of blocks on every axis."""
    tests = [t for t in record.tests if t.block_a != "all"]
    columns = list(dict.fromkeys(_axis(t) for t in tests))
    best: dict[tuple[str, str], dict[str, float]] = {}
    for t in tests:
        cells = best.setdefault((t.block_a, t.block_b), {})
        cells[_axis(t)] = min(t.log10_pvalue, cells.get(_axis(t), 0.0))
    rows = [a if a == b else f"{a} → {b}" for a, b in best]
    values = [[cells.get(axis) for axis in columns] for cells in best.values()]
    return numbered_map(rows, columns, values, "Smallest log10 p of each block on each axis")


def numbered_map(
    rows: Sequence[str], columns: Sequence[str], values: HeatValues, title: str
) -> Grid:
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
    Grid
        A figure; of many rows the first 200.
    """
    shown = rows[:MAX_HEAT_ROWS]
    wide = max(WIDE, *(7 * min(len(x), 16) + 8 for x in columns)) if columns else WIDE
    left = 8 + max((min(len(short(x, 34)), 34) for x in shown), default=0) * 7
    centres = [left + j * wide + wide // 2 for j in range(len(columns))]
    texts = [
        (x, 14, "label", "middle", short(c, 16)) for x, c in zip(centres, columns, strict=True)
    ]
    boxes = []
    for i, name in enumerate(shown):
        y = 22 + i * TALL
        texts.append((0, y + 16, "label", "start", short(name, 34)))
        for x, value in zip(centres, values[i], strict=True):
            if value is not None:
                step = sum(value <= s for s in STEPS)
                corner = x - wide // 2 + 1, y + 1
                boxes.append((*corner, wide - 2, TALL - 2, f"cell-{step}", ""))
                words = log10_words(value) if value > -100 else f"−{-value:,.0f}"
                texts.append((x, y + 16, f"on-{step}", "middle", words))
    return {
        "width": left + len(columns) * wide,
        "height": 22 + len(shown) * TALL,
        "title": title,
        "boxes": boxes,
        "texts": texts,
        "caption": f"the first {len(shown)} of {len(rows)} rows"
        if rows[len(shown) :]
        else _legend(),
    }


def pair_map(rows: Sequence[str], columns: Sequence[str], values: HeatValues, title: str) -> Grid:
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
    Grid
        A figure; squares stand for several pairs where sides are long.
    """
    if len(columns) <= MOST_NUMBERS:
        return numbered_map(rows, columns, values, title)
    step_a, step_b = -(-len(rows) // MAX_CELLS), -(-len(columns) // MAX_CELLS)
    tops, lefts = range(0, len(rows), step_a), range(0, len(columns), step_b)
    ys, xs = [22 + i * SMALL for i in range(len(tops))], [32 + j * SMALL for j in range(len(lefts))]
    texts = [(26, y + 10, "label", "end", str(i)) for y, i in list(zip(ys, tops, strict=True))[::5]]
    texts += [
        (x + 6, 14, "label", "middle", str(j)) for x, j in list(zip(xs, lefts, strict=True))[::5]
    ]
    boxes = []
    for y, i in zip(ys, tops, strict=True):
        for x, j in zip(xs, lefts, strict=True):
            cells = [v for row in values[i : i + step_a] for v in row[j : j + step_b]]
            known = [v for v in cells if v is not None]
            if known:
                boxes += _square(min(known), x, y, f"{rows[i]} and {columns[j]}")
    grouped = f" Each square is {step_a} by {step_b} pairs." if max(step_a, step_b) > 1 else ""
    return {
        "width": 32 + len(xs) * SMALL,
        "height": 24 + len(ys) * SMALL,
        "title": title,
        "boxes": boxes,
        "texts": texts,
        "caption": f"Rows are blocks of a, columns blocks of b.{grouped} {_legend()}",
    }


def matrix_map(x: Matrix) -> Grid:
    """All pairs of blocks of one kind of stack, as `locate` compared them."""
    columns = [name.rsplit(".", 1)[-1] for name in x.blocks_b]
    title = f"log10 p of all pairs of blocks, {x.stack}"
    return pair_map(x.blocks_a, columns, x.log10_pvalues, title)


def unit_dots(m: UnitMap) -> Markup:
    """Unit numbers of a against those of b: in order is a diagonal line, permuted a cloud."""
    step = -(-len(m.units_a) // MOST_POINTS) or 1
    pairs = list(zip(m.units_a, m.units_b, strict=False))[::step]
    side_a, side_b = (max(n - 1, 1) for n in (m.n_units_a, m.n_units_b))
    dots = (f"M{6 + 108 * x / side_a:.0f} {114 - 108 * y / side_b:.0f}h0" for x, y in pairs)
    return Markup("".join(dots))


def _axis(test: Test) -> str:
    kind = test.axis.split(".")[0]
    return "signs" if test.name in ("signs", "turns") else AXES.get(kind, kind)


def _square(value: float, x: int, y: int, words: str) -> list[tuple[float, ...] | Any]:
    """The ground of a tested pair, and a square that grows with the evidence."""
    ground = (x, y, SMALL - 1, SMALL - 1, "ground", "")
    step = sum(value <= s for s in STEPS)
    if not step:
        return [ground]
    side = (0, 4, 7, 10, 12)[step]
    shift = (SMALL - 1 - side) / 2
    title = f"{words}: log10 p {log10_words(value)}"
    return [ground, (x + shift, y + shift, side, side, "dot", title)]


def _legend() -> str:
    """What the steps mean."""
    steps = ", ".join(f"1e{int(s)}".replace("-", "−") for s in STEPS)
    numbers = "Numbers are log10 p: −6 is one in a million."
    return f"{numbers} Shades begin at p ≤ {steps}; empty: not tested."
