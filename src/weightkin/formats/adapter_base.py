"""The base of an adapter, looked for beside it."""

from __future__ import annotations

from pathlib import Path

from weightkin.errors import UnreadableModel
from weightkin.formats.adapter import CONFIG, FILES, MAX_CONFIG
from weightkin.formats.safetensors_file import read_json
from weightkin.sources.files import LocalFile, readable


def base_beside(folder: Path) -> Path | None:
    """The folder beside an adapter's that has the name of its base; None where there is none.

    Only the last part of the name that the adapter gives is looked at: what lies elsewhere on this
    machine, or on a hub, is for the user to name.
    """
    try:
        file = LocalFile(folder / CONFIG)
        if file.size > MAX_CONFIG:
            return None
        wanted = read_json(file, "config", 0, file.size).get("base_model_name_or_path")
        name = wanted.rstrip("/").rpartition("/")[2] if isinstance(wanted, str) else ""
        if name in ("", ".", "..") or "\0" in name:
            return None
        base = folder.parent / name
        with readable(base):
            is_whole = base.is_dir() and not (base / CONFIG).exists()
            is_adapter = any((folder / name).exists() for name in FILES)
    except UnreadableModel:
        return None
    return base if is_whole and is_adapter else None
