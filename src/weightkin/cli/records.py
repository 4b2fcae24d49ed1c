"""Saved records as files."""

from __future__ import annotations

from pathlib import Path

from weightkin.errors import UnreadableModel

MOST_BYTES = 1 << 28


def read_file(path: str) -> str:
    """The text of a record.

    Raises
    ------
    UnreadableModel
        It is missing, too large, or no text.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UnreadableModel(f"{path}: more than {MOST_BYTES:,} bytes")
        return data.decode()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UnreadableModel(f"{path}: cannot be read as a record ({error})") from None
