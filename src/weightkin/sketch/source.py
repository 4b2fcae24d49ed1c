"""From what the user names to an open model, which may be one that a sketch stands in for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from weightkin.anatomy.read import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.formats.memory import ArrayStorage
from weightkin.formats.model import Model
from weightkin.formats.source import open_model as open_whole
from weightkin.formats.storage import FileStorage, SketchFound
from weightkin.sketch.file import sketch_in
from weightkin.sketch.stand_in import run_of, stand_in


def open_model(source: str | Path) -> Model:
    """Open a model that lies on this machine or on a hub; reads headers only.

    Parameters
    ----------
    source : str or Path
        A folder, a file of weights, a name on a hub or ``base+adapter``, as in
        `formats.source.open_model`; or a file that `write_sketch` wrote, which is read whole and
        opens as the runs it holds, with ``sketched`` set.

    Returns
    -------
    Model
        Tensors in sorted name order. What could not be read is in ``problems``; ``revision`` is
        the commit of a hub.

    Raises
    ------
    UnreadableModel
        Nothing could be read, or the source is malformed in a way that is refused.
    OutOfReach
        It is on a hub that cannot be asked, and not in the cache.
    """
    try:
        return open_whole(source)
    except SketchFound as found:
        sketch = sketch_in(found.file, found.contents)
        arrays = {x.stored_name: run_of(x) for x in sketch.tensors.values()}
        stamps = (found.file.stamp,) if found.file.stamp else ()
        return replace(
            stand_in(sketch),
            source=found.source,
            revision=None,
            storage=ArrayStorage(
                arrays,
                found.file.bytes_touched,
                stamps,
                FileStorage(found.contents.places, [found.file], found.contents.claims),
            ),
            headers=found.contents.headers,
        )


def open_side(source: Model | str | Path) -> Side:
    """A model with its anatomy, opened if it is a source."""
    model = source if isinstance(source, Model) else open_model(source)
    return Side(model, read_anatomy(model))
