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
import numpy.typing as npt
from tests.hub_server import Hub, serving

from benchmarks.lib.big_models import LLAMA_7B, tensor_shapes
from benchmarks.lib.tables import markdown
from weightkin import compare
from weightkin.errors import WeightkinError
from weightkin.sources import transfer
from weightkin.sources.local import LocalFile

ZOO = Path(__file__).parents[2] / "zoo" / "models"
PAIRS = (("llama-a", "llama-a-ft3"), ("llama-a", "llama-b"), ("gpt-a", "gpt-a-long"),
         ("moe-a", "moe-a-ft1"), ("vit-a", "vit-b"),
         ("llama-a-ft1", "llama-a+llama-a-lora4-adapter"))  # fmt: skip
FAULTS = {  # what the server does: what that is called
    "busy listing": "429 for the listing",
    "busy": "429 for a range",
    "broken": "503 for a range",
    "cut": "half of a range, then closed",
    "hangs up": "closed without an answer",
    "slow": "nothing for 1.5 s, where 1 s is waited",
}
LASTING = {
    "busy": "429 for a range",
    "cut": "half of a range, then closed",
    "slow": "nothing for 1.5 s, where 1 s is waited",
    "long wait": "429, to be asked again in a day",
    "no ranges": "the whole file in place of a range",
    "lies about place": "another range than asked for",
    "lies about size": "another size than at first",
}
OUT_OF_REACH = {  # source: why
    "hf://zoo/nothing": "404: no such model",
    "hf://zoo/llama-a@v9": "404: no such revision",
    "hf://zoo/llama-a:none.gguf": "no such file in it",
    "hf://zoo/private": "401: needs a token",
    "hf://zoo/gated": "403: its terms are not accepted",
    "hf://zoo/llama-a-lora4-adapter": "an adapter without its base",
    "hf://zoo/offline": "HF_HUB_OFFLINE=1, not in the cache",
}
BLOCK = 1 << 16  # bytes of made-up weights that share one seed
NOISE = 0.2
MANY = 10**9


def run() -> list[str]:
    """Tables: the zoo, the faults, and files of the 7B shape that are made up as they are read."""
    with hub_of_zoo() as hub:
        header = ("a", "b", "from disk", "from the hub", "MB of both files", "MB moved", "requests")
        zoo = markdown(header, [_pair(hub, a, b) for a, b in PAIRS])
        head = ("fault", "times", "what `compare` prints", "exit code", "kB moved", "requests")
        faults = [_fault(hub, key, words, 2) for key, words in FAULTS.items()]
        faults += [_fault(hub, key, words, MANY) for key, words in LASTING.items()]
        head_absent = ("source", "why", "what `compare` prints", "exit code", "requests")
        absent = [_absent(hub, source, why) for source, why in OUT_OF_REACH.items()]
    big = markdown(
        ("pair of the 7B shape", "from disk", "from the hub", "kind (on disk)", "GB of both",
         "MB read from disk", "MB moved", "requests", "seconds",
         "MB at the peak, server included"), list(_big()),
    )  # fmt: skip
    return [
        *("Models of the zoo, on a server that speaks the hub's protocol:", "", *zoo, ""),
        *("What goes wrong, and what is said then (nothing is said twice):", ""),
        *(*markdown(head, faults), ""),
        *("What cannot be had at all:", "", *markdown(head_absent, absent), ""),
        *("Files of 13.5 GB each, made up as they are read; `--effort quick` reads hidden units",
          "only, and for unrelated models the blind tests that were left out are in `skipped`:",
          "", *big),
    ]  # fmt: skip


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
    here = compare(*("+".join(str(ZOO / part) for part in x.split("+")) for x in (a, b)), seed=0)
    there = compare(
        *("+".join(f"hf://zoo/{part}" for part in x.split("+")) for x in (a, b)), seed=0
    )
    said = "the same" if here.tests == there.tests else there.sentence
    names = {part for x in (a, b) for part in x.split("+")}
    size = sum(path.stat().st_size for name in names for path in (ZOO / name).glob("*.safetensors"))
    moved = f"{hub.sent / 1e6:.2f}"
    return a, b, here.sentence, said, f"{size / 1e6:.2f}", moved, len(hub.requests)


