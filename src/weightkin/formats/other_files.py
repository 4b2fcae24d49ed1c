"""Files that nothing opens as a model: is it certain, from what they hold, that they are none?

The rule is turned round on purpose. A file is no weights only if its contents have one of the few
forms listed here and its name does not promise another; all others are unread, with a code that
says why. Weights that somebody wrote as prose or as a picture are not looked for.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal

from weightkin.formats.finder import TRAINER_STATE
from weightkin.formats.pictures import is_image
from weightkin.formats.plain_texts import (
    MOST_ENCODED_SETTINGS,
    n_encoded,
    why_dense,
    why_no_prose,
    why_no_settings,
)
from weightkin.formats.sentence_pieces import is_vocabulary
from weightkin.formats.table import HEAD, begun_as, known_as
from weightkin.sources.files import File

MOST_TEXT = 40 << 20  # bytes: tokenizers have 35 MB
MOST_OPEN, MOST_COMMAS = 1_500_000, 8_000_000  # brackets and commas of a JSON text
MOST_STATE = 1 << 16  # bytes of a trainer's small state
IMAGES = (".png", ".jpg", ".jpeg")
LFS = b"version https://git-lfs.github.com/spec/"
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Judged:
    """What all bytes of a file are, with a code of `records.codes.REASONS` and its data."""

    state: Literal["not-weights", "unread"]
    code: str
    data: dict[str, Any] = field(default_factory=dict)


def suffix_of(name: str) -> str:
    """The suffix as a reader sees it: capitals, wide letters, spaces and dots at the end aside."""
    plain = unicodedata.normalize("NFKC", name).casefold().rstrip(" .\t\u200b")
    return os.path.splitext(plain)[1]  # noqa: PTH122 - a name, not a path


def judged(file: File) -> Judged:
    """What a file is that is not opened as a model: no weights for certain, or unread.

    Raises
    ------
    UnreadableModel
        Its bytes cannot be read.
    """
    suffix = suffix_of(file.path.name)
    head = file.read([(0, min(HEAD + len(LFS), file.size))]).tobytes()
    if head.startswith(LFS):
        return Judged("unread", "lfs-pointer")
    promised = known_as(suffix)
    if promised is not None:
        is_small_state = TRAINER_STATE.fullmatch(file.path.name) and file.size <= MOST_STATE
        is_as_named = promised.is_begun(head, is_named=True)
        if is_small_state and is_as_named:
            return Judged("not-weights", "trainer-state")
        if promised.read and is_as_named:
            return Judged("unread", "other-weights")
        if promised.named:
            return Judged("unread", "format-unread", {"format": promised.named})
        return _begun(head, "not-as-named")
    if suffix in IMAGES:
        is_picture = is_image(file)
        return _passed("picture") if is_picture else Judged("unread", "no-picture")
    if file.size > MOST_TEXT:
        return _begun(head, "unknown-large", n_bytes=file.size)
    raw = file.read([(0, file.size)]).tobytes()
    if not CONTROL.search(raw):
        return _of_text(raw, suffix)
    if suffix in (".model", ".spm") and is_vocabulary(file):
        return _passed("vocabulary")
    return _begun(head, "unknown-kind")


def _passed(code: str) -> Judged:
    return Judged("not-weights", code)


def _begun(head: bytes, otherwise: str, **data: Any) -> Judged:
    """What the first bytes of a file say it is."""
    found = begun_as(head)
    if found:
        return Judged("unread", "begun-as", {"format": found.begun})
    return Judged("unread", otherwise, data)


def _of_text(raw: bytes, suffix: str) -> Judged:
    """Of a file without control characters: text of people, or settings as JSON."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Judged("unread", "unknown-kind")
    is_settings = suffix == ".json"
    why = _why_no_json(raw, text) if is_settings else why_no_prose(text)
    if why:
        return Judged("unread", why)
    return _passed("settings" if is_settings else "text-file")


def _why_no_json(raw: bytes, text: str) -> str:
    if raw.count(b"[") + raw.count(b"{") > MOST_OPEN or raw.count(b",") > MOST_COMMAS:
        return "json-large"
    if n_encoded(text) > MOST_ENCODED_SETTINGS:
        return "text-encoded"
    if why := why_dense(text):
        return why
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "json-broken"
    return why_no_settings(value)
