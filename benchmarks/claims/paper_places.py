"""The first paper's localisation: a model pruned in depth, units and residual width at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from benchmarks.lib.paper_statistics import folder_of, held_out_text, named, zoo_script
from benchmarks.lib.tables import markdown
from weightkin.api.locate import locate
from weightkin.evidence.scan import narrow, scan_pairs
from weightkin.evidence.unitmap import match_units
from weightkin.evidence.views import frames, token_views
from weightkin.papers.activations import phi_match
from weightkin.papers.forward import record_activations
from weightkin.records import Skipped
from weightkin.records.location import Location
from weightkin.sketch.source import open_side
from weightkin.stats.coincidences import mix_log_evalue
from weightkin.stats.combining import holm

BASE, STRANGER = "llama-a", "llama-b"
KEPT_BLOCKS = (0, 2, 3, 5)
N_UNITS, N_WIDTH = 128, 72  # of 256 and 96
THRESHOLD = -4.0  # log10, of the paper's map, uncorrected
RAW_ROWS = (
    "`locate` reads rows as they are, and those of two residual widths have no coordinates in"
    " common; seen through tokens the same test finds them."
)
READERS = ("embed_tokens", "lm_head", "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
ALPHA = -6.0  # log10
Doubles = npt.NDArray[np.float64]
Units = dict[tuple[int, int], list[tuple[int, int]]]  # block of b, block of a: unit of a, of b


@dataclass(frozen=True, slots=True)
class Pruned:
    """A pruned model on disk, and what was kept."""

    path: Path
    units: tuple[tuple[int, ...], ...]  # by block of the pruned model
    residual: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenMap:
    """Corrected log10 p of all block pairs (a by b), and unit pairs (a, b) of those that pass."""

    log10_pvalues: Doubles
    units: Units


def pruned_lines(folder: Path, n_steps: int = 200) -> list[str]:
    """Where the blocks, units and residual dimensions of the pruned model come from."""
    small = prune(folder, n_steps)
    place = locate(folder_of(BASE), small.path)
    stranger = locate(folder_of(STRANGER), small.path)
    maps = [token_map(folder_of(name), small.path) for name in (BASE, STRANGER)]
    wanted = set(enumerate(KEPT_BLOCKS))
    grids = [match_matrix(folder_of(name), small.path) for name in (BASE, STRANGER)]
    passing = [_cells(g, THRESHOLD) for g in grids]
    through = [_cells(m.log10_pvalues, ALPHA) for m in maps]
    best = {(j, int(grids[0][:, j].argmin())) for j in range(len(KEPT_BLOCKS))}
    ours, theirs = block_pairs(place), block_pairs(stranger)
    rows = [
        (f"phi_MATCH, p below 1e{THRESHOLD:.0f}", _hits(passing[0], wanted),
         len(passing[0] - wanted), f"{len(passing[1])} of {grids[1].size}"),
        ("phi_MATCH, smallest p of each block", _hits(best, wanted), len(best - wanted), "-"),
        ("units seen through tokens, Holm at 1e-6", _hits(through[0], wanted),
         len(through[0] - wanted), f"{len(through[1])} of {grids[1].size}"),
        ("`locate`, Holm at 1e-6", _hits(ours, wanted), len(ours - wanted),
         f"{len(theirs)} of {grids[1].size}"),
    ]  # fmt: skip
    header = ("block map", "right pairs found", "wrong pairs", f"pairs with blocks of {STRANGER}")
    return [
        f"`{BASE}` with blocks {', '.join(map(str, KEPT_BLOCKS))} of 6, the {N_UNITS} largest of"
        f" 256 units of each and the {N_WIDTH} largest of 96 residual dimensions, then {n_steps}"
        " steps of training. The paper: Llama-3.1-8B to 3.2-3B, 28 of 32 blocks kept.",
        "",
        *markdown(header, rows),
        *([] if ours else ["", RAW_ROWS]),
        "",
        *_maps(place, maps[0], small),
        "",
        "log10 p of phi_MATCH (rows: blocks of the base, columns: of the pruned model; the true"
        " block in bold):",
        "",
        *_grid(grids[0], wanted),
    ]


def prune(folder: Path, n_steps: int) -> Pruned:
    """Prune blocks, units and residual dimensions, then train for a while."""
    surgery, folders, grow = (zoo_script(name) for name in ("surgery", "folders", "grow"))
    shallow = surgery.depth_pruned(folders.read_folder(folder_of(BASE)), KEPT_BLOCKS)
    thin = surgery.width_pruned(shallow, N_UNITS)
    narrow, residual = narrowed(thin, N_WIDTH)
    path = folder / "pruned"
    folders.write_folder(narrow, path)
    if n_steps:
        recipe = zoo_script("recipes").tune(
            "llama-a-pruned", BASE, "prose", "code", order=150, steps=n_steps, lr=1e-3
        )
        train(path, recipe, grow)
    units = tuple(tuple(kept) for kept in thin.details["kept_units"])
    return Pruned(path, units, residual)


def narrowed(folder: Any, n_width: int) -> tuple[Any, tuple[int, ...]]:
    """Keep the residual dimensions of largest weight, in order; heads stay as they are."""
    energy: Doubles = np.zeros(folder.config["hidden_size"])
    for name, x in folder.tensors.items():
        if x.ndim == 2:
            energy += (x.astype(np.float64) ** 2).sum(axis=1 - _residual_dim(name))
    kept = np.sort(np.argsort(-energy, kind="stable")[:n_width])
    tensors = {name: x.take(kept, axis=_residual_dim(name)) for name, x in folder.tensors.items()}
    config = folder.config | {"hidden_size": n_width}
    made = zoo_script("folders").Folder(config=config, tensors=tensors)
    return made, tuple(kept.tolist())


def train(path: Path, recipe: Any, grow: Any) -> None:
    """Train a model folder in place by a recipe."""
    model = grow.CLASSES[recipe.family].from_pretrained(path)
    grow.train(model, recipe)
    model.save_pretrained(path)


def _residual_dim(name: str) -> int:
    return 1 if any(f"{x}." in name for x in READERS) else 0


def block_pairs(place: Location) -> set[tuple[int, int]]:
    """Block of b, block of a, by the hidden units."""
    return {(number(x.block_b), number(x.block_a)) for x in place.matched}


def number(block: str) -> int:
    """Number of a block: "decoder.3" is 3."""
    return int(block.rsplit(".", 1)[-1])


def match_matrix(folder_a: Path, folder_b: Path) -> Doubles:
    """log10 p of phi_MATCH of all pairs of blocks, on text."""
    a, b = (record_activations(f, held_out_text(), device="cpu") for f in (folder_a, folder_b))
    pairs = [(i, j) for i in range(len(a.blocks)) for j in range(len(b.blocks))]
    found = [t.log10_pvalue for t in named(phi_match(a, b, pairs=pairs), "phi_MATCH")]
    return np.array(found).reshape(len(a.blocks), len(b.blocks))


def token_map(folder_a: Path, folder_b: Path) -> TokenMap:
    """All pairs of blocks on the order of units that are seen through shared tokens.

    Null hypothesis: the unit labels of one model are uniform given the other. The residual widths
    may differ: a unit is what it does to tokens. Corrected by Holm.
    """
    sides = [open_side(folder) for folder in (folder_a, folder_b)]
    seen = frames(*((side.model, side.anatomy) for side in sides), seed=0)
    if isinstance(seen, Skipped):
        raise ValueError(seen.code)
    axes = [side.axes("units") for side in sides]
    views = [
        [token_views(side.model, x, frame, x.n_units) for x in own]
        for side, own, frame in zip(sides, axes, seen[:2], strict=True)
    ]
    rng = np.random.default_rng(0)
    tables = []
    for role in ("mlp.gate", "mlp.up", "mlp.down"):
        rows = [
            [narrow(v[role], x.n_units, rng) for v, x in zip(mine, own, strict=True)]
            for mine, own in zip(views, axes, strict=True)
        ]
        tables.append(scan_pairs(rows[0], rows[1])[0])
    grids = logsumexp(np.stack(tables), axis=0) - np.log(len(tables))
    raw = np.array([[min(0.0, -mix_log_evalue(g) / np.log(10)) for g in row] for row in grids])
    log10_p = holm(raw.ravel()).reshape(raw.shape)
    pairs = {
        (j, i): match_units(views[0][i], views[1][j], lambda role: role != "mlp.gate")
        for j, i in _cells(log10_p, ALPHA)
    }
    units = {
        where: list(zip(m.units_a.tolist(), m.units_b.tolist(), strict=True))
        for where, m in pairs.items()
    }
    return TokenMap(log10_p, units)


def _cells(grid: Doubles, level: float) -> set[tuple[int, int]]:
    """Block of b, block of a, where a matrix of log10 p is at or below a level."""
    return {(j, i) for i, j in np.argwhere(grid <= level).tolist()}


def _maps(place: Location, tokens: TokenMap, small: Pruned) -> list[str]:
    """How much of the unit maps and of the residual map is right."""
    by_locate = {
        (number(m.block_b), number(m.block_a)): list(zip(m.units_a, m.units_b, strict=True))
        for m in place.unit_maps
        if m.axis == "units"
    }
    n_units = sum(map(len, small.units))
    lines = []
    for words, maps in (("through tokens", tokens.units), ("by `locate`", by_locate)):
        n_right, n_found = unit_shares(maps, small)
        lines.append(
            f"Units {words}: {n_found} matched, {n_right} of them rightly"
            f" ({_percent(n_right, n_found)}), of {n_units} that were kept"
            f" ({_percent(n_right, n_units)})."
        )
    for r in place.residual:
        pairs = set(zip(r.kept_a, r.kept_b, strict=True))
        right = len(pairs & {(i, j) for j, i in enumerate(small.residual)})
        lines.append(
            f"Residual dimensions: {len(pairs)} matched, {right} rightly, of {N_WIDTH}"
            f" (log10 p {r.log10_pvalue:.0f}, {r.test})."
        )
    return lines


def unit_shares(maps: Units, small: Pruned) -> tuple[int, int]:
    """Unit pairs that are right, and all that were given."""
    n_right = sum(
        small.units[j][y] == x
        for (j, i), pairs in maps.items()
        if i == KEPT_BLOCKS[j]
        for x, y in pairs
    )
    return n_right, sum(map(len, maps.values()))


def _hits(found: set[tuple[int, int]], wanted: set[tuple[int, int]]) -> str:
    return f"{len(found & wanted)} of {len(wanted)}"


def _percent(n: int, total: int) -> str:
    return f"{100 * n / total:.0f} %" if total else "-"


def _grid(grid: Doubles, wanted: set[tuple[int, int]]) -> list[str]:
    rows = [
        (i, *(f"**{p:.1f}**" if (j, i) in wanted else f"{p + 0.0:.1f}" for j, p in enumerate(row)))
        for i, row in enumerate(grid)
    ]
    return markdown(("block", *map(str, range(grid.shape[1]))), rows)
