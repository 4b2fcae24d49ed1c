"""Messages of one line about files, with text from outside (paths, tensor names, values) escaped.

Control characters, line ends, escape codes and bidirectional marks never pass.
"""

from __future__ import annotations

import math
from pathlib import PurePath

from weightkin.errors import UnreadableModel

SHOWN = 120  # characters of a foreign text that a message repeats
LONGEST_PATH = 800  # characters of a path given in full at the head of a message


def unreadable(where: str | PurePath, what: str) -> UnreadableModel:
    """Make the error for a file or a thing in it: what is wrong, and what to do if that helps."""
    head = located(where) if isinstance(where, PurePath) else where
    return UnreadableModel(f"{head}: {what}")


def located(path: PurePath, tensor: str | None = None) -> str:
    """Return the head of a message: the path, escaped if need be, and the tensor in it."""
    plain = str(path)
    head = plain if plain.isprintable() and len(plain) <= LONGEST_PATH else quoted(plain)
    return head if tensor is None else f"{head}: tensor {quoted(tensor)}"


def shown(text: object) -> str:
    """Return a text on one line: itself if short and printable, else its escaped beginning."""
    plain = str(text)
    return plain if plain.isprintable() and len(plain) <= SHOWN else quoted(plain)


def quoted(value: object) -> str:
    """Return ``repr`` of a text or number, of bounded length, or the type of anything else."""
    if isinstance(value, str):
        cut = repr(value[:SHOWN])
        return cut if len(value) <= SHOWN else f"{cut}... ({len(value)} characters)"
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if abs(value) < 10**40 else f"an integer of {value.bit_length()} bits"
    return f"a {type(value).__name__}"


def percent(share: float, n_decimals: int = 0) -> str:
    """A share as a percentage, rounded down: 100 % is all of it, and 0 % nothing."""
    step = 10.0**-n_decimals
    if 0 < 100 * share < step:
        return f"under {step:g} %"
    n_steps = math.floor(100 * share / step + 1e-9)  # 0.29 is a little less than 29 / 100
    most = round(100 / step) - 1 if share < 1 else n_steps
    return f"{min(n_steps, most) * step:.{n_decimals}f} %"


def counted(n: int, word: str) -> str:
    """A number of things."""
    if n == 1:
        return f"1 {word}"
    return f"{n:,} {word[:-1]}ies" if word.endswith("y") else f"{n:,} {word}s"
