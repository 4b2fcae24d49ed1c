"""Comparisons that the registry remembers, sealed, with the digests and version they rest on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from weightkin._version import __version__
from weightkin.records import version1
from weightkin.records.built import built
from weightkin.records.comparison import Summary
from weightkin.records.registry import Registered
from weightkin.registry.sealing import Altered, check, seal

EDGE_COLUMNS = "a, b, digest_a, digest_b, version, found, evidence"
Edge = tuple[int, int, str, str, str, str, str]


def recalled(
    connection: sqlite3.Connection, own: Registered | None, other: Registered, alpha: float
) -> Summary | None:
    """What an earlier search found between two registered models, at this level or a stricter one.

    The two are the same contents as then, since a number stands for the same contents for good.
    The level falls as a registry grows: a verdict at a laxer level is found again.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    own, other : Registered
        The two models; ``own`` None where it is not registered.
    alpha : float
        The level of one comparison now.

    Returns
    -------
    Summary or None
        Only of dependent sketches, compared here by this version.
    """
    if own is None:
        return None
    row = connection.execute(
        f"SELECT {EDGE_COLUMNS}, seal FROM edges"  # noqa: S608
        " WHERE a = ? AND b = ? AND digest_a = ? AND digest_b = ? AND version = ?",
        (own.id, other.id, own.digest, other.digest, __version__),
    ).fetchone()
    if row is None:
        return None
    try:
        known = edge_evidence(row)
    except Altered:
        return None  # it is found again, and written over
    if known.looked_at != "sketch":
        return None  # what was imported, or found in the weights, is not what is registered
    return known if known.verdict == "dependent" and known.alpha <= alpha else None


def edge_evidence(row: Sequence[Any]) -> Summary:
    """What a row of `edges` says, in the order of `EDGE_COLUMNS` with its seal last."""
    check(f"the comparison of #{row[0]} with #{row[1]}", row[-1], *row[:-1])
    try:
        return known_from(json.loads(row[-2]))
    except ValueError as error:
        raise Altered(f"the comparison of #{row[0]} with #{row[1]}: {error}") from None


def known_from(data: Any) -> Summary:
    """What a row holds, of this version or an earlier; raises ValueError where it holds nothing."""
    return built(Summary, version1.found(data))


def write_edges(connection: sqlite3.Connection, rows: Iterable[Edge], *, over: bool) -> None:
    """Seal comparisons and write them.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry, in a transaction.
    rows : iterable of tuple
        Values of the columns of ``edges``, but for the seal.
    over : bool
        Replace comparisons that are there; else those stay.
    """
    verb = "INSERT OR REPLACE" if over else "INSERT OR IGNORE"
    sealed = [(*row, seal(*row)) for row in rows]
    connection.executemany(f"{verb} INTO edges VALUES (?, ?, ?, ?, ?, ?, ?, ?)", sealed)
