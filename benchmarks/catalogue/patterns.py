"""Tensor names of tiny instances to patterns: which numbers count blocks, and which are names.

``layers.3.mlp.0.weight`` becomes ``layers.#.mlp.0.weight`` where the list ``layers`` is longer in
one instance than in the other, while ``mlp`` has the same members everywhere, which differ. Where
members of a list are told apart by kinds, it is ``layers.#1.mlp.0.weight``. A list that is the same
in every model of the class is no list but names: of a bottleneck's three kernels, ``layer.1`` has
its own labels along both sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
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
    fixed: Set[Words] = frozenset(),
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
    fixed : set of tuple of str, optional
        What patterns begin with before lists whose members are told by name.

    Returns
    -------
    list of dict
        For every instance: name -> (pattern, the numbers that stand for its ``#``).
    """
    own = [[tuple(name.split(".")) for name in names] for names in instances]
    told = kinds or [{}] * len(own)
    literal = _literal(own, told, are_members=are_members)
    return [
        {".".join(words): _pattern(words, literal, of_kind, fixed) for words in names}
        for names, of_kind in zip(own, told, strict=True)
    ]


def fixed_lists(instances: Sequence[Iterable[str]], real: Iterable[str]) -> set[Words]:
    """Return what patterns begin with before lists that have the same members in every model.

    Parameters
    ----------
    instances : sequence of iterables of str
        Names of the tensors of each tiny instance, which differ in all depths that a config states.
    real : iterable of str
        Those of the class as it is without any settings.

    Returns
    -------
    set of tuple of str
        Empty where no list of several members is in all of them, and the same.
    """
    own = [[tuple(name.split(".")) for name in names] for names in (*instances, real)]
    literal = _literal(own[:-1], [{}] * (len(own) - 1), are_members=False)
    found = set[Words]()
    while True:
        lists: dict[Words, dict[tuple[int, Words], set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for k, names in enumerate(own):
            for words in names:
                pattern = _pattern(words, literal, {}, found)[0].split(".")
                for i, word in enumerate(pattern):
                    if is_number(word):
                        lists[tuple(pattern[:i])][k, words[:i]].add(words[i])
        same = [
            where
            for where, members in lists.items()
            if len({k for k, _ in members}) == len(own)
            and len({frozenset(x) for x in members.values()}) == 1
            and all(len(x) > 1 for x in members.values())
        ]
        if not same:
            return found
        depth = min(sum(map(is_number, where)) for where in same)  # the outermost lists first
        found |= {where for where in same if sum(map(is_number, where)) == depth}


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
    words: Words, literal: Set[Words], kinds: Mapping[Words, int], fixed: Set[Words]
) -> tuple[str, tuple[int, ...]]:
    general = all_numbers(words, kinds)
    found, numbers = list[str](), list[int]()
    for i, word in enumerate(words):
        if is_number(general[i]) and general[:i] not in literal and tuple(found) not in fixed:
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
