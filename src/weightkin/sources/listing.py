"""Everything that lies in a folder on this machine and below it, hidden entries too.

Nothing is opened, so that a pipe keeps nobody waiting. A link is followed to a file inside the
folder, or inside the cache of a hub that holds it, and nowhere else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from weightkin.sources.local import KINDS, OTHER_KIND, home_of

MAX_ENTRIES = 10_000  # of a folder and of all below it


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is not looked into, with a code that says why and the data of the code."""

    path: Path
    code: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """One folder: its regular files, in the order of their names, and what is not looked into."""

    folder: Path
    files: tuple[Path, ...]
    refused: tuple[Refused, ...]


def everything_below(root: Path) -> Iterator[Listed]:
    """A folder, then every folder below it; after `MAX_ENTRIES` entries the last one says so."""
    n, waiting = 0, [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(islice(scanned, MAX_ENTRIES + 1 - n), key=lambda x: x.name)
        except OSError as error:
            why = Refused(folder, "not-listed", {"error": error.strerror or type(error).__name__})
            yield Listed(folder, (), (why,))
            continue
        n += len(entries)
        files: list[Path] = []
        refused: list[Refused] = []
        folders: list[Path] = []
        for entry in entries[: len(entries) - (n > MAX_ENTRIES)]:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif (found := _why_refused(path, root)) is not None:
                refused.append(found)
            elif path.is_file():  # not a link to a folder below, which is visited by its own name
                files.append(path)
        if n > MAX_ENTRIES:
            refused.append(Refused(root, "more-entries", {"n": MAX_ENTRIES}))
        yield Listed(folder, tuple(files), tuple(refused))
        if n > MAX_ENTRIES:
            return
        waiting += reversed(folders)


def _why_refused(path: Path, root: Path) -> Refused | None:
    """Why an entry that is no folder itself is not looked into."""
    try:
        kind = path.stat().st_mode
    except OSError as error:
        return Refused(path, "link-to-nothing", {"error": error.strerror or ""})
    is_folder = stat.S_ISDIR(kind)
    inside = _real(root) if is_folder else home_of(root)
    if path.is_symlink() and not _real(path).is_relative_to(inside):
        return Refused(path, "link-outside")
    if is_folder or stat.S_ISREG(kind):
        return None
    return Refused(path, "no-regular-file", {"kind": KINDS.get(stat.S_IFMT(kind), OTHER_KIND)})


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
