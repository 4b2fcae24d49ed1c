"""Proof by running: a model whose weights are relabelled gives the outputs it gave before.

Equal outputs say nothing where the order of the weights does not matter. So one tensor of each
relabelling is put back: outputs must change. For a sample of relabellings the model is run like
that; for the others it is enough that outputs change to first order, which one gradient tells.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import torch

from benchmarks.catalogue.bench import Bench
from benchmarks.catalogue.moves import Move
from weightkin.anatomy.graph.labels import Labels

Key = TypeVar("Key", bound=Hashable)
State = Literal["proven", "broken", "without effect"]
EFFECT = 10.0  # limits that a wrong relabelling has to exceed
N_CONTROLS = 3  # tensors put back, one after the other, until one of them matters
N_RUNS = 4  # relabellings of which every control is run


@dataclass(frozen=True, slots=True)
class Proof:
    """What running the model says about one relabelling."""

    state: State
    deviation: float  # of the outputs after it, relative
    control: float  # the same where one tensor was put back; 0 where it has one tensor only


def prove(bench: Bench, moves: Mapping[Key, Move]) -> dict[Key, Proof]:
    """Run a model with its weights relabelled: all at once, and one by one where that fails.

    Parameters
    ----------
    bench : Bench
        The model.
    moves : Mapping[Key, Move]
        Relabellings, each said to leave all outputs as they are.

    Returns
    -------
    dict[Key, Proof]
        One for each relabelling. It is proven if outputs stay, and change where one tensor is
        put back.
    """
    together = bench.deviation(list(moves.values()))
    slopes = bench.slopes() if len(moves) > N_RUNS else {}
    every = max(1, len(moves) // N_RUNS)
    found: dict[Key, Proof] = {}
    for i, (key, move) in enumerate(moves.items()):
        own = together if together <= bench.limit else bench.deviation([move])
        enough, control = EFFECT * bench.limit, 0.0
        if own <= bench.limit and len(move) > 1:
            control = _slope(bench, move, slopes) if i % every else 0.0
            control = control if control > enough else _control(bench, move, enough)
        found[key] = Proof(_state(own, control, bench.limit), own, control)
    return found


def _slope(bench: Bench, move: Move, slopes: Mapping[str, torch.Tensor]) -> float:
    """Return by how much outputs change, to first order, when one tensor is put back."""
    found = 0.0
    for name, order in move.items():
        if name in slopes:
            index = torch.from_numpy(order)
            before = bench.stored[name].reshape(-1)
            change = slopes[name].reshape(-1)[index] * (before - before[index])
            found = max(found, abs(float(change.sum())))
    return found


def _control(bench: Bench, move: Move, enough: float) -> float:
    """Return by how much outputs change when one tensor is put back."""
    control = 0.0
    for name in sorted(move, key=lambda x: -bench.state[x].numel())[:N_CONTROLS]:
        if control <= enough:
            rest = {other: order for other, order in move.items() if other != name}
            control = max(control, bench.deviation([rest]))
    return control


def _state(deviation: float, control: float, limit: float) -> State:
    if not deviation <= limit:
        return "broken"
    return "proven" if control > EFFECT * limit else "without effect"


def proven_labels(labels: Labels, proofs: Mapping[int, Proof]) -> Labels:
    """Return labels with all atoms fixed but those that are proven.

    A relabelling without effect may be of entries that matter in training alone (a variance that
    is only sampled from), so nothing is known about it.
    """
    atoms = {
        number: replace(atom, is_free=number in proofs and proofs[number].state == "proven")
        for number, atom in labels.atoms.items()
    }
    return replace(labels, atoms=atoms)


def share_moved(moves: Mapping[Key, Move], shapes: Mapping[str, Sequence[int]]) -> float:
    """Share of all entries of some tensors that at least one relabelling puts elsewhere."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    stays = {name: np.ones(size, dtype=bool) for name, size in sizes.items()}
    for move in moves.values():
        for name, order in move.items():
            stays[name] &= order == np.arange(sizes[name])
    return 1.0 - sum(int(own.sum()) for own in stays.values()) / max(1, sum(sizes.values()))
