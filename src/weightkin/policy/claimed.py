"""Files that another file names, or that list others: what they are in themselves."""

from __future__ import annotations

from pathlib import Path

from weightkin.errors import UnreadableModel
from weightkin.formats.safetensors_file import MAX_HEADER, read_json
from weightkin.formats.shards import SUFFIXES
from weightkin.sources.files import LocalFile

MODEL_SUFFIXES = (".safetensors", ".gguf")
TORCH = (".bin", ".pt", ".pth", ".ckpt")
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
WEIGHTS_MAGIC = (b"GGUF", b"PK\x03\x04", b"\x89HDF\r\n", LEGACY)


def is_own_model(path: Path) -> bool:
    """Whether a file is a model by its suffix or its first bytes, whoever else names it.

    Bytes of tensors alone, as they lie beside an ONNX graph, begin with anything.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(16)
    is_pickle = suffix in TORCH and head.startswith(b"\x80")
    is_header = 0 < int.from_bytes(head[:8], "little") < 1 << 32 and head[8:9] == b"{"
    return suffix in MODEL_SUFFIXES or is_pickle or is_header or head.startswith(WEIGHTS_MAGIC)


def lists_weights(path: Path) -> bool:
    """Whether a file named as an index is one of weights, by its name or by what it holds.

    What cannot be read is taken for one.
    """
    if any(f"{suffix}." in path.name.lower() for suffix in SUFFIXES):
        return True
    try:
        file = LocalFile(path)
        return file.size > MAX_HEADER or "weight_map" in read_json(file, "index", 0, file.size)
    except UnreadableModel:
        return True
