"""Files written byte by byte: valid ones that no library writes, and hostile ones."""

import json
import struct
import zipfile
from pathlib import Path

import pytest

from weightkin.errors import UnreadableModel
from weightkin.formats import open_model


def refusal(source) -> str:
    """Message with which a source is refused: one printable line of bounded length."""
    with pytest.raises(UnreadableModel) as caught:
        open_model(source)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1000
    assert all(message.partition(": ")[::2])  # the thing, and what is wrong with it
    assert "found" not in message.partition(": ")[2]  # a sentence, no template
    return message


def safetensors(path: Path, header, data: bytes = b"") -> Path:
    """Write a header, as it is or as JSON, and data behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype: str, shape: list, begin: int, end: int) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def index(folder: Path, weight_map, name: str = "model.safetensors.index.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return path


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def sequence(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def name(module: str, attribute: str) -> bytes:
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + sequence(*arguments) + b"R"


def tensor(
    key="0", *, n=6, offset=0, shape=(2, 3), strides=(3, 1), storage="FloatStorage"
) -> bytes:
    """Instructions for one tensor, as torch writes them."""
    stored = sequence(text("storage"), name("torch", storage), text(key), text("cpu"), integer(n))
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        stored + b"Q",
        integer(offset),
        sequence(*map(integer, shape)),
        sequence(*map(integer, strides)),
        b"\x89",
        call(name("collections", "OrderedDict")),
    )


def mapping(items: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def torch_file(
    path: Path,
    pickled: bytes,
    storages: dict[str, bytes] | None = None,
    *,
    byteorder: bytes = b"little",
    compression: int = zipfile.ZIP_STORED,
    more: dict[str, bytes] | None = None,
) -> Path:
    """Write a torch file of a given pickle; storage "0" holds the floats 0 to 5 by default."""
    if storages is None:
        storages = {"0": struct.pack("<6f", *range(6))}
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", byteorder)
        for key, raw in storages.items():
            archive.writestr(f"archive/data/{key}", raw)
        for entry_name, raw in (more or {}).items():
            archive.writestr(entry_name, raw)
    return path
