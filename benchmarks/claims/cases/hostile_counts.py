"""Small files that state or repeat more than they hold."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.claims.cases import Case
from benchmarks.claims.cases.hostile_files import (
    entry,
    gguf_counts,
    header_file,
    judged,
    small_model,
    torch_program,
)

TITLE = "Hostile files: counts"
_KEY = struct.pack("<Q", 20) + b"general.architecture"


def _number(n: int) -> bytes:
    found = b""
    while n > 127:
        found, n = found + bytes([n & 127 | 128]), n >> 7
    return found + bytes([n])


def _field(number: int, data: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(data)) + data


_TENSOR = _field(5, b"\x08\x04\x08\x04\x10\x01" + _field(8, b"w") + _field(9, bytes(64)))


def _onnx(graph: bytes, folder: Path) -> list[object]:
    (folder / "x.onnx").write_bytes(_field(7, graph))
    return ["show", folder / "x.onnx"]


def _aliases(folder: Path) -> list[object]:
    names = (f"a.{i}".encode() for i in range(50_000))
    nodes = (_field(1, _field(1, b"w") + _field(2, x) + _field(4, b"Identity")) for x in names)
    return _onnx(_TENSOR + b"".join(nodes), folder)


def _nested(folder: Path) -> list[object]:
    graph = b""
    for _ in range(3000):
        graph = _field(1, _field(5, _field(1, b"g") + _field(6, graph)))
    return _onnx(graph + _TENSOR, folder)


def _dicts(folder: Path) -> list[object]:
    header = b'{"a":[' + b"{}," * 12_000_000 + b"{}]}"
    return ["show", header_file(folder / "x.safetensors", header)]


def _empty(folder: Path) -> list[object]:
    names = (f"model.layers.{i}.mlp.up_proj.weight" for i in range(100_000))
    header = dict.fromkeys(names, entry([0, 4], 0, 0)) | {"w.weight": entry([8, 8], 0, 256)}
    return ["show", header_file(folder / "x.safetensors", header, 256)]


def _sketch(command: str, folder: Path) -> list[object]:
    """A sketch that claims a matrix of many more rows than it holds runs of."""
    from weightkin.sketch import take_sketch
    from weightkin.sketch.file import write_sketch
    from weightkin.sketch.source import open_model

    path = folder / "x.sketch.safetensors"
    model = small_model(folder / "m")
    write_sketch(take_sketch(open_model(model)), path)
    raw = path.read_bytes()
    n = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + n])
    tensors = json.loads(header["__metadata__"]["tensors"])
    tensors[0]["shape"][0] = 1 << 31
    header["__metadata__"]["tensors"] = json.dumps(tensors)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + n :])
    return [command, path, *(["--deny", model] if command == "check" else [])]


def _export(folder: Path) -> list[object]:
    """An exported registry of 1 MB whose list of models is a text of 1 GB."""
    with (
        zipfile.ZipFile(folder / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("models.json", "w", force_zip64=True) as file,
    ):
        file.write(b'{"schema":"weightkin/registry-export/1","models":[')
        for _ in range(330):
            file.write(b"[]," * 1_000_000)
        file.write(b"{}]}")
    return ["import", folder / "e.zip", "--registry", folder / "r.sqlite"]


def _deep(folder: Path) -> list[object]:
    path = small_model(folder / "m")
    (path / "config.json").write_text('{"x":' + "[" * 900 + "]" * 900 + "}")
    return ["check", path, "--deny", small_model(folder / "other", 1)]


FILES: dict[str, tuple[Callable[[Path], list[object]], tuple[int, ...]]] = {
    "a list that holds itself a thousand times": (
        lambda f: torch_program(
            f, b"]q\x00(NNNNe" + b"(h\x00h\x00h\x00h\x00e" * 1000), (3,)),
    "300,000 entries in a torch file": (
        lambda f: torch_program(f, b"}" + b"".join(
            b"X\x05\x00\x00\x00%05dK\x01s" % (i % 99_999) for i in range(300_000))), (3,)),
    "a header of 12 million dicts": (_dicts, (3,)),
    "100,000 tensors without elements": (_empty, (3,)),
    "2^60 tensors in a GGUF header": (partial(gguf_counts, 1 << 60, 0, b""), (3,)),
    "a text of 2^63 bytes in a GGUF header": (
        partial(gguf_counts, 0, 1, struct.pack("<Q", 1 << 63)), (3,)),
    "a number for the name of an architecture": (
        partial(gguf_counts, 0, 1, _KEY + struct.pack("<II", 4, 7)), (3,)),
    "8 million nodes in an ONNX graph": (partial(_onnx, b"\x0a\x00" * 8_000_000), (3,)),
    "8 million initialisers in an ONNX graph": (partial(_onnx, b"\x2a\x00" * 8_000_000), (3,)),
    "50,000 names of one initialiser": (_aliases, (0, 2, 3)),
    "3,000 ONNX graphs, each inside the next": (_nested, (0, 2, 3)),
    "a sketch of 2^31 rows, shown": (partial(_sketch, "show"), (0, 2, 3)),
    "a sketch of 2^31 rows, checked": (partial(_sketch, "check"), (2, 3)),
    "an exported registry of 1 MB that holds 1 GB": (_export, (3,)),
    "a config of 900 lists, each inside the next": (_deep, (2,)),
}  # fmt: skip
CASES = tuple(
    Case(name, "bounded, one line", "", partial(judged, make, codes))
    for name, (make, codes) in FILES.items()
)
