"""Model folders as values: read one, write one whole, name its bytes by a digest."""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]
WEIGHTS, CONFIG = "model.safetensors", "config.json"
DTYPES = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A configuration, named tensors in file order, and what a derivation says about itself."""

    config: dict[str, Any]
    tensors: Tensors
    details: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=lambda: {"format": "pt"})


def read_folder(path: Path) -> Folder:
    """Read a model folder with one weights file."""
    config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    return Folder(config=config, tensors=read_tensors(path / WEIGHTS))


def read_tensors(path: Path) -> Tensors:
    """All tensors of a safetensors file, sorted by name."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(header.items()):
        begin, end = (start + offset for offset in entry["data_offsets"])
        flat = np.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def encode(folder: Folder) -> bytes:
    """Return the bytes of a safetensors file, a function of the folder alone.

    Written here rather than by the `safetensors` package, whose header may change between
    releases; digests must not.
    """
    header: dict[str, Any] = {"__metadata__": folder.metadata}
    offset = 0
    for name, x in folder.tensors.items():
        entry = {"dtype": NAMES[x.dtype], "shape": list(x.shape)}
        header[name] = entry | {"data_offsets": [offset, offset + x.nbytes]}
        offset += x.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(np.ascontiguousarray(x).tobytes() for x in folder.tensors.values())
    return len(text).to_bytes(8, "little") + text + body


def write_folder(folder: Folder, path: Path) -> None:
    """Write a folder under a temporary name, then move it into place."""
    draft = path.with_name(f".{path.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / WEIGHTS).write_bytes(encode(folder))
    text = json.dumps(folder.config, indent=2) + "\n"
    (draft / CONFIG).write_text(text, encoding="utf-8", newline="\n")
    shutil.rmtree(path, ignore_errors=True)
    draft.rename(path)


def digests(path: Path) -> dict[str, str]:
    """SHA-256 of the weights and of the configuration; empty where a file is missing."""
    files = {"digest": path / WEIGHTS, "config_digest": path / CONFIG}
    if not all(file.is_file() for file in files.values()):
        return {}
    return {key: hashlib.sha256(file.read_bytes()).hexdigest() for key, file in files.items()}
