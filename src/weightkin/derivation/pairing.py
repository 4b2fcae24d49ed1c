"""Which tensor of one sketch is which of the other, and their common sample, unit by unit.

Blocks of equally deep stacks are paired by number. Where depths differ, each block of the deeper
one is given the block of the shallower one that it is nearest to, if it is near one at all. Inside
of blocks, and outside of all, tensors of equal role keys are paired, whatever their names are; and
experts that were made from one MLP with that MLP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Floats
from weightkin.derivation.silent_blocks import silent_blocks
from weightkin.sketch.overlap import Common, common
from weightkin.sketch.types import Sketch, SketchedTensor
from weightkin.stats.matching import unit_rows

_Place = tuple[int, str, tuple[int, ...]]  # block, role and shape of a tensor

BlockPair = tuple[str, int, int]  # stack, block of a, block of b
TOKEN_TABLES = ("embed", "unembed")
NEAR = 0.5  # cosine of two matrices that makes blocks of unequal depth a pair
MIN_COSINE_UNIT = 0.9  # cosine at which rows of unequally many units are one unit
_NUMBER = re.compile(r"(?<![A-Za-z0-9_])[0-9]{1,9}(?![A-Za-z0-9_])", re.ASCII)
MLP_ROLES = ("mlp.gate", "mlp.up", "mlp.down")


@dataclass(frozen=True, slots=True)
class TensorPair:
    """Two tensors that stand for each other, with their common sample."""

    a: SketchedTensor
    b: SketchedTensor
    both: Common
    units: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None  # matched, where sizes differ

    @property
    def is_same_shape(self) -> bool:
        """Whether the whole tensors have one shape."""
        return self.a.shape == self.b.shape


def pair_tensors(
    a: Sketch, b: Sketch, block_map: Sequence[BlockPair] | None = None
) -> tuple[TensorPair, ...]:
    """Every pair of tensors that can be compared; a tensor may have several partners.

    Parameters
    ----------
    a, b : Sketch
        Sketches of one scheme.
    block_map : sequence of (str, int, int), optional
        Stack, block of a, block of b; found without it.

    Returns
    -------
    tuple of TensorPair
        With the sample that both have in common, never empty.
    """
    pairs = match_blocks(a, b) if block_map is None else tuple(block_map)
    found = []
    for x, y in _partners(a, b, pairs):
        aligned = _align(x, y)
        if aligned is not None and aligned.both.values_a.size:
            found.append(aligned)
    return tuple(found)


def match_blocks(a: Sketch, b: Sketch) -> tuple[BlockPair, ...]:
    """Pair blocks stack by stack: by number where depths agree, else by nearness.

    Where depths differ, blocks that write nothing are copies of no other.
    """
    found: list[BlockPair] = []
    depths_b = dict(b.stacks)
    numbers_a, numbers_b = block_numbers(a), block_numbers(b)
    for stack, depth in a.stacks:
        own, there = numbers_a.get(stack, []), numbers_b.get(stack, [])
        if depth == depths_b.get(stack, 0):
            found += [(stack, i, i) for i in sorted({*own, *there})]
        elif own and there:
            table = block_cosines(a, b, stack)
            silent_a, silent_b = silent_blocks(a), silent_blocks(b)
            table[[(stack, k) in silent_a for k in own]] = -1.0
            table[:, [(stack, k) in silent_b for k in there]] = -1.0
            near = table.argmax(axis=1) if len(own) > len(there) else table.argmax(axis=0)
            pairs = [(i, j) if len(own) > len(there) else (j, i) for i, j in enumerate(near)]
            found += [(stack, own[i], there[j]) for i, j in pairs if table[i, j] >= NEAR]
    return tuple(found)


def block_numbers(sketch: Sketch) -> dict[str, list[int]]:
    """Numbers of the blocks of every stack, ascending: not all nets number them from zero on."""
    found: dict[str, set[int]] = {}
    for tensor in sketch.tensors.values():
        if tensor.block >= 0:
            found.setdefault(tensor.stack, set()).add(tensor.block)
    return {stack: sorted(numbers) for stack, numbers in found.items()}


def block_cosines(a: Sketch, b: Sketch, stack: str) -> npt.NDArray[np.float64]:
    """Median cosine of matrices of one role of all pairs of blocks of one stack.

    Parameters
    ----------
    a, b : Sketch
        Sketches of one scheme.
    stack : str
        Name of the stack in both.

    Returns
    -------
    array of float64, ``(n_a, n_b)``
        Median over the roles that all blocks have, in the order of `block_numbers`; 0 where there
        are none.
    """
    ours, theirs = (_by_rest(x, stack) for x in (a, b))
    table = np.zeros((len(ours), len(theirs)))
    roles = sorted(set.intersection(*map(set, (*ours, *theirs))))
    for i, x in enumerate(ours):
        for j, y in enumerate(theirs):
            cosines = [_cosine(x[role], y[role]) for role in roles]
            table[i, j] = float(np.median(cosines)) if cosines else 0.0
    return table


def stack_likeness(a: Sketch, b: Sketch) -> Callable[[str, str], float]:
    """How alike a stack of a and one of b are: mean cosine, without a sign, by role and block.

    It is 0 where they have nothing of one shape. It proposes, and is no evidence.
    """
    sides = _by_stack(a), _by_stack(b)

    def likeness(stack_a: str, stack_b: str) -> float:
        ours, theirs = sides[0].get(stack_a, {}), sides[1].get(stack_b, {})
        both = [key for key in ours.keys() & theirs.keys() if len(key[2]) > 1]
        cosines = [abs(_cosine(ours[key], theirs[key])) for key in both]
        return float(np.mean(cosines)) if cosines else 0.0

    return likeness


def _by_stack(sketch: Sketch) -> dict[str, dict[_Place, SketchedTensor]]:
    """The tensors of each stack, by block, role and shape."""
    found: dict[str, dict[_Place, SketchedTensor]] = {}
    for tensor in sketch.tensors.values():
        place = tensor.block, tensor.role, tensor.shape
        found.setdefault(tensor.stack, {})[place] = tensor
    return found


def _role_in_block(tensor: SketchedTensor) -> str:
    """Return the role key without its stack and block; of a name, without the block's number."""
    if tensor.block < 0:
        return tensor.name
    if tensor.key.block >= 0:
        return tensor.key.role
    parts, number = tensor.name.split("."), str(tensor.block)
    place = parts.index(number) if number in parts else -1
    return ".".join("#" if k == place else part for k, part in enumerate(parts))


