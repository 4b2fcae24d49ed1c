"""Many sources become members: sketched, named apart, equal contents collapsed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from weightkin.compute import HERE, Execution, run
from weightkin.derivation.equality import equal_values
from weightkin.errors import UnreadableModel, UsageError, WeightkinError
from weightkin.formats import Model, absolute, digest
from weightkin.lineage.candidates import Member
from weightkin.lineage.member_names import paths_apart
from weightkin.lineage.same import collapsed, in_common_layouts
from weightkin.processes import Lost
from weightkin.records import Skipped, left_out, unread
from weightkin.sketch import Scheme, Sketch, cached_sketch, take_sketch
from weightkin.sketch.cache import default_folder
from weightkin.sketch.source import open_model
from weightkin.sketch.stand_in import as_model, sketch_behind

WHOLE_UP_TO = 8 << 20  # bytes of a model that is kept whole: its sketch would not be much smaller
Source = str | Path | Model | Sketch
SketchResult = (
    tuple[Sketch, Model | None, int] | str | Lost
)  # with the bytes read; or why there is none


@dataclass
class Collection:
    """What could be read, in the order of the sources, and what could not."""

    members: list[Member] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    bytes_read: int = 0
    n_lost: int = 0  # of those skipped, what no worker finished
    is_incomplete: bool = False


def gather(
    sources: Sequence[Source],
    cache: Path | None = None,
    execution: Execution = HERE,
) -> Collection:
    """Sketch every source; one that cannot be read is reported and the rest goes on.

    Sources of equal contents become one member, the first; the others are its ``duplicates``, also
    where names of tensors, their layout or dtypes differ.

    Parameters
    ----------
    sources : sequence
        Paths, names on a hub, open models or sketches.
    cache : Path, optional
        Folder of the cache of sketches.
    execution : Execution
        Where sources that are named are read, with the progress; the result is the same.

    Returns
    -------
    Collection
        Members, and what was skipped, in the order of the sources.
    """
    found = Collection()
    first: dict[str, int] = {}  # contents to position
    taken: set[str] = set()
    names = paths_apart(sources)
    results = _results(sources, cache, execution)
    with closing(results):
        for done, source in enumerate(sources):
            if execution.progress is not None:
                execution.progress(_label(source), done, len(sources), found.bytes_read)
            _keep(found, (source, names[done]), next(results), first, taken)
    found.members = collapsed(in_common_layouts(found.members))
    return found


def _keep(
    found: Collection,
    named: tuple[Source, str],
    result: SketchResult,
    first: dict[str, int],
    taken: set[str],
) -> None:
    source, apart = named
    name = apart or _label(source)
    if isinstance(result, str | Lost):
        why = result if isinstance(result, str) else f"{source}: {result.why}"
        found.skipped.append(unread(name, why))
        found.n_lost += isinstance(result, Lost)
        found.is_incomplete = True
        return
    sketch, model, n_bytes = result
    found.bytes_read += n_bytes
    if sketch.is_partial:
        found.is_incomplete = True
    n_lost = sum(t.n_finite < t.stored.size for t in sketch.tensors.values())
    if n_lost:
        n = len(sketch.tensors)
        found.skipped.append(left_out(name, "non-finite-tensors", n=n_lost, n_tensors=n))
    for what, why in sketch.problems:
        found.skipped.append(unread(f"{name}: {what}", why))
    member_id = _unique(apart or sketch.name or name, taken)
    contents = contents_of(sketch)
    if contents in first:
        position = first[contents]
        old = found.members[position]
        found.members[position] = replace(old, duplicates=(*old.duplicates, member_id))
        return
    first[contents] = len(found.members)
    found.members.append(Member(member_id, sketch, model))


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


def _results(
    sources: Sequence[Source], cache: Path | None, execution: Execution
) -> Generator[SketchResult]:
    """What became of each source, in order; only paths and names are handed to others."""
    workers, cluster = execution.workers, execution.cluster
    if workers == 1 and cluster is None:
        yield from (_sketched(source, cache) for source in sources)
        return
    named = [absolute(x) for x in sources if isinstance(x, str | Path)]
    found = run(partial(_elsewhere, cache=cache), named, workers=workers, cluster=cluster)
    with closing(found):
        for source in sources:
            if not isinstance(source, str | Path):
                yield _sketched(source, cache)
                continue
            result = next(found)
            if isinstance(result, str | Lost):
                yield result
            else:
                yield _brought_back(source, *result, is_far=cluster is not None)


def _sketched(source: Source, cache: Path | None) -> SketchResult:
    if isinstance(source, Sketch):
        return source, None, 0
    try:
        model = source if isinstance(source, Model) else open_model(source)
        if (sketch := sketch_behind(model)) is not None:
            return replace(sketch, source=model.source), None, 0
        scheme = Scheme.whole() if model.n_bytes <= WHOLE_UP_TO else Scheme()
        if cache is None:
            return take_sketch(model, scheme), model, model.bytes_read
        return cached_sketch(model, cache, scheme), model, model.bytes_read
    except WeightkinError as error:
        return str(error)


def _elsewhere(source: str, cache: Path | None) -> tuple[Sketch, int] | str | Lost:
    """What a worker does: a cache that it has no room for is left out."""
    try:
        folder = None if cache is None else cache_folder(cache)
    except UsageError:
        folder = None
    result = _sketched(source, folder)
    return result if isinstance(result, str | Lost) else (result[0], result[2])


def _brought_back(
    source: str | Path, sketch: Sketch, n_bytes: int, *, is_far: bool
) -> tuple[Sketch, Model | None, int]:
    """A worker's sketch with the model it is of, if that can be opened here as well."""
    if sketch.source == absolute(source):
        sketch = replace(sketch, source=str(source))
    try:
        model = open_model(source)
        if model.sketched is not None:
            return sketch, None, n_bytes
        if not is_far or is_of(sketch, model):
            return sketch, model, n_bytes
    except UnreadableModel:
        pass
    whole = as_model(sketch)
    return sketch, None if whole.sketched is not None else whole, n_bytes


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
    """Digest of all sampled values, stored names, shapes and dtypes; header and config stay out.

    What could not be read may be anything: where something is missing, no other source has these
    contents.
    """
    digest = hashlib.sha256()
    for tensor in sketch.as_stored.values():
        digest.update(f"{tensor.stored_name}\0{tensor.digest}\0".encode())
    if sketch.is_partial:
        digest.update(f"partial\0{sketch.source}".encode(errors="replace"))
    return digest.hexdigest()


def is_of(sketch: Sketch, model: Model) -> bool:
    """Whether a sketch is that of a model as it is now: every value of the sample is the same.

    On a hub, where a commit says so, the digest is enough.
    """
    if digest(model) != sketch.digest:
        return False
    if model.revision and model.revision == sketch.revision:
        return True
    taken = take_sketch(model, replace(sketch.scheme, has_views=False))
    now = {x.stored_name: x for x in taken.tensors.values()}
    then = {x.stored_name: x for x in sketch.as_stored.values()}
    return now.keys() == then.keys() and all(
        equal_values(x, then[name]) is not None for name, x in now.items()
    )
