"""A picture as SVG that any viewer shows: every shape carries its own colours."""

from __future__ import annotations

from weightkin.report.html.environment import environment
from weightkin.report.pictures.looks import looks
from weightkin.report.pictures.scene import MARGIN, Picture


def svg(picture: Picture) -> str:
    """A picture as the text of an SVG file, everything in it escaped."""
    template = environment().get_template("picture.svg")
    return template.render(picture=picture, looks=looks(), margin=MARGIN)
