"""From two tiny instances of a class to its catalogue entry, for any depth and width.

Soundness before strength: what both instances have in common becomes the entry, and everything
else is tied or fixed. Two labels taken for one are a smaller group, which is still a symmetry.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from benchmarks.catalogue.facts import component_keys, groups_of, level_keys
from benchmarks.catalogue.patterns import Kinds, Words
from benchmarks.catalogue.shapes import Path, Traced, Trees, leaves
from benchmarks.catalogue.slots import (
    Fixed,
    Key,
    Part,
    Slot,
    built_as,
    fixed_slots,
    head_of,
    parts_of,
    seen_in,
)
from weightkin.anatomy.graph.labels import Dim as TracedDim
from weightkin.catalogue.traced import (
    Component,
    Dim,
    Factor,
    Leaf,
    Mixture,
    Row,
    TracedEntry,
    general,
    is_number,
    without_kinds,
)


def generalise(
    classes: Sequence[str],
    instances: Sequence[Traced],
    *,
    model_types: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
    are_members: bool = False,
    kinds: Kinds | None = None,
    fixed: Set[Words] = frozenset(),
) -> TracedEntry:
    """Return the entry of a class.

    Parameters
    ----------
    classes : sequence of str
        Its names, as ``library.Class``.
    instances : sequence of Traced
        Two of other depths and widths, or more.
    model_types : sequence of str
        Values of ``model_type`` in its configs.
    defaults : mapping, optional
        The config of the class as it is without any settings: used where a model has no config.
    are_members : bool
        Whether the instances are models as they are published.
    kinds : list of mapping, optional
        For each instance the blocks that are told apart by kinds.
    fixed : set of tuple of str, optional
        What patterns begin with before lists that have the same members in every model.

    Returns
    -------
    TracedEntry
        Whether it is right for the instances themselves, `problems_of` says.
    """
    trees = [Trees(traced) for traced in instances]
    seen = seen_in(instances, trees, are_members=are_members, kinds=kinds, fixed=fixed)
    built = {slot: built_as(occurrences, trees) for slot, occurrences in seen.items()}
    parts = parts_of(seen, built)
    owner = {slot: i for i, part in enumerate(parts) for slot in part.slots}
    at_atom = {key: i for i, part in enumerate(parts) for key, _, _ in part.seen}
    fixed = fixed_slots(parts, trees)
    rows = []
    for pattern, rank in dict.fromkeys((pattern, rank) for pattern, rank, _ in seen):
        dims: list[Dim | Mixture] = []
        for dim in range(rank):
            where = (pattern, rank, dim)
            tree = built[where]
            if tree is None:
                inside = {
                    at_atom[s.instance, atom]
                    for s in seen[where]
                    for atom, _ in leaves(s.tree)
                    if (s.instance, atom) in at_atom
                }
                dims.append(Mixture(tuple(sorted(inside))))
            else:
                dims.append(_tree(where, tree, (), owner, fixed))
        rows.append(Row(pattern, tuple(dims)))
    components = [_component(part, instances, trees, at_atom, defaults or {}) for part in parts]
    named = zip(components, _names(parts), strict=True)
    return TracedEntry(
        tuple(classes),
        tuple(model_types),
        tuple(replace(component, name=name) for component, name in named),
        tuple(rows),
        _ignored(instances),
    )


def _tree(
    where: tuple[str, int, int],
    tree: TracedDim,
    path: Path,
    owner: Mapping[Slot, int],
    fixed: Fixed,
) -> Dim:
    parts = []
    for i, part in enumerate(tree):
        factors: list[Factor] = []
        for j, factor in enumerate(part):
            here = (*path, i, j)
            if isinstance(factor, int):
                slot = (*where, here)
                rule, position = fixed.get(slot, ("never", 0))
                factors.append(Leaf(owner[slot], rule, position))  # type: ignore[arg-type]
            else:
                factors.append(_tree(where, factor, here, owner, fixed))
        parts.append(tuple(factors))
    return tuple(parts)


def _component(
    part: Part,
    instances: Sequence[Traced],
    trees: Sequence[Trees],
    at_atom: Mapping[Key, int],
    defaults: Mapping[str, Any],
) -> Component:
    atoms = {key: trees[key[0]].atoms[key[1]] for key, _, _ in part.seen}
    sizes: dict[tuple[int, tuple[int, ...]], set[int]] = defaultdict(set)
    for key, _, s in part.seen:
        sizes[key[0], s.numbers[: part.scope]].add(atoms[key].size)
    has_one_size = all(len(x) == 1 for x in sizes.values())
    within: set[int] | None = None
    for (k, _), atom in atoms.items():
        own = {at_atom[k, x] for x in atom.within if (k, x) in at_atom}
        within = own if within is None else within & own
    groups = groups_of(
        [atoms[key] for key in atoms], [key[0] for key in atoms], instances, defaults
    )
    is_free = any(atom.is_free for atom in atoms.values()) and groups is not None
    by_instance = [
        {atom.size for (k, _), atom in atoms.items() if k == i} for i in range(len(instances))
    ]
    configs = [traced.config for traced in instances]
    keys = component_keys(by_instance, configs)
    if has_one_size and not keys:
        keys = level_keys({where: next(iter(own)) for where, own in sizes.items()}, configs)
    return Component(
        name="",
        scope=part.scope,
        is_free=is_free,
        has_one_size=has_one_size,
        within=tuple(sorted(within or ())) if is_free else (),
        keys=keys,
        groups=groups or (),
    )


def _ignored(instances: Sequence[Traced]) -> tuple[str, ...]:
    """Patterns of vectors and buffers that outputs do not depend on in any instance."""
    found = {
        general(name)
        for traced in instances
        for name in traced.unused
        if name in traced.buffers or sum(n > 1 for n in traced.shapes.get(name, ())) <= 1
    }
    used = {general(name) for traced in instances for name in traced.labels.dims}
    return tuple(sorted(found - used))


def _names(parts: Sequence[Part]) -> Iterator[str]:
    """One name for each part, told apart where two stand in one block under one name."""
    seen: Counter[tuple[str, str]] = Counter()
    for part in parts:
        words = part.slots[0][0].split(".")
        head = ".".join(without_kinds(head_of(words, part.scope))) if part.scope else ""
        name = _name(part)
        seen[head, name] += 1
        n = seen[head, name]
        yield name if n == 1 else f"{name}'{n}"


def _name(part: Part) -> str:
    """Of one place, below what names the instance: a place that models without a head have too."""
    pattern, _, dim, path = min(part.slots, key=lambda x: ("#" not in x[0], len(x[0]), x))
    words = pattern.split(".")
    if part.scope:
        words = words[len(head_of(words, part.scope)) :]
    words = [word for word in words if not is_number(word)]
    return ".".join(str(x) for x in (*words, dim, *(path if any(path) else ())))
