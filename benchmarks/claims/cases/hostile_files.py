"""Small files that cost 0.1.0 seconds, gigabytes or its life, and files that are none."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.claims.cases import Answer, Case

TITLE = "Hostile files"
SECONDS, MEGABYTES = 10, 512  # of processor time, and beyond the size of the files
ZOO = Path(__file__).parents[3] / "zoo" / "models"
PATIENCE = 300  # seconds by the clock
LIMIT = 8 << 30  # bytes of address space
# A process begins with the peak of memory of whoever forked it, so a small one stands between.
MEASURE = """
import os, resource, signal, sys
to, seconds, size, patience, *command = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_AS, (int(size),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(seconds),) * 2)
child = os.fork()
if not child:
    signal.alarm(int(patience))  # for what waits and costs nothing
    os.execv(command[0], command)
_, status, usage = os.wait4(child, 0)
with open(to, "w") as file:
    print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss,
          file=file)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one command left and cost."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float

    @property
    def said(self) -> str:
        """The line that tells most."""
        lines = (self.err or self.out).strip().splitlines() or ["nothing said"]
        return next((line for line in lines if "unverifiable:" in line), lines[-1]).strip()


def _run(folder: Path, *args: object) -> Run:
    """Run a command under limits; what it cost is that of its own process alone."""
    out, err = folder / "stdout", folder / "stderr"
    environ = dict(os.environ, HF_HUB_OFFLINE="1", XDG_DATA_HOME=str(folder / "data"),
                   XDG_CACHE_HOME=str(folder / "cache"), OMP_NUM_THREADS="1")  # fmt: skip
    with out.open("wb") as to_out, err.open("wb") as to_err:
        cost = folder / "cost"
        subprocess.run(
            [sys.executable, "-S", "-c", MEASURE, cost, str(4 * SECONDS), str(LIMIT), str(PATIENCE),
             sys.executable, "-m", "weightkin", *map(str, args)],
            stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err, env=environ, check=True,
        )  # fmt: skip
    said = [path.read_text("utf-8", "replace") for path in (out, err)]
    code, seconds, kilobytes = cost.read_text().split()
    return Run(int(code), *said, float(seconds), int(kilobytes) / 1024)


def _size(folder: Path) -> float:
    """Megabytes of a folder that exist on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) / (1 << 20)


def judged(make: Callable[[Path], list[object]], codes: tuple[int, ...], folder: Path) -> Answer:
    """Right: an exit code that fits, one line, and bounded time and memory."""
    args = make(folder)
    run = _run(folder, *args)
    is_right = (
        run.code in codes
        and "Traceback" not in run.err
        and (run.code in (0, 1, 2) or len(run.err.strip().splitlines()) == 1)
        and run.seconds <= SECONDS
        and run.megabytes <= MEGABYTES + _size(folder)
    )
    said = run.said.replace(str(folder), "").removeprefix("weightkin: ")[:150]
    return Answer(is_right, f"exit {run.code}: {said}")


def header_file(path: Path, header: object, n_bytes: int = 0) -> Path:
    """A header, as it is or as JSON, and zeros that exist on no disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + n_bytes)
    return path


def entry(shape: list[int], at: int, n_bytes: int) -> dict[str, object]:
    """A tensor of a header."""
    return {"dtype": "F32", "shape": shape, "data_offsets": [at, at + n_bytes]}


def torch_program(folder: Path, program: bytes) -> list[object]:
    """A torch file of any instructions, shown."""
    with zipfile.ZipFile(folder / "x.bin", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + program + b".")
        archive.writestr("x/byteorder", "little")
    return ["show", folder / "x.bin"]


def _long_sizes(folder: Path) -> list[object]:
    """A file as before torch 1.6, in which a storage has a number of elements of 2,000 bytes."""
    import torch

    path = folder / "x.bin"
    torch.save({"w": torch.ones(8)}, path, _use_new_zipfile_serialization=False)
    at = (raw := path.read_bytes()).index(b"K\x08", raw.index(b"cpu"))
    number = b"\x8b" + struct.pack("<i", 2000) + b"\x7f" * 2000
    path.write_bytes(raw[:at] + number + raw[at + 2 :])
    return ["show", path]


