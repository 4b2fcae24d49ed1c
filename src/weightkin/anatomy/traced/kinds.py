"""Of which kind each block of a model is, where the blocks of its class are of several kinds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from weightkin.catalogue.traced import Row, TracedEntry, is_number, without_kinds

Block: TypeAlias = tuple[tuple[str, ...], tuple[int, ...]]  # words up to its number, and numbers


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern that a name fits, its rank among the patterns, and the numbers of the name."""

    rank: int
    row: Row
    numbers: tuple[int, ...]


def of_their_kind(entry: TracedEntry, hits: Sequence[Sequence[Hit]]) -> list[Hit | None]:
    """Choose a pattern for every tensor: that of the kind of the block that it stands in.

    A block is of a kind where it has all matrices of that kind, and no matrix of another.

    Parameters
    ----------
    entry : TracedEntry
        The class.
    hits : sequence of sequence of Hit
        For each tensor the patterns that its name and its number of dimensions fit.

    Returns
    -------
    list of Hit or None
        None for tensors that no pattern fits, and in blocks that are of none of the kinds.
    """
    matrices: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
    for row in entry.rows:
        if (at := _at(row)) is not None and len(row.dims) > 1:
            words = row.pattern.split(".")
            matrices[without_kinds(words[: at + 1]), words[at]].add(row.pattern)
    seen: dict[Block, list[dict[str, str]]] = defaultdict(list)  # of each matrix: kind -> pattern
    for own in hits:
        by_block: dict[Block, dict[str, str]] = defaultdict(dict)
        for hit in own:
            if len(hit.row.dims) > 1 and (where := _where(hit)) is not None:
                by_block[where[0]][where[1]] = hit.row.pattern
        for block, kinds in by_block.items():
            seen[block].append(kinds)
    kind_of = {
        block: kind
        for block, own in seen.items()
        for kind in {kind for kinds in own for kind in kinds}
        if {kinds.get(kind) for kinds in own} == matrices[block[0], kind]
    }
    return [_first(own, seen, kind_of) for own in hits]


def _first(hits: Iterable[Hit], seen: Container[Block], kind_of: dict[Block, str]) -> Hit | None:
    """That of the kind of the block; where the block has no matrix, one without a kind."""
    plain, has_kinds = None, False
    for hit in hits:
        where = _where(hit)
        if where is None:
            plain = plain or hit
        elif kind_of.get(where[0]) == where[1]:
            return hit
        else:
            has_kinds = has_kinds or where[0] in seen
    return None if has_kinds else plain


def _at(row: Row) -> int | None:
    """Which word of a pattern names a kind."""
    words = row.pattern.split(".")
    return next((i for i, word in enumerate(words) if is_number(word) and word != "#"), None)


def _where(hit: Hit) -> tuple[Block, str] | None:
    """The block of a name and its kind, None where all members of its lists are of one kind."""
    at = _at(hit.row)
    if at is None:
        return None
    words = hit.row.pattern.split(".")
    n_numbers = sum(map(is_number, words[: at + 1]))
    return (without_kinds(words[: at + 1]), hit.numbers[:n_numbers]), words[at]
