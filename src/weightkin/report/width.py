"""Lines for people within the width of a terminal."""

from __future__ import annotations

import re
import textwrap

UNBROKEN = "\u00a0"  # a space where no line ends
MARK = "$ "  # before a command, whose line is never wrapped
WIDE = 1 << 30  # columns: no line is too long
NARROW = 30  # columns that names and words have in any case
LAST = 16  # columns that the last column of a table needs to be continued in place


def fitted(line: str, width: int) -> list[str]:
    """A line cut at spaces into lines of a width; what follows stands below the last column.

    A word that is longer than a line, such as a path, stays whole, and so does a command.
    """
    if len(line) <= width or line.lstrip().startswith(MARK):
        return [line]
    columns = [m.end() for m in re.finditer(r"(?<=\S) {2,}(?=\S)", line) if m.end() <= width - LAST]
    hang = columns[-1] if columns else len(line) - len(line.lstrip()) + 2
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def with_words(head: str, words: str, under: str, width: int) -> list[str]:
    """A name and words about it: on one line, or the words below it, each line after ``under``.

    Parameters
    ----------
    head, words : str
        The name, and the words about it.
    under : str
        Begins each line of the words that stand below.
    width : int
        Columns.

    Returns
    -------
    list of str
        Broken at commas, elsewhere only what is too long for a line.
    """
    if len(head) + len(words) <= width:
        return [head + words]
    room = max(width - len(under), 1)
    items = words.replace(" ", UNBROKEN).replace(f",{UNBROKEN}", ", ")  # lines end at commas
    if max(map(len, items.split(" "))) > room:
        items = words
    lines = textwrap.wrap(items, room, break_on_hyphens=False)
    return [head.rstrip(), *(under + x.replace(UNBROKEN, " ") for x in lines)]
