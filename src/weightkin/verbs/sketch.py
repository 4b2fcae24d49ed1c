"""Take sketches: of one model as a value, of many as files that can stand in for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import weightkin
from weightkin.errors import UnreadableModel, UsageError
from weightkin.records import Skipped
from weightkin.records.sketching import SketchFile, Sketching
from weightkin.sketch import file, take
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.types import Sketch
from weightkin.weights import Model, open_model
from weightkin.weights.outside import refuse_inside


def take_sketch(
    source: Model | str | Path, scheme: Scheme | None = None, *, with_full_digest: bool = False
) -> Sketch:
    """Sketch a model: a small consistent sample of every tensor, which can stand in for it.

    Parameters
    ----------
    source : Model, str or Path
        An open model or a source, no sketch.
    scheme : Scheme, optional
        What to keep; the default scheme without it.
    with_full_digest : bool
        Also digest every byte.
    """
    model = source if isinstance(source, Model) else open_model(source)
    return take.take_sketch(model, scheme, with_full_digest=with_full_digest)


def sketch_files(
    sources: Sequence[str | Path],
    folder: Path,
    *,
    scheme: Scheme | None = None,
    with_full_digest: bool = False,
) -> Sketching:
    """Write the sketch of each source into a folder, as ``NAME.sketch.safetensors``.

    What cannot be read or written is in ``skipped``, unless it is everything.

    Raises
    ------
    UsageError
        The folder belongs to a model, or a file would be overwritten; nothing was written.
    UnreadableModel
        No source could be read.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is no folder")
    refuse_inside(folder, sources)
    skipped: list[Skipped] = []
    models: dict[str, Model] = {}
    first_error: UnreadableModel | None = None
    for source in sources:
        try:
            model = open_model(source)
        except UnreadableModel as error:
            first_error = first_error or error
            skipped.append(Skipped(what=str(source), why=str(error)))
            continue
        if model.sketched is not None:
            skipped.append(Skipped(what=str(source), why="is a sketch already"))
            continue
        models[_target(folder, model, models)] = model
    if first_error is not None and len(skipped) == len(sources):
        raise first_error
    for target in models:
        if Path(target).exists():
            raise UsageError(f"{target}: exists already, and is not overwritten")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror})") from None
    written = []
    for target, model in models.items():
        try:
            written.append(_write(model, Path(target), scheme, full=with_full_digest))
        except (UnreadableModel, UsageError) as error:
            skipped.append(Skipped(what=model.source, why=str(error)))
    return Sketching(sketches=tuple(written), skipped=tuple(skipped), version=weightkin.__version__)


def _write(model: Model, target: Path, scheme: Scheme | None, *, full: bool) -> SketchFile:
    started = time.perf_counter()
    sketch = take.take_sketch(model, scheme, with_full_digest=full)
    size = file.write_sketch(sketch, target)
    return SketchFile(
        source=model.source,
        name=model.name,
        digest=sketch.digest,
        full_digest=sketch.full_digest,
        scheme=sketch.scheme.name,
        file=str(target),
        n_parameters=sketch.n_parameters,
        n_bytes_model=model.n_bytes,
        bytes_read=sketch.bytes_read,
        size=size,
        seconds=round(time.perf_counter() - started, 3),
        incomplete=model.is_partial,
    )


def _target(folder: Path, model: Model, taken: dict[str, Model]) -> str:
    """A file named after the model, numbered where two models share a name."""
    stem = model.name.replace("/", "_").replace("\0", "_")
    target = str(folder / f"{stem}{file.SUFFIX}")
    n = 2
    while target in taken:
        target = str(folder / f"{stem}-{n}{file.SUFFIX}")
        n += 1
    return target