def _by_rest(x: Sketch, stack: str) -> list[dict[str, SketchedTensor]]:
    blocks: dict[int, dict[str, SketchedTensor]] = {i: {} for i in block_numbers(x).get(stack, [])}
    for tensor in x.tensors.values():
        if tensor.stack == stack and tensor.block in blocks and len(tensor.shape) > 1:
            blocks[tensor.block][_role_in_block(tensor)] = tensor
    return list(blocks.values())


def _cosine(x: SketchedTensor, y: SketchedTensor) -> float:
    aligned = _align(x, y)
    if aligned is None:
        return 0.0
    p = aligned.both.values_a.astype(np.float64).ravel()
    q = aligned.both.values_b.astype(np.float64).ravel()
    return float(p @ q) / max(float(np.sqrt((p @ p) * (q @ q))), 1e-300)


def _partners(
    a: Sketch, b: Sketch, pairs: Sequence[BlockPair]
) -> Iterator[tuple[SketchedTensor, SketchedTensor]]:
    keyed = {(t.stack, t.block, _role_in_block(t)): t for t in b.tensors.values()}
    to_b: dict[tuple[str, int], list[int]] = {}
    for stack, i, j in pairs:
        to_b.setdefault((stack, i), []).append(j)
    left_a: list[tuple[SketchedTensor, int]] = []
    used_b: set[str] = set()
    for x in a.tensors.values():
        blocks = [-1] if x.block < 0 else to_b.get((x.stack, x.block), [])
        here = [(x.stack, j, _role_in_block(x)) for j in blocks]
        partners = [keyed[key] for key in here if key in keyed]
        same = b.tensors.get(x.name)
        if not partners and same is not None and min(x.block, same.block) < 0:
            partners = [same]  # a part of a fused tensor, whose block is known in one model alone
        used_b.update(y.name for y in partners)
        yield from ((x, y) for y in partners)
        if not partners:
            left_a += [(x, j) for j in blocks]
    left_b: dict[tuple[str, int, str], dict[SketchedTensor, int]] = {}
    for y in b.tensors.values():
        if y.name not in used_b and y.role in MLP_ROLES:
            left_b.setdefault((y.stack, y.block, y.role), {})[y] = _expert(y)
    those: dict[tuple[str, int, str], dict[SketchedTensor, int]] = {}
    for x, j in left_a:
        if x.role in MLP_ROLES:
            those.setdefault((x.stack, j, x.role), {})[x] = _expert(x)
    for key, xs in those.items():
        yield from _of_one_role(xs, left_b.get(key, {}))


