"""How the shapes of a picture look: the light colours of reports, on white paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from weightkin.report.html.environment import static_text
from weightkin.report.kind_groups import GROUPS


@dataclass(frozen=True, slots=True)
class Look:
    """Colours, and for lines their width and dashes, for texts their size."""

    fill: str = ""
    line: str = ""
    width: float = 1.0
    dashes: tuple[float, ...] = ()
    size: int = 12
    is_bold: bool = False


@cache
def looks() -> Mapping[str, Look]:
    """The look of every shape, by the class that it has in a report."""
    light = re.search(r":root \{(.*?)\}", static_text("style.css"), re.DOTALL)
    colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light[1] if light else ""))
    edge = colour["edge"]
    found = {
        "box": Look(colour["box"], colour["box-line"]),
        "unobserved": Look("#ffffff", colour["box-line"], dashes=(4, 3)),
        "ground": Look(colour["heat-0"]),
        "dot": Look(colour["mark"]),
        "inferred": Look(line=edge, width=1.3),
        "undetermined": Look(line=edge, width=1.3, dashes=(6, 4)),
        "declared": Look(line=edge, width=2.0, dashes=(2, 3)),
        "head": Look(edge),
        "heading": Look(colour["text"], size=15, is_bold=True),
        "title": Look(colour["text"], is_bold=True),
        "name": Look(colour["text"]),
        "label": Look(colour["muted"], size=11),
        "kind": Look(colour["muted"], size=10),
    }
    found |= {f"kind-{group}": Look(colour[f"kind-{group}"]) for group in GROUPS}
    for step in range(5):
        found[f"cell-{step}"] = Look(colour[f"heat-{step}"])
        found[f"on-{step}"] = Look(colour[f"on-heat-{step}"])
    return found
