"""Names that tell sources apart: of those whose own name is the same, the shortest unique path."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePath

from weightkin.formats.source import name_of


def paths_apart(sources: Sequence[object]) -> list[str]:
    """A name for each path here that shares its last part with another one; "" for all others."""
    parts = [_parts(x) for x in sources]
    groups: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for one in parts:
        if one:
            groups[one[-1]].add(one)
    return [_shortest(one, groups[one[-1]]) if one else "" for one in parts]


def _parts(source: object) -> tuple[str, ...]:
    """The parts of a path, the last of which is the name of the model."""
    if not isinstance(source, str | Path):
        return ()
    if not os.path.exists(source):  # noqa: PTH110 - takes any text
        return ()
    path = Path(source).absolute()
    name = name_of(path)
    home = path if path.is_dir() or name == path.parent.name else path.with_name(name)
    return PurePath(home).parts


def _shortest(one: tuple[str, ...], group: set[tuple[str, ...]]) -> str:
    if len(group) == 1:
        return ""
    for n in range(2, len(one)):
        if sum(other[-n:] == one[-n:] for other in group) == 1:
            return "/".join(one[-n:])
    return "/".join(one).replace("//", "/", 1)
