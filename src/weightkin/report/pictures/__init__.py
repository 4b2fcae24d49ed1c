"""The pictures of a result as files, made without a browser.

    picture_of(record)   what is to be seen: boxes, lines and texts, one figure under the other
    svg(picture)         as SVG, with no font, script or style sheet of its own
    png(picture)         as PNG (extra [png])

They are those of the HTML report: which parts of two models are alike and how many units of each
block match, pairs of blocks, a family tree.
"""

from __future__ import annotations

from weightkin.report.pictures.raster import png
from weightkin.report.pictures.scene import Picture, picture_of
from weightkin.report.pictures.vector import svg

__all__ = ["Picture", "picture_of", "png", "svg"]
