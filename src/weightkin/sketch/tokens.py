"""Which tokens the views of a sketch go through: fixed by the vocabulary, before reading.

Where a tokenizer lies beside the weights they are chosen by text: one or two lower-case letters,
with or without a space before them, which most vocabularies have and every model uses; of those
the ones with the smallest digest of their text. Vocabularies that differ then share many of them,
and equal ones all, whatever their order. Elsewhere they are chosen by row, among the first rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import numpy as np

from weightkin.arrays import Ints
from weightkin.sketch.scheme import hashed
from weightkin.sketch.types import Tokens

N_TOKENS = 512
N_UNIT_TOKENS = 128  # the first ones, for units
FIRST_ROWS = 4096  # rows of a table among which tokens are chosen, where their texts are unknown
MIN_TEXTS = 128  # plain texts that a vocabulary must have for its tokens to be chosen by them
PLAIN = re.compile("([\u0120\u2581]?)([a-z]{1,2})")  # a space before a word, as tokenizers write it


NO_TOKENS = Tokens(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def choose_tokens(vocabulary: Mapping[str, int], n_rows: int) -> Tokens:
    """Choose tokens of a table of ``n_rows`` by their texts, else by number."""
    known: dict[int, int] = {}
    for word, row in sorted(vocabulary.items()):
        found = PLAIN.fullmatch(word)
        if found and 0 <= row < n_rows:
            known.setdefault(_digest(f"{' ' if found[1] else ''}{found[2]}"), row)
    if len(known) >= MIN_TEXTS:
        chosen = sorted(known.items())[:N_TOKENS]
        texts, rows = np.array(chosen, dtype=np.int64).T
        return Tokens(rows.copy(), texts.copy())
    n = min(n_rows, FIRST_ROWS)
    first = np.arange(1 << (n.bit_length() - 1) if n else 0)  # a table that grew keeps its choice
    return Tokens(np.argsort(hashed(first), kind="stable")[:N_TOKENS], NO_TOKENS.texts)


def shared(a: Tokens, b: Tokens) -> tuple[Ints, Ints]:
    """Positions of those that two models share, among the tokens that units are seen through."""
    if bool(len(a.texts)) != bool(len(b.texts)):
        return NO_TOKENS.rows, NO_TOKENS.rows
    names = a.names[:N_UNIT_TOKENS], b.names[:N_UNIT_TOKENS]
    _, at_a, at_b = np.intersect1d(*names, assume_unique=True, return_indices=True)
    return at_a, at_b


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
