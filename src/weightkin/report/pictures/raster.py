"""A picture as PNG, drawn with Pillow (extra [png])."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from weightkin.report.html.environment import cut
from weightkin.report.pictures.looks import Look, looks
from weightkin.report.pictures.scene import MARGIN, Figure, Picture

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

SCALE = 2  # dots for each pixel
MOST_DOTS = 60_000_000  # from which on the picture is drawn smaller
N_POINTS = 16  # of a curve
FONTS = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}  # else the one Pillow has inside
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}

Point = tuple[float, float]


def png(picture: Picture) -> bytes:
    """A picture as the bytes of a PNG file."""
    from PIL import Image, ImageDraw

    scale = min(SCALE, math.sqrt(MOST_DOTS / (picture.width * picture.height)))
    size = math.ceil(picture.width * scale), math.ceil(picture.height * scale)
    image = Image.new("RGB", size, "#ffffff")
    draw = ImageDraw.Draw(image)
    for figure in picture.figures:
        _figure(draw, figure, scale)
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _figure(draw: ImageDraw, figure: Figure, scale: float) -> None:
    def at(x: float, y: float) -> Point:
        return (x + MARGIN) * scale, (y + figure.top) * scale

    for stroke in figure.strokes:
        look = looks()[stroke.look]
        points = [at(*point) for point in points_of(stroke.path)]
        if look.fill:
            draw.polygon(points, fill=look.fill)
        else:
            _line(draw, points, look, scale)
    for box in figure.boxes:
        look = looks()[box.look]
        corners = (*at(box.x, box.y), *at(box.x + box.width, box.y + box.height))
        is_whole = look.line and not look.dashes
        if box.width * box.height > 0:
            outline, wide = (look.line, round(scale)) if is_whole else (None, 0)
            draw.rounded_rectangle(corners, box.radius * scale, look.fill, outline, wide)
        if look.dashes:
            x0, y0, x1, y1 = corners
            _line(draw, [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], look, scale)
    for sign in figure.signs:
        draw.polygon([at(*point) for point in points_of(sign.path)], looks()[sign.look].fill)
    for words in figure.words:
        look = looks()[words.look]
        font = _font(round(look.size * scale), look.is_bold)
        place = at(words.x, words.y)
        draw.text(place, cut(words.text), look.fill, font, anchor=ANCHORS[words.anchor])


def _line(draw: ImageDraw, points: Sequence[Point], look: Look, scale: float) -> None:
    wide = max(1, round(look.width * scale))
    for piece in _dashed(points, [x * scale for x in look.dashes]) if look.dashes else [points]:
        draw.line(list(piece), look.line, wide, joint="curve")


def _dashed(points: Sequence[Point], dashes: Sequence[float]) -> Iterator[tuple[Point, Point]]:
    """The drawn pieces of a broken line, straight each."""
    on, off = dashes
    walked = 0.0  # along the whole line
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        done = 0.0
        while done < length:
            into = (walked + done) % (on + off)
            step = min(length - done, (on if into < on else on + off) - into)
            if into < on:
                ends = [(x0 + (x1 - x0) * t / length, y0 + (y1 - y0) * t / length)
                        for t in (done, done + step)]  # fmt: skip
                yield ends[0], ends[1]
            done += max(step, 1e-6)
        walked += length


def points_of(path: str) -> list[Point]:
    """The corners of an SVG path of one line: the commands M, H, V, Q, C, l, v and z.

    Examples
    --------
    >>> points_of("M0 0H4l-1 2v1z")
    [(0.0, 0.0), (4.0, 0.0), (3.0, 2.0), (3.0, 3.0), (0.0, 0.0)]
    """
    points: list[Point] = []
    for letter, text in re.findall(r"([MHVQClvz])([^MHVQClvz]*)", path):
        n = [float(x) for x in text.split()]
        x, y = points[-1] if points else (0.0, 0.0)
        match letter:
            case "M":
                points.append((n[0], n[1]))
            case "H":
                points.append((n[0], y))
            case "V":
                points.append((x, n[0]))
            case "l":
                points.append((x + n[0], y + n[1]))
            case "v":
                points.append((x, y + n[0]))
            case "z":
                points.append(points[0])
            case _:
                points += _curve([(x, y), *zip(n[::2], n[1::2], strict=True)])
    return points


def _curve(ends: Sequence[Point]) -> Iterator[Point]:
    """Points of a Bézier curve, by de Casteljau."""
    for i in range(1, N_POINTS + 1):
        t, left = i / N_POINTS, list(ends)
        while len(left) > 1:
            left = [(a + (c - a) * t, b + (d - b) * t) for (a, b), (c, d) in pairwise(left)]
        yield left[0]


@cache
def _font(size: int, is_bold: bool) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(FONTS[is_bold], size)
    except OSError:
        return ImageFont.load_default(size)
