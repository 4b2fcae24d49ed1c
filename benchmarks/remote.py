"""Models on a hub against the same on disk: verdicts, bytes, requests; what each fault does."""

from __future__ import annotations

import json
import os
import resource
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ml_dtypes
import numpy as np
from tests.hub_server import Hub, serving

from benchmarks.big_models import LLAMA_7B, tensor_shapes
from benchmarks.tables import markdown
from weightkin import compare
from weightkin.errors import WeightkinError
from weightkin.weights import transfer

ZOO = Path(__file__).parents[1] / "zoo" / "models"
PAIRS = (("llama-a", "llama-a-ft3"), ("llama-a", "llama-b"), ("gpt-a", "gpt-a-long"),
         ("moe-a", "moe-a-ft1"), ("vit-a", "vit-b"))  # fmt: skip
PASSING = ("busy listing", "busy", "broken", "cut", "hangs up")  # happen twice
LASTING = ("busy", "broken", "cut", "long wait", "no ranges", "lies about place", "lies about size")
BLOCK = 1 << 16  # bytes of made-up weights that share one seed
NOISE = 0.2


def run() -> list[str]:
    """Tables: the zoo, the faults, and files of the 7B shape that are made up as they are read."""
    with hub_of_zoo() as hub:
        header = ("a", "b", "from disk", "from the hub", "MB of both files", "MB moved", "requests")
        zoo = markdown(header, [_pair(hub, a, b) for a, b in PAIRS])
        faults = markdown(
            ("fault", "times", "what `compare` says", "exit code", "kB moved", "requests"),
            [_fault(hub, x, 2) for x in PASSING] + [_fault(hub, x, 10**9) for x in LASTING],
        )
    big = markdown(
        ("pair of the 7B shape", "verdict", "kind", "GB of both", "MB moved", "requests",
         "seconds", "MB at the peak"), list(_big()),
    )  # fmt: skip
    return [*zoo, "", *faults, "", *big]


@contextmanager
def hub_of_zoo() -> Iterator[Hub]:
    """A hub on loopback that serves the zoo, and an environment that points to it alone."""
    with serving() as hub, tempfile.TemporaryDirectory() as home:
        before, wait = dict(os.environ), transfer.BACKOFF
        os.environ.update(HF_ENDPOINT=hub.address, HF_HOME=home, HF_HUB_OFFLINE="0")
        transfer.BACKOFF = 0.01
        hub.repositories = {f"zoo/{path.name}": path for path in ZOO.iterdir()}
        try:
            yield hub
        finally:
            transfer.BACKOFF = wait
            os.environ.clear()
            os.environ.update(before)


def _pair(hub: Hub, a: str, b: str) -> tuple[object, ...]:
    hub.sent, hub.requests = 0, []
    here, there = compare(ZOO / a, ZOO / b), compare(f"hf://zoo/{a}", f"hf://zoo/{b}")
    said = "the same" if here.tests == there.tests else there.sentence
    size = sum((ZOO / x / "model.safetensors").stat().st_size for x in (a, b))
    moved = f"{hub.sent / 1e6:.2f}"
    return a, b, here.sentence, said, f"{size / 1e6:.2f}", moved, len(hub.requests)


def _fault(hub: Hub, fault: str, times: int) -> tuple[object, ...]:
    hub.sent, hub.requests, hub.fault, hub.n_faults = 0, [], fault, times
    try:
        said, code = compare("hf://zoo/llama-a", "hf://zoo/llama-a-ft3").sentence, 0
    except WeightkinError as error:
        said, code = str(error).partition(": ")[2], error.exit_code
    hub.fault = ""
    words = str(times) if times < 10**9 else "always"
    return fault, words, said, code, f"{hub.sent / 1e3:.0f}", len(hub.requests)


def _big() -> Iterator[tuple[object, ...]]:
    with hub_of_zoo() as hub, tempfile.TemporaryDirectory() as folder:
        for name in ("base", "child", "stranger"):
            hub.repositories[f"big/{name}"] = _frame(Path(folder) / name)
        hub.content = _made_up
        size = 2 * (Path(folder) / "base" / "model.safetensors").stat().st_size
        for other, quick in (("child", True), ("child", False), ("stranger", False)):
            hub.sent, hub.requests = 0, []
            started = time.perf_counter()
            record = compare("hf://big/base", f"hf://big/{other}", quick=quick)
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            yield (
                f"base, {other}{' (--quick)' if quick else ''}",
                record.sentence,
                ", ".join(record.kind) or "-",
                f"{size / 1e9:.1f}",
                f"{hub.sent / 1e6:.0f}",
                len(hub.requests),
                f"{seconds:.0f}",
                f"{peak:.0f}",
            )


def _frame(folder: Path) -> Path:
    """A file of the 7B shape with a header and nothing behind it; a multiple of 8 bytes long."""
    folder.mkdir()
    shape, header, at = LLAMA_7B, {}, 0
    for name, dims in tensor_shapes(shape).items():
        size = 2 * int(np.prod(dims))
        header[name] = {"dtype": "BF16", "shape": dims, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + at)
    config = {"num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
              "hidden_size": shape.width, "num_hidden_layers": shape.blocks}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _made_up(path: Path, start: int, n: int) -> bytes:
    """Bytes of a file: its header as it is, then weights that follow from their position."""
    with path.open("rb") as file:
        base = 8 + int.from_bytes(file.read(8), "little") if path.suffix == ".safetensors" else n
        file.seek(start)
        if start + n <= base or path.suffix != ".safetensors":
            return file.read(n)
        head = file.read(max(0, base - start))
    begin, stop = max(start, base), start + n
    blocks = [_weights(path.parent.name, k) for k in range(begin // BLOCK, -(-stop // BLOCK))]
    first = begin // BLOCK * BLOCK
    return head + b"".join(blocks)[begin - first : stop - first]


def _weights(name: str, k: int) -> bytes:
    seed = 2 if name == "stranger" else 1
    x = np.random.default_rng([seed, k]).standard_normal(BLOCK // 2, dtype=np.float32)
    if name == "child":
        noise = np.random.default_rng([3, k]).standard_normal(BLOCK // 2, dtype=np.float32)
        x += np.float32(NOISE) * noise
    return (np.float32(0.02) * x).astype(ml_dtypes.bfloat16).tobytes()


if __name__ == "__main__":
    print("\n".join(run()))
