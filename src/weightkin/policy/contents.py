"""Files that nothing opens as a model: is it certain, from what they hold, that they are none?

The rule is turned round on purpose. A file is passed over only if its contents have one of the few
forms listed here and its name does not promise another; all others come back with a reason, and the
gate names them. Weights that somebody wrote as prose or as a picture are not looked for.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path

from weightkin.formats.shards import SUFFIXES
from weightkin.policy.images import is_image
from weightkin.policy.texts import (
    MOST_ENCODED_SETTINGS,
    n_encoded,
    why_dense,
    why_no_prose,
    why_no_settings,
)
from weightkin.policy.vocabulary import is_vocabulary

MOST_TEXT = 40 << 20  # bytes: tokenizers have 35 MB
MOST_OPEN, MOST_COMMAS = 1_500_000, 8_000_000  # brackets and commas of a JSON text
MOST_STATE = 1 << 16  # bytes of a trainer's small state
WEIGHT_SUFFIXES = (
    *SUFFIXES, ".sft", ".distcp", ".npy", ".npz", ".h5", ".hdf5", ".keras", ".msgpack",
    ".pb", ".pkl", ".pickle", ".joblib", ".pt2", ".ot", ".nemo", ".th", ".tar", ".gz", ".zip",
    ".dduf", ".tflite", ".mlmodel", ".engine", ".plan", ".ggml", ".llamafile", ".data", ".pte",
)  # fmt: skip
IMAGES = (".png", ".jpg", ".jpeg")
TRAINER_FILE = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state)(_\d+)?\.(bin|pt|pth)", re.ASCII
)
LFS = b"version https://git-lfs.github.com/spec/"
JOIN = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
TO_SAFETENSORS = "not read (convert it to safetensors)"
FOREIGN_WEIGHTS = {  # by suffix: what such files are, and what to do about them
    ".distcp": f"a part of a distributed checkpoint of torch, not read (join its folder: {JOIN})",
    ".h5": f"weights in HDF5, {TO_SAFETENSORS}",
    ".hdf5": f"weights in HDF5, {TO_SAFETENSORS}",
    ".keras": f"a Keras archive, {TO_SAFETENSORS}",
    ".npy": f"an array of numpy, {TO_SAFETENSORS}",
    ".npz": f"arrays of numpy, {TO_SAFETENSORS}",
    ".msgpack": f"weights of Flax, {TO_SAFETENSORS}",
}
FOREIGN_MAGIC = (
    (b"GGUF", "a GGUF file under another name"),
    (b"PK\x03\x04", "a zip archive, such as torch writes"),
    (b"\x89HDF\r\n", "an HDF5 file"), (b"\x93NUMPY", "an array of numpy"),
    (b"\x80\x02", "a pickle"), (b"\x80\x03", "a pickle"), (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"), (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"), (b"7z\xbc\xaf", "a 7z archive"),
    (b"(\xb5/\xfd", "a zstd archive"), (b"\x7fELF", "a program"), (b"MZ", "a program"),
)  # fmt: skip
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def suffix_of(name: str) -> str:
    """The suffix as a reader sees it: capitals, wide letters, spaces and dots at the end aside."""
    plain = unicodedata.normalize("NFKC", name).casefold().rstrip(" .\t\u200b")
    return os.path.splitext(plain)[1]  # noqa: PTH122 - a name, not a path


def why_not_passed(path: Path) -> str:
    """Why a regular file cannot be passed over, "" where it is certain that it holds no weights."""
    suffix, size = suffix_of(path.name), path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16 + len(LFS))
    if head.startswith(LFS):
        return "a pointer of Git LFS: the file itself is not here"
    if (
        TRAINER_FILE.fullmatch(path.name)
        and size <= MOST_STATE
        and head.startswith((b"PK\3\4", b"\x80"))
    ):
        return ""
    if suffix in WEIGHT_SUFFIXES:
        return FOREIGN_WEIGHTS.get(suffix) or _named(
            head, "no file of the format that its name says"
        )
    if suffix in IMAGES:
        return "" if is_image(path, size) else "no image, though its name says so"
    if size > MOST_TEXT:
        return _named(head, f"a file of {size:,} bytes of a kind that is not known")
    raw = path.read_bytes()
    if not CONTROL.search(raw):
        return _of_text(raw, suffix)
    is_known = suffix in (".model", ".spm") and is_vocabulary(path)
    return "" if is_known else _named(head, "neither text nor of a kind that is known")


def _named(head: bytes, otherwise: str) -> str:
    """What the first bytes of a file say it is."""
    if 0 < int.from_bytes(head[:8], "little") < 1 << 32 and head[8:9] == b"{":
        return "safetensors under a name that is not read"
    return next((what for magic, what in FOREIGN_MAGIC if head.startswith(magic)), otherwise)


def _of_text(raw: bytes, suffix: str) -> str:
    """Of a file without control characters: text of people, or settings as JSON."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "neither text nor of a kind that is known"
    if suffix != ".json":
        return why_no_prose(text)
    if raw.count(b"[") + raw.count(b"{") > MOST_OPEN or raw.count(b",") > MOST_COMMAS:
        return "JSON of more parts than settings or a vocabulary have"
    if n_encoded(text) > MOST_ENCODED_SETTINGS:
        return "JSON that is mostly encoded bytes"
    if why := why_dense(text):
        return why
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "no JSON, though its name says so"
    return why_no_settings(value)
