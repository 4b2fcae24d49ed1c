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

from weightkin.errors import UnreadableModel
from weightkin.policy.texts import MOST_ENCODED_SETTINGS, n_encoded, why_no_prose, why_no_settings
from weightkin.weights.files import LocalFile
from weightkin.weights.protobuf import Messages
from weightkin.weights.shards import SUFFIXES

MOST_TEXT = 40 << 20  # bytes: tokenizers have 35 MB
MOST_OPEN, MOST_COMMAS = 1_500_000, 8_000_000  # brackets and commas of a JSON text
MOST_IMAGE, MOST_BESIDE = 8 << 20, 1 << 17  # bytes of a picture, and of all but its pixels
MOST_STATE = 1 << 16  # bytes of a trainer's small state
MOST_PIECE, MOST_CHARSMAP = 1 << 10, 1 << 20  # bytes of a vocabulary's piece; of its other parts
WEIGHTS = (
    *SUFFIXES, ".sft", ".distcp", ".npy", ".npz", ".h5", ".hdf5", ".keras", ".msgpack",
    ".pb", ".pkl", ".pickle", ".joblib", ".pt2", ".ot", ".nemo", ".th", ".tar", ".gz", ".zip",
    ".dduf", ".tflite", ".mlmodel", ".engine", ".plan", ".ggml", ".llamafile", ".data", ".pte",
)  # fmt: skip
IMAGES = (".png", ".jpg", ".jpeg")
PNG = b"\x89PNG\r\n\x1a\n"
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7]")
STATE = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state)(_\d+)?\.(bin|pt|pth)", re.ASCII
)
LFS = b"version https://git-lfs.github.com/spec/"
JOIN = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
TO_SAFETENSORS = "not read (convert it to safetensors)"
WHAT = {  # by suffix: what such files are, and what to do about them
    ".distcp": f"a part of a distributed checkpoint of torch, not read (join its folder: {JOIN})",
    ".h5": f"weights in HDF5, {TO_SAFETENSORS}",
    ".hdf5": f"weights in HDF5, {TO_SAFETENSORS}",
    ".keras": f"a Keras archive, {TO_SAFETENSORS}",
    ".npy": f"an array of numpy, {TO_SAFETENSORS}",
    ".npz": f"arrays of numpy, {TO_SAFETENSORS}",
    ".msgpack": f"weights of Flax, {TO_SAFETENSORS}",
}
MAGIC = (
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
    if STATE.fullmatch(path.name) and size <= MOST_STATE and head.startswith((b"PK\3\4", b"\x80")):
        return ""
    if suffix in WEIGHTS:
        return WHAT.get(suffix) or _named(head, "no file of the format that its name says")
    if suffix in IMAGES:
        return "" if _is_image(path, size) else "no image, though its name says so"
    if size > MOST_TEXT:
        return _named(head, f"a file of {size:,} bytes of a kind that is not known")
    raw = path.read_bytes()
    if not CONTROL.search(raw):
        return _of_text(raw, suffix)
    is_vocabulary = suffix in (".model", ".spm") and _is_vocabulary(path)
    return "" if is_vocabulary else _named(head, "neither text nor of a kind that is known")


def _named(head: bytes, otherwise: str) -> str:
    """What the first bytes of a file say it is."""
    if 0 < int.from_bytes(head[:8], "little") < 1 << 32 and head[8:9] == b"{":
        return "safetensors under a name that is not read"
    return next((what for magic, what in MAGIC if head.startswith(magic)), otherwise)


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
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "no JSON, though its name says so"
    return why_no_settings(value)


def _is_image(path: Path, size: int) -> bool:
    """Whether a file is a picture from its first byte to its last, with little beside it."""
    if not 32 <= size <= MOST_IMAGE:
        return False
    raw = path.read_bytes()
    beside = _beside_png(raw) if raw.startswith(PNG) else _beside_jpeg(raw)
    return 0 <= beside <= MOST_BESIDE


def _beside_png(raw: bytes) -> int:
    """Bytes of the chunks that are no pixels; -1 if the file is not made of chunks to its end."""
    at, beside = len(PNG), 0
    while at + 12 <= len(raw):
        n, kind = int.from_bytes(raw[at : at + 4], "big"), raw[at + 4 : at + 8]
        at += 12 + n
        if kind == b"IEND":
            return beside + n if at == len(raw) else -1
        beside += 0 if kind in (b"IDAT", b"PLTE") else n
    return -1


def _beside_jpeg(raw: bytes) -> int:
    """Bytes of the segments before and between pixels; -1 if the file is not made of segments."""
    at, beside = 2, 0
    if not raw.startswith(b"\xff\xd8"):
        return -1
    while at + 4 <= len(raw) and raw[at] == 0xFF:
        n = int.from_bytes(raw[at + 2 : at + 4], "big")
        is_scan, at = raw[at + 1] == 0xDA, at + 2 + n
        beside += n
        if is_scan:  # pixels, in which 0xFF is followed by a zero or a mark of restart
            found = SCAN_END.search(raw, at)
            at = found.start() if found else len(raw)
        if raw[at:] == b"\xff\xd9":
            return beside
    return -1


def _is_vocabulary(path: Path) -> bool:
    """Whether a file is the vocabulary of SentencePiece: pieces, and how they were found."""
    try:
        messages = Messages(LocalFile(path))
        scores = []
        for number, value in messages.fields(0, messages.file.size):
            start, stop = messages.span(value)
            if number == 1:  # a piece: its text, its score, its kind
                if stop - start > MOST_PIECE:
                    return False
                fields = dict(messages.fields(start, stop))
                if not fields.keys() <= {1, 2, 3}:
                    return False
                scores.append(sum(messages.floats(fields[2], 1)) if 2 in fields else 0.0)
            elif number > 5 or stop - start > MOST_CHARSMAP:
                return False
    except UnreadableModel:
        return False
    return bool(scores) and not why_no_settings([["", score] for score in scores])
