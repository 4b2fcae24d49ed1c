"""Sketches kept on disk by digest and scheme, so that a model is sketched once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from weightkin.errors import UnreadableModel
from weightkin.sketch.file import SUFFIX, read_sketch, write_sketch
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.take import take_sketch
from weightkin.sketch.types import Sketch
from weightkin.weights import Model, digest
from weightkin.weights.files import readable


def cached_sketch(model: Model, folder: Path | None = None, scheme: Scheme | None = None) -> Sketch:
    """Return the sketch of a model, from the cache if it is there and sound.

    The key is the digest, which reads two rows of each tensor: models that agree on those rows and
    differ elsewhere share an entry (see `weights.digests`). A damaged entry is made again. Name,
    source and config are always those of the model at hand.

    Parameters
    ----------
    model : Model
        An open model that is no sketch itself.
    folder : Path, optional
        Where the cache lies; made if need be. `default_folder` without it.
    scheme : Scheme, optional
        What to keep.
    """
    scheme = scheme or Scheme()
    folder = default_folder() if folder is None else folder
    identity = digest(model)
    path = folder / f"{identity}_{scheme.name}{SUFFIX}"
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
    with readable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_sketch(sketch, path, overwrite=True)
    return sketch


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/weightkin/sketches``, or that under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "weightkin" / "sketches"
