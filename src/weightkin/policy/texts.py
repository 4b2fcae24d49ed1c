"""Texts that lie beside weights: prose and code, settings and vocabularies, or a table of numbers.

Whoever wants to can write weights as text. What is asked here is whether a text has the form of
what people and tokenizers write: few numbers, none of them in long lists, and no long runs of
encoded bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

PROSE = 1 << 14  # characters from which a text must not be a table
MOST_DIGITS, MOST_ENCODED = 0.3, 0.2  # shares of its characters
RUN = re.compile(r"[A-Za-z0-9+/=_-]{24,}", re.ASCII)
IN_ENCODED = tuple(re.compile(x) for x in ("[A-Z]", "[a-z]", "[0-9]"))  # all three, as in base64
DIGIT = re.compile(r"[0-9]", re.ASCII)

MOST_LISTED = 1 << 14  # numbers in lists, of one text
MOST_FRACTIONS = 1 << 16  # under names, of one text: what a trainer logs
MOST_RISES = 1 << 10  # of the scores of a vocabulary, which fall
MANY = 1 << 12  # whole numbers of one object from which they must differ, as those of tokens do
MOST_ENCODED_SETTINGS = 1 << 19  # characters: the tables of some tokenizers stand there so


def why_no_prose(text: str) -> str:
    """Why a text cannot be passed over, "" if it can."""
    if len(text) < PROSE:
        return ""
    if len(DIGIT.findall(text)) > MOST_DIGITS * len(text):
        return "a text that is mostly numbers"
    if n_encoded(text) > MOST_ENCODED * len(text):
        return "a text that is mostly encoded bytes"
    return ""


def n_encoded(text: str) -> int:
    """Characters in runs that look like encoded bytes."""
    runs = RUN.findall(text)
    return sum(len(run) for run in runs if all(x.search(run) for x in IN_ENCODED))


def why_no_settings(value: Any) -> str:
    """Why parsed JSON cannot be passed over, "" if it has the form of settings or a vocabulary."""
    n_listed = n_fractions = n_rises = 0
    last = math.inf
    for holder in _holders(value):
        if isinstance(holder, dict):
            numbers = [x for x in holder.values() if type(x) in (int, float)]
            whole = [x for x in numbers if type(x) is int]
            n_fractions += len(numbers) - len(whole)
            if len(whole) > MANY and len(set(whole)) < len(whole):
                return "JSON with numbers as weights have them"
        elif len(holder) == 2 and isinstance(holder[0], str) and type(holder[1]) in (int, float):
            n_rises += holder[1] > last  # a piece of a vocabulary and its score
            last = holder[1]
        else:
            n_listed += sum(type(x) in (int, float) for x in holder)
    if n_listed > MOST_LISTED or n_fractions > MOST_FRACTIONS or n_rises > MOST_RISES:
        return "JSON with numbers as weights have them"
    return ""


def _holders(value: Any) -> Iterator[list[Any] | dict[str, Any]]:
    """Every list and object in a value, in order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            yield one
            inside = one.values() if isinstance(one, dict) else one
            waiting += reversed([x for x in inside if isinstance(x, dict | list)])
