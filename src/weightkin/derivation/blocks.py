"""How two related models differ, block by block: sizes, equal values, the roles that changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from weightkin.derivation.accounting import parameters_of
from weightkin.derivation.equality import TensorMatch
from weightkin.derivation.in_common import InCommon
from weightkin.records import BlockRelation
from weightkin.records.differing import BlockDifference
from weightkin.sketch.types import Sketch, SketchedTensor


@dataclass(slots=True)
class _Block:
    """The tensors of one block of one model, added up."""

    n: float = 0.0
    n_equal: float = 0.0
    changed: set[str] = field(default_factory=set)

    def add(self, n: float, tensor: SketchedTensor, match: TensorMatch) -> None:
        is_chance = match.is_other and not match.is_told  # such as ones, which all norms hold
        share = 1.0 if match.is_same else 0.0 if is_chance else match.share
        self.n += n
        self.n_equal += n * share
        if share < 1.0:
            self.changed.add(tensor.role)


def blocks_of_pair(
    common: InCommon, totals: tuple[int, int], layers: Sequence[BlockRelation]
) -> tuple[BlockDifference, ...]:
    """Each block of a beside that of b, then what only b has.

    Parameters
    ----------
    common : InCommon
        Sketches of both, with what is equal in them, under any name.
    totals : (int, int)
        Parameters of both models.
    layers : sequence of BlockRelation
        Which blocks the tests found together; others go with the block of their own name.

    Returns
    -------
    tuple of BlockDifference
        Every tensor of a is in one of them, and every one of b that stands in no block of a.
    """
    found = common.with_rounding
    a, b = (
        _blocks(sketch, matches, total)
        for sketch, matches, total in zip(common.sketches, (found.a, found.b), totals, strict=True)
    )
    known = {x.block_a: x.block_b for x in layers if x.block_a}
    taken = {*known.values(), *(x.block_b for x in layers if not x.block_a)}
    pairs = [(x, known.get(x, x if x in b and x not in taken else "")) for x in a]
    taken |= {y for _, y in pairs}
    alone = [y for y in b if y not in taken] + [x.block_b for x in layers if not x.block_a]
    return (
        *(_difference(x, y, a[x], totals[0]) for x, y in pairs),
        *(_difference("", y, b[y], totals[1]) for y in alone if y in b),
    )


def _difference(in_a: str, in_b: str, block: _Block, total: int) -> BlockDifference:
    is_pair = bool(in_a and in_b)
    return BlockDifference(
        block_a=in_a,
        block_b=in_b,
        n_parameters=round(block.n),
        share=round(block.n / max(1, total), 6),
        share_equal=round(block.n_equal / block.n, 6) if is_pair and block.n else None,
        changed=tuple(sorted(block.changed)) if is_pair else (),
    )


def _blocks(sketch: Sketch, matches: Mapping[str, TensorMatch], total: int) -> dict[str, _Block]:
    """Blocks in their order; what stands outside them by its role, last."""
    sizes = parameters_of(sketch, total)
    found: dict[str, _Block] = defaultdict(_Block)
    for name, tensor in _inside_first(sketch):
        is_inside = tensor.block >= 0
        place = f"{tensor.stack}.{tensor.block}" if is_inside else tensor.role
        found[place].add(sizes[name], tensor, matches[name])
    return dict(found)


def _inside_first(sketch: Sketch) -> Iterator[tuple[str, SketchedTensor]]:
    return iter(
        sorted(
            sketch.tensors.items(),
            key=lambda x: (x[1].block < 0, x[1].stack, x[1].block, x[1].role),
        )
    )
