"""Whether a model has what makes it one of a traced class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from weightkin.anatomy.traced.matching import Known, Shapes
from weightkin.catalogue.traced import (
    Dim,
    Leaf,
    Mixture,
    Row,
    TracedEntry,
    is_number,
    without_kinds,
)

MIN_PATTERNS = 0.25  # of an entry that a model must have


def is_like(entry: TracedEntry, known: Sequence[Known], shapes: Shapes) -> bool:
    """Whether a model has enough of a class to be wired like it.

    A lone head does not make a class. A norm without the running statistics that it has in the
    class may act on groups of channels. And where no block has what joins streams of two sizes in
    the class, they are joined in another way (cut, or padded with zeros).

    Parameters
    ----------
    entry : TracedEntry
        The class.
    known : sequence of Known
        Tensors of the model that it knows.
    shapes : mapping of str to tuple of int
        Their shapes.

    Returns
    -------
    bool
        Whether it may be read so.
    """
    n_known = len({(one.row.pattern, len(one.row.dims)) for one in known})
    if n_known < MIN_PATTERNS * len(entry.rows) or not _has_statistics(entry, known):
        return False
    held = {one.row.pattern for one in known}
    missing = [row for row in entry.rows if row.pattern not in held and _joins(entry, row)]
    return not any(
        len(sizes) > 1
        for above in {_above(row.pattern) for row in missing}
        for sizes in _stream_sizes(entry, known, shapes, above)
    )


def is_whole(entry: TracedEntry, known: Sequence[Known]) -> bool:
    """Whether a model has every matrix of a class, of tied ones one.

    In the place of one that is missing a formula may stand: sinusoids instead of a table.
    """
    held = {(one.row.pattern, len(one.row.dims)) for one in known}
    seen = {one.row.dims for one in known}
    return all(
        (row.pattern, len(row.dims)) in held or row.dims in seen
        for row in entry.rows
        if len(row.dims) > 1
    )


def _has_statistics(entry: TracedEntry, known: Sequence[Known]) -> bool:
    patterns = {row.pattern for row in entry.rows}
    names = {one.name for one in known}
    return all(
        f"{one.name.removesuffix('weight')}running_mean" in names
        for one in known
        if len(one.row.dims) == 1  # a convolution may have the pattern of a norm
        and f"{one.row.pattern.removesuffix('weight')}running_mean" in patterns
    )


def _joins(entry: TracedEntry, row: Row) -> bool:
    """Whether a matrix of blocks reads one stream and writes another."""
    n_sides = sum(isinstance(dim, Mixture) or _is_stream(entry, dim) for dim in row.dims)
    return n_sides > 1 and any(map(is_number, row.pattern.split(".")))


def _is_stream(entry: TracedEntry, dim: Dim | Mixture) -> bool:
    """Whether one label makes up a dimension, and belongs to no block."""
    if isinstance(dim, Mixture) or len(dim) != 1 or len(dim[0]) != 1:
        return False
    (leaf,) = dim[0]
    if not isinstance(leaf, Leaf):
        return False
    component = entry.components[leaf.component]
    return component.is_free and not component.scope


def _above(pattern: str) -> tuple[str, ...]:
    """Words of a pattern up to its last number, blocks of all kinds taken for one."""
    words = pattern.split(".")
    return without_kinds(words[: 1 + max(i for i, word in enumerate(words) if is_number(word))])


def _stream_sizes(
    entry: TracedEntry, known: Sequence[Known], shapes: Shapes, above: tuple[str, ...]
) -> Iterator[set[int]]:
    """Of every block below some words: sizes of the streams that it stands on."""
    found: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for one in known:
        if without_kinds(one.row.pattern.split(".")[: len(above)]) == above:
            for size, dim in zip(shapes[one.tensor], one.row.dims, strict=True):
                if _is_stream(entry, dim):
                    found[one.numbers[: sum(map(is_number, above))]].add(size)
    yield from found.values()
