"""Claim: a file that is not opened passes only if its contents show that it holds no weights."""

import base64
import json
import struct
import zlib

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.formats.handmade import mapping, program, torch_file
from weightkin.formats.other_files import judged
from weightkin.sources.local import LocalFile

NOISE = np.random.default_rng(3).standard_normal(60_000).astype(np.float32)
RAW = NOISE.tobytes()
ENCODED = base64.b64encode(RAW * 3).decode()


LETTERS = RAW.hex().translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop"))
SIZES = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)  # of a picture in full colour
PIXELS = bytes(48 * (1 + 3 * 64))


def chunk(kind, data):
    whole = struct.pack(">I", len(data)) + kind + data
    return whole + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks, sizes=SIZES, pixels=PIXELS):
    whole = (chunk(b"IHDR", sizes), *chunks, chunk(b"IDAT", zlib.compress(pixels)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole) + chunk(b"IEND", b"")


def jpeg(frame, pixels):
    parts = [b"\xff\xd8"]
    parts += [b"\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame] if frame else []
    scan = b"\xff\xda\x00\x02" + pixels.replace(b"\xff", b"\xff\x00")
    return b"".join((*parts, scan, b"\xff\xd9"))


def field(number, data):
    n, size = len(data), b""
    while n > 127:
        size, n = size + bytes([n & 127 | 128]), n >> 7
    return bytes([number << 3 | 2]) + size + bytes([n]) + data


def piece(text, score):
    data = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score)
    return b"\x0a" + bytes([len(data)]) + data


PASSED = {
    "README.md": "# A model\n\nTrained with care.\n",
    "LICENSE": "Permission is granted.\n" * 500,
    "modeling.py": "import torch\n\n\ndef forward(x):\n    return x + 1\n" * 800,
    "vocab.json": json.dumps({f"token{i}": i for i in range(30_000)}),
    "tokenizer.json": json.dumps({"model": {"vocab": [[f"t{i}", -i / 10] for i in range(20_000)]}}),
    "trainer_state.json": json.dumps({"log_history": [{"loss": 1 / (i + 1)} for i in range(9000)]}),
    "merges.txt": "".join(f"{chr(97 + i % 26)} {chr(97 + i // 26 % 26)}\n" for i in range(30_000)),
    "config.json": "\ufeff{}",
    "empty": "",
    "picture.png": png(),
    "added_tokens.json": json.dumps({f"<|s_{i}|>": 151_665 + i for i in range(8192)}),
    "labels.json": json.dumps({"id2label": {str(i): f"LABEL_{i}" for i in range(21_843)}}),
    "tokenizer.model": b"".join(piece(b"t%d" % i, -float(i)) for i in range(3000)),
}
NAMED = {
    "notes.json": "{",
    "deep.json": "[" * 100_000,
    "list.json": json.dumps(NOISE.tolist()),
    "table.json": json.dumps({f"w{i}": x for i, x in enumerate(NOISE.tolist() * 2)}),
    "pairs.json": json.dumps([[f"w{i}", x] for i, x in enumerate(NOISE.tolist())]),
    "whole.json": json.dumps({f"w{i}": int(100 * x) for i, x in enumerate(NOISE)}),
    "text.json": json.dumps([ENCODED[i : i + 40] for i in range(0, len(ENCODED), 40)]),
    "table.csv": "\n".join(f"{x:.6f}" for x in NOISE[:9000]),
    "lines.txt": "\n".join(ENCODED[i : i + 40] for i in range(0, 60_000, 40)),
    "hex.txt": RAW.hex(),
    "pointer.txt": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "model.safetensors.": "no weights",
    "model.SafeTensors ": "no weights",
    "x.\uff53afetensors": "no weights",
    "weights.pb": b"y",
    "a.tar": b"y",
    "e.engine": b"y",
    "binary": RAW[:100],
    "picture.png": png() + RAW,
    "inside.png": png(chunk(b"teXt", RAW)),
    "sum.png": png()[:-1] + b"\0",
    "few.png": png(pixels=PIXELS[:-1]),
    "more.png": png(pixels=PIXELS + RAW),
    "raw.png": png().replace(zlib.compress(PIXELS), RAW),
    "palette.png": png(chunk(b"PLTE", RAW)),
    "headless.png": png().replace(chunk(b"IHDR", SIZES), b""),
    "headless.jpg": jpeg(b"", RAW),
    "small.jpg": jpeg(struct.pack(">BHHB", 8, 48, 64, 1) + b"\1\x11\0", RAW),
    "picture.jpg": b"\xff\xd8\xff" + RAW + b"\xff\xd9",
    "text.png": "no picture",
    "optimizer.pt": RAW,
    "scaler-13b-chat.bin": b"PK\3\4",
    "tokenizer.model": b"".join(piece(b"t", float(x)) for x in NOISE[:4000]),
    "repeated.model": piece(b"a", -1.0) + field(3, RAW[:9999]) + field(3, RAW[:9999]),
    "normalizer.model": piece(b"a", -1.0) + field(3, field(2, RAW)),
    "trainer.model": piece(b"a", -1.0) + field(2, field(1, RAW)),
    "twice.model": field(1, field(1, b"a") + field(1, RAW[:900])) + piece(b"b", -1.0),
    "wide.json": json.dumps({f"t{i}": (i << 16) + int(abs(x) * 9999) for i, x in enumerate(NOISE)}),
    "objects.json": json.dumps([{f"t{j}": 77 * j for j in range(4000)} for _ in range(20)]),
    "quoted.json": json.dumps([f"{x:.6g}" for x in NOISE]),
    "keys.json": json.dumps({f"{x:.9g}": "" for x in np.arange(70_000) / 7 + 0.01}),
    "long.py": f"W = '{LETTERS}'\n",
    "key.json": json.dumps({"model": {"vocab": {LETTERS * 2: 0}}}),
    "short.txt": "\n".join(ENCODED[i : i + 10] for i in range(0, 60_000, 10)),
}


def state(path):
    return judged(LocalFile(path)).state


def put(folder, name, contents):
    path = folder / name
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return path


@pytest.mark.parametrize("name", PASSED)
def test_what_shows_that_it_holds_no_weights_is_passed_over(tmp_path, name):
    assert state(put(tmp_path, name, PASSED[name])) == "not-weights"


@pytest.mark.parametrize("name", NAMED)
def test_everything_else_is_named(tmp_path, name):
    assert state(put(tmp_path, name, NAMED[name])) == "unread"


def test_the_vocabulary_of_the_zoo_and_small_states_are_passed_over(tmp_path):
    assert state(ROOT / "zoo" / "tokenizer.json") == "not-weights"
    path = tmp_path / "rng_state_3.pth"
    torch_file(path, program(mapping({})))
    assert state(path) == "not-weights"


def test_a_long_run_of_one_letter_costs_nothing(tmp_path):
    assert state(put(tmp_path, "a.txt", "a" * (8 << 20))) == "not-weights"
