"""Inputs that mutants are made of: the seeds, and what earlier runs kept in one small archive."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from benchmarks.fuzz.cases import SEEDS, Mutant, of_target, seeds

ARCHIVE = SEEDS / "corpus.tar.xz"
LARGEST = 1 << 16  # bytes of an input that is kept
MOST = 400  # inputs that are kept


class Corpus:
    """Seeds and kept inputs by target, and the outcomes that were seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes: set[str] = set()
        if ARCHIVE.exists():
            with tarfile.open(ARCHIVE) as archive:
                archive.extractall(folder, filter="data")
        self.inputs = {
            target: found + of_target(folder, target) for target, found in seeds().items()
        }
        self.n_kept = sum(len(of_target(folder, target)) for target in self.inputs)

    def note(self, mutant: Mutant, outcome: str) -> None:
        """Keep an input that made a command say what none did before."""
        key = f"{mutant.command[0]} {outcome}"
        is_new = key not in self.outcomes
        self.outcomes.add(key)
        if is_new and self.n_kept < MOST and 0 < size(mutant.source) <= LARGEST:
            self.n_kept += 1
            name = f"{self.n_kept}-{mutant.seed.rpartition('-')[2]}"
            self.inputs[mutant.target].append(
                copy(mutant.source, self.folder / mutant.target / name)
            )

    def save(self) -> None:
        """Write what is kept as one archive, in which equal parts cost once."""
        draft = ARCHIVE.with_suffix(".draft")
        with tarfile.open(draft, "w:xz") as archive:
            for path in sorted(self.folder.iterdir()):
                archive.add(path, path.name, filter=_plain)
        draft.replace(ARCHIVE)


def size(source: Path) -> int:
    """Bytes of an input; 0 of one that cannot be copied, as with a pipe or a link in it."""
    files = [source, *source.rglob("*")]
    is_plain = all(not x.is_symlink() and (x.is_file() or x.is_dir()) for x in files)
    return sum(x.stat().st_size for x in files if x.is_file()) if is_plain else 0


def copy(source: Path, place: Path) -> Path:
    """Copy an input."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return Path((shutil.copytree if source.is_dir() else shutil.copy)(source, place))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry without what differs from machine to machine."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry
