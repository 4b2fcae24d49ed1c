"""What is known of registered contents without reading them: keys of rows, and whether tests reach.

The keys say which contents hold a matrix of a model.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from weightkin.evidence.reach import LEAST_TESTED, reachable_share
from weightkin.registry.noted import share_in_reach
from weightkin.registry.sealing import Altered
from weightkin.sketch import Sketch
from weightkin.sketch.row_keys import row_keys

MOST_HOLDERS = 256  # contents of one key that are looked at: what is in more is public


def write_index(connection: sqlite3.Connection, slot: int, sketch: Sketch) -> None:
    """Write down the keys of new contents, and how much tests reach where that is little."""
    if (share := reachable_share(sketch)) < LEAST_TESTED:
        connection.execute("INSERT INTO untestable VALUES (?, ?)", (slot, share))
    connection.executemany(
        "INSERT OR IGNORE INTO row_keys VALUES (?, ?)", [(key, slot) for key in row_keys(sketch)]
    )


def forget_index(connection: sqlite3.Connection, slot: int) -> None:
    """Remove what is known of contents that no model is left in."""
    connection.execute("DELETE FROM untestable WHERE slot = ?", (slot,))
    connection.execute("DELETE FROM row_keys WHERE slot = ?", (slot,))


def check_index(connection: sqlite3.Connection, slot: int, sketch: Sketch) -> None:
    """Refuse keys and a share that are not those of a sketch.

    Parameters
    ----------
    connection, slot : sqlite3.Connection, int
        Where the keys are.
    sketch : Sketch
        That of the same contents.

    Raises
    ------
    Altered
        They were changed.
    """
    found = connection.execute("SELECT key FROM row_keys WHERE slot = ? ORDER BY key", (slot,))
    if tuple(key for (key,) in found) != row_keys(sketch):
        raise Altered(f"the keys of {slot} in the index of rows are not those of its sketch")
    share = reachable_share(sketch)
    if share_in_reach(connection, slot) != (share if share < LEAST_TESTED else None):
        raise Altered(f"the share of {slot} that tests reach is not that of its sketch")


def holders(connection: sqlite3.Connection, sketch: Sketch, most: int) -> list[int]:
    """Slots that share keys with a model, those that share most first.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open registry.
    sketch : Sketch
        The model.
    most : int
        Slots that are returned at most.

    Returns
    -------
    list of int
    """
    n_shared: Counter[int] = Counter()
    for key in row_keys(sketch):
        found = connection.execute(
            "SELECT slot FROM row_keys WHERE key = ? LIMIT ?", (key, MOST_HOLDERS)
        )
        n_shared.update(slot for (slot,) in found)
    return [slot for slot, _ in sorted(n_shared.items(), key=lambda x: (-x[1], x[0]))[:most]]
