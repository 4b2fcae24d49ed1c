"""Many sources become members: sketched, named apart, equal contents collapsed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from weightkin.errors import UsageError, WeightkinError
from weightkin.records import Skipped
from weightkin.sketch import Scheme, Sketch, cached_sketch, read_sketch, take_sketch
from weightkin.sketch.cache import default_folder
from weightkin.weights import Model, open_model

SMALL = 8 << 20  # bytes of a model that is kept whole: its sketch would not be much smaller
Source = str | Path | Model | Sketch
Progress = Callable[[str, int, int, int], None]  # name, done, in all, bytes read so far


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a collection. ``model`` is None where only a sketch is at hand."""

    id: str
    sketch: Sketch
    model: Model | None
    duplicates: tuple[str, ...] = ()


@dataclass
class Collection:
    """What could be read, in the order of the sources, and what could not."""

    members: list[Member] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    bytes_read: int = 0
    is_incomplete: bool = False


def gather(
    sources: Sequence[Source], cache: Path | None = None, progress: Progress | None = None
) -> Collection:
    """Sketch every source; one that cannot be read is reported and the rest goes on.

    Sources of equal contents become one member, the first; the others are its ``duplicates``.
    """
    found = Collection()
    first: dict[str, int] = {}  # contents to position
    taken: set[str] = set()
    for done, source in enumerate(sources):
        name = _label(source)
        if progress is not None:
            progress(name, done, len(sources), found.bytes_read)
        try:
            sketch, model = _sketched(source, cache)
        except WeightkinError as error:
            found.skipped.append(Skipped(what=name, why=str(error)))
            found.is_incomplete = True
            continue
        found.bytes_read += model.bytes_read if model is not None else 0
        if sketch.is_partial:
            found.is_incomplete = True
        n_lost = sum(t.n_finite < t.stored.size for t in sketch.tensors.values())
        if n_lost:
            why = f"{n_lost} of {len(sketch.tensors)} tensors hold non-finite values: left out"
            found.skipped.append(Skipped(what=name, why=why))
        for what, why in sketch.problems:
            found.skipped.append(Skipped(what=f"{name}: {what}", why=why))
        member_id = _unique(sketch.name or name, taken)
        contents = contents_of(sketch)
        if contents in first:
            position = first[contents]
            old = found.members[position]
            found.members[position] = Member(
                old.id, old.sketch, old.model, (*old.duplicates, member_id)
            )
            continue
        first[contents] = len(found.members)
        found.members.append(Member(member_id, sketch, model))
    return found


def cache_folder(wanted: Path | None) -> Path | None:
    """The folder for sketches: the one named, else the user's; None where that cannot be used."""
    folder = wanted or default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if wanted is not None:
            raise UsageError(f"{folder}: cannot be made ({error.strerror})") from None
        return None
    return folder if os.access(folder, os.W_OK) else None


def _sketched(source: Source, cache: Path | None) -> tuple[Sketch, Model | None]:
    if isinstance(source, Sketch):
        return source, None
    model = source if isinstance(source, Model) else open_model(source)
    if model.sketched is not None:
        return replace(read_sketch(Path(model.source)), source=model.source), None
    scheme = Scheme.whole() if model.n_bytes <= SMALL else Scheme()
    if cache is None:
        return take_sketch(model, scheme), model
    return cached_sketch(model, cache, scheme), model


def _label(source: Source) -> str:
    if isinstance(source, Model | Sketch):
        return source.name
    return Path(source).name or str(source)


def _unique(name: str, taken: set[str]) -> str:
    wanted, n = name, 1
    while wanted in taken:
        n += 1
        wanted = f"{name}~{n}"
    taken.add(wanted)
    return wanted


def contents_of(sketch: Sketch) -> str:
    """Digest of all sampled values, names, shapes and dtypes; the header and config stay out."""
    digest = hashlib.sha256()
    for name, tensor in sketch.tensors.items():
        digest.update(f"{name}\0{tensor.digest}\0".encode())
    return digest.hexdigest()
