"""Where labels stand in the patterns of a class: slots, and the parts that labels play in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from benchmarks.catalogue.patterns import Kinds, Words, patterns_of
from benchmarks.catalogue.shapes import ONE, Path, Traced, Trees, leaves, outline
from weightkin.anatomy.graph.labels import Dim
from weightkin.catalogue.traced import is_number

Slot = tuple[str, int, int, Path]  # pattern, rank, dimension, path in its tree
Key = tuple[int, int]  # instance and atom
Fixed = dict[Slot, tuple[str, int]]
ODD: Key = (-1, 0)


@dataclass(frozen=True)
class Seen:
    """One dimension of one tensor of one instance."""

    instance: int
    tensor: str
    numbers: tuple[int, ...]
    is_first: tuple[bool, ...]  # whether each number is the smallest of its list
    is_last: tuple[bool, ...]
    tree: Dim


@dataclass
class Part:
    """A component while it is put together."""

    slots: list[Slot]
    seen: list[tuple[Key, Slot, Seen]] = field(default_factory=list)
    odd: list[tuple[Slot, Seen]] = field(default_factory=list)  # fixed there, and built otherwise
    scope: int = 0


def seen_in(
    instances: Sequence[Traced],
    trees: Sequence[Trees],
    *,
    are_members: bool = False,
    kinds: Kinds | None = None,
    fixed: Set[Words] = frozenset(),
) -> dict[tuple[str, int, int], list[Seen]]:
    """All dimensions by pattern, rank and number of the dimension, in order of first use."""
    found: dict[tuple[str, int, int], list[Seen]] = {}
    every = [list(traced.labels.dims) for traced in instances]
    named = patterns_of(every, are_members=are_members, kinds=kinds, fixed=fixed)
    for k, names in enumerate(named):
        members = _members(names)
        for name, dims in trees[k].dims.items():
            pattern, numbers = names[name]
            firsts, lasts = [], []
            for prefix, number in _lists(name, pattern):
                firsts.append(number == min(members[prefix]))
                lasts.append(number == max(members[prefix]))
            if not dims:  # a single number
                found.setdefault((pattern, 0, 0), [])
            for i, tree in enumerate(dims):
                own = Seen(k, name, numbers, tuple(firsts), tuple(lasts), tree)
                found.setdefault((pattern, len(dims), i), []).append(own)
    for where, own_seen in found.items():
        if built_as(own_seen, trees) is None:  # one stream, several times, here more than there
            also = [
                replace(s, tree=trees[s.instance].repeated(s.tensor, where[2])) for s in own_seen
            ]
            found[where] = also if built_as(also, trees) is not None else own_seen
    return found


def _members(names: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = defaultdict(set)
    for name, (pattern, _) in names.items():
        for prefix, number in _lists(name, pattern):
            found[prefix].add(number)
    return found


def _lists(name: str, pattern: str) -> Iterator[tuple[str, int]]:
    """What the name begins with before each of its numbers, and the number."""
    words = name.split(".")
    for i, word in enumerate(pattern.split(".")):
        if is_number(word):
            yield ".".join(words[:i]), int(words[i])


def built_as(occurrences: Sequence[Seen], trees: Sequence[Trees]) -> Dim | None:
    """How a dimension is built wherever something along it is free; None where that differs."""
    wide = [s for s in occurrences if s.tree != ONE]
    if not wide:
        return ONE
    free = [s for s in wide if not trees[s.instance].is_fixed(s.tree)]
    outlines = {outline(s.tree) for s in free}
    if len(outlines) > 1:
        return None
    if free:
        return free[0].tree
    return wide[0].tree if len({outline(s.tree) for s in wide}) == 1 else ((0,),)


def parts_of(
    seen: Mapping[tuple[str, int, int], Sequence[Seen]],
    built: Mapping[tuple[str, int, int], Dim | None],
) -> list[Part]:
    """Slots that share an atom somewhere are one component."""
    at: dict[Key, list[tuple[Slot, Seen]]] = {}
    slots: dict[Slot, Slot] = {}
    odd: list[tuple[Slot, Seen]] = []
    for where, tree in built.items():
        if tree is None:
            continue
        own = [(*where, path) for _, path in leaves(tree)]
        slots.update((slot, slot) for slot in own)
        for s in seen[where]:
            if outline(s.tree) == outline(tree):
                for atom, path in leaves(s.tree):
                    at.setdefault((s.instance, atom), []).append(((*where, path), s))
            elif s.tree != ONE:
                odd += [(slot, s) for slot in own]
    for places in at.values():
        first = _root(slots, places[0][0])
        for slot, _ in places[1:]:
            slots[_root(slots, slot)] = first
            first = _root(slots, first)
    groups: dict[Slot, Part] = {}
    for slot in slots:
        groups.setdefault(_root(slots, slot), Part([])).slots.append(slot)
    for key, places in at.items():
        groups[_root(slots, places[0][0])].seen += [(key, slot, s) for slot, s in places]
    for slot, s in odd:
        groups[_root(slots, slot)].odd.append((slot, s))
    found = list(groups.values())
    for part in found:
        part.scope = _scope(part)
    return found


def _root(slots: dict[Slot, Slot], slot: Slot) -> Slot:
    while slots[slot] != slot:
        slots[slot] = slots[slots[slot]]
        slot = slots[slot]
    return slot


def _scope(part: Part) -> int:
    """How many leading numbers all places of a label have in common, under equal words."""
    words = [slot[0].split(".") for slot in part.slots]
    most = min(sum(map(is_number, own)) for own in words)
    for scope in range(most, 0, -1):
        heads = {".".join(head_of(own, scope)) for own in words}
        numbers: dict[Key, set[tuple[int, ...]]] = defaultdict(set)
        for key, _, s in part.seen:
            numbers[key].add(s.numbers[:scope])
        if len(heads) == 1 and all(len(x) == 1 for x in numbers.values()):
            return scope
    return 0


def head_of(words: Sequence[str], scope: int) -> Sequence[str]:
    """Words up to the number of that rank."""
    at = [i for i, word in enumerate(words) if is_number(word)][scope - 1]
    return words[: at + 1]


def fixed_slots(parts: Sequence[Part], trees: Sequence[Trees]) -> Fixed:
    """Where each leaf is fixed: for every fixed label some leaf says so."""
    found: Fixed = {}
    for part in parts:
        states: dict[Slot, list[tuple[bool, Seen, Key]]] = defaultdict(list)
        for key, slot, s in part.seen:
            states[slot].append((not trees[key[0]].atoms[key[1]].is_free, s, key))
        for slot, s in part.odd:
            states[slot].append((True, s, ODD))
        if all(fixed for own in states.values() for fixed, _, _ in own):
            continue  # the whole component is
        waiting = {key for own in states.values() for fixed, _, key in own if fixed} - {ODD}
        for slot, own in states.items():
            rule = _rule([(fixed, s) for fixed, s, _ in own])
            if rule is not None:
                found[slot] = rule
                waiting -= {key for fixed, _, key in own if fixed}
            elif any(key == ODD for _, _, key in own):
                found[slot] = ("always", 0)
        for slot, own in states.items():
            if waiting & {key for fixed, _, key in own if fixed}:
                found[slot] = ("always", 0)
    return found


def _rule(states: Sequence[tuple[bool, Seen]]) -> tuple[str, int] | None:
    """When a leaf is fixed, if that is always, or in the first or last member of a list."""
    if all(fixed for fixed, _ in states):
        return "always", 0
    if not any(fixed for fixed, _ in states):
        return None
    for position in range(len(states[0][1].numbers)):
        if all(fixed == s.is_last[position] for fixed, s in states):
            return "last", position
        if all(fixed == s.is_first[position] for fixed, s in states):
            return "first", position
    return None
