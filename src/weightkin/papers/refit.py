"""The generalised robust test: refit any MLP as a gated one, then run phi_MATCH on the fits.

It serves where an MLP is not gated (GELU) or was replaced by a retrained one: what counts is the
function, not its weights. Zhu et al. (ICML 2025), algorithm 5. Values are for calibration: fits of
unrelated functions agree on some units too, the more the longer they are trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from weightkin.arrays import Floats
from weightkin.errors import UsageError
from weightkin.papers.activations import N_POSITIONS, phi_match
from weightkin.papers.forward import Activations, BlockActivations
from weightkin.papers.inputs import CannotRun, library
from weightkin.papers.loading import ffn, find_mlps, load, running, why_none, width_of
from weightkin.papers.random_inputs import Inputs, gaussian_vectors
from weightkin.records import Test

N_STEPS = 3000
N_PER_BATCH = 256
RATE = 1e-2
N_SCALE = 4096  # vectors that give the scale of the function, and the error at the end

Ffn = Callable[[Any], Any]  # torch tensors (n, width) to (n, width)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a fit is made: steps of Adam on fresh Gaussian vectors, and where."""

    n_steps: int = N_STEPS
    batch: int = N_PER_BATCH
    rate: float = RATE
    device: str | None = None  # a GPU when there is one


USUAL_FIT = Fit()


@dataclass(frozen=True, slots=True)
class GluFit:
    """A gated MLP ``down (silu(gate x + b) * (up x + c)) + e`` fitted to a function.

    ``error`` is the mean squared error over the variance of the function, on fresh vectors;
    ``first_error`` the same before training.
    """

    gate: Floats  # (n_units, width)
    gate_bias: Floats  # (n_units,)
    up: Floats  # (n_units, width)
    up_bias: Floats  # (n_units,)
    down: Floats  # (width, n_units)
    down_bias: Floats  # (width,)
    first_error: float
    error: float

    def activations(self, inputs: Inputs, name: str = "refit") -> Activations:
        """Gate and up activations on vectors, as `record_activations` gives them.

        What tells units apart is kept, what fits are free to choose is not: biases are left out,
        which make all units alike, and up is signed to go with gate, since the sign of up may be
        traded for that of down.
        """
        x = inputs.values.astype(np.float32).T  # (width, n_tokens)
        sign = np.where((self.gate * self.up).sum(axis=1) < 0, -1, 1).astype(np.float32)
        gate, up = self.gate @ x, sign[:, None] * (self.up @ x)  # (n_units, n_tokens)
        z = gate + self.gate_bias[:, None]
        hidden = z / (1 + np.exp(-np.clip(z, -80, 80))) * (up + (sign * self.up_bias)[:, None])
        block = BlockActivations(name, gate, up, hidden)
        return Activations(name, "refit", (block,), None, ())


def generalised_match(
    folder_a: str | Path,
    folder_b: str | Path,
    blocks: tuple[int, int] = (0, 0),
    *,
    n_units: int | None = None,
    fit: Fit = USUAL_FIT,
    seed: int = 0,
) -> list[Test]:
    """phi_MATCH between gated MLPs fitted to one MLP of each model.

    Parameters
    ----------
    folder_a, folder_b : str or Path
        Local models of equal residual width, in the same basis of it.
    blocks : tuple of int
        Which of the MLPs of each model, counted through the whole model.
    n_units : int, optional
        Hidden width of both fits; by default that of the wider MLP.
    fit : Fit
        How long and where both are fitted; `fit_glu` gives the cost.
    seed : int
        Of everything drawn. The two fits start from different draws: with a common start, fits of
        unrelated functions would match each other.

    Returns
    -------
    list of Test
        As `phi_match` gives them, names beginning with ``generalised_``; ``view`` tells the width
        of the fits and how well they fit.

    Raises
    ------
    CannotRun, UsageError
        A model that does not run, different residual widths, no such block.
    """
    first, second = (
        _one_ffn(folder, block, fit.device)
        for folder, block in zip((folder_a, folder_b), blocks, strict=True)
    )
    if first.width != second.width:
        raise CannotRun(f"residual widths differ: {first.width} and {second.width}")
    n = n_units or max(first.n_units, second.n_units)
    fits = [
        fit_glu(one.run, one.width, n, seed=[seed, side], fit=replace(fit, device=one.device))
        for side, one in enumerate((first, second))
    ]
    vectors = gaussian_vectors(first.width, N_POSITIONS, seed)
    a, b = (f.activations(vectors, o.name) for f, o in zip(fits, (first, second), strict=True))
    view = f"refit with {n} units, errors {fits[0].error:.2g} and {fits[1].error:.2g}"
    tests = phi_match(a, b, pairs=[(0, 0)], seed=seed)
    return [
        replace(t, name=f"generalised_{t.name}", view=view) for t in tests if t.block_a != "all"
    ]


