"""Rows in the order of the library, of models whose publisher stores them in another one.

Which rows are meant, and how they are ordered, is in the tables of names of the catalogue; how many
heads there are is in the config. Without that, rows stay as they are stored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.catalogue.config import keys_of, part_of, whole_number
from weightkin.catalogue.names_table import NamesTable, names_tables
from weightkin.formats.computed import Index, Recipe, stored_rows
from weightkin.formats.model import Storage, TensorInfo

MAX_TENSORS = 1 << 16  # of a model whose names are looked through
FREQUENCIES = "rope.freqs"  # one for two rows of a head
Order = Callable[[Index], Index]  # rows of the library, as they are numbered in the file


@dataclass(frozen=True, slots=True)
class Ordered:
    """A tensor of which the rows are stored in another order."""

    shape: tuple[int, ...]
    name: str  # as it is stored
    order: Order
    stored: Recipe | None  # None: as plain numbers

    def rows(self, storage: Storage, rows: Index) -> npt.NDArray[Any]:
        """Rows, fetched in the order in which they are stored."""
        at = self.order(rows)
        by_place = np.argsort(at)
        if self.stored is None:
            values = stored_rows(storage, self.name, at[by_place], math.prod(self.shape[1:]))
        else:
            values = self.stored.rows(storage, at[by_place])
        out = np.empty_like(values)
        out[by_place] = values
        return out


@dataclass(frozen=True, slots=True)
class Pairs:
    """In each head, the two rows that rotary positions turn together are neighbours."""

    size: int  # of a head

    def __call__(self, rows: Index) -> Index:
        """Where the first and the second halves of heads stand."""
        half, within = np.divmod(rows % self.size, self.size // 2)
        at: Index = rows // self.size * self.size + 2 * within + half
        return at


@dataclass(frozen=True, slots=True)
class Joined:
    """The same of queries and keys, one behind the other; values behind them stand as they are."""

    size: int  # of a head
    n_turned: int  # rows of queries and keys

    def __call__(self, rows: Index) -> Index:
        """Where all rows stand."""
        at: Index = np.where(rows < self.n_turned, Pairs(self.size)(rows), rows)
        return at


@dataclass(frozen=True, slots=True)
class Groups:
    """Queries, keys and values of each group of heads stand together, in this order."""

    n: int
    size: int  # of a head
    n_queries: int  # rows of queries in each group

    def __call__(self, rows: Index) -> Index:
        """Where all queries, then all keys, then all values stand."""
        whole = self.n_queries + 2 * self.size
        begins = np.array([0, self.n_queries, self.n_queries + self.size])
        sizes = np.array([self.n_queries, self.size, self.size])
        before = np.concatenate(([0], np.cumsum(sizes[:2] * self.n)))
        part = np.searchsorted(before, rows, side="right") - 1
        group, within = np.divmod(rows - before[part], sizes[part])
        at: Index = group * whole + begins[part] + within
        return at


def in_library_order(
    tensors: Mapping[str, TensorInfo], recipes: Mapping[str, Recipe], config: Mapping[str, Any]
) -> tuple[dict[str, TensorInfo], dict[str, Recipe]]:
    """Order rows as the library has them, where a table says that a publisher does not.

    Parameters
    ----------
    tensors : mapping of str to TensorInfo
        All tensors of a model.
    recipes : mapping of str to Recipe
        How some of them are computed.
    config : mapping
        What says how many heads there are.

    Returns
    -------
    tuple of dict
        The tensors, of which one that holds queries, keys and values has another name; and all
        recipes.
    """
    infos, made = dict(tensors), dict(recipes)
    if len(tensors) > MAX_TENSORS:
        return infos, made
    for table in names_tables():
        if (table.pairs or table.groups) and _holds(table, tensors):
            for name, new, order in _orders(table, infos, config):
                info = infos.pop(name)
                recipe = Ordered(info.shape, name, order, made.pop(name, None))
                infos[new], made[new] = replace(info, name=new), recipe
    return infos, made


def _holds(table: NamesTable, names: Iterable[str]) -> bool:
    return all(any(pattern.search(name) for name in names) for pattern in table.when)


def _orders(
    table: NamesTable, tensors: Mapping[str, TensorInfo], config: Mapping[str, Any]
) -> Iterator[tuple[str, str, Order]]:
    """Tensors of a table whose rows are ordered, their names afterwards, and how."""
    own = part_of(config, "decoder")
    heads = whole_number(own, keys_of("heads"))
    n_heads = {"heads": heads, "kv_heads": whole_number(own, keys_of("kv_heads")) or heads}
    table_of_angles = tensors.get(FREQUENCIES)
    size = 2 * table_of_angles.shape[0] if table_of_angles and table_of_angles.shape else 0
    for name, info in list(tensors.items()):
        rows = info.shape[0] if info.shape else 0
        for pattern, which in table.pairs:
            if _is_of(pattern, name) and (order := _pairs(which, rows, n_heads, size)) is not None:
                yield name, name, order
        for pattern, module in table.groups:
            is_fused = _is_of(pattern, name)
            groups = _groups(rows, n_heads["heads"], n_heads["kv_heads"]) if is_fused else None
            new = pattern.sub(module, name)
            if groups is not None and new not in tensors:
                yield name, new, groups


def _is_of(pattern: re.Pattern[str], name: str) -> bool:
    """Whether a tensor is the matrix or the bias of a module."""
    found = pattern.search(name)
    return found is not None and name[found.end() :] in (".weight", ".bias")


def _pairs(which: str, rows: int, n_heads: Mapping[str, int], size: int) -> Order | None:
    """Pairs of rows in the heads of a tensor; None where its size does not fit them."""
    if which == "joined":
        heads, others = n_heads["heads"], n_heads["kv_heads"]
        size, odd = divmod(rows, heads + 2 * others) if heads else (0, 1)
        is_fit = not odd and size and size % 2 == 0
        return Joined(size, size * (heads + others)) if is_fit else None
    n = n_heads[which] or (rows // size if size else 0)
    return Pairs(rows // n) if n and rows and rows % (2 * n) == 0 else None


def _groups(rows: int, n_heads: int, n: int) -> Groups | None:
    """Groups of heads in a fused tensor; None where its size does not fit them."""
    if not n or n_heads % n or rows <= 0 or rows % (n_heads + 2 * n):
        return None
    size = rows // (n_heads + 2 * n)
    return Groups(n, size, n_heads // n * size)
