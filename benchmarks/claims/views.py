"""Cost of the invariant views of one block at the 7B shape: seconds and memory, by matrix.

A block of width 4096 with 11008 hidden units and an embedding of 32000 rows is made on the spot,
and a child of it. Each unit of gate, up and down is seen through 512 shared tokens, then matched.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.lib.big_models import LLAMA_7B, MadeOnTheSpot, made
from benchmarks.lib.fresh import fresh
from benchmarks.lib.tables import markdown
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.arrays import Floats
from weightkin.evidence.sample import make_plan, view_places
from weightkin.evidence.views import UNITS_AT_ONCE, TokenRows, frames, token_views
from weightkin.records import Skipped
from weightkin.stats.coincidences import count_coincidences
from weightkin.stats.matching import centred, match_rows

ONE_BLOCK = replace(LLAMA_7B, blocks=1)
ROLES = ("mlp.gate", "mlp.up", "mlp.down")
ROWS = 128  # rows of down held at a time


def measure(n: int, role: str) -> dict[str, Any]:
    """View and match the first ``n`` units (0: as many as compare samples), in this process."""
    (model_a, storage_a), (model_b, storage_b) = made(ONE_BLOCK, 1), made(ONE_BLOCK, 1, 0.3)
    a, b = (Side(model, read_anatomy(model)) for model in (model_a, model_b))
    n = n or make_plan((a.model, a.anatomy), (b.model, b.anatomy)).n_units
    before = _peak()
    started = time.perf_counter()
    shared = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)
    if isinstance(shared, Skipped):
        raise SystemExit(shared.code)
    views = [_view(side, frame, n, role) for side, frame in zip((a, b), shared[:2], strict=True)]
    viewed = time.perf_counter()
    found = count_coincidences(match_rows(views[0], views[1], np.random.default_rng(0)))
    matched = time.perf_counter()
    making = _seconds(storage_a, storage_b)
    return {
        "units": n,
        "seconds": viewed - started - making,
        "making": making,
        "matching": matched - viewed,
        "bytes": storage_a.bytes_touched + storage_b.bytes_touched,
        "before": before,
        "memory": _peak(),
        "coincidences": found.forward,
    }


def run() -> list[str]:
    """Measure every matrix in a fresh process, on the sample of compare and whole."""
    rows = []
    for n in (0, LLAMA_7B.hidden):
        for role in ROLES:
            found = fresh("benchmarks.claims.views", str(n), role)
            rows.append(
                (
                    role,
                    f"{found['units']}",
                    f"{found['seconds']:.1f} (+ {found['making']:.0f} making values)",
                    f"{found['matching']:.1f}",
                    f"{found['bytes'] / 1e6:.0f} MB",
                    f"{found['memory'] / 1e6:.0f} MB ({found['before'] / 1e6:.0f} MB before)",
                    f"{found['coincidences']}",
                )
            )
    header = ("matrix", "units", "views of both models, seconds", "matching, seconds",
              "bytes read", "peak memory", "coincidences")  # fmt: skip
    notes = [
        "",
        "A related pair (noise 0.3), 512 tokens, one block of either model; the bytes are mostly"
        " embedding rows. `compare` takes the sample of the first lines and leaves down out at this"
        " size: its columns are the units, so that it must be read whole. The whole axis is matched"
        " in one table of 11008 x 11008 cosines, which is most of the memory there.",
    ]
    return markdown(header, rows) + notes


def _view(side: Side, frame: TokenRows, n: int, role: str) -> Floats:
    (axis,) = side.axes("units")
    if role != "mlp.down":
        only = replace(axis, places=tuple(p for p in axis.places if p.role == role))
        return token_views(side.model, only, frame, n)[role]
    (place,) = [p for p in view_places(side.model, axis) if p.role == role]
    outputs = frame.outputs
    if outputs is None:
        raise SystemExit("no unembedding")
    view = np.zeros((n, len(outputs)), dtype=np.float32)
    for start in range(0, ONE_BLOCK.width, ROWS):  # columns are the units: whole rows, few at once
        rows = side.model.rows(place.tensor, slice(start, start + ROWS))  # (ROWS, h)
        for at in range(0, n, UNITS_AT_ONCE):
            view[at : at + UNITS_AT_ONCE] += (
                rows[:, at : min(n, at + UNITS_AT_ONCE)].T @ outputs[:, start : start + ROWS].T
            )
    return centred(view)


def _seconds(*storages: MadeOnTheSpot) -> float:
    return sum(storage.seconds for storage in storages)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
    else:
        print("\n".join(run()))
