"""What shapes and the map of blocks say about a supposed child: kinds, and what speaks against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weightkin.derivation.distances import PairRelation, TensorDistance
from weightkin.derivation.pairing import MLP_ROLES, TOKEN_TABLES, TensorPair, block_cosines
from weightkin.derivation.silent_blocks import silent_blocks
from weightkin.records import Clue, clue
from weightkin.sketch.types import Sketch, SketchedTensor

REPEATED = 0.5  # cosine of two blocks of one model, one made from the other
AT_MEAN = 0.25  # of the spread of token rows: nearer to their mean than any row that was trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Kinds read off shapes, and whether a shape contradicts this parent and child."""

    kinds: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    clues: tuple[Clue, ...] = ()
    open: tuple[str, ...] = ()  # kinds that the other way round are as likely: cut or added
    against: tuple[Clue, ...] = ()  # what the child has that only the other direction explains
    unexplained: tuple[str, ...] = ()  # names of the child without partner


def structure_of(
    relation: PairRelation, parent: Sketch, child: Sketch, *, is_turned: bool = False
) -> Structure:
    """Read what became of blocks, units, token rows and experts from parent to child.

    Parameters
    ----------
    relation : PairRelation
        Of (parent, child), or of (child, parent) with ``is_turned``.
    parent, child : Sketch
        The supposed direction.
    is_turned : bool
        Whether the child is model a of ``relation``.

    Returns
    -------
    Structure
        Kinds that shapes show, their numbers, and what is left without explanation.
    """
    pairs = [(p.b, p.a, p) if is_turned else (p.a, p.b, p) for p in relation.pairs]
    block_map = [(s, j, i) if is_turned else (s, i, j) for s, i, j in relation.block_map]
    only_child = relation.only_a if is_turned else relation.only_b
    kinds: list[str] = []
    details: dict[str, Any] = {}
    clues: list[Clue] = []
    open_: list[str] = []
    against: list[Clue] = []
    unexplained = [name for name in only_child if child.tensors[name].role != "router"]
    for found in (
        _depth(block_map, parent, child),
        _width(pairs, is_turned=is_turned),
        _vocabulary(pairs),
        _experts(pairs, only_child, child),
    ):
        if found.kind:
            kinds.append(found.kind)
            open_ += [found.kind] if found.is_open else []
            details |= found.details
            clues += [found.clue] if found.clue else []
        against += [found.against] if found.against else []
    if "upcycled" not in kinds:
        unexplained = list(only_child)
    if "blocks-inserted" in kinds:
        new = silent_blocks(child)
        unexplained = [x for x in unexplained if _block(child, x) not in new]
    return Structure(
        kinds=tuple(kinds),
        details=details,
        clues=tuple(clues),
        open=tuple(open_),
        against=tuple(against),
        unexplained=tuple(unexplained),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What one part of the shapes says; ``is_open``: what is more here may have been cut there."""

    kind: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    clue: Clue | None = None
    against: Clue | None = None
    is_open: bool = False


Oriented = list[tuple[SketchedTensor, SketchedTensor, TensorPair]]


def _depth(block_map: list[tuple[str, int, int]], parent: Sketch, child: Sketch) -> _Found:
    depths = dict(child.stacks)
    for stack, depth in parent.stacks:
        other = depths.get(stack, 0)
        mapped = sorted((j, i) for s, i, j in block_map if s == stack)
        kept = [i for _, i in mapped]
        if depth == other or not mapped:
            continue
        shallow, deep = sorted((depth, other))
        silent = sorted(
            k for s, k in silent_blocks(child if other > depth else parent) if s == stack
        )
        if len(mapped) == shallow == deep - len(silent) and kept == sorted(set(kept)):
            if other < depth:
                continue  # the parent is what has them
            details = {"inserted": silent, "stack": stack}
            return _Found("blocks-inserted", details, clue("blocks-inserted", n=len(silent)))
        if other < depth and len(mapped) == other and kept == sorted(set(kept)):
            if has_repeated_blocks(parent, stack):
                return _Found(against=clue("against-repeats"))
            return _Found(
                "depth-pruned",
                {"kept_layers": kept, "stack": stack},
                clue("blocks-kept", n=other, n_parent=depth),
                is_open=kept in (list(range(other)), list(range(depth - other, depth))),
            )
        if other > depth and len(mapped) == other and max(Counter(kept).values()) > 1:
            details = {"layers": kept, "stack": stack}
            found = clue("blocks-repeated", n=other, n_parent=depth)
            return _Found("stacked", details, found)
        return _Found(against=clue("against-depth", n=other, n_parent=depth))
    return _Found()


def _block(sketch: Sketch, name: str) -> tuple[str, int]:
    return sketch.tensors[name].stack, sketch.tensors[name].block


def has_repeated_blocks(sketch: Sketch, stack: str) -> bool:
    """Whether a block of a model was copied to another: a cosine cut, without a p-value."""
    table = block_cosines(sketch, sketch, stack)
    return bool((np.tril(table, -1) >= REPEATED).any())


def _width(pairs: Oriented, *, is_turned: bool) -> _Found:
    units = [(p, c, pair) for p, c, pair in pairs if pair.units is not None]
    ups = [(p, c, pair) for p, c, pair in units if c.role in MLP_ROLES and len(c.shape) == 2]
    fewer = [x for x in ups if _size(x[1]) < _size(x[0])]
    if units and len(fewer) < len(ups):
        return _Found(against=clue("against-units"))
    if not fewer:
        return _Found()
    kept: dict[int, list[int]] = {}
    n_units, is_prefix = 0, True
    for p, c, pair in fewer:
        n_units = min(x for x, y in zip(c.shape, p.shape, strict=True) if x != y)
        if pair.units is not None:
            own, other = pair.units if is_turned else pair.units[::-1]
            kept[c.block] = other[np.argsort(own, kind="stable")].tolist()
            is_prefix = is_prefix and np.array_equal(own, other)
    is_ordered = all(list(index) == sorted(index) for index in kept.values())
    details = {"n_units": n_units, "kept_units": [kept[block] for block in sorted(kept)]}
    if not is_ordered:
        found = clue("units-kept-unordered", n=n_units)
        return _Found("width-pruned", details, found, clue("against-order"))
    return _Found("width-pruned", details, clue("units-kept", n=n_units), is_open=is_prefix)


def _vocabulary(pairs: Oriented) -> _Found:
    tables = [(p, c) for p, c, _ in pairs if c.role in TOKEN_TABLES and len(c.shape) == 2]
    if any(c.shape[0] < p.shape[0] for p, c in tables):
        return _Found(against=clue("against-rows"))
    grown = [(p, c) for p, c in tables if c.shape[0] > p.shape[0]]
    if not grown:
        return _Found()
    before, after = grown[0][0].shape[0], grown[0][1].shape[0]
    return _Found(
        "vocab-extended",
        {"n_rows_before": before, "n_rows": after},
        clue("rows-added", n=after, n_before=before),
        is_open=not any(_is_new(c, p.shape[0]) for p, c in grown),
    )


def _is_new(table: SketchedTensor, n_before: int) -> bool:
    """Whether the last rows of a token table were made from the rows before them.

    Rows that a vocabulary is extended by start at the mean of those that are there, or as copies of
    some; rows that were trained lie nowhere near their mean. Rows that are merely random, or zero,
    may be padding that a smaller table was rid of.
    """
    x = table.values.astype(np.float64)
    old, new = x[table.rows < n_before], x[table.rows >= n_before]
    if len(table.tail_rows):
        is_late = (table.tail_rows >= n_before) & ~np.isin(table.tail_rows, table.rows)
        late = table.tail_values[is_late, : x.shape[1]].astype(np.float64)
        if len(late) and late.shape[1] == x.shape[1]:
            new = np.concatenate([new, late])
    if len(old) < 2 or not len(new) or not new.any():
        return False
    mean = old.mean(axis=0)
    spread = np.sqrt(np.mean(np.sum((old - mean) ** 2, axis=1)))
    far = np.sqrt(np.sum((new - mean) ** 2, axis=1))
    if np.median(far) < AT_MEAN * spread:
        return True
    known = {row.tobytes() for row in old if row.any()}
    return all(row.tobytes() in known for row in new)


def _experts(pairs: Oriented, only_child: tuple[str, ...], child: Sketch) -> _Found:
    inside = [(p.name, c.name) for p, c, _ in pairs if p.role in MLP_ROLES]
    partners = Counter(p for p, _ in inside)
    of_child = Counter(c for _, c in inside)
    if of_child and max(of_child.values()) > 1 and max(partners.values()) == 1:
        return _Found(against=clue("against-experts"))
    has_router = any(child.tensors[name].role == "router" for name in only_child)
    if not has_router or not partners or min(partners.values()) < 2:
        return _Found()
    n = min(partners.values())
    return _Found("upcycled", {"n_experts": n}, clue("experts-from-mlps", n=n))


def _size(t: SketchedTensor) -> int:
    return t.matrix_shape[0] * t.matrix_shape[1]


def unrelated_blocks(relation: PairRelation) -> tuple[list[TensorDistance], set[int], set[int]]:
    """Matrices that share nothing, the blocks of b that are wholly so, and those only in part."""
    lost = list(relation.unrelated)
    names = {t.name_b for t in lost}
    by_block: dict[int, list[bool]] = {}
    for t in relation.matrices:
        by_block.setdefault(t.block_b, []).append(t.name_b in names)
    whole = {block for block, flags in by_block.items() if block >= 0 and all(flags)}
    partly = {block for block, flags in by_block.items() if any(flags)} - whole
    return lost, whole, partly
