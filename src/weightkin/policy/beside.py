"""Files beside the weights of one call: those a policy leaves out, and what the others may hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePath

from weightkin.formats.byte_pieces import information, whole_of
from weightkin.formats.finder import kind_of
from weightkin.formats.ledger import not_opened, whole_file
from weightkin.records.accounting import FileBytes
from weightkin.sources.files import File, Folder
from weightkin.sources.listing import Listed
from weightkin.sources.local import LocalFile


@dataclass(slots=True)
class Beside:
    """The patterns of a policy with what they took, and the size of what was passed over.

    A pattern without ``/`` is compared with the name of a file, any other with its path below
    the folder that is checked; ``*`` stands for any characters, ``/`` among them.
    """

    patterns: tuple[str, ...] = ()
    left_out: dict[str, None] = field(default_factory=dict)  # paths, in order
    n_bytes: int = 0  # compressed, of files that hold no weights for certain

    def without(self, listed: Listed, root: Path) -> Listed:
        """What lies in a folder, but for what is left out."""
        files = tuple(path for path in listed.files if not self._takes(path, root))
        refused = tuple(x for x in listed.refused if not self._takes(x.path, root))
        return Listed(listed.folder, files, refused)

    def look(self, path: Path) -> FileBytes:
        """A file that nothing opened, by what it is as a whole."""
        return self._looked(partial(LocalFile, path), path.name)

    def on_hub(self, folder: Folder, seen: Collection[PurePath]) -> Iterator[FileBytes]:
        """The other files of a repository: what is no weights by its name is fetched, and read."""
        for name in (*folder.names, *folder.deeper):
            if folder.path / name in seen or self._takes(folder.path / name, folder.path):
                continue
            if kind_of(PurePath(name).name):
                yield not_opened(name, "other-weights")
            else:
                yield self._looked(partial(folder.open_file, name), name)

    def _looked(self, opened: Callable[[], File], name: str) -> FileBytes:
        found = whole_file(opened, name)
        if found.is_read and found.n_bytes:
            file = opened()
            self.n_bytes += information(file, whole_of(file))
        return found

    def _takes(self, path: PurePath, root: PurePath) -> bool:
        if not self.patterns or path == root:
            return False
        inside = path.relative_to(root).as_posix()
        for pattern in self.patterns:
            if fnmatchcase(inside if "/" in pattern else path.name, pattern):
                self.left_out[str(path)] = None
                return True
        return False
