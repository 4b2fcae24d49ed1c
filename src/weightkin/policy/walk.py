"""Every file that lies in a folder: the gate opens all weights there, and accounts for the rest.

Hidden files and folders are looked at as well. What is opened is a model; what is not opened must
show by its contents that it holds no weights (`contents`). Everything else comes back as the error
that says why: nothing is left out in silence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from weightkin.errors import UnreadableModel, WeightkinError
from weightkin.formats import Model
from weightkin.formats.adapter import adapter_of, base_beside
from weightkin.formats.finder import (
    ADAPTERS,
    CONFIGS,
    ONE_MODEL_KINDS,
    TRAINER_STATE,
    is_index,
    is_one_model,
    kind_of,
)
from weightkin.formats.source import base_and_adapter, open_pair
from weightkin.formats.table import format_of, holds_weights, suffixes
from weightkin.policy.claimed import is_own_model, lists_weights
from weightkin.policy.contents import why_not_passed
from weightkin.policy.covered import coverage_of, files_of
from weightkin.policy.faults import tried
from weightkin.sketch.source import open_model
from weightkin.sources.hub import SCHEME
from weightkin.sources.local import KINDS, LocalFile, home_of
from weightkin.text import shown, unreadable

MAX_ENTRIES = 10_000  # entries of a folder and all below it
MAX_NAMED_FILES = 20  # files of one folder that are named one by one
MAY_HOLD = "may contain weights and cannot be checked"


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A model as it is named, opened, or why that failed. ``is_state``: named as a trainer's."""

    source: str
    model: Model | WeightkinError
    is_state: bool = False


def models_of(source: str | Path) -> Iterator[FoundSource]:
    """Open what a source names and, of a folder, all weights in and below it; reads headers only.

    Files that opening a folder does not read are models of their own. An adapter stands with its
    base where that lies beside it, and the base alone as well. Every other file must show that it
    holds no weights. A link is followed to a file inside the folder, or inside the cache of a hub
    that holds it, and nowhere else. After `MAX_ENTRIES` entries one error says that there are more.
    """
    yield from _models(str(source), _Read())


def _models(text: str, read: _Read) -> Iterator[FoundSource]:
    try:
        pair = base_and_adapter(text)
    except WeightkinError as error:
        yield FoundSource(text, error)
        return
    if pair is not None:
        base, adapter = pair
        yield _opened(text, read, partial(open_pair, base, adapter))
        yield from _models(base, read)
        if _is_folder(adapter):
            yield from _below(Path(adapter), read)
        yield from _open(read)
    elif _is_folder(text):
        is_empty = True
        for found in _below(Path(text), read):
            is_empty = False
            yield found
        if is_empty:
            what = f"no model in it or below; supported are {', '.join(suffixes())}"
            yield FoundSource(text, unreadable(Path(text), what))
    else:
        yield _opened(text, read)
        yield from _open(read)


@dataclass(slots=True)
class _Read:
    """Files that models were read from: settled ones, and those of which a part was not read."""

    settled: set[Path] = field(default_factory=set)
    partly: dict[Path, str] = field(default_factory=dict)  # why
    bases: dict[Path, None] = field(default_factory=dict)  # beside adapters, each once

    def note(self, model: Model) -> None:
        """Settle the files that are a model, and no others that it names or is joined with.

        Files joined though nothing says so stay to be checked, as do models that an ONNX graph
        takes its values from. Of a base with an adapter, only the files of the adapter are settled.
        """
        storage = adapter_of(model.storage)
        files = files_of(storage)
        weights = [file for file in files if file.name not in CONFIGS]
        has_beside = any(_has_beside(file.name) for file in weights)
        is_one = len(weights) == 1 or any(is_index(file.name) for file in weights)
        for file, why in coverage_of(storage).items():
            if has_beside and is_own_model(file):
                continue
            if has_beside or is_one or kind_of(file.name) in ONE_MODEL_KINDS:
                self.partly.pop(_real(file), None)
                if why and not model.is_partial:  # else what is missing is named already
                    self.partly[_real(file)] = why
                else:
                    self.settled.add(_real(file))
        self.settled |= {_real(file) for file in weights if is_index(file.name)}

    def is_settled(self, path: Path) -> bool:
        """Whether all of a file was read."""
        return _real(path) in self.settled

    def open_questions(self) -> Iterator[tuple[Path, WeightkinError]]:
        """Files of which more was left unread than what holds tensors together."""
        for path, why in self.partly.items():
            if path not in self.settled:
                yield path, unreadable(path, why)


def _is_folder(source: str) -> bool:
    return not source.startswith(SCHEME) and os.path.isdir(source)  # noqa: PTH112 - takes any text


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _opened(source: str, read: _Read, how: Callable[[], Model] | None = None) -> FoundSource:
    model = tried(source, how or partial(open_model, source))
    if isinstance(model, Model):
        read.note(model)
    return FoundSource(source, model)


def _open(read: _Read) -> Iterator[FoundSource]:
    yield from (FoundSource(str(path), error) for path, error in read.open_questions())
    read.partly.clear()


