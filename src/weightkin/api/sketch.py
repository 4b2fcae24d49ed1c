"""Take sketches: of one model as a value, of many as files that can stand in for them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from weightkin._version import __version__
from weightkin.api.arguments import check_execution, check_flag, check_kind, check_path, check_paths
from weightkin.api.models import Source
from weightkin.api.models import open_model as opened
from weightkin.compute import HERE, Execution, run
from weightkin.errors import UnreadableModel, UsageError, WorkerLost
from weightkin.formats import absolute
from weightkin.formats.model import SKETCH_SUFFIX
from weightkin.formats.write_guard import refuse_inside
from weightkin.processes import Lost
from weightkin.records import Skipped, left_out, unread
from weightkin.records.sketching import SketchFile, Sketching
from weightkin.sketch import file, take
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.source import open_model
from weightkin.sketch.types import Sketch


def take_sketch(
    source: Source, scheme: Scheme | None = None, *, with_full_digest: bool = False
) -> Sketch:
    """Sketch a model: a small consistent sample of every tensor, which can stand in for it.

    Parameters
    ----------
    source : Model, str, Path or state dict
        An open model or a source, no sketch.
    scheme : Scheme, optional
        What to keep; the default scheme without it.
    with_full_digest : bool
        Also digest every byte.

    Returns
    -------
    Sketch
        The sample, with the digest of the model.

    Raises
    ------
    UsageError
        An argument has a value that it cannot have, or the source is a sketch.
    UnreadableModel
        The source cannot be read.
    """
    if scheme is not None:
        check_kind("scheme", scheme, Scheme, "a Scheme")
    check_flag("with_full_digest", with_full_digest)
    return take.take_sketch(opened(source), scheme, with_full_digest=with_full_digest)


def read_sketch(path: str | Path) -> Sketch:
    """Read a sketch from the file that `write_sketch` wrote."""
    return file.read_sketch(check_path("path", path))


def write_sketch(sketch: Sketch, path: str | Path, *, overwrite: bool = False) -> int:
    """Write a sketch into a file ``NAME.sketch.safetensors``; return its size in bytes.

    Parameters
    ----------
    sketch : Sketch
        What `take_sketch` made.
    path : str or Path
        The file.
    overwrite : bool
        Replace a sketch that is there.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    UsageError
        An argument has a value that it cannot have, or the file is there already.
    """
    check_kind("sketch", sketch, Sketch, "a Sketch")
    target = check_path("path", path)
    return file.write_sketch(sketch, target, overwrite=check_flag("overwrite", overwrite))


def sketch_files(
    sources: Sequence[str | Path],
    folder: Path,
    *,
    scheme: Scheme | None = None,
    with_full_digest: bool = False,
    execution: Execution = HERE,
) -> Sketching:
    """Write the sketch of each source into a folder, as ``NAME.sketch.safetensors``.

    What cannot be read or written is in ``skipped``, unless it is everything.

    Parameters
    ----------
    sources : sequence of str or Path
        Models that are no sketches.
    folder : Path
        Where the files go; made if it is not there.
    scheme : Scheme, optional
        What to keep; the default scheme without it.
    with_full_digest : bool
        Also digest every byte.
    execution : Execution
        Where models are read; the files are written here, one after the other.

    Returns
    -------
    Sketching
        The files that were written, and what was left out.

    Raises
    ------
    UsageError
        The folder belongs to a model, or a file would be overwritten; nothing was written.
    UnreadableModel
        No source could be read.
    OutOfReach
        The cluster cannot be asked, or not any more.
    """
    check_paths("sources", sources)
    workers, cluster = check_execution(execution).workers, execution.cluster
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: not a folder")
    refuse_inside(folder, sources)
    skipped: list[Skipped] = []
    targets: dict[str, str] = {}  # of what, by absolute name
    given = {absolute(source): str(source) for source in sources}
    errors: list[UnreadableModel] = []
    names = [absolute(source) for source in sources]
    with closing(run(_seen, names, workers=workers, cluster=cluster)) as found:
        for source, seen in zip(names, found, strict=True):
            if isinstance(seen, Lost):
                seen = WorkerLost(f"{given[source]}: {seen.why}")
            if isinstance(seen, UnreadableModel):
                errors.append(seen)
                skipped.append(unread(given[source], seen))
            elif seen.is_sketch:
                skipped.append(left_out(given[source], "is-sketch"))
            else:
                targets[_target(folder, seen.name, targets)] = source
    if errors and len(skipped) == len(sources):
        raise next((x for x in errors if isinstance(x, WorkerLost)), errors[0])
    for target in targets:
        if Path(target).exists():
            raise UsageError(f"{target}: already exists and is not overwritten")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror})") from None
    written: list[SketchFile] = []
    work = partial(_taken, scheme=scheme, full=with_full_digest)
    with closing(run(work, list(targets.values()), workers=workers, cluster=cluster)) as results:
        for done, (target, source) in enumerate(targets.items()):
            if execution.progress is not None:
                n_bytes = sum(x.bytes_read for x in written)
                execution.progress(Path(source).name, done, len(targets), n_bytes)
            try:
                written.append(_write(next(results), Path(target), source, given[source]))
            except (UnreadableModel, UsageError) as error:
                skipped.append(unread(given[source], error))
    return Sketching(sketches=tuple(written), skipped=tuple(skipped), version=__version__)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What has to be known of a model before anything is written."""

    name: str
    is_sketch: bool


@dataclass(frozen=True, slots=True)
class _Taken:
    """A sketch, and what a record says about how it was taken."""

    sketch: Sketch
    n_bytes: int
    is_partial: bool
    seconds: float


def _seen(source: str) -> _Opened | UnreadableModel:
    try:
        model = open_model(source)
    except UnreadableModel as error:
        return error
    return _Opened(model.name, model.sketched is not None)


def _taken(source: str, scheme: Scheme | None, *, full: bool) -> _Taken | UnreadableModel:
    started = time.perf_counter()
    try:
        model = open_model(source)
        sketch = take.take_sketch(model, scheme, with_full_digest=full)
    except UnreadableModel as error:
        return error
    return _Taken(sketch, model.n_bytes, model.is_partial, time.perf_counter() - started)


def _write(
    what: _Taken | UnreadableModel | Lost, target: Path, source: str, given: str
) -> SketchFile:
    """Write a file that names the source as it was given, wherever it was read."""
    if isinstance(what, Lost):
        raise WorkerLost(f"{given}: {what.why}")
    if isinstance(what, UnreadableModel):
        raise what
    sketch = what.sketch
    if sketch.source == source:
        sketch = replace(sketch, source=given)
    size = file.write_sketch(sketch, target)
    return SketchFile(
        source=sketch.source,
        name=sketch.name,
        digest=sketch.digest,
        full_digest=sketch.full_digest,
        scheme=sketch.scheme.name,
        file=str(target),
        n_parameters=sketch.n_parameters,
        n_bytes_model=what.n_bytes,
        bytes_read=sketch.bytes_read,
        size=size,
        seconds=round(what.seconds, 3),
        incomplete=what.is_partial,
    )


def _target(folder: Path, name: str, taken: Mapping[str, str]) -> str:
    """A file named after the model, numbered where two models share a name."""
    stem = name.replace("/", "_").replace("\0", "_")
    target = str(folder / f"{stem}{SKETCH_SUFFIX}")
    n = 2
    while target in taken:
        target = str(folder / f"{stem}-{n}{SKETCH_SUFFIX}")
        n += 1
    return target
