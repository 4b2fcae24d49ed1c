"""What a model's folder says about itself: parents and licence. Claims, never evidence.

Read from ``config.json``, ``adapter_config.json`` and the front matter of ``README.md``, whatever
of it is well formed; nothing here can fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 1 << 20
MOST = 64  # parents
MAX_NAME = 256  # characters
_ENTRY = re.compile(r"^(base_model|license):[ \t]*(.*)$", re.MULTILINE)
_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)")


@dataclass(frozen=True, slots=True)
class Declared:
    """Parents in the order they are named, each once, and the licence ("" where none is)."""

    parents: tuple[str, ...] = ()
    licence: str = ""


def declared(source: str | Path) -> Declared:
    """Read the claims beside the weights of a local model."""
    path = Path(source)
    folder = path if path.is_dir() else path.parent
    parents: list[str] = []
    parents += _values(folder / "adapter_config.json", "base_model_name_or_path")
    front = _front_matter(_text(folder / "README.md"))
    found = {key: list(_listed(front, start, first)) for key, start, first in _entries(front)}
    parents += found.get("base_model", [])
    parents += _values(folder / "config.json", "_name_or_path")
    own = {str(source), path.name, ""}
    kept = [p for p in dict.fromkeys(parents) if p not in own and len(p) <= MAX_NAME]
    licence = next(iter(found.get("license", [])), "")
    return Declared(tuple(kept[:MOST]), licence[:MAX_NAME])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def _values(path: Path, key: str) -> list[str]:
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError):
        return []
    value = data.get(key) if isinstance(data, dict) else None
    return [value] if isinstance(value, str) and value else []


def _front_matter(text: str) -> str:
    """Lines between the first two ``---``, if the text begins with one."""
    if not text.startswith("---"):
        return ""
    return text[3:].split("\n---", 1)[0]


def _entries(front: str) -> Iterator[tuple[str, int, str]]:
    for match in _ENTRY.finditer(front):
        yield match[1], match.end(), match[2].strip()


def _listed(front: str, start: int, first: str) -> Iterator[str]:
    """One value, a list in brackets, or a list of lines."""
    if first.startswith("["):
        yield from (_plain(x) for x in first.strip("[]").split(","))
    elif first:
        yield _plain(first)
    else:
        for line in front[start:].splitlines()[1:]:
            item = _ITEM.fullmatch(line)
            if item is None:
                return
            yield _plain(item[1])


def _plain(text: str) -> str:
    return text.split(" #", 1)[0].strip().strip("\"'")
