"""Files that another file names, or that list others: what they are in themselves."""

from __future__ import annotations

from pathlib import Path

from weightkin.errors import UnreadableModel
from weightkin.formats.safetensors_file import MAX_HEADER, read_json
from weightkin.formats.table import HEAD, is_model, suffixes
from weightkin.sources.local import LocalFile


def is_own_model(path: Path) -> bool:
    """Whether a file is a model by its suffix or its first bytes, whoever else names it."""
    file = LocalFile(path)
    return is_model(path.name, file.read([(0, min(HEAD, file.size))]).tobytes())


def lists_weights(path: Path) -> bool:
    """Whether a file named as an index is one of weights, by its name or by what it holds.

    What cannot be read is taken for one.
    """
    if any(f"{suffix}." in path.name.lower() for suffix in suffixes()):
        return True
    try:
        file = LocalFile(path)
        return file.size > MAX_HEADER or "weight_map" in read_json(file, "index", 0, file.size)
    except UnreadableModel:
        return True
