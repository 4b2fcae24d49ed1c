"""Rewrites that add blocks which write nothing, as LLaMA-Pro does before it trains them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from weightkin.anatomy.types import Anatomy
from weightkin.errors import UsageError
from weightkin.evasions.places import Arrays, Rewritten, finish, widen
from weightkin.evasions.stream import open_stream

WRITERS = ("attn.o", "mlp.down")


def insert_blocks(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    before: Sequence[int] = (0,),
    size: float = 0.0,
) -> Rewritten:
    """Insert blocks that leave the residual stream as it is: their two writers are about zero.

    A new block is the one that it is put before (the last one at the end), with the entries of
    every matrix in a random order. Preserves the function of models in which blocks read through a
    norm and add to the stream; exactly where ``size`` is 0. Lists in the config with an entry for
    each block are left to the caller.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the matrices.
    before : sequence of int
        Numbers of the old blocks in front of which one is put; the number of blocks for the end.
    size : float
        Writers are multiplied by it, their biases too.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        Which matrix reads which norm is not known, there is more than one stack, a block has no
        writer, or there is no such block.
    """
    stream = open_stream(widen(arrays), anatomy, to_turn=False)  # refuses what it does not know
    entry = stream.entry
    in_blocks = re.compile(rf"(?P<before>(?:.*\.)?(?:{'|'.join(entry.blocks)})\.)(\d+)(\..*)")
    parts = {name: found for name in arrays if (found := in_blocks.fullmatch(name))}
    n_blocks = 1 + max((int(x[2]) for x in parts.values()), default=-1)
    if len(anatomy.stacks) != 1 or anatomy.stacks[0][1] != n_blocks or not entry.depth:
        raise UsageError(f"a {anatomy.family} model: no single stack of blocks to insert one in")
    if not before or not all(0 <= k <= n_blocks for k in before):
        raise UsageError(f"blocks go before 0 to {n_blocks}, not {list(before)}")
    order = sorted([*range(n_blocks), *(k - 0.5 for k in before)])
    roles = dict(anatomy.roles)
    wide = widen(arrays)
    changed = {name: x for name, x in wide.items() if name not in parts}
    for name, found in parts.items():
        for new, old in enumerate(order):
            number = min(int(old + 0.5), n_blocks - 1)
            if number == int(found[2]):
                x = wide[name] if number == old else _shuffled(wide[name], rng)
                is_writer = number != old and roles.get(name) in WRITERS
                changed[f"{found['before']}{new}{found[3]}"] = size * x if is_writer else x
    return finish(changed, "insert_blocks", **{entry.depth: len(order)})


def _shuffled(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The entries of a matrix in a random order; vectors as they are."""
    return rng.permutation(x.ravel()).reshape(x.shape) if x.ndim > 1 else x
