"""The stored text of a section: its tables, by the names of their columns, and its sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Row = dict[str, str]  # by the name of the column
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


class MissingText(LookupError):
    """A section has no table, row or sentence of the wanted kind."""


@dataclass(frozen=True, slots=True)
class SectionText:
    """Tables and paragraphs of a section, in their order."""

    tables: tuple[tuple[Row, ...], ...]
    paragraphs: tuple[str, ...]

    def all_tables(self, *columns: str) -> list[tuple[Row, ...]]:
        """All tables that have these columns."""
        found = [rows for rows in self.tables if rows and set(columns) <= rows[0].keys()]
        if not found:
            raise MissingText(f"no table with the columns {', '.join(columns)}")
        return found

    def rows(self, *columns: str) -> list[Row]:
        """Rows of all tables that have these columns."""
        return [row for rows in self.all_tables(*columns) for row in rows]

    def values(self, name: str, value: str) -> Row:
        """What a table of names and values says, by name."""
        return {row[name]: row[value] for row in self.all_tables(name, value)[0]}

    def sentence(self, end: str = ". ") -> str:
        """The beginning of the first paragraph, up to the first of these ends."""
        if not self.paragraphs:
            raise MissingText("no paragraph")
        return self.paragraphs[0].partition(end)[0].rstrip(".")


def read_text(lines: Iterable[str]) -> SectionText:
    """Read the lines of a section, headings apart."""
    tables: list[list[Row]] = []
    paragraphs: list[str] = []
    header: list[str] | None = None
    is_open = False  # whether the next line goes on with the paragraph
    for line in lines:
        is_row = line.startswith("|")
        if is_row and header is None:
            header = _columns(_cells(line))
            tables.append([])
        elif is_row and header is not None and not line.startswith("|---"):
            tables[-1].append(dict(zip(header, _cells(line), strict=True)))
        elif line and not is_row and not line.startswith("#"):
            if is_open:
                paragraphs[-1] += f" {line}"
            else:
                paragraphs.append(line)
        header = header if is_row else None
        is_open = bool(line) and not is_row and not line.startswith("#")
    return SectionText(tuple(tuple(rows) for rows in tables), tuple(paragraphs))


def number(cell: str) -> float:
    """The first number in a cell: 1015.0 of ``1015.0 MB (23 %)``."""
    return numbers(cell)[0]


def numbers(cell: str) -> list[float]:
    """All numbers in a cell: 476 and 515 of ``476 of 515``."""
    found = [float(text.replace(",", "")) for text in NUMBER.findall(cell)]
    if not found:
        raise MissingText(f"no number in {cell!r}")
    return found


def total(rows: Iterable[Row], column: str) -> int:
    """Sum of a column of counts."""
    return round(sum(number(row[column]) for row in rows))


def total_of(rows: Iterable[Row], column: str) -> tuple[int, int]:
    """Both sums of a column of shares, such as ``2 of 5``."""
    shares = [numbers(row[column])[:2] for row in rows]
    return round(sum(x for x, _ in shares)), round(sum(x for _, x in shares))


def where(rows: Iterable[Row], **cells: str) -> list[Row]:
    """Rows with these cells; the names of the columns are single words."""
    return [row for row in rows if all(row[name] == cell for name, cell in cells.items())]


def only(rows: list[Row]) -> Row:
    """The first of some rows."""
    if not rows:
        raise MissingText("no row of this kind")
    return rows[0]


def _columns(names: list[str]) -> list[str]:
    """Names of columns; the second of one name, or without one, gets a number."""
    return [
        f"{name} {names[: k + 1].count(name)}".strip() if name in names[:k] else name
        for k, name in enumerate(names)
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line[2:-2].split(" | ")]
