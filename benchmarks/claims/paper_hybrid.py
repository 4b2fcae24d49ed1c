"""The first paper's hybrids: which blocks and tensors of a model come from which base."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo import truth

from benchmarks.claims.paper_places import BASE, STRANGER, match_matrix, train
from benchmarks.lib.paper_statistics import folder_of, zoo_script
from benchmarks.lib.tables import markdown
from weightkin.api.locate import locate
from weightkin.records.location import Location


def hybrid_lines(folder: Path, n_steps: int = 100) -> list[str]:
    """Which blocks of a hybrid come from which base, as it is and after more training."""
    from_b = truth.load()["hybrid-ab"]["kind_details"]["layers_from_b"]
    lines = [f"`hybrid-ab`: `{BASE}` with blocks {', '.join(map(str, from_b))} of `{STRANGER}`."]
    grow, folders = zoo_script("grow"), zoo_script("folders")
    tuned = folder / "hybrid"
    folders.write_folder(folders.read_folder(folder_of("hybrid-ab")), tuned)
    recipe = zoo_script("recipes").tune(
        "llama-hybrid", BASE, "prose", "code", order=151, steps=n_steps, lr=1e-3
    )
    train(tuned, recipe, grow)
    for path, words in ((folder_of("hybrid-ab"), "As it is"), (tuned, f"After {n_steps} steps")):
        lines += ["", f"{words}:", "", *_hybrid_table(path, from_b)]
    return lines


def _hybrid_table(path: Path, from_b: Sequence[int]) -> list[str]:
    bases = (BASE, STRANGER)
    places = [locate(folder_of(base), path) for base in bases]
    grids = [match_matrix(folder_of(base), path) for base in bases]
    sources = tensor_sources(places)
    rows = []
    for block in range(len(grids[0])):
        true = bases[block in from_b]
        ours = [_cell(place, block) for place in places]
        match = [f"{grid[block, block]:.1f}" for grid in grids]
        mine = [source for name, source in sources.items() if f"layers.{block}." in name]
        right = f"{sum(s == bases.index(true) for s in mine)} of {len(mine)}"
        rows.append((block, true, *ours, right, *match))
    rest = [source for name, source in sources.items() if ".layers." not in name]
    header = ("block", "truth", *(f"`locate` {b}" for b in bases), "tensors placed rightly",
              *(f"phi_MATCH {b}" for b in bases))  # fmt: skip
    return [
        *markdown(header, rows),
        "",
        f"Embedding and unembedding placed rightly: {sum(s == 0 for s in rest)} of {len(rest)}.",
    ]


def tensor_sources(places: Sequence[Location]) -> dict[str, int | None]:
    """For each matrix of b: which of several bases it is equal or close to (None: not just one)."""
    near = [
        {
            t.name_b
            for t in place.tensors
            if t.name_a == t.name_b and len(t.shape_b) == 2 and t.relation != "other"
        }
        for place in places
    ]
    names = sorted({t.name_b for place in places for t in place.tensors if len(t.shape_b) == 2})
    found: dict[str, int | None] = {}
    for name in names:
        hits = [k for k, some in enumerate(near) if name in some]
        found[name] = hits[0] if len(hits) == 1 else None
    return found


def _cell(place: Location, block: int) -> str:
    """Corrected log10 p of a block with its namesake, by the hidden units."""
    for m in place.matrices:
        if m.axis == "units":
            return f"{m.log10_pvalues[block][block] + 0.0:.0f}"
    return "-"
