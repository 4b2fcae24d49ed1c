"""Random weights for a tiny instance: seeded, nowhere zero, and of a size that signals survive."""

from __future__ import annotations

import math

import torch

SMALL = 0.1  # constants below are taken for switches that training opens (scales of layers)


@torch.no_grad()
def randomise(model: torch.nn.Module, seed: int) -> None:
    """Move every parameter from where its library began it.

    What is random stays so, scaled to the number of its inputs; constants (norms, biases, gates)
    get values of their own; tables made by a formula keep it, with noise of a tenth of their
    spread, as after training.
    """
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        if p.is_floating_point():
            p.copy_(_moved(p, generator))
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.2 * _normal(buffer, generator))
        elif name.endswith("running_var"):
            buffer.copy_(1.0 + 0.5 * torch.tanh(_normal(buffer, generator)))


@torch.no_grad()
def child_of(model: torch.nn.Module, seed: int, share: float = 0.1) -> None:
    """Add noise of a share of its spread to every parameter, in place."""
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        if p.is_floating_point() and p.numel() > 1:
            p.add_(share * float(p.std()) * _normal(p, generator))


def _moved(p: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = _normal(p, generator)
    low, high = (float(p.min()), float(p.max())) if p.numel() else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        return _filled(noise / math.sqrt(max(1, _n_inputs(p))))
    if low == high:
        return _filled(_from_constant(low, noise, p))
    spread = float(p.std()) if p.numel() > 1 else 1.0
    wanted = 1.0 / math.sqrt(_n_inputs(p))
    scale = max(1.0, wanted / spread) if p.ndim > 1 and spread else 1.0
    return _filled(p * scale + 0.1 * spread * scale * noise)


def _from_constant(value: float, noise: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    if value == 0.0:
        return noise / math.sqrt(_n_inputs(p)) if p.ndim > 1 else 0.2 * noise
    if abs(value) < SMALL:
        return 0.5 + 0.1 * noise
    return value * (1.0 + 0.2 * torch.tanh(noise))


def _n_inputs(p: torch.Tensor) -> int:
    """Number of inputs of one unit: all but the first dimension, the last of stacked matrices."""
    if p.ndim < 2:
        return 1
    return max(1, p.shape[-1] if p.ndim == 3 and p.shape[-1] > 16 else math.prod(p.shape[1:]))


def _filled(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x == 0, torch.full_like(x, 0.05), x)


def _normal(p: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(p.shape, generator=generator).to(p.dtype)
