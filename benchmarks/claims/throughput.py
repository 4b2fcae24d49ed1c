"""What one model costs a registry, by its size: CPU, bytes, requests, and what is kept of it.

`python -m benchmarks.claims.throughput` prints it. The numbers of docs/scale.md rest on these.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.claims.remote import ZOO, frame, hub_of_zoo, made_up
from benchmarks.lib.big_models import LLAMA_1B, write_model
from benchmarks.lib.tables import markdown
from weightkin import Registry
from weightkin.registry.prepared import prepare
from weightkin.sketch.file import sketch_bytes

SEED = 20240607


def run() -> list[str]:
    """One row for each size, from disk and from a hub on loopback; then what keeping costs."""
    rows = []
    with tempfile.TemporaryDirectory() as name, hub_of_zoo() as hub:
        folder = Path(name)
        big = write_model(folder / "big", LLAMA_1B, seed=SEED)
        rows.append(_row("zoo, 2.8 MB", str(ZOO / "llama-a"), "-", "-"))
        rows.append(_row("1.1B shape, 2.2 GB", str(big), "-", "-"))
        hub.repositories["big/one"] = big
        hub.repositories["big/seven"] = frame(folder / "seven")
        for said, source in (
            ("zoo, from a hub", "hf://zoo/llama-a"),
            ("1.1B shape, from a hub", "hf://big/one"),
            ("7B shape, 13.5 GB, from a hub", "hf://big/seven"),
        ):
            if "seven" in source:
                hub.content = made_up
            hub.sent, hub.requests = 0, []
            row = _row(said, source, "", "")
            rows.append((*row[:3], f"{hub.sent / 1e6:.1f}", len(hub.requests), row[5]))
        sources = [ZOO / x for x in ("llama-a", "llama-b", "gpt-a", "gpt-b", "moe-a", "vit-a")]
        started = time.process_time()
        Registry(folder / "r.sqlite").add(sources)
        cpu = (time.process_time() - started) / len(sources)
    header = (
        *("model", "CPU seconds", "MB read or touched", "MB moved", "requests"),
        "MB of the sketch",
    )
    return [*markdown(header, rows), "", f"Adding one model of the zoo, kept: {cpu:.2f} CPU s."]


def _row(said: str, source: str, moved: str, requests: str) -> tuple[object, ...]:
    started = time.process_time()
    found = prepare(source)
    cpu = time.process_time() - started
    size = len(sketch_bytes(found.sketch)) / 1e6
    read = f"{found.sketch.bytes_read / 1e6:.1f}"
    return said, f"{cpu:.2f}", read, moved, requests, f"{size:.2f}"


if __name__ == "__main__":
    print("\n".join(run()))
