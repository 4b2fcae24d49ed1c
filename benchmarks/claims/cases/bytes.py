"""Bytes that nobody accounts for: in files that are opened, in what no test reached, in forms."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.claims.cases import Case
from benchmarks.claims.cases.gate import NAMED, PASSED, Arrays, arrays_of, beside, write

TITLE = "The gate: bytes"
TAKEN = "hit, exit 1 (codes taken for weights)"
EMBEDDING = "model.embed_tokens.weight"


def _flat(arrays: Arrays) -> np.ndarray:
    return np.concatenate([x.ravel() for x in arrays.values()]).astype(np.float32)


def _much(arrays: Arrays) -> bytes:
    """The values of a model, as long as those of a larger one."""
    flat = _flat(arrays)
    rng = np.random.default_rng(7)
    return b"".join(
        (flat * rng.standard_normal(len(flat)).astype("f4")).tobytes() for _ in range(50)
    )


def _strided(folder: Path, _: bytes, denied: Arrays) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    held = torch.from_numpy(np.frombuffer(_much(denied), np.float32).copy())
    state = {name: torch.from_numpy(value) for name, value in arrays_of(2).items()}
    torch.save({**state, "range": held[:: len(held) - 1]}, folder / "pytorch_model.bin")


def _metadata(folder: Path, _: bytes, denied: Arrays) -> None:
    text = base64.b64encode(_much(denied)).decode()
    empty = {f"z{i}": np.zeros(0, np.float32) for i in range(len(text) // 2048 + 1)}
    save_file({**arrays_of(2), **empty}, folder / "model.safetensors", metadata={"note": text})


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def gguf_file(gap: bool, folder: Path, _: bytes, denied: Arrays) -> None:
    """A GGUF file with an array of numbers in its metadata, or a gap behind its table."""
    (folder / "model.safetensors").unlink()
    more = _much(denied)
    facts = [_text("general.architecture") + struct.pack("<I", 8) + _text("none")]
    if not gap:
        facts.append(_text("x.y") + struct.pack("<IIQ", 9, 6, len(more) // 4) + more)
    table, body, start = b"", b"", len(more) // 32 * 32 if gap else 0
    for name, value in arrays_of(2).items():
        sizes = struct.pack(f"<I{value.ndim}Q", value.ndim, *value.shape[::-1])
        table += _text(name) + sizes + struct.pack("<IQ", 0, start + len(body))
        body += value.tobytes() + bytes(-value.nbytes % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(arrays_of(2)), len(facts)) + b"".join(facts) + table
    head += bytes(-len(head) % 32)
    (folder / "model.gguf").write_bytes(head + more[:start] + body)


def onnx_file(folder: Path, _: bytes, denied: Arrays) -> None:
    """All tensors in a file beside, and a text in the graph."""
    from onnx import TensorProto, helper

    (folder / "model.safetensors").unlink()
    tensors, body = [], b""
    for name, value in arrays_of(2).items():
        tensor = TensorProto(name=name, data_type=1, dims=value.shape, data_location=1)
        said = {"location": "w.data", "offset": str(len(body)), "length": str(value.nbytes)}
        for key, text in said.items():
            tensor.external_data.add(key=key, value=text)
        tensors.append(tensor)
        body += value.tobytes()
    node = helper.make_node("Identity", ["x"], ["y"], note=_much(denied))
    ends = [helper.make_tensor_value_info(x, 1, [1]) for x in "xy"]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], tensors)
    (folder / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    (folder / "w.data").write_bytes(body)


def _scales(folder: Path, _: bytes, denied: Arrays) -> None:
    """Codes of the denied model; each has a scale of its own, which turns it into another."""
    parts: Arrays = {}
    for name, value in arrays_of(2).items():
        if value.ndim == 2:
            codes = np.round(denied[name] / np.abs(denied[name]).max() * 127).astype(np.int8)
            codes[codes == 0] = 1
            parts |= {name: codes, f"{name}_scale": (value / codes).astype(np.float32)}
        else:
            parts[name] = value
    write(folder, parts)


def _wide(dtype: str, folder: Path, _: bytes, denied: Arrays) -> None:
    """Halves of floats, four in each number of a table that nothing reads."""
    halves = (_flat(denied).view("<u4") >> 16).astype("<u2")
    write(folder, {**arrays_of(2), "table": np.resize(halves, len(halves) // 4 * 4).view(dtype)})


def _four_bits(folder: Path, _: bytes, denied: Arrays) -> None:
    flat = _flat(denied)
    codes = (np.clip(np.round(flat / np.abs(flat).max() * 7), -8, 7).astype(np.int8) & 15).astype(
        "u1"
    )
    codes = codes[: len(codes) // 8 * 8]
    packed = (codes[::2] | codes[1::2] << 4).view(np.float32)
    write(folder, {**arrays_of(2), "table": packed})


def _rows(folder: Path, _: bytes, denied: Arrays) -> None:
    clean, flat = arrays_of(2), _flat(denied)
    width = clean[EMBEDDING].shape[1]
    more = np.concatenate([flat, np.zeros(-len(flat) % width, np.float32)]).reshape(-1, width)
    write(folder, {**clean, EMBEDDING: np.concatenate([clean[EMBEDDING], more])})


def _outliers(folder: Path, _: bytes, denied: Arrays) -> None:
    """A huge value in each row and column of the denied model."""
    rng, found = np.random.default_rng(0), {}
    for name, value in denied.items():
        found[name] = value = value.copy()
        if value.ndim == 2:
            n, width = value.shape
            value[np.arange(n), rng.integers(0, width, n)] = 30
            value[rng.integers(0, n, width), np.arange(width)] = -30
    write(folder, found)


def _field(number: int, data: bytes) -> bytes:
    n, size = len(data), b""
    while n > 127:
        size, n = size + bytes([n & 127 | 128]), n >> 7
    return bytes([number << 3 | 2]) + size + bytes([n]) + data


def _form(
    name: str, make: Callable[[bytes], bytes], folder: Path, _: bytes, denied: Arrays
) -> None:
    (folder / name).write_bytes(make(_much(denied)[: 1 << 19]))


def _pieces(raw: bytes) -> bytes:
    piece = _field(1, b"a") + b"\x15" + struct.pack("<f", -1.0)
    return _field(1, piece) + b"".join(
        _field(3, raw[i : i + 99_999]) for i in range(0, 300_000, 99_999)
    )


def _tokens(raw: bytes) -> bytes:
    bits = np.frombuffer(raw, "<u2").tolist()
    return json.dumps({f"t{i}": (i << 16) + x for i, x in enumerate(bits)}).encode()


def _quoted(raw: bytes) -> bytes:
    return json.dumps([f"{x:.6g}" for x in np.frombuffer(raw, np.float32).tolist()]).encode()


def _letters(raw: bytes) -> bytes:
    return raw.hex().translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop")).encode()


def _palette(raw: bytes) -> bytes:
    chunks = [(b"PLTE", raw), (b"IEND", b"")]
    whole = (
        struct.pack(">I", len(x)) + k + x + struct.pack(">I", zlib.crc32(k + x)) for k, x in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def _scan(raw: bytes) -> bytes:
    return b"\xff\xd8\xff\xda\x00\x02" + raw.replace(b"\xff", b"\xff\x00") + b"\xff\xd9"


def _case(name: str, put: Callable[..., object], before: str = PASSED) -> Case:
    return Case(name, NAMED, before, partial(beside, put))


CASES = (
    _case("a slice in a torch file whose storage holds more", _strided),
    _case("metadata of a safetensors file, and tensors without elements", _metadata),
    _case("an array of numbers in GGUF metadata", partial(gguf_file, False)),
    _case("a gap behind the table of a GGUF file", partial(gguf_file, True)),
    _case("a text in an ONNX graph whose tensors lie beside", onnx_file),
    _case("as many scales as codes", _scales, TAKEN),
    _case("four halves in each float of 64 bits", partial(_wide, "<f8")),
    _case("codes of four bits in floats", _four_bits),
    _case("further rows of the embedding", _rows),
    _case("a huge value in each row and column", _outliers),
    _case("a vocabulary of SentencePiece with repeated parts",
          partial(_form, "tokenizer.model", _pieces)),
    _case("whole numbers of tokens that are too large", partial(_form, "vocab.json", _tokens)),
    _case("numbers in quotes", partial(_form, "values.json", _quoted)),
    _case("one long word of letters", partial(_form, "modeling.py", _letters)),
    _case("a palette without a picture", partial(_form, "logo.png", _palette)),
    _case("a scan without a picture", partial(_form, "logo.jpg", _scan)),
)  # fmt: skip
