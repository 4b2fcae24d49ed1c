"""Tensor names of tiny instances to patterns: which numbers count blocks, and which are names.

``layers.3.mlp.0.weight`` becomes ``layers.#.mlp.0.weight`` where the list ``layers`` is longer in
one instance than in the other, while ``mlp`` has the same members everywhere, which differ. Where
members of a list are told apart by kinds, it is ``layers.#1.mlp.0.weight``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from weightkin.catalogue.traced import is_number

Words: TypeAlias = tuple[str, ...]
Kinds: TypeAlias = list[dict[Words, int]]  # of each instance: block -> its kind, from 1 on
MAX_KINDS = 8


def patterns_of(
    instances: Sequence[Iterable[str]],
    *,
    are_members: bool = False,
    kinds: Kinds | None = None,
) -> list[dict[str, tuple[str, tuple[int, ...]]]]:
    """Return the pattern and the numbers of every name of every instance.

    Parameters
    ----------
    instances : sequence of iterables of str
        Names of the tensors of each instance of one class.
    are_members : bool
        Whether the instances are models as they are published, not examples of what a config may
        say: then lists that are the same in all of them are the same in every model.
    kinds : list of mapping, optional
        For each instance the blocks that are told apart by kinds.

    Returns
    -------
    list of dict
        For every instance: name -> (pattern, the numbers that stand for its ``#``).
    """
    own = [[tuple(name.split(".")) for name in names] for names in instances]
    told = kinds or [{}] * len(own)
    literal = _literal(own, told, are_members=are_members)
    return [
        {".".join(words): _pattern(words, literal, of_kind) for words in names}
        for names, of_kind in zip(own, told, strict=True)
    ]


def kinds_of(instances: Sequence[Iterable[tuple[str, int]]]) -> Iterator[Kinds]:
    """Every way to tell the members of numbered lists apart by the matrices that they have.

    Parameters
    ----------
    instances : sequence of iterables of (str, int)
        Names of the tensors of each instance of one class, and their numbers of dimensions.

    Yields
    ------
    list of dict
        For each instance: block -> its kind. There are two to `MAX_KINDS`, all in each instance.
    """
    own = [[name.split(".") for name, rank in names if rank > 1] for names in instances]
    blocks: dict[Words, list[dict[Words, set[Words]]]] = {}
    for k, names in enumerate(own):
        for words in names:
            for i, word in enumerate(words):
                if word.isdecimal():
                    where = all_numbers(tuple(words[: i + 1]), {})
                    lists = blocks.setdefault(where, [defaultdict(set) for _ in own])
                    lists[k][tuple(words[: i + 1])].add(tuple(words[i + 1 :]))
    for lists in blocks.values():
        sorts = [{frozenset(x) for x in found.values()} for found in lists]
        if 1 < len(sorts[0]) <= MAX_KINDS and all(x == sorts[0] for x in sorts):
            order = {x: i + 1 for i, x in enumerate(sorted(sorts[0], key=sorted))}
            yield [{b: order[frozenset(x)] for b, x in found.items()} for found in lists]


def all_numbers(words: Words, kinds: Mapping[Words, int]) -> Words:
    """The words with every number taken for one of a list."""
    return tuple(
        f"#{kinds.get(words[: i + 1], '')}" if word.isdecimal() else word
        for i, word in enumerate(words)
    )


def _pattern(
    words: Words, literal: set[Words], kinds: Mapping[Words, int]
) -> tuple[str, tuple[int, ...]]:
    general = all_numbers(words, kinds)
    found, numbers = [], []
    for i, word in enumerate(words):
        if is_number(general[i]) and general[:i] not in literal:
            numbers.append(int(word))
            found.append(general[i])
        else:
            found.append(word)
    return ".".join(found), tuple(numbers)


def _literal(
    instances: Sequence[Sequence[Words]], kinds: Kinds, *, are_members: bool
) -> set[Words]:
    """Lists whose members are told by name: the same everywhere, and not all of one sort."""
    members: dict[Words, set[frozenset[str]]] = defaultdict(set)
    sorts: dict[Words, dict[str, set[Words]]] = defaultdict(lambda: defaultdict(set))
    for names, of_kind in zip(instances, kinds, strict=True):
        lists: dict[Words, set[str]] = defaultdict(set)
        for words in names:
            general = all_numbers(words, of_kind)
            for i, word in enumerate(general):
                if is_number(word):
                    lists[words[:i]].add(words[i])
                    sorts[general[:i]][words[i]].add(general[i + 1 :])
        for prefix, own in lists.items():
            members[all_numbers(prefix, of_kind)].add(frozenset(own))
    found = set()
    for where, sets in members.items():
        if len(sets) > 1:
            continue
        (numbers,) = sets
        is_counted = sorted(map(int, numbers)) == list(range(len(numbers)))
        is_alike = len({frozenset(x) for x in sorts[where].values()}) == 1
        is_in_kind = any(is_number(word) and word != "#" for word in where)
        if are_members or is_in_kind or len(numbers) == 1 or not is_counted or not is_alike:
            found.add(where)
    return found
