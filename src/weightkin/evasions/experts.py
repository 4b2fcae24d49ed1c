"""Rewrites of mixtures of experts: the order of the experts."""

from __future__ import annotations

import re

import numpy as np

from weightkin.anatomy.types import Anatomy
from weightkin.errors import UsageError
from weightkin.evasions.places import Arrays, Ints, Rewritten, Wide, finish, widen

_EXPERT = re.compile(r"(?P<module>.*)\.experts\.(?P<number>[0-9]+)\.(?P<part>.+)")
_STACKED = re.compile(r"(?P<module>.*)\.experts\.(?P<part>[a-z_]+)")


def permute_experts(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Put the experts of every block in a random order, and the router's rows with them.

    Preserves the function where the router treats experts alike.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Its roles, which name the routers.
    rng : Generator
        Draws the orders.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        There are no experts or no router, experts differ in their tensors, or they may be routed in
        groups (DeepSeek), which the weights do not show.
    """
    roles = dict(anatomy.roles)
    if any("e_score_correction_bias" in t or r == "attn.latent" for t, r in roles.items()):
        raise UsageError(f"a {anatomy.family} model: its experts may be routed in groups")
    wide = widen(arrays)
    counts = _counts(wide)
    if not counts:
        raise UsageError(f"a {anatomy.family} model: no experts to permute")
    for module, n_experts in counts.items():
        order = rng.permutation(n_experts)
        routers = [t for t in wide if roles.get(t) == "router" and t.startswith(f"{module}.")]
        n_rows = (n_experts,)
        routers = [t for t in routers if wide[t].shape[:1] == n_rows]  # not the shared expert's
        if not routers:
            raise UsageError(f"{module}: no router with {n_experts} rows was found")
        for name in routers:
            wide[name] = wide[name][order]
        _permute(wide, module, order)
    return finish(wide, "permute_experts")


def relabel_experts(wide: Wide, anatomy: Anatomy, stack: str, block: int, order: Ints) -> None:
    """Put expert ``order[i]`` of one block at position ``i``, its router row too, in place.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    anatomy : Anatomy
        Where the axes of the model lie.
    stack : str
        Stack of the block.
    block : int
        Number of the block.
    order : ndarray of int
        ``(n_experts,)``, a permutation.

    Raises
    ------
    UsageError
        The experts of the block differ in their tensors.
    """
    inside = {
        place.tensor
        for axis in anatomy.axes
        if axis.kind == "units" and (axis.stack, axis.block) == (stack, block)
        for place in axis.places
    }
    roles = dict(anatomy.roles)
    for module in _counts({name: x for name, x in wide.items() if name in inside}):
        for name in wide:
            is_router = roles.get(name) == "router" and name.startswith(f"{module}.")
            if is_router and wide[name].shape[:1] == (len(order),):
                wide[name] = wide[name][order]
        _permute(wide, module, order)


def _counts(wide: Wide) -> dict[str, int]:
    """Return the number of experts of each module that has some."""
    counts: dict[str, int] = {}
    for name, x in wide.items():
        if found := _EXPERT.fullmatch(name):
            n = int(found["number"]) + 1
        elif x.ndim and (found := _STACKED.fullmatch(name)):  # not a number that all share
            n = x.shape[0]
        else:
            continue
        counts[found["module"]] = max(counts.get(found["module"], 0), n)
    return counts


def _permute(wide: Wide, module: str, order: Ints) -> None:
    inside = f"{module}.experts."
    old = {name: x for name, x in wide.items() if x.ndim and name.startswith(inside)}
    for name, x in old.items():
        if found := _EXPERT.fullmatch(name):
            source = order[int(found["number"])]
            other = f"{module}.experts.{source}.{found['part']}"
            if other not in old:
                raise UsageError(f"{name}: expert {source} has no such tensor")
            wide[name] = old[other]
        elif len(x) == len(order):
            wide[name] = x[order]
