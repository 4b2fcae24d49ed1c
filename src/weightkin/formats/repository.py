"""Which part of a repository on a hub is the model: its top, or the file or folder named in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import PurePath, PurePosixPath

from weightkin.errors import OutOfReach
from weightkin.formats.finder import STANDARD_STEMS
from weightkin.formats.folder import Chosen
from weightkin.formats.table import format_of
from weightkin.sources.files import File, Folder, Opener
from weightkin.sources.hub import Repository, open_repository, repository_of
from weightkin.text import shown, unreadable


def open_part(source: object) -> Chosen:
    """Find what ``[hf://]org/name[@revision][:file or folder]`` names, on the hub or in its cache.

    Raises
    ------
    UnreadableModel
        It is no such name, or names nothing in the repository.
    OutOfReach
        The hub cannot be asked, and its cache has no weights of the repository.
    """
    found = open_repository(repository_of(source))
    if found.out_of_reach and not _weights(found.folder):
        raise OutOfReach(found.out_of_reach)
    return _part(found)


def _part(found: Repository) -> Chosen:
    asked, commit, whole = found.asked, found.commit, found.folder
    name = asked.repository.rpartition("/")[2]
    if not asked.part:
        return Chosen(asked.source, name, _below(whole, ""), revision=commit)
    inside, _, last = asked.part.rpartition("/")
    if asked.part in whole.names:
        stem = PurePosixPath(last).stem
        name = name if stem in STANDARD_STEMS else stem
        return Chosen(asked.source, name, _below(whole, inside), last, commit)
    folder = _below(whole, asked.part)
    if not folder.names:
        weights = _weights(whole)
        near = f"; the repository has {shown(weights[0])}" if weights else ""
        raise unreadable(whole.path / asked.part, f"no such file or folder{near}")
    return Chosen(asked.source, f"{name}-{last}", folder, revision=commit)


def _weights(folder: Folder) -> list[str]:
    return [name for name in folder.names if format_of(name)]


def _below(whole: Folder, inside: str) -> Folder:
    """A folder of a repository."""
    if not inside:
        return _parted(whole.path, whole.names, whole.open_file)
    start = f"{inside}/"
    names = [x.removeprefix(start) for x in whole.names if x.startswith(start)]
    return _parted(whole.path / inside, names, partial(_open_below, whole.open_file, start))


def _parted(path: PurePath, names: Sequence[str], open_file: Opener) -> Folder:
    here, deeper = ([x for x in names if ("/" in x) is is_deep] for is_deep in (False, True))
    return Folder(path, here, open_file, deeper)


def _open_below(open_file: Opener, start: str, name: str) -> File:
    return open_file(start + name)
