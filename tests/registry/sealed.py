"""What somebody does who changes a registry and knows how it is sealed."""

import sqlite3
from contextlib import closing

from weightkin.registry.edges import EDGE_COLUMNS
from weightkin.registry.sealing import seal
from weightkin.registry.store import COLUMNS


def change(path, *statements):
    """Change the database behind the registry's back; the seals stay as they were."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(*([statement] if isinstance(statement, str) else statement))


def reseal(path):
    """Seal every model and comparison as it is now."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for row in connection.execute(f"SELECT {COLUMNS} FROM models").fetchall():
            given = (seal(*row[:-1]), row[0])
            connection.execute("UPDATE models SET seal = ? WHERE id = ?", given)
        for row in connection.execute(f"SELECT {EDGE_COLUMNS} FROM edges").fetchall():
            given = (seal(*row), row[0], row[1])
            connection.execute("UPDATE edges SET seal = ? WHERE a = ? AND b = ?", given)
