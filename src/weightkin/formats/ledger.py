"""The ledger of a model: every byte of its files in one state, and every file of its folder.

Bytes that a tensor touches are payload, each once, whatever else is said of them. Others are what a
reader claims them to be (`storage.Claim`), where that holds when it is looked at; what is claimed
by nobody is unread. What a format needs beside tensors is small when it is compressed: where it is
not, it is unread as well, for it may be anything. Nothing of this is done when a model is opened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

from weightkin.errors import UnreadableModel
from weightkin.formats.adapter import Joined
from weightkin.formats.byte_pieces import (
    NOTHING,
    Pieces,
    as_pieces,
    both,
    information,
    length,
    rest,
    touched,
    union,
    whole_of,
    without,
)
from weightkin.formats.computed import ComputedStorage
from weightkin.formats.memory import ArrayStorage
from weightkin.formats.model import Model, Storage
from weightkin.formats.other_files import judged
from weightkin.formats.storage import Claim, FileStorage
from weightkin.records.accounting import FileBytes, Ledger
from weightkin.sources.files import File, Folder, TensorLocation
from weightkin.sources.listing import everything_below
from weightkin.sources.local import LocalFile

MOST_CONTAINER = 1 << 20  # bytes, compressed: names, shapes, a pickle, a graph
MOST_NOT_WEIGHTS = 1 << 24  # the same of what a file says it holds beside: its vocabulary


@dataclass(frozen=True, slots=True)
class Account:
    """One file of a model: where each of its bytes went, and those that no tensor touches."""

    file: File
    bytes: FileBytes
    outside: Pieces


def own_ledger(model: Model) -> Ledger:
    """Where every byte of the files that a model was read from went.

    Raises
    ------
    UnreadableModel
        A file of the model is no longer what it was when it was opened.
    """
    files = tuple(account.bytes for account in accounts_of(model.storage))
    return Ledger(files=files, n_parameters=n_stored(model.storage, model.tensors))


def ledger_of(model: Model) -> Ledger:
    """Where every byte of the files of a model went, and of all that lies beside them."""
    return with_beside(own_ledger(model), model)


def with_beside(own: Ledger, model: Model) -> Ledger:
    """The ledger of a model's own files, and of all others in the folder that was opened.

    Of a file that is on a hub and was not opened, the name alone is listed.
    """
    stores = stores_of(model.storage)
    files = list(own.files)
    seen = {file.path for store in stores for file in store.files}
    for store in stores:
        if store.folder is not None:
            head = _head(store, stores)
            files += [replace(x, file=head + x.file) for x in beside(store.folder, seen)]
    return replace(own, files=tuple(files))


def files_of(storage: Storage) -> set[Path]:
    """The files on this machine that the tensors of a model, and its config, were read from."""
    stored = [file.path for store in stores_of(storage) for file in store.files]
    return {path for path in stored if isinstance(path, Path)}


def files_of_tensors(storage: Storage) -> set[Path]:
    """Those of them that hold tensors, or might."""
    stores = stores_of(storage)
    held = {place.file.path for store in stores for place in store.places.values()}
    held |= {claim.file.path for store in stores for claim in store.claims}
    return {path for path in held if isinstance(path, Path)}


def stores_of(storage: Storage) -> list[FileStorage]:
    """All that lies in files of what a storage reads: of a base, then of its adapters."""
    match storage:
        case ComputedStorage():
            return stores_of(storage.inner)
        case Joined():
            return [*stores_of(storage.base), *stores_of(storage.adapter)]
        case ArrayStorage() if storage.stored is not None:
            return stores_of(storage.stored)
        case FileStorage():
            return [storage]
    return []


def accounts_of(storage: Storage) -> list[Account]:
    """The files that a storage reads, each once."""
    stores = stores_of(storage)
    found: dict[PurePath, Account] = {}
    for store in stores:
        head = _head(store, stores)
        places: dict[PurePath, list[TensorLocation]] = {}
        for place in store.places.values():
            places.setdefault(place.file.path, []).append(place)
        claims: dict[PurePath, list[Claim]] = {}
        for claim in store.claims:
            claims.setdefault(claim.file.path, []).append(claim)
        for file in store.files:
            path, name = file.path, f"{head}{file.path.name}"
            if path not in places and path not in claims:
                found.setdefault(path, Account(file, _whole(file, name), whole_of(file)))
            elif path not in found:
                found[path] = _account(file, name, places.get(path, []), claims.get(path, []))
    return list(found.values())


def n_outside(storage: Storage) -> int:
    """What the bytes of a model's files that belong to no tensor may hold at most, in bytes."""
    return sum(information(x.file, x.outside) for x in accounts_of(storage))


def _head(store: FileStorage, stores: Sequence[FileStorage]) -> str:
    """What tells the files of a base from those of its adapters."""
    if len(stores) == 1 or not store.files:
        return ""
    return f"{store.files[0].path.parent.name}/"


