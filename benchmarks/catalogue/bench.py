"""A small model, ready to run again and again with other orders of its weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.catalogue.moves import Move
from benchmarks.catalogue.running import Inputs, leaves, plain_kernels, prepared

LIMITS = {torch.float64: 1e-8, torch.float32: 1e-4}  # of deviations, relative to the outputs
DOUBLE = {
    **dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64),
    torch.complex64: torch.complex128,
}
MIN_SCALE = 0.1


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
        module = prepared(copy.deepcopy(module))
        randomise(module, torch.Generator().manual_seed(seed))
        settle(module, inputs)
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
            if not x.is_complex()
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

    def slopes(self) -> dict[str, torch.Tensor]:
        """Return how a random number made of the outputs changes with each entry of each weight.

        Nothing where a module has no gradients.
        """
        own = {
            name: x.requires_grad_()
            for name, x in self.module.state_dict(keep_vars=True).items()
            if isinstance(x, torch.nn.Parameter) and x.is_floating_point()
        }
        torch.manual_seed(0)
        try:
            with torch.enable_grad(), plain_kernels(), self.precision:
                result = self.module(**copy.deepcopy(dict(self.inputs)))
                total = torch.stack([_mixture(x) for _, x in leaves(result) if x.requires_grad])
                found = torch.autograd.grad(total.sum(), list(own.values()), allow_unused=True)
        except (RuntimeError, TypeError, AttributeError):
            return {}
        finally:
            for x in own.values():
                x.requires_grad_(False)
        return {name: g for name, g in zip(own, found, strict=True) if g is not None}


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


def randomise(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Draw all parameters and statistics anew: no two equal, none zero.

    Of what the state dict holds beside parameters, tables made by a formula stay.
    """
    parameters = {id(x) for x in module.parameters()}
    with torch.no_grad():
        for name, x in module.state_dict(keep_vars=True).items():
            if not isinstance(x, torch.Tensor) or not x.is_floating_point() or not x.numel():
                continue
            if name.endswith(("running_mean", "running_var")):
                noise = torch.rand(x.shape, generator=generator).to(x)
                x.copy_(noise + (0.5 if name.endswith("var") else -0.5))
            elif id(x) in parameters or bool((x == x.reshape(-1)[0]).all()):
                x.copy_(_drawn(x, generator))


def settle(module: torch.nn.Module, inputs: Inputs) -> None:
    """Scale layers one after the other, so that what comes out of each is of size one.

    Without that, deep networks end in outputs that are all alike, or infinite.
    """
    kinds = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
    handles = [x.register_forward_hook(_scale) for x in module.modules() if isinstance(x, kinds)]
    handles += [
        x.register_forward_pre_hook(_measure)
        for x in module.modules()
        if isinstance(x, torch.nn.modules.batchnorm._BatchNorm) and x.running_var is not None
    ]
    torch.manual_seed(0)
    with torch.no_grad():
        module(**copy.deepcopy(dict(inputs)))
    for handle in handles:
        handle.remove()


def _scale(layer: Any, _: Any, out: Any) -> Any:
    if not isinstance(out, torch.Tensor):  # a router, say, that is a layer by inheritance
        return out
    size = float(out.std()) if out.numel() > 1 else 0.0
    own = [x for x in (layer.weight, layer.bias) if x is not None]
    if not (0.0 < size < math.inf) or not all(isinstance(x, torch.nn.Parameter) for x in own):
        return out
    for x in own:
        x.div_(size)
    return out / size


def _measure(layer: Any, given: tuple[torch.Tensor, ...]) -> None:
    """Let stored statistics be near those of what comes in."""
    dims = [d for d in range(given[0].ndim) if d != 1]
    mean, spread = given[0].mean(dims), given[0].std(dims).clamp(min=1e-3)
    if torch.isfinite(mean + spread).all():
        layer.running_mean.mul_(spread).add_(mean)
        layer.running_var.mul_(spread**2)


def _drawn(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise: torch.Tensor = torch.randn(x.shape, generator=generator).to(x)
    if bool((x == x.reshape(-1)[0]).all()):
        level = float(x.reshape(-1)[0])
        if not math.isfinite(level):  # a bound that nothing reaches
            return x
        level = 0.0 if abs(level) < MIN_SCALE else level  # also of scales that start near zero
        return noise.clamp(-2, 2) * (0.3 * abs(level) or 0.3) + level
    if x.ndim > 1:
        n_in = x.numel() // x.shape[0]
        return noise * max(0.1, math.sqrt(2 / n_in))  # so that no layer of ReLUs dies out
    return x + noise * (0.1 * float(x.std()))  # may come from a formula


def _mixture(x: torch.Tensor) -> torch.Tensor:
    """Return a random sum of entries, each counted as by `_difference`."""
    own = x.detach().abs().nan_to_num(0.0)
    typical = own[own > 0].median() if (own > 0).any() else 1.0
    weights = torch.randn(x.shape, dtype=torch.float64) / (own + typical)
    return (x.nan_to_num(0.0) * weights).sum()


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
    known = x.isfinite()
    if x.shape != y.shape or not torch.equal(known, y.isfinite()):
        return float("inf")
    x, y = x[known], y[known]
    sizes = x.abs()
    if not (sizes > 0).any():
        return float((x - y).abs().max()) if x.numel() else 0.0
    typical = sizes[sizes > 0].median()  # some outputs are masked with the lowest number there is
    return float(((x - y).abs() / (sizes + typical)).max())


def _width(dtype: torch.dtype) -> int:
    return torch.finfo(dtype).bits
