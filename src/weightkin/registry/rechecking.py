"""Can the fresh runs that registered edges rest on be recomputed? Each is, with the bytes kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.formats import Model
from weightkin.records import Skipped, left_out
from weightkin.registry.confirming import compared, weights_of_both
from weightkin.registry.edges import EDGE_COLUMNS, edge_evidence
from weightkin.registry.prepared import Held, as_registered, source_of
from weightkin.registry.sealed import SealedStore
from weightkin.registry.sealing import Altered
from weightkin.registry.store import COLUMNS, model_of_row, opened
from weightkin.registry.stores import store_of

WITHIN = 1e-3  # of a log10 p-value, as in `verify`


def rechecked(path: Path) -> Iterator[Skipped]:
    """Make every fresh run of a registry again.

    Parameters
    ----------
    path : Path
        The registry's file.

    Yields
    ------
    Skipped
        A comparison that comes out otherwise, or one whose models cannot be read any more.
    """
    with opened(path, to_write=False) as connection:
        store = store_of(path, connection)
        rows = connection.execute(
            f"SELECT {EDGE_COLUMNS}, seal FROM edges ORDER BY a, b"  # noqa: S608
        ).fetchall()
        for row in rows:
            what = f"comparison of #{row[0]} with #{row[1]}"
            try:
                yield from _of_edge(store, connection, row, what)
            except (Altered, UnreadableModel) as error:
                yield left_out(what, "damaged-found", error=str(error))


def _of_edge(
    store: SealedStore, connection: sqlite3.Connection, row: Sequence[Any], what: str
) -> Iterator[Skipped]:
    known = edge_evidence(row)
    run = known.fresh
    if run is None or run.why_not is not None:
        return
    pair = _weights(store, connection, (row[1], row[0]))
    if isinstance(pair, Skipped):
        yield left_out(what, "edge-not-recomputed", reason=pair.nested)
        return
    now = compared(*pair, alpha=run.alpha, effort=run.effort, challenge=run.challenge)
    if abs(now.log10_pvalue - run.log10_pvalue) > WITHIN * max(1.0, abs(run.log10_pvalue)):
        before, after = round(run.log10_pvalue, 4), round(now.log10_pvalue, 4)
        yield left_out(what, "edge-differs", before=before, now=after)


def _weights(
    store: SealedStore, connection: sqlite3.Connection, numbers: Sequence[int]
) -> tuple[Model, Model] | Skipped:
    """Two registered models, where they were registered from."""
    held: list[Held] = []
    for number in numbers:
        model = model_of_row(
            connection.execute(f"SELECT {COLUMNS} FROM models WHERE id = ?", (number,)).fetchone()  # noqa: S608
        )
        file, slot = connection.execute(
            "SELECT contents.sketch, contents.slot FROM contents JOIN models"
            " ON models.slot = contents.slot WHERE models.id = ?",
            (number,),
        ).fetchone()
        held.append((as_registered(store.sketch(slot, file), model), source_of([model])))
    return weights_of_both(held, on_hub=True)
