"""Which registered models an adapter fits: by names and shapes, never by weights."""

from __future__ import annotations

import math
import sqlite3
import time
from pathlib import Path

from weightkin._version import __version__
from weightkin.errors import UnreadableModel
from weightkin.formats import digest
from weightkin.formats.adapter import Adapter
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.fitting import n_changed
from weightkin.formats.model import Model, TensorInfo
from weightkin.formats.source import full_name, open_adapter
from weightkin.records import left_out, unread
from weightkin.records.registry import Registered, Search
from weightkin.registry.noted import with_notes
from weightkin.registry.store import COLUMNS, opened
from weightkin.registry.stores import store_of
from weightkin.sketch import Sketch


def fitting(path: Path, source: str, *, alpha: float, seed: int) -> Search:
    """Find the registered models that an adapter fits.

    Parameters
    ----------
    path : Path
        The registry.
    source : str
        The adapter.
    alpha, seed : float, int
        Of the search; recorded.

    Returns
    -------
    Search
        Without relatives: an adapter alone cannot be tested.
    """
    started = time.perf_counter()
    adapter = open_adapter(source)
    fits, skipped, n_scanned = list[Registered](), [], 0
    with opened(path, to_write=False) as connection:
        store = store_of(path, connection)
        slots = connection.execute("SELECT slot, sketch FROM contents ORDER BY slot").fetchall()
        for slot, file in slots:
            n_scanned += 1
            try:
                is_fit = n_changed(_as_base(store.sketch(slot, file), adapter), adapter) > 0
            except UnreadableModel as error:
                skipped.append(unread(str(file), str(error)))
                continue
            fits += _models_at(connection, slot) if is_fit else []
    alone = _as_model(adapter)
    return Search(
        name=adapter.name,
        source=full_name(source),
        digest=digest(alone),
        n_scanned=n_scanned,
        n_compared=0,
        alpha=alpha,
        paid_alpha=alpha / max(1, n_scanned),
        relatives=(),
        fits=tuple(fits),
        skipped=tuple(skipped),
        bytes_read=alone.bytes_read,
        seconds=round(time.perf_counter() - started, 3),
        seed=seed,
        version=__version__,
        incomplete=bool(skipped),
        not_testable=left_out("", "adapter-alone"),
    )


def _as_base(sketch: Sketch, adapter: Adapter) -> Model:
    """The names and shapes of a registered model, as far as a sketch knows them; no values."""
    infos = {}
    for x in sketch.as_stored.values():
        n_bytes = math.prod(x.shape) * NUMPY[x.dtype].itemsize
        infos[x.stored_name] = TensorInfo(x.stored_name, x.dtype, x.shape, n_bytes, x.packed)
    return Model(sketch.source, sketch.name, infos, sketch.config, adapter.storage)


def _as_model(adapter: Adapter) -> Model:
    """The factors as tensors, to be named by a digest."""
    held = adapter.contents.tensors
    tensors = {name: held[name] for name in sorted(held)}
    return Model(adapter.source, adapter.name, tensors, {}, adapter.storage)


def _models_at(connection: sqlite3.Connection, slot: int) -> list[Registered]:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM models WHERE slot = ? ORDER BY id",  # noqa: S608
        (slot,),
    ).fetchall()
    return [with_notes(connection, row) for row in rows]