def _said(a: str, b: str) -> tuple[str, int]:
    """The line that the command prints, and its exit code."""
    try:
        return compare(a, b, seed=0).sentence, 0
    except WeightkinError as error:
        return f"weightkin: {error}", error.exit_code


def _fault(hub: Hub, fault: str, words: str, times: int) -> tuple[object, ...]:
    hub.sent, hub.requests, hub.fault, hub.n_faults = 0, [], fault, times
    os.environ["HF_HUB_DOWNLOAD_TIMEOUT"] = "1" if fault == "slow" else "30"
    said, code = _said("hf://zoo/llama-a", "hf://zoo/llama-a-ft3")
    hub.fault = ""
    often = str(times) if times < MANY else "always"
    return words, often, said, code, f"{hub.sent / 1e3:.0f}", len(hub.requests)


def _absent(hub: Hub, source: str, why: str) -> tuple[object, ...]:
    hub.requests = []
    hub.repositories |= {f"zoo/{x}": ZOO / "llama-b" for x in ("private", "gated")}
    hub.private, hub.gated = {"zoo/private": "a token"}, {"zoo/gated"}
    os.environ["HF_HUB_OFFLINE"] = "1" if source.endswith("offline") else "0"
    said, code = _said(source, str(ZOO / "llama-a"))
    said = said.replace(os.environ["HF_HOME"], "$HF_HOME")
    return source, why, said, code, len(hub.requests)


def _big() -> Iterator[tuple[object, ...]]:
    with hub_of_zoo() as hub, tempfile.TemporaryDirectory() as folder:
        for name in ("base", "child", "stranger"):
            hub.repositories[f"big/{name}"] = frame(Path(folder) / name)
        hub.content = made_up
        size = 2 * (Path(folder) / "base" / "model.safetensors").stat().st_size
        done = []
        for other, effort in (("child", "quick"), ("child", "standard"), ("stranger", "standard")):
            hub.sent, hub.requests = 0, []
            started = time.perf_counter()
            record = compare("hf://big/base", f"hf://big/{other}", effort=effort, seed=0)
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            done.append((other, effort, record, hub.sent, len(hub.requests), seconds, peak))
        for other, effort, record, n_sent, n_requests, seconds, peak in done:
            with _on_disk():
                here = compare(Path(folder) / "base", Path(folder) / other, effort=effort, seed=0)
            kinds = [", ".join(x.kind) or "none" for x in (record, here)]
            yield (
                f"base, {other}{' (--effort quick)' if effort == 'quick' else ''}",
                here.sentence,
                "the same" if record.sentence == here.sentence else record.sentence,
                f"{kinds[0]} ({'the same' if kinds[0] == kinds[1] else kinds[1]})",
                f"{size / 1e9:.1f}",
                f"{here.bytes_read / 1e6:.0f}",
                f"{n_sent / 1e6:.0f}",
                n_requests,
                f"{seconds:.0f}",
                f"{peak:.0f}",
            )


@contextmanager
def _on_disk() -> Iterator[None]:
    """Local files whose bytes are made up as they are read."""
    fill = LocalFile._fill

    def make_up(file: LocalFile, _handle: object, start: int, block: npt.NDArray[np.uint8]) -> None:
        block[:] = np.frombuffer(made_up(file.path, start, len(block)), dtype=np.uint8)
        file.pages.touch(start, start + len(block))

    LocalFile._fill = make_up
    try:
        yield
    finally:
        LocalFile._fill = fill


def frame(folder: Path) -> Path:
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


def made_up(path: Path, start: int, n: int) -> bytes:
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
