"""Sketches kept on disk by digest, files and scheme, so that a large model is sketched once."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from weightkin.errors import UnreadableModel
from weightkin.formats import Model, digest
from weightkin.formats.model import SKETCH_SUFFIX
from weightkin.sketch.file import read_sketch, write_sketch
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.take import take_sketch
from weightkin.sketch.types import Sketch
from weightkin.sources.local import readable


def cached_sketch(model: Model, folder: Path | None = None, scheme: Scheme | None = None) -> Sketch:
    """Return the sketch of a model, from the cache if it is there and sound.

    The key is the digest, which reads two rows of each tensor, together with what tells each file
    from any other state of it (`weights.stamps`; on a hub its address with the commit): no other
    model meets the entry. A damaged entry is made again. Name and source are always those of the
    model at hand. Models whose sketch would hold everything, and those in memory, are not kept:
    they are as quickly read.

    Parameters
    ----------
    model : Model
        An open model that is no sketch itself.
    folder : Path, optional
        Where the cache lies; made if need be. `default_folder` without it.
    scheme : Scheme, optional
        What to keep.

    Returns
    -------
    Sketch
        Taken anew where it is not in the cache.

    Raises
    ------
    UnreadableModel
        A tensor cannot be read, or the folder cannot be used.
    UsageError
        The model is a sketch already, or the sketch cannot be written.
    """
    scheme = scheme or Scheme()
    stamps = model.storage.stamps
    if scheme.is_whole or not stamps:
        return take_sketch(model, scheme)
    folder = default_folder() if folder is None else folder
    identity = digest(model)
    key = hashlib.sha256("\0".join((identity, scheme.name, *stamps)).encode()).hexdigest()
    path = folder / f"{key}{SKETCH_SUFFIX}"
    with readable(path):
        is_there = path.exists()
    if is_there:
        try:
            sketch = read_sketch(path)
        except UnreadableModel:
            sketch = None
        if sketch is not None and (sketch.digest, sketch.scheme) == (identity, scheme):
            return replace(sketch, name=model.name, source=model.source, revision=model.revision)
    sketch = take_sketch(model, scheme)
    if model.storage.stamps != stamps:
        return sketch  # a file was changed meanwhile
    with readable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_sketch(sketch, path, overwrite=True)
    return sketch


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/weightkin/sketches``, or that under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "weightkin" / "sketches"
