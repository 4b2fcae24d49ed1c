"""A source becomes what the registry keeps: its sketch, its search vectors, its declarations."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from weightkin.anatomy import read_anatomy
from weightkin.arrays import Floats
from weightkin.errors import UnreadableModel
from weightkin.formats import Model
from weightkin.formats.declared import Declared, declared
from weightkin.formats.model import SKETCH_SUFFIX
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.formats.source import full_name_of
from weightkin.lineage.collection import WHOLE_UP_TO, contents_of, is_of
from weightkin.records import Skipped, left_out, unread
from weightkin.records.registry import Registered
from weightkin.registry.claims import is_claimed
from weightkin.sketch import Scheme, Sketch, read_sketch, take_sketch
from weightkin.sketch.invariant import N_INVARIANT, invariant_vector
from weightkin.sketch.source import open_model
from weightkin.sketch.stand_in import as_model, sketch_behind
from weightkin.sketch.vectors import search_vector
from weightkin.sources.hub import SCHEME
from weightkin.sources.local import LocalFile

MAX_SKETCH = 1 << 28  # bytes of a file
Held = tuple[Sketch, str | None]  # what there is of a model, and where its weights are
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One model, ready to be registered or searched for. No invariant vector: zeros."""

    sketch: Sketch
    contents: str
    aligned: Floats
    invariant: Floats
    declared: Declared
    claimed: bool = False  # whether the digest is a mere claim of a sketch
    weights_at: str | None = None  # where its weights are; None where only a file says so


def prepare(source: str | Path | Model | Sketch) -> Prepared:
    """Read one source; small models are kept whole."""
    if isinstance(source, Sketch):
        return of_sketch(source, Declared())
    model = source if isinstance(source, Model) else open_model(source)
    said = declared(model)
    if (sketch := sketch_behind(model)) is not None:
        return replace(of_sketch(sketch, said), claimed=is_claimed(sketch))
    sketch = take_sketch(model, Scheme.whole() if model.n_bytes <= WHOLE_UP_TO else Scheme())
    sketch = replace(sketch, source=full_name_of(model))
    return replace(_prepared(sketch, model, said), weights_at=sketch.source)


def of_sketch(sketch: Sketch, said: Declared, invariant: Floats | None = None) -> Prepared:
    """What the registry keeps of a model of which there is only a sketch.

    Parameters
    ----------
    sketch : Sketch
        The model.
    said : Declared
        What it declares.
    invariant : (n_dims,) array, optional
        Invariant vector, used where the sketch cannot show one.

    Returns
    -------
    Prepared
        Its digest counts as computed.
    """
    model = as_model(sketch)
    found = _prepared(sketch, model, said)
    if invariant is not None and not found.invariant.any():
        return replace(found, invariant=invariant)
    return found


def sketch_in(data: bytes, where: str) -> Sketch:
    """The sketch in the bytes of a file; ``where`` they came from.

    Raises
    ------
    UnreadableModel
        They are damaged, or no sketch.
    """
    return _as_file(data, where, read_sketch)


def metadata_in(data: bytes, where: str) -> Mapping[str, str]:
    """What the bytes of a sketch's file say of it; raises what `sketch_in` does."""
    return _as_file(data, where, lambda path: read_safetensors(LocalFile(path)).metadata)


def _as_file(data: bytes, where: str, read: Callable[[Path], T]) -> T:
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"one{SKETCH_SUFFIX}"
        draft.write_bytes(data)
        try:
            return read(draft)
        except UnreadableModel as error:
            raise UnreadableModel(str(error).replace(str(draft), where)) from None


def held_whole(sketch: Sketch) -> Model | None:
    """The model, if its sketch holds everything."""
    model = as_model(sketch)
    return model if model.sketched is None else None


def weights_at_hand(sketch: Sketch, source: str | None) -> Model | None:
    """The model, held whole or still where it was registered from."""
    whole = held_whole(sketch)
    found = weights_of(sketch, source) if whole is None else whole
    return None if isinstance(found, Skipped) else found


def source_of(models: Iterable[Registered]) -> str | None:
    """Where the weights of equal contents are; no file is believed that merely says where."""
    return next((m.source for m in models if not m.imported and not m.claimed), None)


def weights_of(sketch: Sketch, source: str | None, *, on_hub: bool = True) -> Model | Skipped:
    """The weights a model was registered from, or why they cannot be looked at."""
    if source is None:
        return left_out(sketch.name, "source-not-opened")
    if source.startswith(SCHEME) and not on_hub:
        return left_out(sketch.name, "left-on-hub")
    repository, colon, file = source.removeprefix(SCHEME).partition(":")
    if source.startswith(SCHEME) and sketch.revision and not {"@", "+"} & set(source):
        source = f"{SCHEME}{repository}@{sketch.revision}{colon}{file}"
    try:
        model = open_model(source)
    except UnreadableModel as error:
        return unread(sketch.name, error)
    if model.sketched is not None:
        return left_out(sketch.name, "only-sketch")
    return model if is_of(sketch, model) else left_out(sketch.name, "weights-changed")


def as_registered(sketch: Sketch, known: Registered) -> Sketch:
    """A stored sketch with what was registered: of equal contents it is the one added first."""
    revision = known.revision or None
    return replace(sketch, source=known.source, digest=known.digest, revision=revision)


def weights_as_registered(
    known: Registered, sketch: Sketch, *, on_hub: bool = True
) -> Model | Skipped:
    """The weights of a registered model, where it was registered from and as they were then."""
    return weights_of(as_registered(sketch, known), source_of([known]), on_hub=on_hub)


def _prepared(sketch: Sketch, model: Model, said: Declared) -> Prepared:
    vector = invariant_vector(model, read_anatomy(model), sketch)
    aligned = search_vector(sketch)
    return Prepared(
        sketch,
        contents_of(sketch),
        np.nan_to_num(aligned),
        np.zeros(N_INVARIANT, dtype=np.float32) if vector is None else vector,
        said,
    )