def _account(
    file: File, name: str, places: Iterable[TensorLocation], claims: Sequence[Claim]
) -> Account:
    """Every byte of a file of weights, in the first of the states that it is in."""
    size = file.size
    spans_of = [as_pieces(x.narrow(file, x.spans) if x.narrow else x.spans, size) for x in claims]
    hidden = union(*(y for x, y in zip(claims, spans_of, strict=True) if x.narrow))
    payload = without(both(touched(places), whole_of(file), size), hidden, size)
    outside = left = rest(payload, size)
    states: dict[str, list[Pieces]] = {"unread": [], "not-weights": [], "container": []}
    codes: dict[str, Pieces] = {}
    for claim, spans in zip(claims, spans_of, strict=True):
        state: str = claim.state
        code = claim.code
        if claim.check is not None and not claim.check(file, claim.spans):
            state, code = "unread", "not-blank"
        states[state].append(spans)
        if code:
            codes[code] = union(codes.get(code, NOTHING), spans)
    held: dict[str, Pieces] = {}
    for name_of, claimed in states.items():
        held[name_of] = both(union(*claimed), left, size)
        left = without(left, held[name_of], size)
    if length(left):
        codes["no-tensor"] = left
        held["unread"] = union(held["unread"], left)
    for state, most in (("container", MOST_CONTAINER), ("not-weights", MOST_NOT_WEIGHTS)):
        if length(held[state]) > most and information(file, held[state]) > most:
            codes["too-dense"] = held[state]
            held["unread"] = union(held["unread"], held[state])
            held[state] = NOTHING
    told = FileBytes(
        file=name,
        n_bytes=size,
        payload=length(payload),
        container=length(held["container"]),
        not_weights=length(held["not-weights"]),
        unread=length(held["unread"]),
        codes=tuple(code for code, x in codes.items() if length(both(x, outside, size))),
    )
    return Account(file, told, outside)


def _whole(file: File, name: str) -> FileBytes:
    """A file that holds no tensor, by what it is as a whole."""
    found = judged(file)
    is_unread = found.state == "unread"
    return FileBytes(
        file=name,
        n_bytes=file.size,
        payload=0,
        container=0,
        not_weights=0 if is_unread else file.size,
        unread=file.size if is_unread else 0,
        codes=(found.code,),
        data=found.data,
        is_opened=not is_unread or file.size > 0,
    )


def beside(folder: Folder, seen: Collection[PurePath]) -> Iterator[FileBytes]:
    """The other files of a folder and of all below it: no weights for certain, or unread.

    Parameters
    ----------
    folder : Folder
        The folder. Of one on a hub, only the names in it are listed.
    seen : collection of PurePath
        Files that were opened.

    Yields
    ------
    FileBytes
        One for each file, and for each entry that is not looked into.
    """
    root = folder.path
    if not isinstance(root, Path):
        names = (*folder.names, *folder.deeper)
        yield from (not_opened(x, "not-fetched") for x in names if root / x not in seen)
        return
    known = {Path(x).resolve() for x in seen}
    for listed in everything_below(root):
        for path in listed.files:
            if path.resolve() not in known:
                yield whole(path, str(path.relative_to(root)))
        for x in listed.refused:
            name = str(x.path.relative_to(root)) if x.path != root else root.name
            yield replace(not_opened(name, x.code), data=x.data)


def whole(path: Path, name: str) -> FileBytes:
    """A file that nothing opens as a model, by what it is as a whole."""
    return whole_file(partial(LocalFile, path), name)


def whole_file(opened: Callable[[], File], name: str) -> FileBytes:
    """The same of a file that lies anywhere."""
    try:
        return _whole(opened(), name)
    except UnreadableModel as error:
        return replace(not_opened(name, "file-unread"), data={"error": str(error)})


def not_opened(name: str, code: str) -> FileBytes:
    """An entry of which nothing is known but its name."""
    return FileBytes(
        file=name,
        n_bytes=0,
        payload=0,
        container=0,
        not_weights=0,
        unread=0,
        codes=(code,),
        is_opened=False,
    )


def n_stored(storage: Storage, names: Collection[str]) -> int:
    """Parameters of some tensors, once for each that is stored: views and ties add nothing.

    A packed tensor counts as the values it stands for; of an adapter, what it stores counts beside
    its base.
    """
    match storage:
        case ComputedStorage(inner=Joined() as joined):
            own = n_stored(joined.adapter, _own(joined.adapter))
            return n_stored(joined.base, names) + own
        case ComputedStorage():
            packed = [storage.recipes[name] for name in names if name in storage.recipes]
            plain = [name for name in names if name not in storage.recipes]
            return sum(math.prod(x.shape) for x in packed) + n_stored(storage.inner, plain)
        case FileStorage():
            return _n_in_files([storage.places[x] for x in names if x in storage.places])
        case ArrayStorage():
            return sum(storage.arrays[x].size for x in names if x in storage.arrays)
    return 0


def _own(storage: Storage) -> Collection[str]:
    return storage.places if isinstance(storage, FileStorage) else ()


def _n_in_files(places: Iterable[TensorLocation]) -> int:
    """Elements that tensors touch, each once, by their width."""
    groups: dict[tuple[PurePath, int], list[TensorLocation]] = {}
    for place in places:
        groups.setdefault((place.file.path, place.dtype.itemsize), []).append(place)
    return sum(length(touched(some)) // width for (_, width), some in groups.items())
