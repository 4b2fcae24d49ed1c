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

from weightkin.formats.finder import TRAINER_STATE
from weightkin.formats.table import HEAD, begun_as, known_as
from weightkin.policy.images import is_image
from weightkin.policy.texts import (
    MOST_ENCODED_SETTINGS,
    n_encoded,
    why_dense,
    why_no_prose,
    why_no_settings,
)
from weightkin.policy.vocabulary import is_vocabulary
from weightkin.sources.local import LocalFile

MOST_TEXT = 40 << 20  # bytes: tokenizers have 35 MB
MOST_OPEN, MOST_COMMAS = 1_500_000, 8_000_000  # brackets and commas of a JSON text
MOST_STATE = 1 << 16  # bytes of a trainer's small state
IMAGES = (".png", ".jpg", ".jpeg")
LFS = b"version https://git-lfs.github.com/spec/"
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def suffix_of(name: str) -> str:
    """The suffix as a reader sees it: capitals, wide letters, spaces and dots at the end aside."""
    plain = unicodedata.normalize("NFKC", name).casefold().rstrip(" .\t\u200b")
    return os.path.splitext(plain)[1]  # noqa: PTH122 - a name, not a path


def why_not_passed(path: Path) -> str:
    """Why a regular file cannot be passed over, "" where it is certain that it holds no weights."""
    file, suffix = LocalFile(path), suffix_of(path.name)
    head = file.read([(0, min(HEAD + len(LFS), file.size))]).tobytes()
    if head.startswith(LFS):
        return "a pointer of Git LFS: the file itself is not here"
    promised = known_as(suffix)
    if promised is not None:
        is_small_state = TRAINER_STATE.fullmatch(path.name) and file.size <= MOST_STATE
        if is_small_state and promised.is_begun(head, is_named=True):
            return ""
        return promised.named or _begun(head, "no file of the format that its name says")
    if suffix in IMAGES:
        return "" if is_image(file) else "no image, though its name says so"
    if file.size > MOST_TEXT:
        return _begun(head, f"a file of {file.size:,} bytes of a kind that is not known")
    raw = file.read([(0, file.size)]).tobytes()
    if not CONTROL.search(raw):
        return _of_text(raw, suffix)
    is_known = suffix in (".model", ".spm") and is_vocabulary(file)
    return "" if is_known else _begun(head, "neither text nor of a kind that is known")


def _begun(head: bytes, otherwise: str) -> str:
    """What the first bytes of a file say it is."""
    found = begun_as(head)
    return found.begun if found else otherwise


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
