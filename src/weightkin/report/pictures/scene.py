"""What is to be seen in a picture: boxes, lines and texts with their places, in pixels."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weightkin.records import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.records.location import Location
from weightkin.records.registry import Search, Trace
from weightkin.report.html.block_figures import accounting_bar, extent_bars, parts_map
from weightkin.report.html.environment import cut, short, source_name
from weightkin.report.html.figures import Grid, matrix_map
from weightkin.report.html.graph import NODE_HEIGHT, graph_values
from weightkin.report.html.graph_model import Drawing, family_drawing, trace_drawing
from weightkin.report.plain import found_words
from weightkin.report.sentences import one_line
from weightkin.report.terminal import AXIS_WORDS

MARGIN, LINE, GAP = 20, 17, 22  # around the picture, of a line of text, between figures
LEAST = 480  # pixels of width
LONGEST_TITLE = 60  # characters of that of a figure
CHARACTER, WIDE_CHARACTER = 6.6, 9.6  # pixels of one, in a caption and in the heading
LEGEND = "Arrow: from parent to child. Dashed line: the parent is undetermined."


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; ``look`` says how it is drawn."""

    x: float
    y: float
    width: float
    height: float
    look: str
    radius: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; ``anchor`` says which end of it stands at x: start, middle or end."""

    x: float
    y: float
    look: str
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line as an SVG path."""

    path: str
    look: str


@dataclass(frozen=True, slots=True)
class Figure:
    """Shapes with their own origin, which the picture moves down by ``top``."""

    top: float
    boxes: tuple[Box, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    words: tuple[Words, ...] = ()
    signs: tuple[Stroke, ...] = ()  # above the boxes


@dataclass(frozen=True, slots=True)
class Picture:
    """Figures one under the other, on white."""

    title: str
    width: int
    height: int
    figures: tuple[Figure, ...]


def picture_of(record: object) -> Picture | None:
    """The picture of a result; None where it has none, or where nothing was found to be drawn.

    Parameters
    ----------
    record : Comparison, Location, FamilyGraph, Search or Trace
        What a verb returned, or what was read back from JSON; anything else has no picture.

    Returns
    -------
    Picture or None
        Its title is the finding.
    """
    match record:
        case Comparison():
            grids = [parts_map(record), extent_bars(record)] if record.tests else []
            parts = [_grid(x) for x in grids or [accounting_bar(record)] if x]
            return _stacked(found_words(record), _names(record), parts)
        case Location():
            drawn = [(x.stack, x.axis, matrix_map(x)) for x in record.matrices if x.trusts]
            parts = [
                _grid({**x, "title": f"{AXIS_WORDS.get(axis, axis)}, {stack}"})
                for stack, axis, x in drawn
            ]
            return _stacked(one_line(record), _names(record), parts)
        case FamilyGraph():
            return _tree(one_line(record), family_drawing(record))
        case Search():
            return _tree(one_line(record), trace_drawing(Trace(search=record)))
        case Trace():
            return _tree(one_line(record.search), trace_drawing(record))
    return None


def _names(record: Comparison | Location) -> str:
    a, b = (short(source_name(x.source), LONGEST_TITLE) for x in (record.a, record.b))
    return f"a: {a}, b: {b}"


Part = tuple[float, float, Figure]  # width, height, shapes


def _tree(title: str, drawn: Drawing) -> Picture | None:
    pictures = graph_values(drawn)["pictures"] if drawn.edges else None
    if pictures is None:
        return None
    parts = [(x["width"], x["height"], _family(x, drawn.box)) for x in pictures]
    return _stacked(title, LEGEND, parts)


def _family(x: Mapping[str, Any], box: int) -> Figure:
    boxes = tuple(
        Box(left, top, box, NODE_HEIGHT, "box" if node.is_observed else "unobserved", 5)
        for node, left, top, _, _ in x["boxes"]
    )
    words = [
        Words(left + (26 if group else 11), top + 17, "name", "start", node.shown)
        for node, left, top, group, _ in x["boxes"]
    ]
    words += [Words(e["end"][0] - 10, e["end"][1] - 5, "kind", "end", e["label"])
              for e in x["lines"] if e["label"]]  # fmt: skip
    strokes = [Stroke(e["path"], e["style"]) for e in x["lines"]]
    strokes += [
        Stroke(f"M{e['end'][0]} {e['end'][1]}l-8 -4v8z", "head")
        for e in x["lines"]
        if e["style"] != "undetermined"
    ]
    signs = tuple(Stroke(path, f"kind-{group}") for *_, group, path in x["boxes"] if group)
    return Figure(0, boxes, tuple(strokes), tuple(words), signs)


def _grid(x: Grid) -> Part:
    """A figure of a report with its title above and its caption below."""
    wide = max(x["width"], LEAST)
    lines = textwrap.wrap(x["caption"], int(wide / CHARACTER))
    head = Words(0, 12, "title", "start", short(x["title"], LONGEST_TITLE))
    boxes = tuple(Box(*box[:5]) for box in x["boxes"])
    below = LINE + x["height"] + 24
    words = [Words(left, y + LINE + 6, *rest) for left, y, *rest in x["texts"]]
    words += [Words(0, below + LINE * i, "label", "start", line) for i, line in enumerate(lines)]
    moved = tuple(Box(b.x, b.y + LINE + 6, b.width, b.height, b.look) for b in boxes)
    return wide, below + LINE * len(lines), Figure(0, moved, (), (head, *words))


def _stacked(title: str, below: str, parts: Sequence[Part]) -> Picture | None:
    if not parts:
        return None
    width = int(max(LEAST, *(x[0] for x in parts)) + 2 * MARGIN)
    room = width - 2 * MARGIN
    lines = [(x, "heading") for x in textwrap.wrap(cut(title), int(room / WIDE_CHARACTER))]
    lines += [(x, "label") for x in textwrap.wrap(cut(below), int(room / CHARACTER))]
    words = tuple(
        Words(0, LINE * (i + 1), look, "start", text) for i, (text, look) in enumerate(lines)
    )
    top: float = MARGIN + LINE * len(lines) + GAP
    figures = [Figure(MARGIN, words=words)]
    for _, height, figure in parts:
        figures.append(replace(figure, top=top))
        top += height + GAP
    return Picture(cut(title), width, int(top - GAP + MARGIN), tuple(figures))
