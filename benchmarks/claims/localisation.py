"""Cost of localisation at the 7B shape, against the first paper's matching on all block pairs.

The two models are made on the spot: values come from a generator keyed by tensor and place, so that
nothing of the 27 GB is written or held. The time spent making values is shown apart.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np

from benchmarks.lib.big_models import LLAMA_1B, LLAMA_7B, Shape, made
from benchmarks.lib.fresh import fresh
from benchmarks.lib.tables import markdown
from weightkin.api.locate import locate
from weightkin.stats.published import match

SHAPES = {"7B": LLAMA_7B, "1.1B": LLAMA_1B}


def measure(name: str, pair: str) -> dict[str, Any]:
    """Locate one pair in this process: seconds, bytes, peak memory, what it said."""
    a, storage_a = made(SHAPES[name], 1)
    b, storage_b = made(SHAPES[name], 1, 0.3) if pair == "related" else made(SHAPES[name], 3)
    started = time.perf_counter()
    record = locate(a, b)
    return {
        "seconds": time.perf_counter() - started,
        "making": storage_a.seconds + storage_b.seconds,
        "bytes": record.bytes_read,
        "total": a.n_bytes + b.n_bytes,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "answer": record.sentence,
    }


def recipe_seconds(shape: Shape) -> tuple[float, float]:
    """The paper's matching (cosine, assignment) of one related and one unrelated pair."""
    a, b = made(shape, 1)[0], made(shape, 1, 0.3)[0]
    found = []
    for block in (0, 1):
        x = a.rows("model.layers.0.mlp.up_proj.weight")
        y = b.rows(f"model.layers.{block}.mlp.up_proj.weight")
        started = time.perf_counter()
        match(x, y, np.random.default_rng(0))
        found.append(time.perf_counter() - started)
    return found[0], found[1]


def run(names: tuple[str, ...] = ("7B",)) -> list[str]:
    """Measure in fresh processes and return the table."""
    rows = []
    for name in names:
        shape = SHAPES[name]
        measured = {
            pair: fresh("benchmarks.claims.localisation", name, pair)
            for pair in ("related", "independent")
        }
        same, other = recipe_seconds(shape)  # last: a child counts its parent's peak as its own
        recipe = shape.blocks * same + shape.blocks * (shape.blocks - 1) * other
        for pair, found in measured.items():
            net = found["seconds"] - found["making"]
            share = 100 * found["bytes"] / found["total"]
            rows.append(
                (
                    f"{name}, {shape.blocks} blocks, {pair}",
                    f"{net:.0f} (+ {found['making']:.0f} making values)",
                    f"{found['bytes'] / 1e6:.0f} MB ({share:.1f} %)",
                    f"{found['memory'] / 1e6:.0f} MB",
                    f"{recipe / 3600:.1f} h ({same:.0f} and {other:.0f} s a pair)",
                    f"{recipe / net:.0f} x",
                    found["answer"],
                )
            )
    header = ("pair", "locate, seconds", "bytes read", "peak memory",
              "assignment on all block pairs, estimated", "ratio", "answer")  # fmt: skip
    notes = [
        "",
        "Values are made on the spot and never written; bytes are the pages a file would have"
        " given. The assignment is timed on one related and one unrelated pair of up matrices"
        " (cosine and LAP, whole) and multiplied by the number of pairs of either sort.",
    ]
    return markdown(header, rows) + notes


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
    else:
        print("\n".join(run(tuple(sys.argv[1:]) or ("7B",))))
