"""What is listed of registered models: what they are, and the family each is of.

It imports little, so that a list is there at once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.records.listing import Described, Listing
from weightkin.records.registry import Registered
from weightkin.registry import graph_head
from weightkin.registry.noted import SLOT, with_notes
from weightkin.registry.schema import place_of
from weightkin.registry.sealing import Altered, checked_name, seal
from weightkin.registry.store import COLUMNS, folder_of, opened
from weightkin.sketch.parse_metadata import checked_columns
from weightkin.sources.local import LocalFile


def listing(path: Path) -> Listing:
    """All registered models, in the order they were added, with what each is.

    The header of every sketch is read, a few milliseconds each; nothing else of it is checked.

    Parameters
    ----------
    path : Path
        The registry's file.

    Returns
    -------
    Listing
        A model whose sketch cannot be read has no description.

    Raises
    ------
    UnusableRegistry
        There is no registry, or it is damaged.
    """
    with opened(path, to_write=False) as connection:
        rows = _rows(connection)
        models = tuple(with_notes(connection, row) for row in rows)
        names = {x.id: x.name for x in models}
        families = {k: names.get(first, "") for k, first in _families(connection)}
        slots = [row[SLOT] for row in rows]
        columns = {slot: described(path, connection, slot) for slot in dict.fromkeys(slots)}
    said = tuple(
        replace(columns[slot], id=model.id, family=families.get(model.id, ""))
        for model, slot in zip(models, slots, strict=True)
    )
    return Listing(models=models, described=said)


def registered(path: Path) -> tuple[Registered, ...]:
    """All registered models, in the order they were added."""
    with opened(path, to_write=False) as connection:
        return tuple(with_notes(connection, row) for row in _rows(connection))


def _rows(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute(f"SELECT {COLUMNS} FROM models ORDER BY id").fetchall()  # noqa: S608


def described(path: Path, connection: sqlite3.Connection, slot: int) -> Described:
    """What the sketch of some contents says, nothing where it is damaged."""
    row = connection.execute("SELECT sketch FROM contents WHERE slot = ?", (slot,)).fetchone()
    try:
        where, metadata = _metadata(path, connection, slot, checked_name(row[0]))
        architecture, n_parameters, dtype = checked_columns(where, metadata)
    except (UnreadableModel, Altered):
        return Described(id=0)
    return Described(id=0, architecture=architecture, n_parameters=n_parameters, dtype=dtype)


def _metadata(
    path: Path, connection: sqlite3.Connection, slot: int, file: str
) -> tuple[Path, Mapping[str, str]]:
    if not place_of(connection):
        where = folder_of(path) / "sketches" / file
        return where, read_safetensors(LocalFile(where)).metadata
    from weightkin.registry.prepared import metadata_in
    from weightkin.registry.stores import bare_store

    data = bare_store(path, connection).sketch_bytes(slot, file)
    return Path(file), metadata_in(data, file)


def _families(connection: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    """Each model of a family with the first one registered, in the graph of the default level."""
    if graph_head.found_when(connection, alpha=graph_head.ALPHA, seed=0) is None:
        return
    rows = connection.execute("SELECT number, nodes, record, seal FROM families").fetchall()
    for number, nodes, record, given in rows:
        if given == seal(number, nodes, record):
            ids = sorted(k for _, own in json.loads(nodes) for k in own)
            yield from ((k, ids[0]) for k in ids if len(ids) > 1)