def _below(root: Path, read: _Read) -> Iterator[FoundSource]:
    """The models of a folder and of all folders in it, then every file that is none."""
    n, waiting, files = 0, [root], list[Path]()
    while waiting:
        folder = waiting.pop()
        here: list[Path] = []
        folders: list[Path] = []
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(islice(scanned, MAX_ENTRIES + 1 - n), key=lambda x: x.name)
        except OSError as error:
            why = f"cannot be listed ({error.strerror})"
            yield FoundSource(str(folder), unreadable(folder, why))
            continue
        n += len(entries)
        for entry in entries[: len(entries) - (n > MAX_ENTRIES)]:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
                continue
            refused = _refused(path, root)
            if refused is None:
                here.append(path)
            elif refused:
                yield FoundSource(str(path), unreadable(path, f"not checked: {refused}"))
        yield from _in_folder(folder, [x.name for x in here if _is_weights(x)], read)
        files += here
        if n > MAX_ENTRIES:
            what = f"more than {MAX_ENTRIES} entries, not all of them checked; name its folders"
            yield FoundSource(str(root), unreadable(root, what))
            break
        waiting += reversed(folders)
    for base in read.bases:
        if not _real(base).is_relative_to(_real(root)):
            yield _opened(str(base), read)
    read.bases.clear()
    yield from _rest(files, read)


def _refused(path: Path, root: Path) -> str | None:
    """Why an entry that is no folder is not looked into; None for a file, "" if it is seen anyway.

    Nothing is opened here, so that a pipe keeps nobody waiting.
    """
    try:
        kind = path.stat().st_mode
    except OSError as error:
        return f"a link to nothing ({error.strerror})"
    is_folder = stat.S_ISDIR(kind)
    inside = _real(root) if is_folder else home_of(root)
    if path.is_symlink() and not _real(path).is_relative_to(inside):
        return "a link that leads outside the folder; name the file itself"
    if is_folder:
        return ""  # a link to a folder below the root, which is visited by its own name
    return None if stat.S_ISREG(kind) else KINDS.get(stat.S_IFMT(kind), "not a file")


def _in_folder(folder: Path, names: Sequence[str], read: _Read) -> Iterator[FoundSource]:
    """The folder as one model where its names say so; then every file that was not read."""
    left = [name for name in names if not read.is_settled(folder / name)]
    seen = [x for x in left if not x.startswith(".") and kind_of(x) not in ("adapter", "trainer")]
    if len(seen) == 1 or is_one_model(seen):
        found = _opened(str(folder), read)
        if isinstance(found.model, Model):
            yield found  # what is wrong with it is said of each file else
    for name in sorted(left, key=lambda x: (kind_of(x) == "trainer", _rank(x), x)):
        if not read.is_settled(folder / name) and _real(folder / name) not in read.partly:
            yield from _alone(folder, name, read)


def _is_weights(path: Path) -> bool:
    """Whether a file is weights by its name, or else by its first bytes."""
    try:
        return bool(kind_of(path.name)) or holds_weights(path.name, LocalFile(path))
    except UnreadableModel:
        return False  # it is looked at with the rest


def _rank(name: str) -> int:
    """Files that point at others come first."""
    return 0 if is_index(name) else 1 if _has_beside(name) else 2


def _has_beside(name: str) -> bool:
    found = format_of(name)
    return found is not None and found.has_beside


def _alone(folder: Path, name: str, read: _Read) -> Iterator[FoundSource]:
    """One file that no other model of its folder read."""
    path = folder / name
    held = next((x for x in ADAPTERS if (folder / x).exists()), None)
    base = base_beside(folder) if name in ADAPTERS else None
    if base:
        read.bases[base] = None
        adapter = str(folder if name == held else path)
        found = _opened(f"{base}+{adapter}", read, partial(open_pair, str(base), adapter))
    else:
        found = _opened(str(path), read)
    is_model = isinstance(found.model, Model)
    if not is_model and is_index(name) and not lists_weights(path):
        return  # a text, looked at with the rest
    if _real(path) not in read.partly:
        read.settled.add(_real(path))  # opened, or named here
    is_state = TRAINER_STATE.fullmatch(name) is not None
    yield FoundSource(found.source, found.model, is_state and (is_model or _is_passed(path)))


def _is_passed(path: Path) -> bool:
    try:
        return not why_not_passed(path)
    except UnreadableModel:
        return False


def _rest(files: Sequence[Path], read: _Read) -> Iterator[FoundSource]:
    """Files that were not opened and may hold weights; many of one folder are named together."""
    questions = dict(read.open_questions())
    by_folder: dict[Path, list[tuple[Path, str]]] = {}
    for path in files:
        if error := questions.pop(_real(path), None):
            yield FoundSource(str(path), error)
        elif not read.is_settled(path):
            try:
                why = why_not_passed(path)
            except UnreadableModel as unread:
                yield FoundSource(str(path), unread)
                continue
            if why:
                by_folder.setdefault(path.parent, []).append((path, why))
    for folder, named in by_folder.items():
        for path, why in named[:MAX_NAMED_FILES]:
            yield FoundSource(str(path), unreadable(path, f"{MAY_HOLD}: {why}"))
        if more := named[MAX_NAMED_FILES:]:
            what = f"{len(more)} more files {MAY_HOLD}, first {shown(more[0][0].name)}"
            yield FoundSource(str(folder), unreadable(folder, what))
    yield from (FoundSource(str(path), error) for path, error in questions.items())
