"""A line for people: its text, and which parts of it stand out on a terminal that has colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Self

Style = Literal["", "strong", "found", "open", "bad", "faint"]
CODES: Mapping[Style, str] = {  # of the terminal
    "strong": "1",
    "found": "1;36",
    "open": "33",
    "bad": "1;31",
    "faint": "2",
}
LABEL = 10  # columns of the name of a fact
Part = str | tuple[str, Style]


class Line(str):
    """A text with styles; for everything but a terminal it is its text alone."""

    spans: tuple[tuple[int, int, Style], ...]  # begin, end, style

    @classmethod
    def of(cls, *parts: Part) -> Self:
        """Put texts, each plain or with a style, on one line."""
        pairs: list[tuple[str, Style]] = [(x, "") if isinstance(x, str) else x for x in parts]
        found = cls("".join(text for text, _ in pairs))
        spans: list[tuple[int, int, Style]] = []
        n = 0
        for text, style in pairs:
            if style:
                spans.append((n, n + len(text), style))
            n += len(text)
        found.spans = tuple(spans)
        return found


def fact(label: str, text: str) -> Line:
    """A fact with its name in the first column."""
    return Line.of("  ", (f"{label:<{LABEL}}", "faint"), f"  {text}")


def painted(line: str, pieces: Sequence[str]) -> list[str]:
    """Pieces of a line in its colours, with the codes of a terminal.

    Parameters
    ----------
    line : str
        The whole line.
    pieces : sequence of str
        What is printed of it, in order; all but the first are indented.

    Returns
    -------
    list of str
        Of a line without styles the pieces as they are.
    """
    if not isinstance(line, Line):
        return list(pieces)
    done: list[str] = []
    at = 0
    for piece in pieces:
        own = piece.lstrip() if done else piece
        at = line.index(own, at)
        done.append(piece.removesuffix(own) + _painted(line, own, at))
    return done


def _painted(line: Line, text: str, begin: int) -> str:
    done, at = "", 0
    for span in line.spans:
        first, last = (min(max(x - begin, at), len(text)) for x in span[:2])
        if first < last:
            done += f"{text[at:first]}\x1b[{CODES[span[2]]}m{text[first:last]}\x1b[0m"
            at = last
    return done + text[at:]
