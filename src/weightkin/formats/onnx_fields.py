"""The fields of ONNX's messages that are known, by number, as in ``onnx.proto``.

What is not listed here, and has contents, is not read; nor is a text that is too long for one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from weightkin.formats.protobuf import Value

MAX_TEXT = 1 << 16  # bytes of a name, a note, the type of a value
MODEL = frozenset((*range(1, 9), 14, 20, 25, 26))
GRAPH = frozenset((1, 2, 5, *range(10, 17)))
NODE = frozenset(range(1, 11))
ATTRIBUTE = frozenset((*range(1, 12), 13, 14, 15, 20, 21, 22, 23))
TENSOR = frozenset((*range(1, 15), 16))
SPARSE = frozenset((1, 2, 3))
FUNCTION = frozenset((1, *range(4, 15)))
TRAINING = frozenset(range(1, 5))
# fields that are walked through themselves, or are elements of a tensor
WALKED = {
    MODEL: (7, 20, 25),
    GRAPH: (1, 5, 15),
    NODE: (5,),
    ATTRIBUTE: (5, 6, 7, 8, 10, 11, 22, 23),
    TENSOR: (1, 4, 5, 6, 7, 9, 10, 11),
    SPARSE: (1, 2),
    FUNCTION: (7, 11),
    TRAINING: (1, 2),
}


@dataclass(slots=True)
class Account:
    """Bytes of a graph that are neither its container nor elements of a tensor."""

    unread: list[tuple[int, int]] = field(default_factory=list)
    texts: list[tuple[int, int]] = field(default_factory=list)  # elements that are texts

    def note(self, message: frozenset[int], number: int, value: Value) -> None:
        """Remember a field that is not known, or too long for what it is."""
        if isinstance(value, int) or value[0] == value[1]:
            return
        is_long = value[1] - value[0] > MAX_TEXT and number not in WALKED[message]
        if number not in message or is_long:
            self.unread.append(value)


def between(size: int, taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pieces of a file that none of the spans touches."""
    found, at = [], 0
    for start, stop in sorted(taken):
        if start > at:
            found.append((at, start))
        at = max(at, stop)
    if at < size:
        found.append((at, size))
    return found
