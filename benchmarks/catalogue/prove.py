"""Proof by running: a model whose weights are relabelled gives the outputs it gave before.

Each relabelling is also applied to all of its tensors but one. Then outputs must change: where they
do not, the equality of outputs says nothing, and nothing counts as proven.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.catalogue.inputs import Inputs, leaves, plain_kernels
from benchmarks.catalogue.moves import Move
from weightkin.anatomy.graph.labels import Labels

Key = TypeVar("Key", bound=Hashable)
State = Literal["proven", "broken", "without effect"]
LIMITS = {torch.float64: 1e-8, torch.float32: 1e-4}  # of deviations, relative to the outputs
DOUBLE = {
    **dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64),
    torch.complex64: torch.complex128,
}
EFFECT = 10.0  # limits that a wrong relabelling has to exceed
MIN_SCALE = 0.1
N_CONTROLS = 3  # tensors left out, one after the other, until one of them matters


@dataclass(frozen=True, slots=True)
class Proof:
    """What running the model says about one relabelling."""

    state: State
    deviation: float  # of the outputs after it, relative
    control: float  # the same where one tensor was left out; 0 where it has one tensor only


class Bench:
    """A model ready to run again and again with other orders of its weights.

    Parameters
    ----------
    module : torch.nn.Module
        It is copied.
    inputs : Mapping[str, Any]
        What it is called with.
    free : Sequence[tuple[str, int]], optional
        As for `trace.trace`: along these dimensions the order of outputs is not looked at.
    seed : int, optional
        All weights are drawn anew, so that none is zero or has no effect.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        inputs: Inputs,
        *,
        free: Sequence[tuple[str, int]] = (),
        seed: int = 0,
    ) -> None:
        self.free: dict[str, list[int]] = {}
        for path, dim in free:
            self.free.setdefault(path, []).append(dim)
        module = copy.deepcopy(module).eval()
        randomise(module, torch.Generator().manual_seed(seed))
        try:
            self.precision: AbstractContextManager[object] = Doubled()
            self._use(copy.deepcopy(module).double(), _doubled(inputs))
        except (RuntimeError, TypeError):  # tensors that are neither parameters nor buffers
            self.precision = nullcontext()
            self._use(module, inputs)

    def _use(self, module: torch.nn.Module, inputs: Inputs) -> None:
        self.module, self.inputs = module, inputs
        self.state = {
            name: x.data
            for name, x in module.state_dict(keep_vars=True).items()
            if isinstance(x, torch.Tensor)
        }
        self.stored = {name: x.clone() for name, x in self.state.items()}
        dtypes = {x.dtype for x in self.state.values() if x.is_floating_point()}
        self.limit = LIMITS.get(min(dtypes, key=_width), 1e-4) if dtypes else 1e-4
        self.expected = self._run()

    def _run(self) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        with torch.inference_mode(), plain_kernels(), self.precision:
            result = self.module(**copy.deepcopy(dict(self.inputs)))
        return {
            path: _sorted(x.to(torch.float64), self.free.get(path, []))
            for path, x in leaves(result)
            if x.is_floating_point()
        }

    def deviation(self, moves: Sequence[Move]) -> float:
        """Return by how much outputs change, relative, when weights are moved."""
        try:
            for move in moves:
                own = {
                    self.state[name].data_ptr(): name for name in reversed(list(move))
                }  # tied: once
                for name in own.values():
                    x, order = self.state[name], move[name]
                    x.copy_(x.reshape(-1)[torch.from_numpy(order)].reshape(x.shape))
            found = self._run()
        finally:
            for name, x in self.state.items():
                x.copy_(self.stored[name])
        return max(
            (_difference(x, found[path]) for path, x in self.expected.items()), default=float("nan")
        )


class Doubled(TorchDispatchMode):
    """Let a module that casts to single or half precision by itself stay in double precision."""

    def __enter__(self) -> Any:
        self._before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.set_default_dtype(self._before)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        own = {key: _double(x) for key, x in (kwargs or {}).items()}
        return func(*map(_double, args), **own)


def _double(x: Any) -> Any:
    return DOUBLE.get(x, x) if isinstance(x, torch.dtype) else x


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
        left out.
    """
    together = bench.deviation(list(moves.values()))
    found: dict[Key, Proof] = {}
    for key, move in moves.items():
        own = together if together <= bench.limit else bench.deviation([move])
        control = 0.0
        for name in sorted(move, key=lambda x: -bench.state[x].numel())[:N_CONTROLS]:
            if own > bench.limit or control > EFFECT * bench.limit or len(move) < 2:
                break
            rest = {other: order for other, order in move.items() if other != name}
            control = max(control, bench.deviation([rest]))
        found[key] = Proof(_state(own, control, bench.limit), own, control)
    return found


def _state(deviation: float, control: float, limit: float) -> State:
    if not deviation <= limit:
        return "broken"
    return "proven" if control > EFFECT * limit else "without effect"


def randomise(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Draw all parameters and running statistics anew: no two equal, none zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                parameter.copy_(_drawn(parameter, generator))
        for name, x in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                noise = torch.rand(x.shape, generator=generator).to(x)
                x.copy_(noise + (0.5 if name.endswith("var") else -0.5))


def _drawn(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise: torch.Tensor = torch.randn(x.shape, generator=generator).to(x)
    if not x.numel() or bool((x == x.reshape(-1)[0]).all()):
        level = float(x.reshape(-1)[0]) if x.numel() else 0.0
        level = 0.0 if abs(level) < MIN_SCALE else level  # also of scales that start near zero
        return noise.clamp(-2, 2) * (0.3 * abs(level) or 0.3) + level
    if x.ndim > 1:
        n_in = x.numel() // x.shape[0]
        return noise * max(0.1, math.sqrt(2 / n_in))  # so that no layer of ReLUs dies out
    return x + noise * (0.1 * float(x.std()))  # may come from a formula


def _doubled(inputs: Inputs) -> dict[str, Any]:
    def cast(x: Any) -> Any:
        return x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x

    return dict(torch.utils._pytree.tree_map(cast, dict(inputs)))


def _sorted(x: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """Entries along some dimensions in ascending order, all of these together."""
    if not dims:
        return x
    own = sorted({d % x.ndim for d in dims})
    rest = [d for d in range(x.ndim) if d not in own]
    flat = x.permute(*rest, *own).flatten(len(rest))
    return flat.sort(dim=-1).values


def _difference(x: torch.Tensor, y: torch.Tensor) -> float:
    """Largest difference, relative to the entry or to a typical one, whichever is larger."""
    if x.shape != y.shape:
        return float("inf")
    sizes = x.abs()
    if not (sizes > 0).any():
        return float((x - y).abs().max()) if x.numel() else 0.0
    typical = sizes[sizes > 0].median()  # some outputs are masked with the lowest number there is
    return float(((x - y).abs() / (sizes + typical)).max())


def _width(dtype: torch.dtype) -> int:
    return torch.finfo(dtype).bits


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
