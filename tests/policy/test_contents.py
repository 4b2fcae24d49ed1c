"""Claim: a file that is not opened passes only if its contents show that it holds no weights."""

import base64
import json
import struct
import zlib

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.weights.handmade import mapping, program, torch_file
from weightkin.policy.contents import why_not_passed

NOISE = np.random.default_rng(3).standard_normal(60_000).astype(np.float32)
RAW = NOISE.tobytes()
ENCODED = base64.b64encode(RAW * 3).decode()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, 0))


def png(*chunks):
    whole = (chunk(b"IHDR", b"\0" * 13), *chunks, chunk(b"IDAT", b"x" * 40), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


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
    "picture.jpg": b"\xff\xd8\xff" + RAW + b"\xff\xd9",
    "text.png": "no picture",
    "optimizer.pt": RAW,
    "scaler-13b-chat.bin": b"PK\3\4",
    "tokenizer.model": b"".join(piece(b"t", float(x)) for x in NOISE[:4000]),
}


def put(folder, name, contents):
    path = folder / name
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return path


@pytest.mark.parametrize("name", PASSED)
def test_what_shows_that_it_holds_no_weights_is_passed_over(tmp_path, name):
    assert why_not_passed(put(tmp_path, name, PASSED[name])) == ""


@pytest.mark.parametrize("name", NAMED)
def test_everything_else_is_named(tmp_path, name):
    assert why_not_passed(put(tmp_path, name, NAMED[name]))


def test_the_vocabulary_of_the_zoo_and_small_states_are_passed_over(tmp_path):
    assert why_not_passed(ROOT / "zoo" / "tokenizer.json") == ""
    path = tmp_path / "rng_state_3.pth"
    torch_file(path, program(mapping({})))
    assert why_not_passed(path) == ""


def test_a_long_run_of_one_letter_costs_nothing(tmp_path):
    assert why_not_passed(put(tmp_path, "a.txt", "a" * (8 << 20))) == ""