def fit_glu(
    function: Ffn,
    width: int,
    n_units: int,
    *,
    seed: int | list[int],
    fit: Fit = USUAL_FIT,
) -> GluFit:
    """Fit a fresh gated MLP to a function by regression on isotropic Gaussian vectors.

    Mean squared error, Adam with a cosine to zero, fresh vectors at every step, float32. Biases are
    fitted too: without them gate and up of a unit align in every fit, and agree in any two.

    Parameters
    ----------
    function : callable
        From torch tensors ``(n, width)`` to ``(n, width)``, on the device of the fit.
    width, n_units : int
        Residual width, and hidden width of the fit.
    seed : int or list of int
        Of the start and of the vectors.
    fit : Fit
        Cost ``O(n_steps batch width n_units)``: 10 s on one core at 96, 384 and 1500 steps.

    Returns
    -------
    GluFit
        Weights of the fit, in the scale of the function, and its errors.

    Raises
    ------
    UsageError
        No unit, or no step.
    CannotRun
        A function that gives non-finite values, or a constant.
    """
    n_steps, batch, rate, device = fit.n_steps, fit.batch, fit.rate, fit.device or "cpu"
    if min(width, n_units, n_steps, batch) < 1:
        raise UsageError("width, units, steps and batch of a fit must be at least 1")
    torch = library("torch")
    draws = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))

    def vectors(n: int) -> Any:
        return torch.randn(n, width, generator=draws).to(device)

    x = vectors(N_SCALE)
    scale, centre = _scale(function, x)

    def target(x: Any) -> Any:
        with torch.no_grad():
            return (function(x) - centre) / scale

    parameters = _fresh(torch, width, n_units, draws, device)
    first = _error(torch, parameters, x, target(x))
    optimiser = torch.optim.Adam(parameters, lr=rate)
    for step in range(n_steps):
        optimiser.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        x = vectors(batch)
        loss = (_glu(torch, parameters, x) - target(x)).square().sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x = vectors(N_SCALE)
    last = _error(torch, parameters, x, target(x))
    gate, gate_bias, up, up_bias, down, down_bias = (p.detach().cpu().numpy() for p in parameters)
    whole = down * scale, down_bias * scale + centre.cpu().numpy()
    return GluFit(gate, gate_bias, up, up_bias, *whole, first, last)


@dataclass(frozen=True, slots=True)
class _OneFfn:
    """One MLP of a loaded model."""

    name: str
    run: Ffn
    width: int
    n_units: int
    device: str


def _one_ffn(folder: str | Path, block: int, device: str | None) -> _OneFfn:
    torch = library("torch")
    model = load(folder)
    mlps, skipped = find_mlps(model)
    if not 0 <= block < len(mlps):
        why = f" ({why_none(skipped)})" if skipped else ""
        raise UsageError(f"{folder}: no MLP number {block} among {len(mlps)}{why}")
    mlp = mlps[block]
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with running(folder):
        model.to(place)
        run, width = ffn(model, mlp), width_of(model, mlp)
        with torch.no_grad():
            run(torch.zeros(2, width, device=place))  # some want more than vectors
    return _OneFfn(mlp.name, run, width, mlp.tables["hidden"].size, place)


def _scale(function: Ffn, x: Any) -> tuple[float, Any]:
    """Root of the total variance of a function, and its mean."""
    torch = library("torch")
    with torch.no_grad():
        y = function(x).float()
    scale = float(y.var(0).sum().sqrt())
    if not (math.isfinite(scale) and scale > 0):
        raise CannotRun(f"an MLP whose outputs vary by {scale} cannot be refitted")
    return scale, y.mean(0)


def _fresh(torch: Any, width: int, n_units: int, draws: Any, device: str) -> list[Any]:
    """Gate, its bias, up, its bias, down, its bias; small at first in the output."""
    shapes = (
        (n_units, width),
        (n_units,),
        (n_units, width),
        (n_units,),
        (width, n_units),
        (width,),
    )
    spreads = (width**-0.5, 0.0, width**-0.5, 0.0, 0.1 * n_units**-0.5, 0.0)
    return [
        (torch.randn(shape, generator=draws) * spread).to(device).requires_grad_()
        for shape, spread in zip(shapes, spreads, strict=True)
    ]


def _glu(torch: Any, parameters: list[Any], x: Any) -> Any:
    gate, gate_bias, up, up_bias, down, down_bias = parameters
    hidden = torch.nn.functional.silu(x @ gate.T + gate_bias) * (x @ up.T + up_bias)
    return hidden @ down.T + down_bias


def _error(torch: Any, parameters: list[Any], x: Any, y: Any) -> float:
    with torch.no_grad():
        return float((_glu(torch, parameters, x) - y).square().sum(1).mean())