def _of_one_role(
    xs: Mapping[SketchedTensor, int], ys: Mapping[SketchedTensor, int]
) -> Iterator[tuple[SketchedTensor, SketchedTensor]]:
    """Experts of both models by their number; one MLP with each expert made from it."""
    experts = [{number: t for t, number in side.items()} for side in (xs, ys)]
    if all(len(side) > 1 and -1 not in side for side in experts):
        yield from ((x, experts[1][k]) for k, x in experts[0].items() if k in experts[1])
        return
    yield from ((x, y) for x in xs for y in ys)


def _expert(tensor: SketchedTensor) -> int:
    """Number of the expert that a tensor belongs to; -1 where there is none."""
    numbers = [int(n) for n in _NUMBER.findall(_role_in_block(tensor))]
    return numbers[-1] if numbers else -1


def _align(x: SketchedTensor, y: SketchedTensor) -> TensorPair | None:
    """Common sample of two tensors; units are matched by their rows where the sizes differ."""
    if len(x.shape) != len(y.shape):
        return None
    if x.shape == y.shape or x.role in TOKEN_TABLES:
        both = common(x, y)
        return TensorPair(x, y, both, None) if _is_finite(both) else None
    (rows_a, columns_a), (rows_b, columns_b) = x.matrix_shape, y.matrix_shape
    if (rows_a != rows_b) == (columns_a != columns_b):
        return None
    p, q = x.values, y.values  # rows are the units, after this
    is_turned = columns_a != columns_b
    index, others = (x.columns, y.columns), (x.rows, y.rows)
    if is_turned:
        p, q = p.T, q.T
    else:
        index, others = others, index
    _, keep_a, keep_b = np.intersect1d(*others, assume_unique=True, return_indices=True)
    p, q = p[:, keep_a], q[:, keep_b]
    if not p.size or not q.size or not np.isfinite(p).all() or not np.isfinite(q).all():
        return None
    here_a, here_b = _match_rows(p, q)
    if not len(here_a):
        return None
    p, q = p[here_a], q[here_b]
    shape = (min(rows_a, rows_b), min(columns_a, columns_b))
    if is_turned:
        p, q = p.T, q.T
    both = Common(p, q, np.zeros(len(p), dtype=bool), shape)
    return TensorPair(x, y, both, (index[0][here_a], index[1][here_b]))


def _match_rows(p: Floats, q: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that are each other's nearest and alike: positions in p and in q, ascending in q."""
    if p.shape[1] == 1:  # entries of a vector: equal ones
        _, here_a, here_b = np.intersect1d(p[:, 0], q[:, 0], return_indices=True)
        order = np.argsort(here_b)
        return here_a[order], here_b[order]
    cosine = unit_rows(p) @ unit_rows(q).T  # (n_a, n_b)
    best_a = cosine.argmax(axis=0)
    columns = np.arange(cosine.shape[1])
    is_pair = (cosine.argmax(axis=1)[best_a] == columns) & (
        cosine[best_a, columns] >= MIN_COSINE_UNIT
    )
    return best_a[is_pair], columns[is_pair]


def _is_finite(both: Common) -> bool:
    return bool(np.isfinite(both.values_a).all() and np.isfinite(both.values_b).all())
