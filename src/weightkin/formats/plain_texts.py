"""Texts that lie beside weights: prose and code, settings and vocabularies, or a table of numbers.

Whoever wants to can write weights as text. What is asked here is whether a text has the form of
what people and tokenizers write: few numbers, none of them in long lists, and no long runs of
encoded bytes.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from typing import Any

PROSE = 1 << 14  # characters from which a text must not be a table
MAX_DIGIT_SHARE, MAX_ENCODED_SHARE = 0.3, 0.2  # shares of its characters
MAX_DENSITY = 0.62  # compressed size of a text of people or of a vocabulary, as a share of its own
ENCODED_RUN = re.compile(r"[A-Za-z0-9+/=_-]{24,}", re.ASCII)
LONG, LEAST_DENSE = 256, 0.25  # a run so long is encoded bytes if it does not shrink to this share
PRINTED_NUMBER = re.compile(
    r"[+-]?(\d+\.\d*|\.\d+|\d{7,})([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+", re.ASCII
)
IN_ENCODED = tuple(re.compile(x) for x in ("[A-Z]", "[a-z]", "[0-9]"))  # all three, as in base64
DIGIT = re.compile(r"[0-9]", re.ASCII)

MOST_LISTED = 1 << 14  # numbers in lists, of one text
MOST_FRACTIONS = 1 << 16  # under names, of one text: what a trainer logs
MOST_RISES = 1 << 10  # of the scores of a vocabulary, which fall
MOST_WHOLE = 1 << 16  # whole numbers under names in small objects
MANY = 1 << 12  # whole numbers of one object from which they must be those of tokens
SPARSE = 4  # numbers of tokens lie within so many times as many as there are
MOST_ENCODED_SETTINGS = 1 << 19  # characters: the tables of some tokenizers stand there so


AS_WEIGHTS = "json-numbers"


def why_no_prose(text: str) -> str:
    """The code of why a text cannot be passed over, "" if it can."""
    if len(text) < PROSE:
        return ""
    if len(DIGIT.findall(text)) > MAX_DIGIT_SHARE * len(text):
        return "text-of-numbers"
    if n_encoded(text) > MAX_ENCODED_SHARE * len(text):
        return "text-encoded"
    return why_dense(text)


def why_dense(text: str) -> str:
    """Why a text is none that people write: it does not shrink when it is compressed."""
    raw = text.encode("utf-8", "replace")
    if len(raw) >= PROSE and len(zlib.compress(raw, 6)) > MAX_DENSITY * len(raw):
        return "text-dense"
    return ""


def n_encoded(text: str) -> int:
    """Characters in runs that look like encoded bytes."""
    runs = ENCODED_RUN.findall(text)
    return sum(len(run) for run in runs if _is_encoded(run))


def _is_encoded(run: str) -> bool:
    if all(x.search(run) for x in IN_ENCODED):
        return True
    return len(run) >= LONG and len(zlib.compress(run.encode(), 1)) > LEAST_DENSE * len(run)


def why_no_settings(value: Any) -> str:
    """Why parsed JSON cannot be passed over, "" if it has the form of settings or a vocabulary."""
    n_listed = n_fractions = n_whole = n_rises = 0
    last = math.inf
    for holder in _holders(value):
        if isinstance(holder, dict):
            whole = [x for x in holder.values() if type(x) is int]
            n_fractions += sum(map(_is_number, (*holder, *holder.values())))
            if len(whole) <= MANY:
                n_whole += len(whole)
            elif len(set(whole)) < len(whole) or max(whole) - min(whole) > SPARSE * len(whole):
                return AS_WEIGHTS
        elif len(holder) == 2 and isinstance(holder[0], str) and type(holder[1]) in (int, float):
            n_rises += holder[1] > last  # a piece of a vocabulary and its score
            last = holder[1]
        else:
            n_listed += sum(type(x) is int or _is_number(x) or _is_digits(x) for x in holder)
    if n_listed > MOST_LISTED or n_rises > MOST_RISES:
        return AS_WEIGHTS
    return AS_WEIGHTS if n_fractions > MOST_FRACTIONS or n_whole > MOST_WHOLE else ""


def _is_number(x: Any) -> bool:
    """A fraction, or a text that is a number of more digits than labels have."""
    return type(x) is float or (isinstance(x, str) and bool(PRINTED_NUMBER.fullmatch(x)))


def _is_digits(x: Any) -> bool:
    return isinstance(x, str) and x.isdecimal()


def _holders(value: Any) -> Iterator[list[Any] | dict[str, Any]]:
    """Every list and object in a value, in order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            yield one
            inside = one.values() if isinstance(one, dict) else one
            waiting += reversed([x for x in inside if isinstance(x, dict | list)])