def _lists(folder: Path) -> list[object]:
    header = b'{"a":[' + b"[]," * 12_000_000 + b"[]]}"
    return ["show", header_file(folder / "x.safetensors", header)]


def _marks(folder: Path) -> list[object]:
    header = {f"a{i}.qweight": entry([0], 0, 0) for i in range(20_000)}
    header["w.weight"] = entry([8, 8], 0, 256)
    return ["show", header_file(folder / "x.safetensors", header, 256)]


def _deep_stack(folder: Path) -> list[object]:
    header, at = {}, 0
    for i in range(3000):
        for part, shape in (("up", [8, 4]), ("down", [4, 8]), ("gate", [8, 4])):
            header[f"model.layers.{i}.mlp.{part}_proj.weight"] = entry(shape, at, 128)
            at += 128
    path = header_file(folder / "x.safetensors", header, at)
    return ["compare", path, path]


def _sparse(folder: Path) -> list[object]:
    width = 1 << 27
    header = {
        f"model.layers.{i}.mlp.{part}_proj.weight": entry(
            [64, width], (2 * i + j) * 256 * width, 256 * width
        )
        for i in range(8)
        for j, part in enumerate(("up", "gate"))
    }
    path = header_file(folder / "x.safetensors", header, 16 * 256 * width)
    return ["compare", path, path]


def gguf_counts(n_tensors: int, n_facts: int, body: bytes, folder: Path) -> list[object]:
    """A GGUF file that claims any number of things, shown."""
    with (folder / "x.gguf").open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_facts) + body)
        file.truncate(1 << 28)
    return ["show", folder / "x.gguf"]


def _index(folder: Path) -> list[object]:
    shards = ",".join(f'"t{i}":"s{i}.safetensors"' for i in range(1_000_000))
    (folder / "m").mkdir()
    text = f'{{"weight_map":{{{shards}}}}}'
    (folder / "m" / "model.safetensors.index.json").write_text(text)
    return ["show", folder / "m"]


def small_model(folder: Path, seed: int = 0) -> Path:
    """Four matrices in a folder."""
    rng = np.random.default_rng(seed)
    names = [f"model.layers.{i}.mlp.{x}_proj.weight" for i in range(2) for x in ("up", "gate")]
    arrays = {name: rng.standard_normal((32, 16)).astype(np.float32) for name in names}
    folder.mkdir()
    save_file(arrays, folder / "model.safetensors")
    return folder


def _config(text: str, folder: Path) -> list[object]:
    path = small_model(folder / "m")
    (path / "config.json").write_text(text)
    return ["add", path, "--registry", folder / "r.sqlite"]


def _rank(folder: Path) -> list[object]:
    base, adapter, rank = small_model(folder / "base"), folder / "adapter", 500_000
    name = "base_model.model.model.layers.0.mlp.up_proj"
    header = {
        f"{name}.lora_A.weight": entry([rank, 16], 0, 64 * rank),
        f"{name}.lora_B.weight": entry([32, rank], 64 * rank, 128 * rank),
    }
    header_file(adapter / "adapter_model.safetensors", header, 192 * rank)
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "lora_alpha": 1}')
    return ["show", f"{base}+{adapter}"]


