"""Factors of parameters that are no module of their own (``target_parameters``): fused experts.

PEFT wraps the module that holds them once for each parameter, and names only the depth of each
wrapper: which parameter it is follows from the shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightkin.errors import UnreadableModel
from weightkin.formats.adapter_deltas import OWN, Delta, Product, Rows
from weightkin.formats.adapter_names import A, B
from weightkin.formats.adapter_targets import Targets
from weightkin.formats.computed import Index, stored_rows, stored_whole
from weightkin.formats.dtypes import to_float32
from weightkin.formats.model import Storage, TensorInfo

WRAPPER = ".base_layer"


@dataclass(frozen=True, slots=True)
class ExpertProducts:
    """One product of factors for each expert; with ``is_turned``, its transpose."""

    left: str  # (n_outputs, rank * n_experts), the experts of one rank beside each other
    right: str  # (n_experts * rank, n_inputs)
    n_outputs: int
    n_inputs: int
    rank: int
    n_experts: int
    is_turned: bool

    def rows(self, storage: Storage, rows: Index) -> Rows:
        """The matrix of each expert, as one row."""
        whole = stored_whole(storage, self.left, (self.n_outputs, self.rank * self.n_experts))
        found = np.empty((len(rows), self.n_outputs * self.n_inputs))
        for at, expert in enumerate(rows.tolist()):
            own = np.arange(expert * self.rank, (expert + 1) * self.rank)
            right = to_float32(stored_rows(storage, self.right, own, self.n_inputs))
            left = to_float32(whole[:, expert :: self.n_experts])
            total = np.zeros((self.n_outputs, self.n_inputs))
            with np.errstate(all="ignore"):
                for k in range(self.rank):
                    total += np.outer(left[:, k].astype(np.float64), right[k].astype(np.float64))
            found[at] = (total.T if self.is_turned else total).reshape(-1)
        return found


def parameters_that_fit(
    targets: Targets, module: str, factors: Mapping[str, TensorInfo], wanted: Any
) -> list[tuple[str, str, int, Delta]]:
    """Parameters of the base that the factors of a wrapper may belong to.

    Parameters
    ----------
    targets : Targets
        The tensors of the base.
    module : str
        The module, with the wrappers in its name.
    factors : mapping
        Its two factors.
    wanted : object
        What ``target_parameters`` says.

    Returns
    -------
    list
        For each the tensor of the base, its name in the adapter, the rank and the delta.
    """
    while module.endswith(WRAPPER):
        module = module.removesuffix(WRAPPER)
    found = []
    for name in _named(module, wanted):
        try:
            target = targets.of(name)
        except UnreadableModel:
            continue
        fit = _fit(targets.base.tensors[target].shape, factors[A], factors[B])
        found += [(target, name, *fit)] if fit else []
    return found


def _named(module: str, wanted: Any) -> Iterator[str]:
    """Parameters of a module that are named as targets, each once."""
    texts = [x for x in wanted if isinstance(x, str)] if isinstance(wanted, list) else []
    for leaf in sorted({x.rpartition(".")[2] for x in texts}):
        name = f"{module}.{leaf}"
        if any(name == x or name.endswith(f".{x}") for x in texts):
            yield name


def _fit(shape: tuple[int, ...], a: TensorInfo, b: TensorInfo) -> tuple[int, Delta] | None:
    match shape, a.shape, b.shape:
        case (int(n_out), int(n_in)), (int(rank), int(width)), (int(height), int(other)):
            if rank and rank == other and (n_out, n_in) == (height, width):
                return rank, Product(OWN + b.name, OWN + a.name, n_out, rank, n_in)
        case (int(n), int(x), int(y)), (int(ranks), int(n_in)), (int(n_out), int(other)):
            is_turned = (n_in, n_out) == (x, y)
            is_fit = n > 1 and x != y and (is_turned or (n_out, n_in) == (x, y))
            if is_fit and ranks and ranks == other and ranks % n == 0:
                rank = ranks // n
                names = OWN + b.name, OWN + a.name
                return rank, ExpertProducts(*names, n_out, n_in, rank, n, is_turned)
    return None
