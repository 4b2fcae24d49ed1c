"""What of a class its configs explain: sizes of components, numbers of groups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.catalogue.shapes import Traced
from weightkin.anatomy.graph.labels import Atom
from weightkin.anatomy.traced.sizes import number_under
from weightkin.catalogue.traced import Groups

MAX_KEYS = 4
_NO_SIZE = re.compile(
    r"layers?$|depth|blocks?$|_ids?$|tokens?|vocab|position|labels|length|steps|beams|version|steps"
)


def component_keys(
    sizes: Sequence[set[int]], configs: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Keys, or quotients of keys, whose values are the size of a component in every instance.

    Parameters
    ----------
    sizes : sequence of set of int
        Sizes of the component in each instance; no key is found unless there is one in each.
    configs : sequence of mapping
        The configs.

    Returns
    -------
    tuple of str
        At most `MAX_KEYS`; those that speak of heads first.
    """
    if any(len(own) != 1 for own in sizes):
        return ()
    wanted = [next(iter(own)) for own in sizes]
    tables = [dict(numbers_in(config)) for config in configs]
    common = [
        key for key in tables[0]
        if not _NO_SIZE.search(key) and all(key in table for table in tables[1:])
    ]  # fmt: skip
    found = [key for key in common if [table[key] for table in tables] == wanted]
    if not found:
        found = [
            f"{a}/{b}"
            for b in common
            if "head" in b
            for a in common
            if a != b
            and a.rpartition(".")[0] == b.rpartition(".")[0]
            and all(
                table[b] and table[a] == n * table[b]
                for table, n in zip(tables, wanted, strict=True)
            )
        ]
    heads = [key for key in found if "head" in key]
    found = heads or ([] if len(set(wanted)) == 1 else found)  # a constant may fit by chance
    return tuple(sorted(found, key=lambda key: ("head" not in key, len(key), key))[:MAX_KEYS])


def level_keys(
    sizes: Mapping[tuple[int, tuple[int, ...]], int], configs: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Lists of the configs that hold the sizes of a component by level.

    Parameters
    ----------
    sizes : mapping of (int, tuple of int) to int
        Size by instance and numbers of the scope.
    configs : sequence of mapping
        The configs. One of them must hold a list whose entries differ.

    Returns
    -------
    tuple of str
        Such as ``heads[0]``, in the words of ``sizes.number_under``; () where two rules fit alike.
    """
    columns = zip(*(numbers for _, numbers in sizes), strict=True)
    varied = [i for i, own in enumerate(columns) if len(set(own)) > 1]
    rules = ["last", *(f"{sign}{i}" for i in varied for sign in ("", "~"))]
    found = [
        f"{key}[{rule}]"
        for key in dict.fromkeys(k for config in configs for k, v in config.items() if _differs(v))
        for rule in rules
        if all(
            number_under(f"{key}[{rule}]", configs[instance], numbers) == size
            for (instance, numbers), size in sizes.items()
        )
    ]
    return (found[0],) if len(found) == 1 else ()


def _differs(value: Any) -> bool:
    return isinstance(value, list | tuple) and len({str(x) for x in value}) > 1


def groups_of(
    atoms: Sequence[Atom],
    owners: Sequence[int],
    instances: Sequence[Traced],
    defaults: Mapping[str, Any],
) -> tuple[Groups, ...] | None:
    """Numbers of groups that cut the labels of a component; None where no rule explains them.

    Parameters
    ----------
    atoms : sequence of Atom
        The labels of a component.
    owners : sequence of int
        The instance of each.
    instances : sequence of Traced
        All instances.
    defaults : mapping
        Config of the class without any settings.

    Returns
    -------
    tuple of Groups or None
        () where nothing is cut.
    """
    cut = [(atom, k) for atom, k in zip(atoms, owners, strict=True) if atom.cells]
    if not cut:
        return ()
    even = [{len(a.cells) for a, own in cut if own == k and len(set(a.cells)) == 1}
            for k in range(len(instances))]  # fmt: skip
    numbers = [
        sorted((own & traced.groups if len(own & traced.groups) == 1 else traced.groups) - {1})
        for own, traced in zip(even, instances, strict=True)
    ]
    if len({len(own) for own in numbers}) != 1 or not numbers[0]:
        return None
    found = []
    for row in zip(*numbers, strict=True):
        group = _groups(list(row), [traced.config for traced in instances], defaults)
        if group is None:
            return None
        found.append(group)
    return tuple(found)


def _groups(
    wanted: Sequence[int], configs: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> Groups | None:
    tables = [dict(numbers_in(config)) for config in configs]
    keys = [
        key for key in tables[0]
        if "group" in key and [table.get(key) for table in tables] == list(wanted)
    ]  # fmt: skip
    if keys:
        key = min(keys, key=lambda x: (len(x), x))
        return Groups(dict(numbers_in(defaults)).get(key, wanted[0]), key)
    return Groups(wanted[0]) if len(set(wanted)) == 1 else None


def numbers_in(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    """Every positive integer of a config under its path, as ``text_config.num_layers``."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from numbers_in(value, f"{prefix}{key}.")
        elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
            yield f"{prefix}{key}", value
