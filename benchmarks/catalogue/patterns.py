"""Tensor names of tiny instances to patterns: which numbers count blocks, and which are names.

``layers.3.mlp.0.weight`` becomes ``layers.#.mlp.0.weight`` where the list ``layers`` is longer in
one instance than in the other, while ``mlp`` has the same members everywhere, which differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

Words = tuple[str, ...]


def patterns_of(
    instances: Sequence[Iterable[str]], *, are_members: bool = False
) -> list[dict[str, tuple[str, tuple[int, ...]]]]:
    """Return the pattern and the numbers of every name of every instance.

    Parameters
    ----------
    instances : sequence of iterables of str
        Names of the tensors of each instance of one class.
    are_members : bool
        Whether the instances are models as they are published, not examples of what a config may
        say: then lists that are the same in all of them are the same in every model.

    Returns
    -------
    list of dict
        For every instance: name -> (pattern, the numbers that stand for its ``#``).
    """
    own = [[tuple(name.split(".")) for name in names] for names in instances]
    literal = _literal(own, are_members=are_members)
    return [{".".join(words): _pattern(words, literal) for words in names} for names in own]


def all_numbers(words: Words) -> Words:
    """The words with every number taken for one of a list."""
    return tuple("#" if word.isdecimal() else word for word in words)


def _pattern(words: Words, literal: set[Words]) -> tuple[str, tuple[int, ...]]:
    general = all_numbers(words)
    found, numbers = [], []
    for i, word in enumerate(words):
        if general[i] == "#" and general[:i] not in literal:
            numbers.append(int(word))
            found.append("#")
        else:
            found.append(word)
    return ".".join(found), tuple(numbers)


def _literal(instances: Sequence[Sequence[Words]], *, are_members: bool) -> set[Words]:
    """Lists whose members are told by name: the same everywhere, and not all of one sort."""
    members: dict[Words, set[frozenset[str]]] = defaultdict(set)
    sorts: dict[Words, dict[str, set[Words]]] = defaultdict(lambda: defaultdict(set))
    for names in instances:
        lists: dict[Words, set[str]] = defaultdict(set)
        for words in names:
            general = all_numbers(words)
            for i, word in enumerate(general):
                if word == "#":
                    lists[words[:i]].add(words[i])
                    sorts[general[:i]][words[i]].add(general[i + 1 :])
        for prefix, own in lists.items():
            members[all_numbers(prefix)].add(frozenset(own))
    found = set()
    for where, sets in members.items():
        if len(sets) > 1:
            continue
        (numbers,) = sets
        is_counted = sorted(map(int, numbers)) == list(range(len(numbers)))
        is_alike = len({frozenset(x) for x in sorts[where].values()}) == 1
        if are_members or len(numbers) == 1 or not is_counted or not is_alike:
            found.add(where)
    return found
