"""What a model's folder says about itself: parents and licence. Claims, never evidence.

Read from ``config.json``, ``adapter_config.json`` and the front matter of ``README.md``, whatever
of it is well formed; nothing here can fail for files on this machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

Beside = Callable[[str, int], bytes | None]  # a small file: its name, most bytes

CARD = "README.md"
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


def declared(source: str | Path, beside: Beside | None = None) -> Declared:
    """Read the claims beside the weights of a model; of ``base+adapter``, those of the adapter.

    ``beside`` reads a small file of a model that lies elsewhere (`Model.beside`).
    """
    path = Path(source)
    read = beside or partial(_beside, folder_of(path))
    parents: list[str] = []
    parents += _values(_text(read, "adapter_config.json"), "base_model_name_or_path")
    front = _front_matter(_text(read, CARD))
    found = {key: list(_listed(front, start, first)) for key, start, first in _entries(front)}
    parents += found.get("base_model", [])
    parents += _values(_text(read, "config.json"), "_name_or_path")
    own = {str(source), path.name, ""}
    kept = [p for p in dict.fromkeys(parents) if p not in own and len(p) <= MAX_NAME]
    licence = next(iter(found.get("license", [])), "")
    return Declared(tuple(kept[:MOST]), licence[:MAX_NAME])


def folder_of(path: Path) -> Path:
    """Where the claims about a local model lie; of ``base+adapter``, beside the adapter."""
    try:
        if "+" in str(path) and not path.exists():
            path = Path(str(path).rsplit("+", 1)[1])
        return path if path.is_dir() else path.parent
    except (OSError, ValueError):
        return path.parent


def _beside(folder: Path, name: str, limit: int) -> bytes | None:
    try:
        with (folder / name).open("rb") as file:
            return file.read(limit)
    except (OSError, ValueError):
        return None


def _text(read: Beside, name: str) -> str:
    return (read(name, MAX_BYTES) or b"").decode("utf-8", errors="replace")


def _values(text: str, key: str) -> list[str]:
    try:
        data = json.loads(text)
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
