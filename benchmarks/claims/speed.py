"""Speed, bytes and memory against the first paper's recipe, as ratios within one run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.lib.big_models import LLAMA_1B, Shape, write_model
from benchmarks.lib.tables import markdown
from weightkin.api.compare import compare
from weightkin.formats import open_model
from weightkin.stats.published import fisher, match, spearman

SCRIPT = """
import sys
from pathlib import Path
from weightkin.api.compare import compare
compare(sys.argv[1], sys.argv[2], effort=sys.argv[3])
status = Path("/proc/self/status").read_text()  # rusage would count the parent before exec
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """One way of answering: seconds, bytes read, what it said."""

    pair: str
    way: str
    seconds: float
    bytes_read: int
    answer: str


def recipe(a: Path, b: Path, shape: Shape) -> tuple[float, float]:
    """The first paper's phi_U on every block: cosine, LAP, Spearman, Fisher. Seconds, log10 p."""
    started = time.perf_counter()
    model_a, model_b = open_model(a), open_model(b)
    rng = np.random.default_rng(0)
    logs = []
    for i in range(shape.blocks):
        name = f"model.layers.{i}.mlp.up_proj.weight"
        matched = match(model_a.rows(name), model_b.rows(name), rng)
        logs.append(spearman(matched, np.arange(len(matched)))[1])
    return time.perf_counter() - started, fisher(logs)


def measure(folder: Path, shape: Shape = LLAMA_1B) -> tuple[list[Timing], dict[str, int]]:
    """Time every way on a related and on an independent pair; peak memory in a fresh process."""
    base = write_model(folder / "base", shape, seed=1)
    child = write_model(folder / "child", shape, seed=1, noise_seed=2, noise=0.3)
    stranger = write_model(folder / "stranger", shape, seed=3)
    timings, memory = [], {}
    for pair, other in (("related", child), ("independent", stranger)):
        for way, effort in (("compare", "standard"), ("compare --effort quick", "quick")):
            started = time.perf_counter()
            record = compare(base, other, effort=effort)
            seconds = time.perf_counter() - started
            timings.append(Timing(pair, way, seconds, record.bytes_read, record.sentence))
            memory[f"{pair}, {way}"] = _peak(base, other, effort)
        seconds, log10_p = recipe(base, other, shape)
        n_bytes = 2 * 2 * shape.blocks * shape.hidden * shape.width
        timings.append(
            Timing(pair, "the paper's recipe", seconds, n_bytes, f"log10 p {log10_p:.1f}")
        )
    return timings, memory


def lines(timings: list[Timing], memory: dict[str, int], total_bytes: int) -> list[str]:
    """The table of the section; seconds are given for scale, the ratio is the claim."""
    recipes = {t.pair: t.seconds for t in timings if t.way == "the paper's recipe"}
    rows = [
        (
            t.pair,
            t.way,
            f"{t.seconds:.2f}",
            f"{recipes[t.pair] / t.seconds:.0f} x",
            f"{t.bytes_read / 1e6:.1f} MB ({100 * t.bytes_read / total_bytes:.2f} %)",
            f"{memory[key] / 1e6:.0f} MB" if (key := f"{t.pair}, {t.way}") in memory else "-",
            t.answer,
        )
        for t in timings
    ]
    header = ("pair", "way", "seconds", "recipe / this", "bytes read", "peak memory", "answer")
    return markdown(header, rows)


def run() -> list[str]:
    """Make the models, measure, return the table."""
    with tempfile.TemporaryDirectory() as name:
        timings, memory = measure(Path(name))
        total = 2 * (Path(name) / "base" / "model.safetensors").stat().st_size
    return lines(timings, memory, total)


def _peak(a: Path, b: Path, way: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(a), str(b), way],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    return int(found.stdout)


if __name__ == "__main__":
    print("\n".join(run()))