def _checked(name: str, kind: str, folder: Path) -> list[object]:
    """A model with a pipe, or a link that leads outside, as one of its small files."""
    model = folder / "m"
    shutil.copytree(ZOO / "gpt-b", model)
    (model / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(model / name)
    elif kind == "link":
        (folder / "secret").write_text("---\nlicense: mit\n---\n")
        (model / name).symlink_to(folder / "secret")
    return ["check", model, "--deny", ZOO / "gpt-a"]


def _opened(name: str, folder: Path) -> list[object]:
    """A pipe in the place of a file of weights."""
    (folder / "m").mkdir()
    os.mkfifo(folder / "m" / name)
    return ["show", folder / "m"]


def _half_pairs(command: str, folder: Path) -> list[object]:
    """A folder with a name that is no text, whose config and card hold half surrogate pairs."""
    odd = os.fsdecode(os.fsencode(folder / "m") + b"\xff\xed\xa0\x80")
    path = small_model(Path(odd) if command == "show" else folder / "m")
    (path / "config.json").write_text('{"model_type": "\\ud800", "_name_or_path": "a\\udfff"}')
    card = '---\nlicense: "\\ud800"\nbase_model: "x\\udc00"\n---\n'
    (path / "README.md").write_text(card)
    registry = ["--registry", folder / "r.sqlite"]
    if command == "check":
        _run(folder, "add", small_model(folder / "other", 1), *registry)
    return [command, path, *(["--json"] if command == "show" else registry)]


_KEY = struct.pack("<Q", 1) + b"a"
FILES: dict[str, tuple[Callable[[Path], list[object]], tuple[int, ...], str]] = {
    "500 shapes of a million sizes in a torch file": (
        lambda f: torch_program(f, b"]q\x00(" + b"N" * 1_000_000 + b"e0ctorch\nSize\nq\x010"
                         + b"h\x01h\x00\x85R" * 500), (3,), "over 60 s, 1 GB"),
    "4.9 million dicts in a torch file": (
        lambda f: torch_program(f, b"}" * 4_900_000), (3,), "exit 3, the folder blamed"),
    "a whole number of 2,000 bytes in a torch file": (_long_sizes, (3,), "exit 1, ValueError"),
    "a header of 12 million lists": (_lists, (3,), "1 GB"),
    "20,000 names of packed layers": (_marks, (3,), "over 90 s"),
    "a stack of 3,000 blocks": (_deep_stack, (0, 2), "1 GB (at 8,000: exit 1, MemoryError)"),
    "550 GB that exist on no disk": (_sparse, (3,), "over 60 s"),
    "16 million texts in a GGUF header": (
        partial(gguf_counts, 0, 2, _KEY + struct.pack("<IIQ", 9, 8, 1 << 24)), (3,), "over 90 s"),
    "16 million tensors in a GGUF header": (
        partial(gguf_counts, 1 << 24, 1, struct.pack("<Q", 20) + b"general.architecture"
                + struct.pack("<IQ", 8, 5) + b"llama"), (3,), "over 90 s"),
    "an index of a million files": (_index, (3,), "over 60 s, 600 MB"),
    "a config of numbers without end": (
        partial(_config, '{"num_attention_heads": 1e999, "head_dim": NaN, "x": 1'
                + "0" * 400 + "}"), (0,), "added"),
    "an adapter of rank 500,000": (_rank, (3,), "over 60 s"),
    "neither a pipe nor a link": (partial(_checked, "README.md", ""), (0,), "passed"),
    "README.md is a pipe": (partial(_checked, "README.md", "pipe"), (2,), "waits for ever"),
    "config.json is a pipe": (partial(_checked, "config.json", "pipe"), (2,), "passed"),
    "adapter_config.json is a pipe": (
        partial(_checked, "adapter_config.json", "pipe"), (2,), "waits for ever"),
    "README.md leads outside": (partial(_checked, "README.md", "link"), (2,), "passed"),
    "config.json leads outside": (partial(_checked, "config.json", "link"), (2,), "passed"),
    "weights are a pipe": (partial(_opened, "model.safetensors"), (3,), "exit 3"),
    "an index is a pipe": (partial(_opened, "model.safetensors.index.json"), (3,), "exit 3"),
    "half surrogate pairs in names, shown": (partial(_half_pairs, "show"), (0,), "JSON"),
    "half surrogate pairs in names, added": (partial(_half_pairs, "add"), (0,), "added"),
    "half surrogate pairs in names, checked": (partial(_half_pairs, "check"), (0, 1, 2),
        "exit 1, UnicodeEncodeError"),
}  # fmt: skip
CASES = tuple(
    Case(name, "bounded, one line", before, partial(judged, make, codes))
    for name, (make, codes, before) in FILES.items()
)
