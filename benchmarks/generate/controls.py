"""Measure the controls that ship: ``python -m benchmarks.generate.controls FOLDER``.

FOLDER holds models trained by ``python zoo/controls.py FOLDER``. Neighbouring seeds make a pair and
every model stands in one pair only. Writes `src/weightkin/evidence/controls.json`. Without FOLDER
it writes nothing and prints how all pairs of the zoo stand among the controls (minutes).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from statistics import median

from zoo import truth

from benchmarks.lib.tables import markdown
from weightkin.anatomy.side import Side
from weightkin.evidence.calibrate import LEAST_SHARE
from weightkin.evidence.calibrated import agreement
from weightkin.evidence.controls import (
    CONTROL_TOKENS,
    Control,
    as_control,
    load_controls,
    rank,
    write_controls,
)
from weightkin.formats import digest
from weightkin.records import Skipped
from weightkin.sketch.source import open_side
from weightkin.stats.calibrated import exceeds

SHIPPED = Path(__file__).parents[2] / "src" / "weightkin" / "evidence" / "controls.json"
DOCUMENTED = "zoo/controls.py: seeds {} and {}, same data and order"
# independent bases of the zoo, disjoint, trained longer; a student imitates outputs only
ZOO = (
    ("llama-a", "llama-b"),
    ("llama-c", "llama-distilled"),
    ("gpt-a", "gpt-b"),
    ("vit-a", "vit-b"),
    ("moe-a", "moe-b"),
)
FAMILIES = ("llama", "gpt2", "vit")


def measured(folder: Path) -> Iterator[Control]:
    """Controls of every family, from pairs of neighbouring seeds, and the zoo's own."""
    for family in FAMILIES:
        seeds = sorted(int(p.name.split("-")[1]) for p in folder.glob(f"{family}-*"))
        for x, y in zip(seeds[::2], seeds[1::2], strict=False):
            paths = [folder / f"{family}-{seed}" for seed in (x, y)]
            yield from _controls(*paths, DOCUMENTED.format(x, y))
    entries = truth.load()
    for x, y in ZOO:
        paths = [truth.ROOT / entries[name]["path"] for name in (x, y)]
        yield from _controls(*paths, f"zoo: {x} and {y}")


def _controls(x: Path, y: Path, documented: str) -> Iterator[Control]:
    """A pair with its tokens as given, and with its tokens paired by content."""
    a, b = open_side(x), open_side(y)
    for by_content in (False, True):
        found = agreement(a, b, CONTROL_TOKENS, by_content=by_content)
        if isinstance(found, Skipped):
            raise ValueError(f"{x}, {y}: {found.code}")
        if (found.rows == "content") == by_content:  # patches are never paired by content
            yield as_control(found, digest(a.model), digest(b.model), documented)


def spread(controls: list[Control]) -> list[str]:
    """Table of the controls by class."""
    rows = []
    for name, paired in dict.fromkeys((c.model_class, c.rows) for c in controls):
        values = [c.statistic for c in controls if (c.model_class, c.rows) == (name, paired)]
        figures = (f"{median(values):.4f}", f"{max(values):.4f}")
        rows.append((name, paired, str(len(values)), *figures))
    return markdown(("class", "tokens paired", "pairs", "median", "largest"), rows)


def zoo_pairs() -> Iterator[tuple[str, str, bool, float, bool]]:
    """Every pair of the zoo of one class: names, related, statistic, above the controls."""
    entries = truth.load()
    sides: dict[str, Side] = {
        name: open_side(truth.ROOT / entry["path"]) for name, entry in entries.items()
    }
    controls = load_controls()
    for a, b in combinations(entries, 2):
        found = agreement(sides[a], sides[b])
        if isinstance(found, Skipped):
            continue
        ranked = rank(found, (digest(sides[a].model), digest(sides[b].model)), controls)
        is_rank = ranked.rank is not None and exceeds(ranked.rank, ranked.n_controls)
        is_above = is_rank and found.statistic >= LEAST_SHARE
        related = truth.share_an_origin(entries[a], entries[b])
        yield a, b, related, found.statistic, is_above


def main() -> None:
    """Measure and write, or show the zoo among the controls."""
    if len(sys.argv) > 1:
        write_controls(SHIPPED, list(measured(Path(sys.argv[1]))))
    print("\n".join(spread(list(load_controls()))))
    if len(sys.argv) == 1:
        print("\n".join(standing()))


def standing() -> list[str]:
    """How many related and independent pairs of the zoo lie above the controls."""
    pairs = list(zoo_pairs())
    found = []
    for word, is_related in (("related", True), ("independent", False)):
        those = [p for p in pairs if p[2] == is_related]
        values = [p[3] for p in those]
        n_above = sum(p[4] for p in those)
        figures = f"{min(values):.4f} to {max(values):.4f}"
        found.append(f"{word}: {n_above} of {len(those)} above; {figures}")
    return found


if __name__ == "__main__":
    main()
