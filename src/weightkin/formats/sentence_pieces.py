"""Vocabularies of SentencePiece: pieces, and how they were found, field by field."""

from __future__ import annotations

from weightkin.errors import UnreadableModel
from weightkin.formats.plain_texts import why_no_settings
from weightkin.formats.protobuf import Messages, Value
from weightkin.sources.files import File

MOST_PIECE = 1 << 10  # bytes of a piece
MOST_SPEC = 1 << 17  # bytes of how the pieces were found, and of examples
MOST_CHARSMAP = 1 << 19  # bytes of the table that writes characters in one way
PIECE_FIELD, TRAINER, NORMALIZER, EXAMPLES, DENORMALIZER = range(1, 6)
MOST_KIND = 6  # of a piece


def is_vocabulary(file: File) -> bool:
    """Whether a file holds pieces with falling scores, and each of the other parts once."""
    scores: list[float] = []
    seen: set[int] = set()
    try:
        messages = Messages(file)
        for number, value in messages.fields(0, file.size):
            if number == PIECE_FIELD:
                scores.append(_score(messages, value))
                continue
            start, stop = messages.span(value)
            is_short = stop - start <= MOST_SPEC
            is_map = number in (NORMALIZER, DENORMALIZER) and _is_normalizer(messages, value)
            if number in seen or not (is_map or (number in (TRAINER, EXAMPLES) and is_short)):
                return False
            seen.add(number)
    except (UnreadableModel, _NoPiece, UnicodeDecodeError):
        return False
    return bool(scores) and not why_no_settings([["", score] for score in scores])


class _NoPiece(Exception):
    """A field that no piece has."""


def _score(messages: Messages, value: Value) -> float:
    """The score of a piece: its text, its score, its kind, each at most once."""
    start, stop = messages.span(value)
    fields = list(messages.fields(start, stop))
    held = dict(fields)
    if stop - start > MOST_PIECE or len(held) != len(fields) or not {1} <= held.keys() <= {1, 2, 3}:
        raise _NoPiece
    messages.read(held[1]).decode()
    if 3 in held and not 0 < messages.number(held[3]) <= MOST_KIND:
        raise _NoPiece
    return sum(messages.floats(held[2], 1)) if 2 in held else 0.0


def _is_normalizer(messages: Messages, value: Value) -> bool:
    """A name, a table of characters (a trie, then texts), three marks, a path."""
    fields = list(messages.fields(*messages.span(value)))
    held = dict(fields)
    if len(held) != len(fields) or not held.keys() <= set(range(1, 7)):
        return False
    for number in held.keys() & {3, 4, 5}:
        if messages.number(held[number]) not in (0, 1):
            return False
    for number in held.keys() & {1, 6}:
        if len(messages.text(held[number])) > MOST_PIECE:
            return False
    if 2 not in held:
        return True
    start, stop = messages.span(held[2])
    if not 4 < stop - start <= MOST_CHARSMAP:
        return stop == start
    table = messages.read(held[2])
    n_trie = int.from_bytes(table[:4], "little")
    return n_trie % 4 == 0 and 4 + n_trie <= len(table) and bool(table[4 + n_trie :].decode() or 1)
