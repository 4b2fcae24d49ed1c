"""Names of a model's tensors against the patterns of a class, whatever stands before them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from weightkin.anatomy.traced.kinds import Hit, of_their_kind
from weightkin.catalogue.store import end_of
from weightkin.catalogue.traced import Row, TracedEntry, general, is_number

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Known:
    """One tensor that a pattern knows.

    ``name`` is as the class writes it. For each number: whether it is the first and the last of its
    list in the model.
    """

    tensor: str
    name: str
    row: Row
    numbers: tuple[int, ...]
    is_first: tuple[bool, ...] = ()
    is_last: tuple[bool, ...] = ()


def bare(name: str) -> str:
    """A name without what training frameworks wrap modules in."""
    return ".".join(word for word in name.split(".") if word not in WRAPPERS)


def spellings(name: str) -> tuple[str, ...]:
    """A name without wrappers, and as classes write it whose own modules are called like one."""
    words = name.split(".")
    while len(words) > 1 and words[0] in WRAPPERS:
        del words[0]
    return tuple(dict.fromkeys((bare(name), ".".join(words))))


def matched(entry: TracedEntry, shapes: Shapes) -> tuple[list[Known], list[str]]:
    """Tensors that a pattern of an entry knows, and the names of all others.

    Parameters
    ----------
    entry : TracedEntry
        Entry of the catalogue.
    shapes : mapping of str to tuple of int
        Every tensor of the model with its shape.

    Returns
    -------
    tuple of list of Known, list of str
        Known tensors in the order of the numbers of their names, then of the patterns.
    """
    table: dict[tuple[str, int], list[tuple[int, Row]]] = defaultdict(list)
    for rank, row in enumerate(entry.rows):
        table[general(row.pattern), len(row.dims)].append((rank, row))
    names = {tensor: spellings(tensor) for tensor in shapes}
    old, new = _beginnings(entry, (name for own in names.values() for name in own))
    hits: dict[tuple[str, str], list[Hit]] = {}  # tensor and its name in the class
    taken: set[str] = set()
    for tensor, spelt in names.items():
        moved = [new + name[len(old) :] for name in spelt if name.startswith(old)]
        for own in dict.fromkeys((*moved, *spelt)):
            fitting = list(_hits(table.get((general(own), len(shapes[tensor])), ()), own))
            if fitting and own not in taken:
                taken.add(own)
                hits[tensor, own] = fitting
                break
    found: list[tuple[int, Known]] = []
    for (tensor, own), hit in zip(hits, of_their_kind(entry, [*hits.values()]), strict=True):
        if hit is not None:
            found.append((hit.rank, Known(tensor, own, hit.row, hit.numbers)))
    found.sort(key=lambda x: (x[1].numbers, x[0]))
    known = {one.tensor for _, one in found}
    return _with_ends([one for _, one in found]), [name for name in shapes if name not in known]


def _hits(rows: Iterable[tuple[int, Row]], name: str) -> Iterator[Hit]:
    words = name.split(".")
    for rank, row in rows:
        pairs = list(zip(row.pattern.split("."), words, strict=True))
        if all(is_number(p) or p == w for p, w in pairs):
            yield Hit(rank, row, tuple(int(w) for p, w in pairs if is_number(p)))


def _beginnings(entry: TracedEntry, names: Iterable[str]) -> tuple[str, str]:
    """What names of the model begin with, and those of the class instead, for most of its lists."""
    own: dict[str, set[str]] = defaultdict(set)
    for row in entry.rows:
        pattern = general(row.pattern)
        if "#" in pattern:
            own[end_of(pattern)].add(pattern.removesuffix(end_of(pattern)))
    pairs: Counter[tuple[str, str]] = Counter()
    for pattern, n in Counter(map(general, names)).items():
        for beginning in own.get(end_of(pattern), ()):
            pairs[_apart(pattern.removesuffix(end_of(pattern)), beginning)] += n
    if not pairs:
        return "", ""
    return max(pairs, key=lambda pair: (pairs[pair], -len(pair[0]), pair))


def _apart(x: str, y: str) -> tuple[str, str]:
    """Two beginnings without the last words that both have."""
    a, b = x.split("."), y.split(".")
    while len(a) > 1 and len(b) > 1 and a[-2] == b[-2]:
        del a[-2], b[-2]
    return ".".join(a), ".".join(b)


def _with_ends(found: list[Known]) -> list[Known]:
    lists: dict[str, set[int]] = defaultdict(set)
    heads: list[list[tuple[str, int]]] = []
    for known in found:
        words, own = known.name.split("."), []
        for i, word in enumerate(known.row.pattern.split(".")):
            if is_number(word):
                own.append((".".join(words[:i]), int(words[i])))
        heads.append(own)
        for head, number in own:
            lists[head].add(number)
    ends = {head: (min(numbers), max(numbers)) for head, numbers in lists.items()}
    return [
        Known(
            known.tensor,
            known.name,
            known.row,
            known.numbers,
            tuple(number == ends[head][0] for head, number in own),
            tuple(number == ends[head][1] for head, number in own),
        )
        for known, own in zip(found, heads, strict=True)
    ]
