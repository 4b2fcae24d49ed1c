"""Every file that lies in a folder: the gate opens all weights there, and accounts for the rest.

Hidden files and folders are looked at as well. What is opened is a model; what is not opened must
show by its contents that it holds no weights (`contents`). Everything else comes back as the error
that says why: nothing is left out in silence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

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
from weightkin.formats.ledger import files_of, files_of_tensors, stores_of, whole
from weightkin.formats.source import base_and_adapter, open_pair
from weightkin.formats.table import format_of, holds_weights, suffixes
from weightkin.policy.beside import Beside
from weightkin.policy.claimed import is_own_model, lists_weights
from weightkin.policy.faults import tried
from weightkin.records.accounting import FileBytes
from weightkin.report.reasons import REASON_WORDS, in_words
from weightkin.sketch.source import open_model
from weightkin.sources.hub import SCHEME
from weightkin.sources.listing import everything_below
from weightkin.sources.local import LocalFile
from weightkin.text import shown, unreadable

MAX_NAMED_FILES = 20  # files of one folder that are named one by one
MAY_HOLD = "may contain weights and cannot be checked"


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A model as it is named, opened, or why that failed. ``is_state``: named as a trainer's."""

    source: str
    model: Model | WeightkinError
    is_state: bool = False


def models_of(source: str | Path, beside: Beside | None = None) -> Iterator[FoundSource]:
    """Open what a source names and, of a folder, all weights in and below it; reads headers only.

    Files that opening a folder does not read are models of their own. An adapter stands with its
    base where that lies beside it, and the base alone as well. Every other file must show that it
    holds no weights. A link is followed to a file inside the folder, or inside the cache of a hub
    that holds it, and nowhere else. After `MAX_ENTRIES` entries one error says that there are more.
    """
    yield from _models(str(source), _Read(beside or Beside()))


def _models(text: str, read: _Read) -> Iterator[FoundSource]:
    try:
        pair = base_and_adapter(text)
    except WeightkinError as error:
        yield FoundSource(text, error)
        return
    if pair is not None:
        base, adapter = pair
        yield (found := _opened(text, read, partial(open_pair, base, adapter)))
        if not os.path.lexists(adapter):
            yield from _on_hub(found, read)
        yield from _models(base, read)
        if _is_folder(adapter):
            yield from _below(Path(adapter), read)
    elif _is_folder(text):
        is_empty = True
        for found in _below(Path(text), read):
            is_empty = False
            yield found
        if is_empty:
            what = f"no model in it or below; supported are {', '.join(suffixes())}"
            yield FoundSource(text, unreadable(Path(text), what))
    else:
        yield (found := _opened(text, read))
        if text.startswith(SCHEME) or not os.path.lexists(text):
            yield from _on_hub(found, read)


def _on_hub(found: FoundSource, read: _Read) -> Iterator[FoundSource]:
    """Files of a repository that were not opened and may hold weights."""
    if isinstance(found.model, WeightkinError):
        return
    stores = stores_of(adapter_of(found.model.storage))
    for folder, files in ((store.folder, store.files) for store in stores if store.folder):
        for x in read.beside.on_hub(folder, {file.path for file in files}):
            if not x.is_read:
                why = f"{MAY_HOLD}: {_said(x.codes[0], x.data)}"
                yield FoundSource(f"{found.source}:{x.file}", unreadable(folder.path / x.file, why))


@dataclass(slots=True)
class _Read:
    """Files that models were read from: what of them was not read is a finding of the model."""

    beside: Beside
    settled: set[Path] = field(default_factory=set)
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
        for file in files_of_tensors(storage):
            if has_beside and is_own_model(file):
                continue
            if has_beside or is_one or kind_of(file.name) in ONE_MODEL_KINDS:
                self.settled.add(_real(file))
        self.settled |= {_real(file) for file in weights if is_index(file.name)}

    def is_settled(self, path: Path) -> bool:
        """Whether all of a file was read."""
        return _real(path) in self.settled


def _is_folder(source: str) -> bool:
    return not source.startswith(SCHEME) and os.path.isdir(source)  # noqa: PTH112 - takes any text


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _opened(source: str, read: _Read, how: Callable[[], Model] | None = None) -> FoundSource:
    model = tried(source, how or partial(open_model, source))
    if isinstance(model, Model):
        read.note(model)
    return FoundSource(source, model)


def _below(root: Path, read: _Read) -> Iterator[FoundSource]:
    """The models of a folder and of all folders in it, then every file that is none."""
    files: list[Path] = []
    for found in everything_below(root):
        listed = read.beside.without(found, root)
        for x in listed.refused:
            why = f"not checked: {_said(x.code, x.data)}"
            yield FoundSource(str(x.path), unreadable(x.path, why))
        names = [path.name for path in listed.files if _is_weights(path)]
        yield from _in_folder(listed.folder, names, read)
        files += listed.files
    for base in read.bases:
        if not _real(base).is_relative_to(_real(root)):
            yield _opened(str(base), read)
    read.bases.clear()
    yield from _rest(files, read)


def _said(code: str, data: Mapping[str, Any]) -> str:
    return in_words(REASON_WORDS, code, data)


def _in_folder(folder: Path, names: Sequence[str], read: _Read) -> Iterator[FoundSource]:
    """The folder as one model where its names say so; then every file that was not read."""
    left = [name for name in names if not read.is_settled(folder / name)]
    seen = [x for x in left if not x.startswith(".") and kind_of(x) not in ("adapter", "trainer")]
    if len(seen) == 1 or is_one_model(seen):
        found = _opened(str(folder), read)
        if isinstance(found.model, Model):
            yield found  # what is wrong with it is said of each file else
    for name in sorted(left, key=lambda x: (kind_of(x) == "trainer", _rank(x), x)):
        if not read.is_settled(folder / name):
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
    read.settled.add(_real(path))  # opened, or named here
    is_state = TRAINER_STATE.fullmatch(name) is not None
    yield FoundSource(found.source, found.model, is_state and (is_model or _is_passed(path)))


def _is_passed(path: Path) -> bool:
    return whole(path, path.name).is_read


def _rest(files: Sequence[Path], read: _Read) -> Iterator[FoundSource]:
    """Files that were not opened and may hold weights; many of one folder are named together."""
    by_folder: dict[Path, list[tuple[Path, FileBytes]]] = {}
    for path in files:
        if not read.is_settled(path) and not (found := read.beside.look(path)).is_read:
            by_folder.setdefault(path.parent, []).append((path, found))
    for folder, named in by_folder.items():
        for path, found in named[:MAX_NAMED_FILES]:
            said = _said(found.codes[0], found.data)
            error = unreadable(path, f"{MAY_HOLD}: {said}")
            yield FoundSource(str(path), error)
        if more := named[MAX_NAMED_FILES:]:
            what = f"{len(more)} more files {MAY_HOLD}, first {shown(more[0][0].name)}"
            yield FoundSource(str(folder), unreadable(folder, what))
